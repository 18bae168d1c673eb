"""Aliases of an adapter: listing, setting, rolling back and removing them, and the history of each."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.versions import aliases as shapes
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import AliasMove, Repository
from registry.proof.verified import aliases as deeds
from registry.repos import aliases, lookup, pull, refs
from registry.repos.aliases import AliasState


class _OfAdapter(View):
    def adapter(self, ns: str, name: str, permission: Permission = Permission.BROWSE) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, permission)

    def changeable(self, request: Request, ns: str, name: str) -> Repository:
        pages.parameters(request, pages.Nothing)
        return self.adapter(ns, name, Permission.PUSH)

    def one(self, repository: Repository, alias: str) -> Data:
        [line] = self.lines(repository, [aliases.find(repository, alias)])
        return line

    def lines(self, repository: Repository, states: list[AliasState]) -> list[Data]:
        hidden = aliases.hidden_oids(repository, [state.alias.revision.oid for state in states], self.caller)
        return [_line(state, hidden) for state in states]


class Aliases(_OfAdapter):
    @extend_schema(operation_id="aliases", summary="Aliases of an adapter", responses=shapes.AliasPage)
    def get(self, request: Request, ns: str, name: str) -> Response:
        pages.parameters(request, pages.Nothing)
        repository = self.adapter(ns, name)
        return Response(pages.page(request, self.lines(repository, aliases.listed(repository))))


class OneAlias(_OfAdapter):
    @extend_schema(operation_id="alias", summary="One alias", responses=shapes.Alias)
    def get(self, request: Request, ns: str, name: str, alias: str) -> Response:
        pages.parameters(request, pages.Nothing)
        return Response(self.one(self.adapter(ns, name), alias))

    @extend_schema(
        operation_id="set_alias", summary="Set or move an alias",
        description="To a revision that passed; with `force` and a reason to another one. 201 where it is new.",
        request=shapes.SetAlias, responses={200: shapes.Alias, 201: shapes.Alias},
    )  # fmt: skip
    def put(self, request: Request, ns: str, name: str, alias: str) -> Response:
        repository = self.changeable(request, ns, name)
        given = pages.body(request, shapes.SetAlias)
        refs.check_alias_name(alias)
        revision = pull.resolve(repository, given["revision"])
        pull.require_shown(revision, self.caller)
        is_new = deeds.set_alias(repository, alias, revision, self.caller, reason=given["reason"], force=given["force"])
        return Response(self.one(repository, alias), status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)

    @extend_schema(
        operation_id="remove_alias", summary="Remove an alias", description="Its history stays.", responses={204: None}
    )
    def delete(self, request: Request, ns: str, name: str, alias: str) -> Response:
        repository = self.changeable(request, ns, name)
        deeds.remove_alias(repository, alias, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Rollback(_OfAdapter):
    @extend_schema(
        operation_id="roll_back_alias", summary="Roll an alias back",
        description="To the revision that it named before; what is held back or yanked is skipped.",
        request=shapes.MoveAlias, responses=shapes.Alias,
    )  # fmt: skip
    def post(self, request: Request, ns: str, name: str, alias: str) -> Response:
        repository = self.changeable(request, ns, name)
        wish = pages.body(request, shapes.MoveAlias)
        deeds.roll_back(repository, alias, self.caller, wish["reason"])
        return Response(self.one(repository, alias))


class History(_OfAdapter):
    @extend_schema(
        operation_id="alias_history", summary="The moves of an alias, newest first",
        description="Also of one that was removed.", parameters=[shapes.AliasPaging], responses=shapes.AliasMovePage,
    )  # fmt: skip
    def get(self, request: Request, ns: str, name: str, alias: str) -> Response:
        asked = pages.parameters(request, shapes.AliasPaging)
        repository = self.adapter(ns, name)
        below = cursors.row_id(asked.get("cursor", ""))
        found = aliases.history(repository, alias, below=below, limit=asked["limit"])
        if not found.items:
            aliases.find(repository, alias)  # raises for one that never was
        oids = [oid for move in found.items for oid in (move.before, move.after)]
        hidden = aliases.hidden_oids(repository, oids, self.caller)
        return Response(pages.page(request, [_move(move, hidden) for move in found.items], found.next))


def _line(state: AliasState, hidden: set[str]) -> Data:
    alias = state.alias
    return {
        "alias": alias.name,
        "revision": state.served.oid if state.served else None,
        "chosen": _shown(alias.revision.oid, hidden),
        "fallback": state.is_fallback,
        "fallback_reason": state.fallback_reason or None,
        "forced": alias.is_forced,
        "reason": alias.reason,
        "set_by": alias.set_by.username,
        "set_at": alias.set_at,
    }


def _move(move: AliasMove, hidden: set[str]) -> Data:
    return {
        "at": move.at,
        "action": move.action,
        "before": _shown(move.before, hidden),
        "after": _shown(move.after, hidden),
        "forced": move.is_forced,
        "reason": move.reason,
        "by": move.by.username if move.by else None,
    }


def _shown(oid: str, hidden: set[str]) -> str | None:
    return oid if oid and oid not in hidden else None
