"""Quarantine and release by moderators in a session, and the audit log."""

from collections.abc import Callable

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes import moderation as shapes
from registry.kernel import cursors, policy
from registry.kernel.policy import Permission
from registry.moderation import audit_log, quarantine
from registry.repos import lookup, pull


class Quarantine(View):
    @extend_schema(
        operation_id="quarantine",
        summary="Hold an adapter back on every road",
        request=shapes.Ruling,
        responses=shapes.Ruled,
    )
    def post(self, request: Request, ns: str, name: str) -> Response:
        return _rule(self, f"{ns}/{name}", quarantine.quarantine)


class Release(View):
    @extend_schema(
        operation_id="release",
        summary="Serve a quarantined adapter again",
        request=shapes.Ruling,
        responses=shapes.Ruled,
    )
    def post(self, request: Request, ns: str, name: str) -> Response:
        return _rule(self, f"{ns}/{name}", quarantine.release)


class Log(View):
    @extend_schema(
        operation_id="log",
        summary="Privileged acts, newest first",
        parameters=[shapes.LogPaging],
        responses=shapes.LogPage,
    )
    def get(self, request: Request) -> Response:
        policy.require_moderator(self.caller)
        asked = pages.parameters(request, shapes.LogPaging)
        below, limit = cursors.row_id(asked.pop("cursor", "")), asked.pop("limit")
        acts = audit_log.listed(audit_log.Filter(**asked), below, limit)
        return Response(pages.page(request, list(shapes.LogEntry(acts.items, many=True).data), acts.next))


def _rule(view: View, full_name: str, verb: Callable[..., bool]) -> Response:
    policy.require_moderator(view.caller)  # first, so that a stranger does not learn which adapters there are
    wish = shapes.Ruling(data=view.request.data)
    wish.is_valid(raise_exception=True)
    ruling: Data = wish.validated_data
    repository = lookup.find(full_name, view.caller, Permission.QUARANTINE)
    revision = pull.resolve(repository, ruling["revision"]) if ruling["revision"] else None
    changed = verb(repository, view.caller, reason=ruling["reason"], note=ruling["note"], revision=revision)
    target = revision or repository
    return Response({"adapter": repository.full_name, "quarantined_at": target.quarantined_at, "changed": changed})
