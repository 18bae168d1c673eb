"""Discussions on the website: the list, one thread, what a pull request changes, and the forms of them."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.site.converters import RepositoryAddress
from hub.site.discussions import discussion_thread
from hub.site.discussions.proposals import proposal_context
from hub.site.forms import Form, posted, status_of
from hub.site.forms.discussions import Comment, NewDiscussion, RenameDiscussion
from hub.site.markdown_texts import is_preview, page_or_preview, preview
from hub.site.repository.finding_headers import header_of
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import repository_page
from hub.site.versions import diff_view
from hub.site.visitor import caller, person
from registry.kernel.errors import RegistryError, ValueInvalid
from registry.kernel.policy import Permission
from registry.models import Discussion, DiscussionEvent
from registry.publish import merges
from registry.publish.threads import discussions, pull_requests
from registry.talk.alerts import alerts

LISTED = 50
KINDS = {"all": _("everything"), "discussion": _("discussions"), "pull_request": _("pull requests")}
STATES = {"open": _("open"), "closed": _("closed"), "all": _("all")}


@repository_page
def listed(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Newest first; what is shown is in the address: status, type, author."""
    status, kind = request.GET.get("status", "open"), request.GET.get("type", "all")
    status, kind = status if status in STATES else "open", kind if kind in KINDS else "all"
    author = request.GET.get("author", "")[:96]
    rows = discussions.search(header.repository, status=status, kind=kind, author=author)
    older = request.GET.get("before", "")
    if older.isdecimal() and len(older) < 10:
        rows = rows.filter(number__lt=int(older))
    found = list(rows[: LISTED + 1])
    counts = discussions.counts(header.repository, author=author)
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
    return render(request, "site/discussions.html", shown)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Open a discussion, or a pull request whose files are pushed afterwards."""
    person(request)
    header = header_of(request, address, Permission.DISCUSS)
    form = NewDiscussion(posted(request), initial=request.GET.dict())
    if form.is_valid() and not is_preview(request):
        given = form.cleaned_data
        with form:
            start = pull_requests.start if given["type"] == "pull_request" else discussions.start
            return redirect(start(header.repository, given["title"], given["text"], caller(request)))
    context = {"header": header, "tab": "discussions", "form": form, "html": preview(request, header, form, "text")}
    return page_or_preview(request, "site/discussion_new.html", context, form.status)


@require_safe
def one(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    """Show a discussion or a pull request."""
    header = header_of(request, address, Permission.READ)
    return _page(request, header, discussions.find(header.repository, number))


@require_POST
def comment(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    header, discussion = _written_in(request, address, number)
    form = Comment(request.POST)
    if form.is_valid() and not is_preview(request):
        with form:
            return _at(discussion, discussions.comment(discussion, form.cleaned_data["text"], caller(request)))
    return _page(request, header, discussion, comment=form)


@require_POST
def close(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    return _set_status(request, address, number, "closed")


@require_POST
def reopen(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    """Open it again; a draft of a pull request becomes one that asks to be merged."""
    return _set_status(request, address, number, "open")


def _set_status(request: HttpRequest, address: RepositoryAddress, number: int, status: str) -> HttpResponse:
    header, discussion = _written_in(request, address, number)
    form = Comment(request.POST)
    if form.is_valid():
        with form:
            text = form.cleaned_data["text"]
            return _at(discussion, discussions.set_status(discussion, status, caller(request), text))
    return _page(request, header, discussion, comment=form)


@require_POST
def merge(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    header, discussion = _written_in(request, address, number)
    form = Comment(request.POST)
    if form.is_valid():
        with form:
            merges.merge(discussion, caller(request), form.cleaned_data["text"])
            return redirect(discussion)
    return _page(request, header, discussion, comment=form)


@require_POST
def rename(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    header, discussion = _written_in(request, address, number)
    form = RenameDiscussion(request.POST)
    if form.is_valid():
        with form:
            discussions.rename(discussion, form.cleaned_data["title"], caller(request))
            return redirect(discussion)
    return _page(request, header, discussion, rename=form)


@require_POST
def edit(request: HttpRequest, address: RepositoryAddress, number: int, comment: int) -> HttpResponse:
    header, discussion = _written_in(request, address, number)
    form = Comment(request.POST)
    if form.is_valid() and not is_preview(request):
        with form:
            return _at(discussion, discussions.edit(discussion, comment, form.cleaned_data["text"], caller(request)))
    return _page(request, header, discussion, editing=comment, edit=form)


@require_POST
def hide(request: HttpRequest, address: RepositoryAddress, number: int, comment: int) -> HttpResponse:
    header, discussion = _written_in(request, address, number)
    with (form := Form(request.POST)):
        return _at(discussion, discussions.hide(discussion, comment, caller(request)))
    return _page(request, header, discussion, edit=form)


@repository_page
def files(request: HttpRequest, header: RepositoryHeader, number: int) -> HttpResponse:
    """The page of a pull request's changes; only people who may have the files see them line by line."""
    discussion = discussions.find(header.repository, number)
    if not discussion.is_pull_request:
        raise ValueInvalid(f"{discussion} is no pull request, so it changes nothing.", fix="Read what is said there.")
    shown = {"header": header, "tab": "discussions", "part": "files"} | _about(header, discussion)
    try:
        shown["patches"] = diff_view.patches(*merges.readable(discussion, header.by))
    except RegistryError as refusal:
        shown["refusal"] = refusal
    return render(request, "site/discussion_files.html", shown)


def _written_in(request: HttpRequest, address: RepositoryAddress, number: int) -> tuple[RepositoryHeader, Discussion]:
    """Return the discussion that a form is about, for who may take part in it."""
    person(request)
    header = header_of(request, address, Permission.DISCUSS)
    return header, discussions.find(header.repository, number)


def _at(discussion: Discussion, event: DiscussionEvent) -> HttpResponse:
    """Go to the event that was made or changed."""
    return redirect(f"{discussion.get_absolute_url()}#{event.pk}")


def _page(
    request: HttpRequest, header: RepositoryHeader, discussion: Discussion, editing: int = 0, **tried: Form
) -> HttpResponse:
    """Show a discussion with its forms; `tried` is the one that was refused or is previewed, `editing` its comment."""
    alerts.saw(header.by.user, alerts.OF_THREADS, discussion=discussion)
    forms: dict[str, Form] = {"comment": Comment(), "rename": RenameDiscussion(initial={"title": discussion.title})}
    context = {"header": header, "tab": "discussions", "part": "talk", "forms": forms | tried}
    context |= _about(header, discussion) | discussion_thread.thread_context(request, header, discussion)
    html = next((preview(request, header, form, "text") for form in tried.values()), "")
    context |= {"html": html, "editing": editing}
    return page_or_preview(request, "site/discussion.html", context, status_of(tried))


def _about(header: RepositoryHeader, discussion: Discussion) -> dict[str, object]:
    """Return the context that both pages of a thread share."""
    shown = {"discussion": discussion, "may_moderate": discussions.may_moderate(discussion, header.by)}
    return shown | (proposal_context(header, discussion) if discussion.is_pull_request else {})
