"""Discussions on the website: the list, one thread, what a pull request changes, and the forms of them."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from features.discussions import pull_requests, verbs
from features.discussions.pages.shown import proposal_context, thread_context
from hub.site import routing
from hub.site.forms import Form, Option, Refusals, choice_field, posted, status_of, text_field
from hub.site.forms.posts import Posts
from hub.site.markdown_texts import is_preview, page_or_preview, preview
from hub.site.panels import Pages, Panel
from hub.site.refusals import View
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import header_of, repository_page
from hub.site.routing import RepositoryAddress
from hub.site.versions import diff_view
from hub.site.visitor import caller, person
from registry.kernel import seams
from registry.kernel.errors import RegistryError, ValueInvalid
from registry.kernel.policy import Permission
from registry.models import Discussion, DiscussionEvent

MARKDOWN = _("Markdown. `@name` notifies somebody.")
PULL_REQUEST = Option(
    _("A pull request"),
    _("A draft with a branch of its own, which you push to. `hf upload … --create-pr` does both at once."),
)


class NewDiscussion(Form):
    title = text_field(_("Title"), maxlength=500)
    text = text_field(_("What it is about"), MARKDOWN, required=False, widget=forms.Textarea, rows=8, maxlength=65536)
    type = choice_field(
        _("Type"),
        [
            ("discussion", Option(_("A discussion"), _("A question, a finding, an idea."))),
            ("pull_request", PULL_REQUEST),
        ],
        "discussion",
    )

    def field_of(self, refusal: RegistryError) -> str | None:
        if isinstance(refusal, ValueInvalid):
            return "title" if "title" in refusal.detail else "text"
        return None


class Comment(Form):
    """An answer; it may stay empty where a button closes or pull_requests."""

    text = text_field(_("Your answer"), MARKDOWN, required=False, widget=forms.Textarea, rows=5, maxlength=65536)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text"}


class RenameDiscussion(Form):
    title = text_field(_("Title"), maxlength=500)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "title"}


LISTED = 50
KINDS = {"all": _("everything"), "discussion": _("discussions"), "pull_request": _("pull requests")}
STATES = {"open": _("open"), "closed": _("closed"), "all": _("all")}


@repository_page
def listed(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Newest first; what is shown is in the address: status, type, author."""
    status, kind = request.GET.get("status", "open"), request.GET.get("type", "all")
    status, kind = status if status in STATES else "open", kind if kind in KINDS else "all"
    author = request.GET.get("author", "")[:96]
    rows = verbs.search(header.repository, status=status, kind=kind, author=author)
    older = request.GET.get("before", "")
    if older.isdecimal() and len(older) < 10:
        rows = rows.filter(number__lt=int(older))
    found = list(rows[: LISTED + 1])
    counts = verbs.counts(header.repository, author=author)
    shown = {
        "header": header,
        "tab": "discussions",
        "rows": found[:LISTED],
        "states": [(name, label, counts[kind, name]) for name, label in STATES.items()],
        "kinds": [(name, label, counts[name, status]) for name, label in KINDS.items()],
        "status": status,
        "kind": kind,
        "author": author,
        "older": found[LISTED - 1] if found[LISTED:] else None,
    }
    return render(request, "discussions/listed.html", shown)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Open a discussion, or a pull request whose files are pushed afterwards."""
    person(request)
    header = header_of(request, address, Permission.DISCUSS)
    form = NewDiscussion(posted(request), initial=request.GET.dict())
    if form.is_valid() and not is_preview(request):
        given = form.cleaned_data
        with form:
            start = pull_requests.start if given["type"] == "pull_request" else verbs.start
            return redirect(start(header.repository, given["title"], given["text"], caller(request)))
    context = {"header": header, "tab": "discussions", "form": form, "html": preview(request, header, form, "text")}
    return page_or_preview(request, "discussions/new.html", context, form.status)


@require_safe
def one(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    """Show a discussion or a pull request."""
    header = header_of(request, address, Permission.READ)
    return _page(request, header, verbs.find(header.repository, number))


def comment(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    header, discussion = _written_in(request, address, number)
    form = Comment(request.POST)
    if form.is_valid() and not is_preview(request):
        with form:
            return _at(discussion, verbs.comment(discussion, form.cleaned_data["text"], caller(request)))
    return _page(request, header, discussion, comment=form)


def edit(request: HttpRequest, address: RepositoryAddress, number: int, comment: int) -> HttpResponse:
    header, discussion = _written_in(request, address, number)
    form = Comment(request.POST)
    if form.is_valid() and not is_preview(request):
        with form:
            return _at(discussion, verbs.edit(discussion, comment, form.cleaned_data["text"], caller(request)))
    return _page(request, header, discussion, editing=comment, edit=form)


def hide(request: HttpRequest, address: RepositoryAddress, number: int, comment: int) -> HttpResponse:
    header, discussion = _written_in(request, address, number)
    with (form := Form(request.POST)):
        return _at(discussion, verbs.hide(discussion, comment, caller(request)))
    return _page(request, header, discussion, edit=form)


@repository_page
def files(request: HttpRequest, header: RepositoryHeader, number: int) -> HttpResponse:
    """The page of a pull request's changes; only people who may have the files see them line by line."""
    discussion = verbs.find(header.repository, number)
    if not discussion.is_pull_request:
        raise ValueInvalid(f"{discussion} is no pull request, so it changes nothing.", fix="Read what is said there.")
    shown = {"header": header, "tab": "discussions", "part": "files"} | _about(header, discussion)
    try:
        shown["patches"] = diff_view.patches(*pull_requests.readable(discussion, header.by))
    except RegistryError as refusal:
        shown["refusal"] = refusal
    return render(request, "discussions/files.html", shown)


class Thread(NamedTuple):
    """A discussion, on the pages of its repository."""

    header: RepositoryHeader
    discussion: Discussion


def _written_in(request: HttpRequest, address: RepositoryAddress, number: int) -> Thread:
    """Return the discussion that a form is about, for who may take part in it."""
    person(request)
    header = header_of(request, address, Permission.DISCUSS)
    return Thread(header, verbs.find(header.repository, number))


def _at(discussion: Discussion, event: DiscussionEvent) -> HttpResponse:
    """Go to the event that was made or changed."""
    return redirect(f"{discussion.get_absolute_url()}#{event.pk}")


def _page(
    request: HttpRequest, header: RepositoryHeader, discussion: Discussion, editing: int = 0, **tried: Form
) -> HttpResponse:
    """Show a discussion with its forms; `tried` is the one that was refused or is previewed, `editing` its comment."""
    seams.saw(header.by.user, "discussion", discussion)
    forms: dict[str, Form] = {"comment": Comment(), "rename": RenameDiscussion(initial={"title": discussion.title})}
    context = {"header": header, "tab": "discussions", "part": "talk", "forms": forms | tried}
    context |= _about(header, discussion) | thread_context(request, header, discussion)
    html = next((preview(request, header, form, "text") for form in tried.values()), "")
    context |= {"html": html, "editing": editing}
    return page_or_preview(request, "discussions/one.html", context, status_of(tried))


ANSWERS = Posts(
    _written_in,
    lambda request, thread, **tried: _page(request, *thread, **tried),
    lambda thread: redirect(thread.discussion),
)


def _set_status(status: str) -> View:
    """Return the view that closes a thread or opens it again; an opened draft of a pull request asks to be merged."""
    return ANSWERS.form(
        "comment",
        Comment,
        lambda thread, given, by: verbs.set_status(thread.discussion, status, by, given["text"]),
        lambda thread, event: _at(thread.discussion, event),
    )


merge = ANSWERS.form(
    "comment", Comment, lambda thread, given, by: pull_requests.merge(thread.discussion, by, given["text"])
)
rename = ANSWERS.form(
    "rename", RenameDiscussion, lambda thread, given, by: verbs.rename(thread.discussion, given["title"], by)
)


def _about(header: RepositoryHeader, discussion: Discussion) -> dict[str, object]:
    """Return the context that both pages of a thread share."""
    shown = {"discussion": discussion, "may_moderate": verbs.may_moderate(discussion, header.by)}
    return shown | (proposal_context(header, discussion) if discussion.is_pull_request else {})


def _tab(page: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the number of the open discussions of a repository for its tab."""
    return {"count": verbs.open_count(page["header"].repository)}


ALL = "<repository:address>/discussions"
ONE = f"{ALL}/<int:number>"
PAGES = Pages(
    routes=[
        routing.at(ALL, listed, "discussions"),
        routing.at(f"{ALL}/new", new, "new-discussion"),
        routing.at(ONE, one, "discussion"),
        routing.at(f"{ONE}/files", files, "discussion-files"),
        *routing.forms(
            "discussion",
            ONE,
            ("comment", comment, "comment"),
            ("close", _set_status("closed"), "close-discussion"),
            ("open", _set_status("open"), "open-discussion"),
            ("merge", merge, "merge"),
            ("rename", rename, "rename-discussion"),
            ("comments/<int:comment>/edit", edit, "edit-comment"),
            ("comments/<int:comment>/hide", hide, "hide-comment"),
        ),
    ],
    panels=(Panel("tabs-after-lineage", "discussions/tab.html", _tab),),
)
