"""The states that owners give: aliases and their moves, yanked revisions, deprecated and archived adapters."""

from typing import Annotated

from rest_framework import serializers as s
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.answers.adapters import AdapterState
from dovetail.answers.record import Answer, OneOf, Page, Time
from dovetail.answers.versions import Alias, YankState
from hub.api import pages
from hub.api.pages import Data, Paging, Text
from hub.api.records import deprecation_of, of_row, operation, text_of, yank_of
from hub.api.views import View
from registry import models
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import Repository, Revision
from registry.proof.verified import aliases as deeds
from registry.proof.verified import withdrawals
from registry.publish import retirement
from registry.repos import lookup, pull, refs


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
    @operation("yank", body=YankBody, example={"revision": "v1", "reason": "It repeats itself."})
    def post(self, request: Request, ns: str, name: str) -> YankState:
        """Yank a revision.

        It is never `verified` again, main falls back to the newest verified version, and its commit id still serves it.
        The reason is public.
        """
        revision, reason = self.revision(request, ns, name)
        withdrawals.yank(revision, self.caller, reason)
        return _yank_state(revision)


class Unyank(_Deed):
    @operation("unyank", body=YankBody, example={"revision": "v1"})
    def post(self, request: Request, ns: str, name: str) -> YankState:
        """Take a yank back."""
        revision, reason = self.revision(request, ns, name)
        withdrawals.unyank(revision, self.caller, reason)
        return _yank_state(revision)


class Deprecation(_Deed):
    @operation(
        "deprecate", body=DeprecationBody, example={"message": "Use the new one.", "successor": "alice/reviews-2"}
    )
    def put(self, request: Request, ns: str, name: str) -> AdapterState:
        """Deprecate an adapter."""
        repository = self.adapter(request, ns, name, Permission.CONFIGURE)
        wish = pages.body(request, DeprecationBody)
        retirement.deprecate(repository, self.caller, wish["message"], wish["successor"])
        return _state_of(repository)

    @operation("undeprecate")
    def delete(self, request: Request, ns: str, name: str) -> AdapterState:
        """Take a deprecation back."""
        repository = self.adapter(request, ns, name, Permission.CONFIGURE)
        retirement.undeprecate(repository, self.caller)
        return _state_of(repository)


class Archive(_Deed):
    @operation("archive")
    def put(self, request: Request, ns: str, name: str) -> AdapterState:
        """Archive an adapter.

        It can be read and not changed.
        """
        repository = self.adapter(request, ns, name, Permission.ARCHIVE)
        pages.body(request)
        retirement.archive(repository, self.caller)
        return _state_of(repository)

    @operation("unarchive")
    def delete(self, request: Request, ns: str, name: str) -> AdapterState:
        """Unarchive an adapter."""
        repository = self.adapter(request, ns, name, Permission.ARCHIVE)
        retirement.unarchive(repository, self.caller)
        return _state_of(repository)


def _yank_state(revision: Revision) -> YankState:
    return YankState(revision=revision.oid, yanked=yank_of(revision))


def _state_of(repository: Repository) -> AdapterState:
    return AdapterState(
        status=lookup.status_of(repository),
        deprecated=deprecation_of(repository),
        archived_at=text_of(repository.archived_at),
    )


class SetAlias(s.Serializer[Data]):
    revision = Text(max_length=200, help_text="a commit id, `verified`, a tag, a branch or another alias")
    reason = Text(required=False, allow_blank=True, default="", max_length=500, help_text="public; force needs one")
    force = s.BooleanField(required=False, default=False, help_text="also where the revision has not passed")


class MoveAlias(s.Serializer[Data]):
    reason = Text(required=False, allow_blank=True, default="", max_length=500, help_text="public")


class AliasMove(Answer):
    """One move of an alias. `before` and `after` are commit ids of that time; null for none, or one you may not see."""

    at: Time
    action: Annotated[
        str,
        OneOf(*models.AliasMove.Action.values),
        "fallback, return: by the hub; rewrite: the same version under another commit id",
    ]
    before: str | None
    after: str | None
    forced: bool
    reason: str
    by: Annotated[str | None, "null: the hub"]


class _OfAdapter(View):
    def adapter(self, ns: str, name: str, permission: Permission = Permission.BROWSE) -> models.Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, permission)

    def changeable(self, request: Request, ns: str, name: str) -> models.Repository:
        pages.parameters(request, pages.Nothing)
        return self.adapter(ns, name, Permission.PUSH)

    def one(self, repository: models.Repository, alias: str) -> Alias:
        [line] = self.lines(repository, [refs.find(repository, alias)])
        return line

    def lines(self, repository: models.Repository, states: list[refs.AliasState]) -> list[Alias]:
        hidden = refs.hidden_oids(repository, [state.alias.revision.oid for state in states], self.caller)
        return [_line(state, hidden) for state in states]


class Aliases(_OfAdapter):
    @operation("aliases", callers="anyone")
    def get(self, request: Request, ns: str, name: str) -> Page[Alias]:
        """Aliases of an adapter."""
        pages.parameters(request, pages.Nothing)
        repository = self.adapter(ns, name)
        return pages.page(request, self.lines(repository, refs.listed(repository)))


class OneAlias(_OfAdapter):
    @operation("alias", callers="anyone")
    def get(self, request: Request, ns: str, name: str, alias: str) -> Alias:
        """One alias."""
        pages.parameters(request, pages.Nothing)
        return self.one(self.adapter(ns, name), alias)

    @operation(
        "set_alias",
        body=SetAlias,
        answers={200: Alias, 201: Alias},
        example={"revision": "verified", "reason": "It won the trial."},
    )
    def put(self, request: Request, ns: str, name: str, alias: str) -> Response:
        """Set or move an alias.

        To a revision that passed; with `force` and a reason to another one. 201 where it is new.
        """
        repository = self.changeable(request, ns, name)
        given = pages.body(request, SetAlias)
        refs.check_alias_name(alias)
        revision = pull.resolve(repository, given["revision"])
        pull.require_shown(revision, self.caller)
        is_new = deeds.set_alias(repository, alias, revision, self.caller, reason=given["reason"], force=given["force"])
        return Response(self.one(repository, alias), status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)

    @operation("remove_alias")
    def delete(self, request: Request, ns: str, name: str, alias: str) -> None:
        """Remove an alias.

        Its history stays.
        """
        repository = self.changeable(request, ns, name)
        deeds.remove_alias(repository, alias, self.caller)


class Rollback(_OfAdapter):
    @operation("roll_back_alias", body=MoveAlias, example={"reason": "It is slow."})
    def post(self, request: Request, ns: str, name: str, alias: str) -> Alias:
        """Roll an alias back.

        To the revision that it named before; what is held back or yanked is skipped.
        """
        repository = self.changeable(request, ns, name)
        wish = pages.body(request, MoveAlias)
        deeds.roll_back(repository, alias, self.caller, wish["reason"])
        return self.one(repository, alias)


class History(_OfAdapter):
    @operation("alias_history", query=Paging, callers="anyone")
    def get(self, request: Request, ns: str, name: str, alias: str) -> Page[AliasMove]:
        """The moves of an alias, newest first.

        Also of one that was removed.
        """
        asked = pages.parameters(request, Paging)
        repository = self.adapter(ns, name)
        below = cursors.row_id(asked.get("cursor", ""))
        found = refs.history(repository, alias, below=below, limit=asked["limit"])
        if not found.items:
            refs.find(repository, alias)  # raises for one that never was
        oids = [oid for move in found.items for oid in (move.before, move.after)]
        hidden = refs.hidden_oids(repository, oids, self.caller)
        return pages.page(request, [_move(move, hidden) for move in found.items], found.next)


def _line(state: refs.AliasState, hidden: set[str]) -> Alias:
    alias = state.alias
    return Alias(
        alias=alias.name,
        revision=state.served.oid if state.served else None,
        chosen=_shown(alias.revision.oid, hidden),
        fallback=state.is_fallback,
        fallback_reason=state.fallback_reason or None,
        forced=alias.is_forced,
        reason=alias.reason,
        set_by=alias.set_by.username,
        set_at=text_of(alias.set_at),
    )


def _move(move: models.AliasMove, hidden: set[str]) -> AliasMove:
    return of_row(
        AliasMove,
        move,
        before=_shown(move.before, hidden),
        after=_shown(move.after, hidden),
        forced=move.is_forced,
        by=move.by.username if move.by else None,
    )


def _shown(oid: str, hidden: set[str]) -> str | None:
    return oid if oid and oid not in hidden else None
