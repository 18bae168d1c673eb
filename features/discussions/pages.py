"""Discussions on the website: the list, one thread, what a pull request changes, and the forms of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from features.discussions import pull_requests, verbs
from hub.site import lists, routing
from hub.site.forms import Form, Option, Posts, Refusals, choice_field, posted, status_of, text_field
from hub.site.markdown_texts import html_of_texts, is_preview, page_or_preview, preview
from hub.site.panels import Pages, Panel
from hub.site.proof import document
from hub.site.refusals import View
from hub.site.repository import diff_view
from hub.site.repository.repository_header import RepositoryHeader, header_of, repository_page
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller, person
from registry.kernel import seams
from registry.kernel.callers import role_of_member
from registry.kernel.errors import RegistryError, RevisionNotFound, ValueInvalid
from registry.kernel.policy import CREATORS, Permission
from registry.models import Discussion, DiscussionEvent, Membership, Namespace, Revision
from registry.proof.verdicts import requests
from registry.repos import pull, refs

OPEN = (Discussion.Status.OPEN, Discussion.Status.DRAFT)
MARKDOWN = _("Markdown. `@name` notifies somebody.")
PULL_REQUEST = Option(
    _("A pull request"),
    _("A draft with a branch of its own, which you push to. `hf upload … --create-pr` does both at once."),
)


def proposal_context(header: RepositoryHeader, discussion: Discussion) -> dict[str, object]:
    """Return a pull request's changes, whether it can be merged, its verdict, and the difference from its branch's."""
    try:
        before, after = pull_requests.changes(discussion)
        conflicts = pull_requests.plan(discussion).conflicts if discussion.status in OPEN else []
        tip = pull.resolve(header.repository, discussion.ref)
        for revision in filter(None, (tip, discussion.merge_base)):  # what is taken away is named too
            pull.require_shown(revision, header.by)
    except RevisionNotFound:  # its branch was deleted, or its files are held back; the talk about it is still there
        return {"changes": [], "conflicts": [], "tip": None}
    verdict = requests.in_force(tip) if tip != discussion.merge_base else None
    shown: dict[str, object] = {
        "changes": diff_view.changes(before, after),
        "conflicts": conflicts,
        "tip": tip,
        "verdict": document(verdict) if verdict else None,
        "may_merge": header.may_write,
        "has_polling": verdict is not None and not verdict.is_final,
    }
    if verdict and discussion.status in OPEN and (target := _target(header, discussion)):
        beside = requests.in_force(target)
        shown |= {"target": target, "target_verdict": document(beside) if beside else None}
    return shown


def _target(header: RepositoryHeader, discussion: Discussion) -> Revision | None:
    """Return the newest revision of the branch that it is for; None where the visitor may not see that, or none is."""
    try:
        revision = pull.resolve(header.repository, discussion.base)
        pull.require_shown(revision, header.by)
    except RevisionNotFound:
        return None
    return revision


EVENTS = 30  # on a page; each comment in Markdown costs a process the first time


@dataclass(frozen=True, slots=True)
class ThreadEntry:
    """One entry of a thread, with its text as safe HTML, who its author is here, and what the visitor may do to it."""

    event: DiscussionEvent
    html: SafeString
    role: str  # in the thread: owner, member, the one who opened it, or ""
    may_edit: bool
    may_hide: bool

    @property
    def place(self) -> str:
        """The end of its id in a report, behind the id of its repository."""
        return f"#{self.event.discussion.number}:{self.event.pk}"


def thread_context(request: HttpRequest, header: RepositoryHeader, discussion: Discussion) -> dict[str, object]:
    """Return the newest entries of a discussion, or those before `before`, and the address of earlier ones."""
    newest_first, earlier = lists.older(request, discussion.events.select_related("author"), EVENTS)
    page = newest_first[::-1]
    roles = _roles(header, discussion, page)
    texts = html_of_texts(header, {event.pk: "" if event.hidden else event.text for event in newest_first})
    me = header.by.user.pk if header.by.user else None
    entries = [
        ThreadEntry(
            event,
            texts[event.pk],
            roles.get(event.author_id, ""),
            may_edit=event.author_id == me and not event.hidden,
            may_hide=me is not None and (event.author_id == me or header.may_write or header.by.is_staff),
        )
        for event in page
    ]
    authors = dict.fromkeys([discussion.author.username, *(event.author.username for event in page)])
    return {"said": entries, "earlier": earlier, "is_start": earlier is None, "taking_part": authors}


def _roles(header: RepositoryHeader, discussion: Discussion, page: Iterable[DiscussionEvent]) -> dict[int, str]:
    """Return who speaks for the repository, by person; readers of an organisation do not."""
    namespace, authors = header.repository.namespace, {event.author_id for event in page}
    roles = {discussion.author_id: str(_("opened it"))}
    if namespace.kind == Namespace.Kind.PERSON:
        return roles | {namespace.person.pk: str(_("owner"))}
    members = Membership.objects.filter(organization__namespace=namespace, user__in=authors)
    return roles | {
        member.user_id: str(_("member"))
        for member in members
        if role_of_member(member, header.repository.type, header.repository.name) in CREATORS
    }


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
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text"}


class Comment(Form):
    """An answer; it may stay empty where a button closes or pull_requests."""

    text = text_field(_("Your answer"), MARKDOWN, required=False, widget=forms.Textarea, rows=5, maxlength=65536)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text"}


class RenameDiscussion(Form):
    title = text_field(_("Title"), maxlength=500)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "title"}


LISTED = 50
MOST_AWAITING = 5  # pull requests on the home of who may merge them
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
        raise ValueInvalid(
            f"{discussion} is not a pull request, so it changes no files.", fix="Open the discussion instead."
        )
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


def _merged(thread: Thread, revision: Revision) -> HttpResponse:
    """Go to the verdict of the version that a merge made; to the pull request where it has none."""
    if requests.latest(revision) is None:
        return redirect(thread.discussion)
    return redirect("verdict", thread.header.repository, refs.short_name(thread.discussion.base))


merge = ANSWERS.form(
    "comment", Comment, lambda thread, given, by: pull_requests.merge(thread.discussion, by, given["text"]), _merged
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


def _awaiting_merge(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the pull requests that wait for the person, each with the verdict of what it proposes."""
    rows = pull_requests.awaiting_merge(caller(page["request"]), MOST_AWAITING)
    return {"proposals": [(row, document(verdict) if verdict else None) for row, verdict in rows]} if rows else None


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
    panels=(
        Panel("tabs", "discussions/tab.html", _tab),
        Panel("own-needs", "discussions/awaiting_merge.html", _awaiting_merge),
    ),
)
