"""Releases of a repository: the list with their notes, one of them, and the forms that make, edit and delete them."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from hub.site.converters import RepositoryAddress
from hub.site.forms import posted
from hub.site.forms.releases import DeleteRelease, EditRelease, NewRelease
from hub.site.markdown_texts import html_of_texts, is_preview, page_or_preview, preview
from hub.site.proof.proof import Document, document
from hub.site.repository.finding_headers import header_of
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import repository_page
from hub.site.visitor import person
from registry.kernel.policy import Permission
from registry.kernel.texts import ids
from registry.models import Release, Verdict
from registry.publish import releases as services
from registry.repos import releases
from registry.talk.alerts import alerts

PER_PAGE = 10  # notes in Markdown cost a process each the first time


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
    below = ids.parse_row_number(request.GET.get("before", ""))
    page = releases.listed(header.repository, header.by, below=below, limit=PER_PAGE)
    return _page(request, header, page.items, older=page.next)


@repository_page
def one(request: HttpRequest, header: RepositoryHeader, tag: str) -> HttpResponse:
    return _page(request, header, [releases.find(header.repository, tag, header.by)], is_one=True)


def _page(request: HttpRequest, header: RepositoryHeader, found: Sequence[Release], **more: object) -> HttpResponse:
    alerts.saw(header.by.user, [alerts.Kind.RELEASE_MADE], repository=header.repository)
    shown = {"header": header, "tab": "releases", "rows": _rows(header, found), "may_release": _may_release(header)}
    return render(request, "site/releases.html", shown | more)


def _rows(header: RepositoryHeader, found: Sequence[Release]) -> list[ReleaseRow]:
    notes = html_of_texts(header, {release.pk: release.notes for release in found})
    verdicts = Verdict.objects.filter(revision__in=[release.ref.revision_id for release in found]).order_by("number")
    newest = {verdict.revision_id: document(verdict) for verdict in verdicts}  # the highest number counts
    latest = releases.latest(header.repository)
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
            revision = services.revision_for(header.repository, given["tag"], given["revision"], header.by)
            return redirect(services.create(
                header.repository, given["tag"], revision, header.by,
                title=given["title"], notes=given["notes"], is_prerelease=given["prerelease"], force=given["force"],
            ))  # fmt: skip
    return _form_page(request, header, form)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, address: RepositoryAddress, tag: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    release = releases.find(header.repository, tag, header.by)
    initial = {"title": release.title, "notes": release.notes, "prerelease": release.is_prerelease}
    form = EditRelease(posted(request), initial=initial)
    if form.is_valid() and not is_preview(request):
        given = form.cleaned_data
        with form:
            services.edit(
                header.repository, release.tag, header.by,
                title=given["title"], notes=given["notes"], is_prerelease=given["prerelease"],
            )  # fmt: skip
            return redirect(release)
    return _form_page(request, header, form, release)


def _form_page(
    request: HttpRequest, header: RepositoryHeader, form: EditRelease, release: Release | None = None
) -> HttpResponse:
    shown: dict[str, object] = {"header": header, "tab": "releases", "form": form, "release": release}
    shown |= {"deletion": DeleteRelease(), "html": preview(request, header, form, "notes")}
    return page_or_preview(request, "site/release_form.html", shown, form.status)


@require_POST
def delete(request: HttpRequest, address: RepositoryAddress, tag: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    form = DeleteRelease(request.POST)
    with_tag = form.is_valid() and form.cleaned_data["with_tag"]
    services.delete(header.repository, tag, header.by, keep_tag=not with_tag)
    if with_tag:
        sentence = gettext("The release {tag} is deleted, and its tag.")
    else:
        sentence = gettext("The release {tag} is deleted; its tag stays.")
    messages.success(request, sentence.format(tag=tag))
    return redirect("releases", header.repository)
