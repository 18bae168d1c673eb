"""The states that owners give: yanked revisions, deprecated and archived adapters."""

from collections.abc import Mapping

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.adapters import AdapterState
from dovetail.answers.versions import Deprecated, WithdrawnWeights, Yanked, YankState
from hub.api import pages
from hub.api.asking import View
from hub.api.pages import Data, Text
from hub.api.records import operation, text_of
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Revision
from registry.proof.verified import withdrawals
from registry.proof.weights import withdrawn_weights
from registry.publish.retention import retiring
from registry.repos import lookup, pull
from registry.repos.manifest import Entry


class YankBody(s.Serializer[Data]):
    revision = Text(max_length=200, help_text="a commit id, a tag or a branch")
    reason = Text(required=False, allow_blank=True, default="", max_length=500, help_text="public; a yank needs one")


class DeprecationBody(s.Serializer[Data]):
    message = Text(required=False, allow_blank=True, default="", max_length=500)
    successor = Text(
        required=False, allow_blank=True, default="", max_length=200, help_text="namespace/name of what to use instead"
    )


class _Deed(View):
    def adapter(self, request: Request, ns: str, name: str, permission: Permission) -> Repository:
        pages.parameters(request, pages.Nothing)
        return lookup.find_at_address(f"{ns}/{name}", self.caller, permission)

    def revision(self, request: Request, ns: str, name: str) -> tuple[Revision, str]:
        repository = self.adapter(request, ns, name, Permission.PUSH)
        wish = pages.body(request, YankBody)
        revision = pull.resolve(repository, wish["revision"])
        pull.require_shown(revision, self.caller)
        return revision, wish["reason"]


class Yank(_Deed):
    @operation("yank", body=YankBody)
    def post(self, request: Request, ns: str, name: str) -> YankState:
        """Yank a revision.

        It is never `verified` again, main falls back to the newest verified version, and its commit id still serves it.
        The reason is public.
        """
        revision, reason = self.revision(request, ns, name)
        withdrawals.yank(revision, self.caller, reason)
        return _yank_state(revision)


class Unyank(_Deed):
    @operation("unyank", body=YankBody)
    def post(self, request: Request, ns: str, name: str) -> YankState:
        """Take a yank back."""
        revision, reason = self.revision(request, ns, name)
        withdrawals.unyank(revision, self.caller, reason)
        return _yank_state(revision)


class Deprecation(_Deed):
    @operation("deprecate", body=DeprecationBody)
    def put(self, request: Request, ns: str, name: str) -> AdapterState:
        """Deprecate an adapter."""
        repository = self.adapter(request, ns, name, Permission.CONFIGURE)
        wish = pages.body(request, DeprecationBody)
        retiring.deprecate(repository, self.caller, wish["message"], wish["successor"])
        return _state_of(repository)

    @operation("undeprecate")
    def delete(self, request: Request, ns: str, name: str) -> AdapterState:
        """Take a deprecation back."""
        repository = self.adapter(request, ns, name, Permission.CONFIGURE)
        retiring.undeprecate(repository, self.caller)
        return _state_of(repository)


class Archive(_Deed):
    @operation("archive")
    def put(self, request: Request, ns: str, name: str) -> AdapterState:
        """Archive an adapter.

        It can be read and not changed.
        """
        repository = self.adapter(request, ns, name, Permission.ARCHIVE)
        pages.body(request)
        retiring.archive(repository, self.caller)
        return _state_of(repository)

    @operation("unarchive")
    def delete(self, request: Request, ns: str, name: str) -> AdapterState:
        """Unarchive an adapter."""
        repository = self.adapter(request, ns, name, Permission.ARCHIVE)
        retiring.unarchive(repository, self.caller)
        return _state_of(repository)


def yank_of(revision: Revision) -> Yanked | None:
    """Return the yank of a revision, if it is yanked."""
    return Yanked(reason=revision.yank_reason, at=text_of(revision.yanked_at)) if revision.yanked_at else None


def withdrawn_weights_of(revision: Revision, entries: Mapping[str, Entry], by: Caller) -> WithdrawnWeights | None:
    """Return the yanked revision that holds weights among these files of another, as the contract shows it."""
    if (found := withdrawn_weights.find(revision, entries, by)) is None or (yank := yank_of(found.revision)) is None:
        return None
    name, oid = found.revision.repository.full_name, found.revision.oid
    return WithdrawnWeights(adapter=name, revision=oid, path=found.path, reason=yank.reason, at=yank.at)


def deprecation_of(repository: Repository) -> Deprecated | None:
    """Return the deprecation of an adapter, if it is deprecated."""
    if repository.deprecated_at is None:
        return None
    return Deprecated(
        message=repository.deprecation,
        successor=repository.successor or None,
        at=text_of(repository.deprecated_at),
    )


def _yank_state(revision: Revision) -> YankState:
    return YankState(revision=revision.oid, yanked=yank_of(revision))


def _state_of(repository: Repository) -> AdapterState:
    return AdapterState(
        status=retiring.status_of(repository),
        deprecated=deprecation_of(repository),
        archived_at=text_of(repository.archived_at),
    )
