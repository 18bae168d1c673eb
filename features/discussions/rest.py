"""Discussions and pull requests of an adapter over REST, as its page has them."""

from collections.abc import Mapping
from typing import Annotated, TypeVar

from django.db import transaction
from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf, Page, Time
from features.discussions import pull_requests, thread_entries, verbs
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.kernel.errors import RevisionNotFound
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import Discussion, DiscussionEvent, Repository
from registry.repos import lookup


class Listing(pages.Paging):
    kind = s.ChoiceField(
        ["all", "discussion", "pull_request"], required=False, default="all", help_text="one of both, or all"
    )
    status = s.ChoiceField(
        ["all", "open", "closed"], required=False, default="all", help_text="drafts are open, what is merged is closed"
    )
    author = s.CharField(required=False, max_length=96, help_text="who opened it")


class NewDiscussion(s.Serializer[Data]):
    title = Text(max_length=thread_entries.MAX_TITLE)
    text = Text(required=False, default="", allow_blank=True, max_length=thread_entries.MAX_COMMENT)
    pull_request = s.BooleanField(
        required=False, default=False, help_text="a draft at the head of main; its commits go to refs/pr/NUMBER"
    )


class CommentBody(s.Serializer[Data]):
    text = Text(max_length=thread_entries.MAX_COMMENT)


class DiscussionChange(s.Serializer[Data]):
    """The fields to change; a missing one stays as it is."""

    title = Text(required=False, max_length=thread_entries.MAX_TITLE)
    status = s.ChoiceField(["open", "closed"], required=False, help_text="open makes a draft one that can be merged")
    comment = Text(
        required=False,
        default="",
        allow_blank=True,
        max_length=thread_entries.MAX_COMMENT,
        help_text="said beside the status",
    )


class MergeBody(s.Serializer[Data]):
    comment = Text(required=False, default="", allow_blank=True, max_length=thread_entries.MAX_COMMENT)


class DiscussionLine(Answer):
    """A discussion or a pull request in a list."""

    number: int
    title: str
    author: str
    pull_request: bool
    status: Annotated[str, OneOf(*Discussion.Status.values)]
    comments: Annotated[int, "how many"]
    created_at: Time


class ThreadEntry(Answer):
    """A comment, or something that was done."""

    id: int
    kind: Annotated[str, OneOf(*DiscussionEvent.Kind.values)]
    author: str
    created_at: Time
    text: Annotated[str | None, "of a comment; null for a hidden one"]
    hidden: bool
    edited_at: Time | None
    data: Annotated[Mapping[str, object], "of an act: from and to of a title, status, subject and oid of a commit"]


class Thread(DiscussionLine):
    """A discussion or a pull request with all its entries, oldest first."""

    base: Annotated[str | None, "the branch that a pull request is for"]
    ref: Annotated[str | None, "the one to which its commits are pushed"]
    merged_as: Annotated[str | None, "the commit of the merge"]
    conflicts: Annotated[tuple[str, ...], "paths of an open pull request that both sides changed"]
    entries: tuple[ThreadEntry, ...]


class Proposal(Answer):
    diff: Annotated[str, "as git writes it; empty for who may not have the files"]


class Merged(Answer):
    adapter: str
    revision: Annotated[str, "the commit of the merge"]


Line = TypeVar("Line", bound=DiscussionLine)


class _Of(View):
    def repository(self, ns: str, name: str, permission: Permission = Permission.DISCUSS) -> Repository:
        if permission is not Permission.BROWSE:
            pages.parameters(self.request, pages.Nothing)
        return lookup.find_at_address(f"{ns}/{name}", self.caller, permission)


class Discussions(_Of):
    @operation("discussions", query=Listing, callers="anyone")
    def get(self, request: Request, ns: str, name: str) -> Page[DiscussionLine]:
        """Discussions and pull requests, newest first."""
        asked = pages.parameters(request, Listing)
        repository = self.repository(ns, name, Permission.BROWSE)
        rows = verbs.search(repository, kind=asked["kind"], status=asked["status"], author=asked.get("author", ""))
        page = cursors.newest_first(rows, cursors.row_id(asked.get("cursor", "")), asked["limit"])
        return pages.page(request, [_row(DiscussionLine, row) for row in page.items], page.next)

    @operation(
        "open_discussion", body=NewDiscussion, status=201, example={"title": "Which rows?", "text": "Of which split?"}
    )
    def post(self, request: Request, ns: str, name: str) -> Thread:
        """Open a discussion or a pull request."""
        repository = self.repository(ns, name)
        given = pages.body(request, NewDiscussion)
        start = pull_requests.start if given["pull_request"] else verbs.start
        return _thread(start(repository, given["title"], given["text"], self.caller))


class OneDiscussion(_Of):
    @operation("discussion", callers="anyone")
    def get(self, request: Request, ns: str, name: str, number: int) -> Thread:
        """A discussion with its comments."""
        pages.parameters(request, pages.Nothing)
        return _thread(verbs.find(self.repository(ns, name, Permission.BROWSE), number))

    @operation("change_discussion", body=DiscussionChange, example={"status": "closed", "comment": "Answered."})
    def patch(self, request: Request, ns: str, name: str, number: int) -> Thread:
        """Rename, close or reopen it.

        Its author and people with the right to push may.
        """
        discussion = verbs.find(self.repository(ns, name), number)
        given = pages.body(request, DiscussionChange)
        with transaction.atomic():
            if "title" in given:
                verbs.rename(discussion, given["title"], self.caller)
            if "status" in given:
                verbs.set_status(discussion, given["status"], self.caller, given["comment"])
        return _thread(verbs.find(discussion.repository, number))


class Comments(_Of):
    @operation("comment", body=CommentBody, status=201, example={"text": "Of the test split."})
    def post(self, request: Request, ns: str, name: str, number: int) -> ThreadEntry:
        """Comment, also on what is closed."""
        discussion = verbs.find(self.repository(ns, name), number)
        return _entry(verbs.comment(discussion, pages.body(request, CommentBody)["text"], self.caller))


class OneComment(_Of):
    @operation("edit_comment", body=CommentBody, example={"text": "Of the test split, 872 rows."})
    def patch(self, request: Request, ns: str, name: str, number: int, comment: int) -> ThreadEntry:
        """Edit one of your comments."""
        discussion = verbs.find(self.repository(ns, name), number)
        return _entry(verbs.edit(discussion, comment, pages.body(request, CommentBody)["text"], self.caller))

    @operation("hide_comment")
    def delete(self, request: Request, ns: str, name: str, number: int, comment: int) -> None:
        """Hide a comment for good.

        Its author and people with the right to push may.
        """
        verbs.hide(verbs.find(self.repository(ns, name), number), comment, self.caller)


class Diff(_Of):
    @operation("pull_request_diff", callers="anyone")
    def get(self, request: Request, ns: str, name: str, number: int) -> Proposal:
        """The changes that a pull request proposes."""
        pages.parameters(request, pages.Nothing)
        discussion = verbs.find(self.repository(ns, name, Permission.BROWSE), number)
        is_proposal = discussion.is_pull_request
        return Proposal(diff=pull_requests.diff(discussion, self.caller) if is_proposal else "")


class Merge(_Of):
    @operation("merge_pull_request", body=MergeBody, example={"comment": "Thank you."})
    def post(self, request: Request, ns: str, name: str, number: int) -> Merged:
        """Merge an open pull request."""
        discussion = verbs.find(self.repository(ns, name, Permission.PUSH), number)
        merged = pull_requests.merge(discussion, self.caller, pages.body(request, MergeBody)["comment"])
        return Merged(adapter=discussion.repository.full_name, revision=merged.oid)


def _row(answer: type[Line], row: Discussion, **more: object) -> Line:
    return of_row(answer, row, author=row.author.username, pull_request=row.is_pull_request, **more)


def _thread(row: Discussion) -> Thread:
    is_proposal, merged = row.is_pull_request, row.merged_as
    return _row(
        Thread,
        row,
        base=row.base if is_proposal else None,
        ref=row.ref if is_proposal else None,
        merged_as=merged.oid if merged else None,
        conflicts=_conflicts(row) if is_proposal else (),
        entries=tuple(map(_entry, verbs.events(row))),
    )


def _conflicts(row: Discussion) -> tuple[str, ...]:
    if row.status not in (Discussion.Status.OPEN, Discussion.Status.DRAFT):
        return ()
    try:
        return tuple(pull_requests.plan(row).conflicts)
    except RevisionNotFound:  # its base was deleted; the thread is still there to be read
        return ()


def _entry(row: DiscussionEvent) -> ThreadEntry:
    is_shown = row.kind == DiscussionEvent.Kind.COMMENT and not row.hidden
    return of_row(ThreadEntry, row, author=row.author.username, text=row.text if is_shown else None)


AT = "adapters/<str:ns>/<str:name>/discussions"
ONE = f"{AT}/<int:number>"
REST = [
    path(AT, Discussions.as_view(), name="rest-discussions"),
    path(ONE, OneDiscussion.as_view(), name="rest-discussion"),
    path(f"{ONE}/comments", Comments.as_view(), name="rest-comments"),
    path(f"{ONE}/comments/<int:comment>", OneComment.as_view(), name="rest-comment"),
    path(f"{ONE}/diff", Diff.as_view(), name="rest-pull-request-diff"),
    path(f"{ONE}/merge", Merge.as_view(), name="rest-merge"),
]
