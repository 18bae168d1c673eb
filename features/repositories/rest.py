"""Writing to repositories by our REST: what the Hub's routes do for `hf`, in one document with everything else.

With it: access to gated files, and the bin of deleted adapters.

The bytes of large files go by Git LFS or Xet before the commit that names them by their digest, as in a push of `hf`.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

from django.db import transaction
from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.answers.adapters import AdapterDetail
from dovetail.answers.record import Answer, OneOf, Page, RepositoryType, Time
from hub.addresses import absolute
from hub.api import adapters, pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from hub.hf import push as wire
from registry.kernel import policy
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import AccessRequest, Repository
from registry.people import gates
from registry.publish import branches, moves, push, repositories, retirement
from registry.publish.push import Deletion, Inline, Intent, Operation, Stored
from registry.repos import lookup, pull, refs

MOST_DELETED = 200  # in an answer, as on the page
GATES = {"none": "", "auto": "auto", "manual": "manual"}


class NewAdapter(s.Serializer[Data]):
    id = Text(max_length=200, help_text="namespace/name; its owner is you or an organisation you may create in")
    private = s.BooleanField(required=False, allow_null=True, help_text="null: as the owner's new ones are")


class ChangedAdapter(s.Serializer[Data]):
    id = Text(required=False, max_length=200, help_text="a new namespace/name; the old address leads to it")
    private = s.BooleanField(required=False)
    gate = s.ChoiceField(sorted(GATES), required=False, help_text="who may have the files: all, who asks, whom you let")


class Target(s.Serializer[Data]):
    revision = Text(required=False, default="main", max_length=200, help_text="a commit id, tag, branch or alias")


class CommitFile(s.Serializer[Data]):
    path = Text(max_length=1024)
    content = Text(
        required=False, allow_blank=True, trim_whitespace=False, help_text="of a small file, in the encoding below"
    )
    encoding = s.ChoiceField(["utf-8", "base64"], required=False, default="utf-8")
    sha256 = Text(required=False, max_length=64, help_text="in place of content: bytes that were uploaded before")
    size = pages.WholeNumber(required=False, min_value=0, help_text="bytes; checked beside sha256")


class NewCommit(s.Serializer[Data]):
    branch = Text(required=False, default="main", max_length=200)
    summary = Text(max_length=500)
    description = Text(required=False, allow_blank=True, default="", max_length=64 << 10)
    parent_commit = Text(
        required=False, default="", max_length=40, help_text="refused if the branch is at another commit"
    )
    files = CommitFile(many=True, required=False, default=list)
    deletions = s.ListField(child=Text(max_length=1024), required=False, default=list, help_text="paths or folders")


class AccessWish(s.Serializer[Data]):
    text = Text(required=False, default="", allow_blank=True, max_length=gates.MAX_TEXT, help_text="what it is for")
    answers = s.DictField(required=False, default=dict, help_text="answers to the questions of the gate, by name")


class AccessDecision(s.Serializer[Data]):
    status = s.ChoiceField(
        AccessRequest.Status.choices, help_text="accepted also for who never asked; pending takes a decision back"
    )
    reason = Text(required=False, default="", allow_blank=True, max_length=gates.MAX_TEXT, help_text="of a rejection")


class AccessListing(pages.Paging):
    status = s.ChoiceField(AccessRequest.Status.choices, required=False, default="pending", help_text="of the requests")


class Restoration(s.Serializer[Data]):
    name = Text(required=False, max_length=96, help_text="another name, where the former one is taken")


class Access(Answer):
    """A person's access to gated files."""

    user: str
    status: Annotated[str, OneOf(*AccessRequest.Status.values)]
    asked: Annotated[bool, "false: granted without a request"]
    text: Annotated[str, "what they need the files for"]
    answers: Annotated[Mapping[str, object], "to the questions of the gate, by name"]
    reason: Annotated[str, "of a rejection"]
    at: Annotated[Time, "of the request, or of the grant"]
    decided_by: str | None
    decided_at: Time | None


class OwnAccess(Answer):
    adapter: str
    gate: Annotated[str, OneOf(*sorted(GATES))]
    status: Annotated[str | None, OneOf(*AccessRequest.Status.values), "null: you did not ask"]
    reason: Annotated[str, "of a rejection"]


class DeletedAdapter(Answer):
    id: int
    name: str
    type: RepositoryType
    private: bool
    deleted_by: str | None
    deleted_at: Time


class NamedRepository(Answer):
    name: str
    type: RepositoryType


class NamedRevision(Answer):
    """A branch or a tag, and what it names."""

    name: str
    revision: Annotated[str, "40 hex digits"]


class Committed(Answer):
    """The commit; the same as before where nothing changed."""

    adapter: str
    revision: Annotated[str, "40 hex digits"]


class Adapters(adapters.Adapters):
    @operation(
        "create_adapter",
        body=NewAdapter,
        answers={201: AdapterDetail},
        example={"id": "alice/reviews-lora", "private": True},
    )
    def post(self, request: Request) -> Response:
        """Create an adapter.

        It begins with a commit of a `.gitattributes` alone.
        """
        self.person()
        pages.parameters(request, pages.Nothing)
        wish = pages.body(request, NewAdapter)
        made = repositories.create(wish["id"], self.caller, private=wish.get("private"))
        address = absolute(request._request, f"/api/v1/adapters/{made.full_name}")
        return Response(adapters.detail(made, self.caller), 201, headers={"Location": address})


class OneAdapter(adapters.OneAdapter):
    @operation("change_adapter", body=ChangedAdapter, example={"private": False, "gate": "manual"})
    def patch(self, request: Request, ns: str, name: str) -> AdapterDetail:
        """Rename, move, show, hide or gate an adapter.

        Members that are left out stay; all of it is changed, or nothing.
        """
        pages.parameters(request, pages.Nothing)
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.CONFIGURE)
        wish = pages.body(request, ChangedAdapter)
        with transaction.atomic():
            if "gate" in wish:
                gates.set_gate(repository, GATES[wish["gate"]], self.caller)
            if "private" in wish:
                repositories.set_private(repository, wish["private"], self.caller)
            if "id" in wish:
                repository = moves.move(repository, wish["id"], self.caller)
        repository.refresh_from_db()
        return adapters.detail(repository, self.caller)

    @operation("delete_adapter")
    def delete(self, request: Request, ns: str, name: str) -> None:
        """Delete an adapter with all its versions.

        Its owners can restore it as long as the hub keeps deleted ones.
        """
        pages.parameters(request, pages.Nothing)
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.CONFIGURE)
        repositories.delete(repository, self.caller)


class _Name(View):
    prefix = ""

    def put_name(self, request: Request, ns: str, name: str, ref: str) -> NamedRevision:
        pages.parameters(request, pages.Nothing)
        repository = self.repository(ns, name)
        target = pull.resolve(repository, pages.body(request, Target)["revision"], self.viewer)
        pull.require_shown(target, self.caller)
        made = branches.create_ref(repository, self.prefix + ref, target, self.caller)
        return NamedRevision(name=ref, revision=made.revision.oid)

    def delete_name(self, request: Request, ns: str, name: str, ref: str) -> None:
        pages.parameters(request, pages.Nothing)
        branches.delete_ref(self.repository(ns, name), self.prefix + ref, self.caller)

    def repository(self, ns: str, name: str) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.PUSH)


class Branch(_Name):
    prefix = refs.BRANCHES

    @operation("create_branch", body=Target, status=201, example={"revision": "main"})
    def put(self, request: Request, ns: str, name: str, branch: str) -> NamedRevision:
        """Create a branch."""
        return self.put_name(request, ns, name, branch)

    @operation("delete_branch")
    def delete(self, request: Request, ns: str, name: str, branch: str) -> None:
        """Delete a branch.

        Its commits keep their ids.
        """
        self.delete_name(request, ns, name, branch)


class Tag(_Name):
    prefix = refs.TAGS

    @operation("create_tag", body=Target, status=201, example={"revision": "verified"})
    def put(self, request: Request, ns: str, name: str, tag_name: str) -> NamedRevision:
        """Create a tag."""
        return self.put_name(request, ns, name, tag_name)

    @operation("delete_tag")
    def delete(self, request: Request, ns: str, name: str, tag_name: str) -> None:
        """Delete a tag."""
        self.delete_name(request, ns, name, tag_name)


class Commits(View):
    @operation(
        "commit",
        body=NewCommit,
        status=201,
        example={"summary": "Say what it is for", "files": [{"path": "README.md", "content": "# Reviews\n"}]},
    )
    def post(self, request: Request, ns: str, name: str) -> Committed:
        """Commit files to a branch.

        All of it is one version, or nothing is. Sent again it changes nothing.
        """
        pages.parameters(request, pages.Nothing)
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.PUSH)
        wish = pages.body(request, NewCommit)
        intent = Intent(
            repository,
            refs.full_ref(wish["branch"]),
            self.caller,
            title=wish["summary"],
            message=wish["description"],
            parent=wish["parent_commit"],
        )
        ref = push.receive(intent, _operations(wish))
        return Committed(adapter=repository.full_name, revision=ref.revision.oid)


def _operations(wish: Data) -> Iterator[Operation]:
    for file in wish["files"]:
        if ("content" in file) == ("sha256" in file):
            raise ValueInvalid(
                f"The file {file['path'][:200]!r} needs either content or sha256.",
                fix="Send the bytes of a small file as `content`, or the digest of uploaded ones as `sha256`.",
            )
        if "content" in file:
            yield Inline(file["path"], wire.content(file))
        else:
            yield Stored(file["path"], file["sha256"], file.get("size"))
    for gone in wish["deletions"]:
        yield Deletion(gone.rstrip("/"))


class AccessToFiles(View):
    @operation("own_access")
    def get(self, request: Request, ns: str, name: str) -> OwnAccess:
        """Whether you have the files of a gated adapter."""
        pages.parameters(request, pages.Nothing)
        repository = self.repository(ns, name)
        self.person()
        return _own(repository, gates.own_request(repository, self.caller))

    @operation("ask_for_access", body=AccessWish, example={"text": "To compare it with ours"})
    def post(self, request: Request, ns: str, name: str) -> OwnAccess:
        """Ask for the files of a gated adapter."""
        pages.parameters(request, pages.Nothing)
        repository = self.repository(ns, name)
        policy.require_person(self.caller, "ask for access")
        return _own(repository, gates.request_access(repository, by=self.caller, **pages.body(request, AccessWish)))

    def repository(self, ns: str, name: str) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE)


class AccessRequests(View):
    @operation("access_requests", query=AccessListing)
    def get(self, request: Request, ns: str, name: str) -> Page[Access]:
        """The people who asked for the files, newest first."""
        asked = pages.parameters(request, AccessListing)
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.ARCHIVE)
        rows = gates.list_requests(repository, asked["status"], self.caller)
        page = cursors.newest_first(rows, cursors.row_id(asked.get("cursor", "")), asked["limit"])
        return pages.page(request, map(_access, page.items), page.next)


class OneAccess(View):
    @operation("decide_access", body=AccessDecision, example={"status": "accepted"})
    def put(self, request: Request, ns: str, name: str, user: str) -> Access:
        """Let a person have the files, or reject their request."""
        pages.parameters(request, pages.Nothing)
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.ARCHIVE)
        wish = pages.body(request, AccessDecision)
        if wish["status"] == AccessRequest.Status.ACCEPTED:
            return _access(gates.grant_access(repository, user, self.caller))
        decided = gates.decide_request(repository, wish["status"], self.caller, username=user, reason=wish["reason"])
        return _access(decided)


def _own(repository: Repository, row: AccessRequest | None) -> OwnAccess:
    gate = next(word for word, value in GATES.items() if value == repository.gated)
    status, reason = (row.status, row.reason) if row else (None, "")
    return OwnAccess(adapter=repository.full_name, gate=gate, status=status, reason=reason)


def _access(row: AccessRequest) -> Access:
    decided_by = row.decided_by.username if row.decided_by else None
    return of_row(Access, row, user=row.user.username, decided_by=decided_by)


class Deleted(View):
    @operation("deleted_adapters")
    def get(self, request: Request) -> Page[DeletedAdapter]:
        """Deleted repositories that you may restore, newest first."""
        pages.parameters(request, pages.Nothing)
        return pages.page(request, map(_deleted, retirement.listed(self.caller)[:MOST_DELETED]))


class Restore(View):
    @operation("restore_adapter", body=Restoration, example={"name": "reviews-again"})
    def post(self, request: Request, id: int) -> NamedRepository:
        """Take a repository out of the bin."""
        pages.parameters(request, pages.Nothing)
        self.person()
        restored = retirement.restore(id, self.caller, pages.body(request, Restoration).get("name", ""))
        return NamedRepository(name=restored.full_name, type=restored.type)


def _deleted(row: Repository) -> DeletedAdapter:
    deleted_by = row.binned_by.username if row.binned_by else None
    return of_row(DeletedAdapter, row, id=row.pk, name=row.full_name, deleted_by=deleted_by, deleted_at=row.binned_at)


_ADAPTER = "adapters/<str:ns>/<str:name>"
REST = [
    path("adapters", Adapters.as_view(), name="rest-new-adapter"),
    path(_ADAPTER, OneAdapter.as_view(), name="rest-kept-adapter"),
    path("me/deleted", Deleted.as_view(), name="rest-deleted"),
    path("me/deleted/<int:id>/restore", Restore.as_view(), name="rest-restore"),
    path(f"{_ADAPTER}/access", AccessToFiles.as_view(), name="rest-access"),
    path(f"{_ADAPTER}/access/requests", AccessRequests.as_view(), name="rest-access-requests"),
    path(f"{_ADAPTER}/access/requests/<str:user>", OneAccess.as_view(), name="rest-access-request"),
    path(f"{_ADAPTER}/branches/<path:branch>", Branch.as_view(), name="rest-branch"),
    path(f"{_ADAPTER}/tags/<path:tag_name>", Tag.as_view(), name="rest-tag"),
    path(f"{_ADAPTER}/commits", Commits.as_view(), name="rest-commits"),
]
