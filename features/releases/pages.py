"""Releases of a repository: the list with their notes, one of them, and the forms that make, edit and delete them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from features.releases import verbs
from features.releases.models import MAX_NOTES, MAX_TITLE, Release
from hub.site import routing
from hub.site.catalogue import feeds
from hub.site.forms import Form, Refusals, name_field, posted, text_field
from hub.site.markdown_texts import html_of_texts, is_preview, page_or_preview, preview
from hub.site.panels import Pages, Panel
from hub.site.proof import Document, document
from hub.site.repository.repository_header import RepositoryHeader, header_of, repository_page
from hub.site.routing import RepositoryAddress
from hub.site.visitor import person
from registry.kernel import seams
from registry.kernel.errors import FilesExpired, RefExists, RepositoryQuarantined, RevisionNotFound, ValueInvalid
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import Verdict
from registry.proof.verdicts import requests

MARKDOWN = _("Markdown: what is new, and what changes for people who use it. `@name`, `#3` and commits become links.")
MAX_IN_FEED = 30
MAX_SUMMARY = 1_000  # characters of notes in the feed
PER_PAGE = 10  # notes in Markdown cost a process each the first time


class EditRelease(Form):
    title = text_field(_("Title"), _("Optional."), required=False, maxlength=MAX_TITLE)
    notes = text_field(_("Notes"), MARKDOWN, required=False, widget=forms.Textarea, rows=12, maxlength=MAX_NOTES)
    prerelease = forms.BooleanField(
        label=_("A pre-release"),
        help_text=_("It is never the latest release; `v1.0.0-rc.1` is one by its name."),
        required=False,
    )
    fields_of: ClassVar[Refusals] = {ValueInvalid: "notes"}


class NewRelease(EditRelease):
    tag = name_field(
        _("Tag"), _("A semantic version; it is created unless it is there."), maxlength=64, placeholder="v1.0.0"
    )
    revision = name_field(
        _("Version"),
        _("A commit, a branch or a tag. Empty: what the tag names, else `verified`."),
        maxlength=200,
        placeholder="verified",
        required=False,
    )
    force = forms.BooleanField(
        label=_("Even if it has not passed"),
        help_text=_("The release will say so: people expect a release to work."),
        required=False,
    )
    field_order = ("tag", "revision", "title", "notes", "prerelease", "force")
    fields_of: ClassVar[Refusals] = {
        RefExists: "tag",
        RevisionNotFound: "revision",
        verbs.ReleaseRefused: "revision",
        RepositoryQuarantined: "revision",
        FilesExpired: "revision",
        ValueInvalid: "notes",
    }


class DeleteRelease(Form):
    with_tag = forms.BooleanField(
        label=_("Delete its tag too"), help_text=_("Pulls by this tag will fail."), required=False
    )


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release with its notes as safe HTML and the newest verdict of its revision."""

    release: Release
    notes: SafeString
    verdict: Document | None
    is_latest: bool


@repository_page
def listed(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """The releases, the highest version first."""
    below = cursors.parse_row_number(request.GET.get("before", ""))
    page = verbs.listed(header.repository, header.by, below=below, limit=PER_PAGE)
    return _page(request, header, page.items, older=page.next)


@repository_page
def one(request: HttpRequest, header: RepositoryHeader, tag: str) -> HttpResponse:
    return _page(request, header, [verbs.find(header.repository, tag, header.by)], is_one=True)


def _page(request: HttpRequest, header: RepositoryHeader, found: Sequence[Release], **more: object) -> HttpResponse:
    seams.saw(header.by.user, "releases", header.repository)
    shown = {
        "header": header,
        "tab": "versions",
        "subpage": "releases",
        "rows": _rows(header, found),
        "may_release": _may_release(header),
    }
    return render(request, "releases/listed.html", shown | more)


def _rows(header: RepositoryHeader, found: Sequence[Release]) -> list[ReleaseRow]:
    notes = html_of_texts(header, {release.pk: release.notes for release in found})
    rows = Verdict.objects.filter(revision__in=[release.ref.revision_id for release in found]).order_by("number")
    newest = {verdict.revision_id: document(verdict) for verdict in rows}  # the highest number counts
    latest = verbs.latest(header.repository)
    return [
        ReleaseRow(release, notes[release.pk], newest.get(release.ref.revision_id), release == latest)
        for release in found
    ]


def _may_release(header: RepositoryHeader) -> bool:
    return header.may_write and not header.repository.is_archived and not header.repository.source


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    form = NewRelease(posted(request), initial=request.GET.dict())
    if form.is_valid() and not is_preview(request):
        given = form.cleaned_data
        with form:
            revision = verbs.revision_for(header.repository, given["tag"], given["revision"], header.by)
            return redirect(
                verbs.create(
                    header.repository,
                    given["tag"],
                    revision,
                    header.by,
                    title=given["title"],
                    notes=given["notes"],
                    is_prerelease=given["prerelease"],
                    force=given["force"],
                )
            )
    return _form_page(request, header, form)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, address: RepositoryAddress, tag: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    release = verbs.find(header.repository, tag, header.by)
    initial = {"title": release.title, "notes": release.notes, "prerelease": release.is_prerelease}
    form = EditRelease(posted(request), initial=initial)
    if form.is_valid() and not is_preview(request):
        given = form.cleaned_data
        with form:
            verbs.edit(
                header.repository,
                release.tag,
                header.by,
                title=given["title"],
                notes=given["notes"],
                is_prerelease=given["prerelease"],
            )
            return redirect(release)
    return _form_page(request, header, form, release)


def _form_page(
    request: HttpRequest, header: RepositoryHeader, form: EditRelease, release: Release | None = None
) -> HttpResponse:
    shown: dict[str, object] = {
        "header": header,
        "tab": "versions",
        "subpage": "releases",
        "form": form,
        "release": release,
    }
    shown |= {"deletion": DeleteRelease(), "html": preview(request, header, form, "notes")}
    return page_or_preview(request, "releases/form.html", shown, form.status)


def delete(request: HttpRequest, address: RepositoryAddress, tag: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    form = DeleteRelease(request.POST)
    with_tag = form.is_valid() and form.cleaned_data["with_tag"]
    verbs.delete(header.repository, tag, header.by, keep_tag=not with_tag)
    if with_tag:
        sentence = gettext("The release {tag} is deleted, and its tag.")
    else:
        sentence = gettext("The release {tag} is deleted; its tag stays.")
    messages.success(request, sentence.format(tag=tag))
    return redirect("releases", header.repository)


@repository_page
def released(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Return the newest releases of a repository, each with the verdict of its version and its notes."""
    found = verbs.newest(header.repository, header.by, MAX_IN_FEED)
    states = requests.states_in_force(release.ref.revision_id for release in found)
    entries = [_release_entry(release, states.get(release.ref.revision_id, "")) for release in found]
    return feeds.feed(
        request, f"{header.repository.full_name}, releases", reverse("releases", args=[header.repository]), entries
    )


def _release_entry(release: Release, state: str) -> feeds.Entry:
    title = f"{release.tag}: {release.title}" if release.title else release.tag
    summary = f"{state}. {release.notes[:MAX_SUMMARY]}" if state else release.notes[:MAX_SUMMARY]
    return feeds.Entry(title, release.get_absolute_url(), summary, release.edited_at or release.created_at)


def _of_hub(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return nothing more for repositories of this hub; None for those of another, which have no releases here."""
    return None if page["header"].repository.source else {}


def _releasable(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return nothing more for those who may make a release of a version that has a verdict."""
    return {} if page["verdict"] and _may_release(page["header"]) else None


def _latest(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the highest stable release whose version is served, and the state of its newest verdict; None for none."""
    release = verbs.latest(page["header"].repository)
    if release is None:
        return None
    revision = release.ref.revision_id
    return {"release": release, "state": requests.states_in_force([revision]).get(revision, "")}


AT = "<repository:address>/releases"
PAGES = Pages(
    routes=[
        routing.at("<repository:address>/releases.atom", released, "releases-feed"),
        routing.at(AT, listed, "releases"),
        routing.at(f"{AT}/new", new, "new-release"),
        routing.at(f"{AT}/<str:tag>", one, "release"),
        routing.at(f"{AT}/<str:tag>/edit", edit, "edit-release"),
        *routing.forms("release", f"{AT}/<str:tag>", ("delete", delete, "delete-release")),
    ],
    panels=(
        Panel("repository-feeds", "releases/feed.html"),
        Panel("versions", "releases/link.html", _of_hub),
        Panel("version-menu", "releases/of_version.html", _releasable),
        Panel("facts", "releases/latest.html", _latest),
    ),
)
