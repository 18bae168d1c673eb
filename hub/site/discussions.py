"""Discussions on the website: the list, one thread, what a pull request changes, and the forms of them."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from hub.errors import status_with
from hub.site import patch, thread
from hub.site.converters import RepositoryAddress
from hub.site.head import Head, adapter_page
from hub.site.proof import document
from hub.site.visitor import caller, person
from registry.kernel import policy
from registry.kernel.errors import RegistryError, RevisionNotFound, ValueInvalid
from registry.kernel.policy import Permission
from registry.models import Discussion, Repository
from registry.proof import verdicts
from registry.publish import discussions, merges
from registry.repos import lookup, pull
from registry.talk import alerts

LISTED = 50
KINDS = {"all": "everything", "discussion": "discussions", "pull_request": "pull requests"}
STATES = {"open": "open", "closed": "closed", "all": "all"}


@adapter_page
def listed(request: HttpRequest, head: Head) -> HttpResponse:
    """Newest first; what is shown is in the address: status, type, author."""
    policy.require(head.by, Permission.BROWSE, head.repository)
    status, kind = request.GET.get("status", "open"), request.GET.get("type", "all")
    status, kind = status if status in STATES else "open", kind if kind in KINDS else "all"
    author = request.GET.get("author", "")[:96]
    rows = discussions.search(head.repository, status=status, kind=kind, author=author)
    older = request.GET.get("before", "")
    if older.isdecimal() and len(older) < 10:
        rows = rows.filter(number__lt=int(older))
    found = list(rows[: LISTED + 1])
    counts = discussions.counts(head.repository, author=author)
    shown = {
        "head": head,
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
    """The form for a new thread, or for a pull request whose files are pushed afterwards."""
    person(request)
    head = _head(request, address, Permission.DISCUSS)
    given, error = request.POST, None
    if request.method == "POST":
        try:
            made = discussions.start(
                head.repository,
                given.get("title", ""),
                given.get("text", ""),
                caller(request),
                pull_request=given.get("type") == "pull_request",
            )
            return redirect(made)
        except RegistryError as refusal:
            error = refusal
    shown = {"head": head, "tab": "discussions", "given": given or request.GET, "error": error}
    return render(request, "site/discussion_new.html", shown, status=status_with(error))


@require_http_methods(["GET", "POST"])
def one(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    """A thread, or a pull request; POST does what the button says, and shows it again."""
    if request.method == "POST":
        person(request)
    head = _head(request, address, Permission.BROWSE if request.method == "GET" else Permission.DISCUSS)
    discussion = discussions.find(head.repository, number)
    alerts.saw(head.by.user, alerts.OF_THREADS, discussion=discussion)
    error: RegistryError | None = None
    if request.method == "POST":
        try:
            at = thread.act(request, discussion)
            return redirect(f"{discussion.get_absolute_url()}{f'#{at}' if at else ''}")
        except RegistryError as refusal:
            error = refusal
    shown = {"head": head, "tab": "discussions", "part": "talk", "error": error, "given": request.POST}
    shown |= _about(head, discussion) | thread.shown(request, head, discussion)
    return render(request, "site/discussion.html", shown, status=status_with(error))


@adapter_page
def files(request: HttpRequest, head: Head, number: int) -> HttpResponse:
    """What a pull request changes, line by line for who may have the files."""
    policy.require(head.by, Permission.BROWSE, head.repository)
    discussion = discussions.find(head.repository, number)
    if not discussion.is_pull_request:
        raise ValueInvalid(f"{discussion} is no pull request, so it changes nothing.", fix="Read what is said there.")
    shown = {"head": head, "tab": "discussions", "part": "files"} | _about(head, discussion)
    try:
        shown["patches"] = patch.of(*merges.readable(discussion, head.by))
    except RegistryError as refusal:
        shown["refusal"] = refusal
    return render(request, "site/discussion_files.html", shown)


def _head(request: HttpRequest, address: RepositoryAddress, permission: Permission) -> Head:
    by = caller(request)
    repository: Repository = lookup.find_at_address(address.full_name, by, permission, type=address.type)
    return Head(repository, pull.resolve(repository, "main"), "main", by)


def _about(head: Head, discussion: Discussion) -> dict[str, object]:
    """What both pages of a thread show of it."""
    shown = {"discussion": discussion, "may_moderate": discussions.may_moderate(discussion, head.by)}
    return shown | (_proposal(head, discussion) if discussion.is_pull_request else {})


def _proposal(head: Head, discussion: Discussion) -> dict[str, object]:
    """What a pull request changes, whether it can be merged, and what was proven of it."""
    try:
        before, after = merges.changes(discussion)
        is_open = discussion.status in (Discussion.Status.OPEN, Discussion.Status.DRAFT)
        conflicts = merges.plan(discussion).conflicts if is_open else []
        tip = pull.resolve(head.repository, discussion.ref)
        for revision in filter(None, (tip, discussion.merge_base)):  # what is taken away is named too
            pull.require_shown(revision, head.by)
    except RevisionNotFound:  # its branch was deleted, or its files are held back; the talk about it is still there
        return {"changes": [], "conflicts": [], "tip": None}
    verdict = verdicts.latest(tip) if tip != discussion.merge_base else None
    return {
        "changes": patch.changes(before, after),
        "conflicts": conflicts,
        "tip": tip,
        "verdict": document(verdict) if verdict else None,
        "may_merge": head.may_write,
    }
