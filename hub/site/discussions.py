"""Discussions on the website: the list, one thread, a pull request with what it changes, and the forms of them."""

import re
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.html import linebreaks
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_http_methods

from hub.errors import face
from hub.site.commits import changes
from hub.site.head import Head, adapter_page
from hub.site.visitor import caller, person
from registry import alerts, card, discussions, merges, moves, policy, pull
from registry.errors import RegistryError, RevisionNotFound, ValueInvalid
from registry.models import Adapter, Discussion, DiscussionEvent
from registry.policy import Permission

EVENTS, LISTED = 30, 50  # on a page; each comment in Markdown costs a process the first time
# Without any of these a text means itself in Markdown.
_MARKED = re.compile(r"[*_`#<>\[\]()!|~\\&]|^\s*(?:[-+=]|\d+[.)])|^ {4}|\t", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Said:
    """One entry of a thread, with its text as safe HTML."""

    event: DiscussionEvent
    html: SafeString
    may_hide: bool


@adapter_page
def listed(request: HttpRequest, head: Head) -> HttpResponse:
    status = request.GET.get("status", "open")
    rows = discussions.search(head.adapter, status=status if status in ("open", "closed") else "all")
    older = request.GET.get("before", "")
    if older.isdecimal() and len(older) < 10:
        rows = rows.filter(number__lt=int(older))
    found = list(rows[: LISTED + 1])
    shown = {"head": head, "tab": "discussions", "rows": found[:LISTED], "status": status}
    return render(request, "site/discussions.html", shown | {"older": found[LISTED - 1] if found[LISTED:] else None})


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, ns: str, name: str, type: str = "model") -> HttpResponse:
    """The form for a new thread; pull requests come from clients, which bring the files."""
    person(request)
    head = _head(request, ns, name, type, Permission.DISCUSS)
    error = None
    if request.method == "POST":
        try:
            made = discussions.start(
                head.adapter, request.POST.get("title", ""), request.POST.get("text", ""), caller(request)
            )
            return HttpResponseRedirect(f"{head.url}/discussions/{made.number}")
        except RegistryError as refusal:
            error = refusal
    shown = {"head": head, "tab": "discussions", "given": request.POST, "error": error}
    return render(request, "site/discussion_new.html", shown, status=400 if error else 200)


@require_http_methods(["GET", "POST"])
def one(request: HttpRequest, ns: str, name: str, number: int, type: str = "model") -> HttpResponse:
    """A thread, or a pull request; POST does what the button says, and shows it again."""
    if request.method == "POST":
        person(request)
    head = _head(request, ns, name, type, Permission.BROWSE if request.method == "GET" else Permission.DISCUSS)
    discussion = discussions.find(head.adapter, number)
    alerts.saw(head.by.user, alerts.OF_THREADS, discussion=discussion)
    error: RegistryError | None = None
    if request.method == "POST":
        try:
            _do(request, discussion)
            return HttpResponseRedirect(f"{head.url}/discussions/{number}")
        except RegistryError as refusal:
            error = refusal
    shown = {"head": head, "tab": "discussions", "discussion": discussion, "error": error}
    shown |= _thread(request, head, discussion) | (_proposal(head, discussion) if discussion.is_pull_request else {})
    return render(request, "site/discussion.html", shown, status=face(error).status if error else 200)


def _head(request: HttpRequest, ns: str, name: str, type: str, permission: Permission) -> Head:
    by = caller(request)
    adapter: Adapter = moves.find(f"{ns}/{name}", by, permission, type=type)
    return Head(adapter, pull.resolve(adapter, "main"), "main", by)


def _do(request: HttpRequest, discussion: Discussion) -> None:
    given, by = request.POST, caller(request)
    text = given.get("text", "")
    match given.get("do"):
        case "comment":
            discussions.comment(discussion, text, by)
        case "close" | "open" as status:
            discussions.set_status(discussion, "closed" if status == "close" else "open", by, text)
        case "merge":
            merges.merge(discussion, by, text)
        case "rename":
            discussions.rename(discussion, given.get("title", ""), by)
        case "hide":
            number = given.get("comment", "")
            discussions.hide(discussion, int(number) if number.isdecimal() and len(number) < 19 else 0, by)
        case _:
            raise ValueInvalid("The form does not say what to do.", fix="Use the buttons of the page.")


def _thread(request: HttpRequest, head: Head, discussion: Discussion) -> dict[str, object]:
    before = request.GET.get("before", "")
    rows = discussion.events.select_related("author").order_by("-pk")
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: EVENTS + 1])
    is_writer = policy.may_write(head.by, head.adapter)
    me = head.by.user.pk if head.by.user else None
    said = [Said(event, _html(head, event), is_writer or event.author_id == me) for event in reversed(found[:EVENTS])]
    return {
        "said": said,
        "earlier": found[EVENTS - 1].pk if len(found) > EVENTS else None,
        "may_moderate": discussions.may_moderate(discussion, head.by),
        "may_merge": is_writer,
    }


def _html(head: Head, event: DiscussionEvent) -> SafeString:
    if event.hidden or not event.text:
        return SafeString("")
    if not _MARKED.search(event.text):
        return mark_safe(linebreaks(event.text, autoescape=True))  # noqa: S308  # escaped
    html = card.html(event.text, files=f"{head.url}/resolve/main/", pages=f"{head.url}/blob/main/")
    return mark_safe(html)  # noqa: S308  # the card's allow-list


def _proposal(head: Head, discussion: Discussion) -> dict[str, object]:
    """What a pull request changes, and whether it can be merged."""
    try:
        before, after = merges.changes(discussion)
        is_open = discussion.status in (Discussion.Status.OPEN, Discussion.Status.DRAFT)
        conflicts = merges.plan(discussion).conflicts if is_open else []
        tip = pull.resolve(head.adapter, discussion.ref)
    except RevisionNotFound:  # its branch was deleted; the talk about it is still there
        return {"changes": [], "conflicts": [], "tip": None}
    return {"changes": changes(before, after), "conflicts": conflicts, "tip": tip}
