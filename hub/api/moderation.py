"""Acts of moderators in a session: hold back, release, take down, suspend, look at evidence; and the audit log."""

from collections.abc import Callable
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes import moderation as shapes
from hub.limits import Family
from hub.server.sending import send
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.moderation import quarantine
from registry.moderation.cases import evidence
from registry.moderation.log import audit_log
from registry.moderation.strikes import suspension
from registry.people import accounts
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


class TakeDown(View):
    @extend_schema(
        operation_id="takedown",
        summary="Hold an adapter back for good and delete its files",
        request=shapes.Ruling,
        responses=shapes.Ruled,
    )
    def post(self, request: Request, ns: str, name: str) -> Response:
        self.require_moderator(final=True)
        return _rule(self, f"{ns}/{name}", quarantine.take_down)


class Delete(View):
    @extend_schema(
        operation_id="moderation-delete",
        summary="Delete an adapter and everything in it",
        request=shapes.Reasoned,
        responses=shapes.Ruled,
    )
    def post(self, request: Request, ns: str, name: str) -> Response:
        self.require_moderator(final=True)
        body = pages.body(request, shapes.Reasoned)
        repository = lookup.find(f"{ns}/{name}", self.caller, Permission.QUARANTINE)
        quarantine.delete(repository, self.caller, **body)
        return Response({"adapter": repository.full_name, "quarantined_at": None, "changed": True})


class Suspend(View):
    @extend_schema(
        operation_id="suspend", summary="Keep a person out", request=shapes.Suspension, responses=shapes.Suspended
    )
    def post(self, request: Request, name: str) -> Response:
        self.require_moderator(final=True)
        return _suspend(self, name, suspension.suspend, shapes.Suspension)


class Unsuspend(View):
    @extend_schema(
        operation_id="unsuspend",
        summary="Let a suspended person in again",
        request=shapes.Reasoned,
        responses=shapes.Suspended,
    )
    def post(self, request: Request, name: str) -> Response:
        return _suspend(self, name, suspension.unsuspend, shapes.Reasoned)


class Evidence(View):
    family = Family.FILES

    @extend_schema(
        operation_id="evidence",
        summary="The bytes of a file that is held back or in a case; each look is logged",
        parameters=[shapes.OfType],
        responses={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, "The bytes; Range works")},
    )
    def get(self, request: Request, ns: str, name: str, rev: str, path: str) -> HttpResponseBase:
        self.require_moderator()
        asked = pages.parameters(request, shapes.OfType)
        _, entry = evidence.look(f"{ns}/{name}", rev, path, self.caller, type=asked["type"])
        answer = send(request._request, entry, "application/octet-stream")
        answer["Content-Disposition"] = content_disposition_header(True, path.rpartition("/")[2]) or "attachment"
        answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
        answer["Cache-Control"] = "private, no-store"
        return answer


class Log(View):
    @extend_schema(
        operation_id="log",
        summary="Privileged acts, newest first",
        parameters=[shapes.LogPaging],
        responses=shapes.LogPage,
    )
    def get(self, request: Request) -> Response:
        self.require_moderator()
        asked = pages.parameters(request, shapes.LogPaging)
        below, limit = cursors.row_id(asked.pop("cursor", "")), asked.pop("limit")
        acts = audit_log.listed(audit_log.Filter(**asked), below, limit)
        return Response(pages.page(request, list(shapes.LogEntry(acts.items, many=True).data), acts.next))


def _rule(view: View, full_name: str, verb: Callable[..., bool]) -> Response:
    view.require_moderator()  # first, so that a stranger does not learn which adapters there are
    ruling: Data = pages.body(view.request, shapes.Ruling)
    repository = lookup.find(full_name, view.caller, Permission.QUARANTINE)
    revision = pull.resolve(repository, ruling["revision"]) if ruling["revision"] else None
    changed = verb(repository, view.caller, reason=ruling["reason"], note=ruling["note"], revision=revision)
    target = revision or repository
    return Response({"adapter": repository.full_name, "quarantined_at": target.quarantined_at, "changed": changed})


def _suspend(view: View, name: str, verb: Callable[..., bool], shape: type[Serializer[Any]]) -> Response:
    view.require_moderator()
    body = pages.body(view.request, shape)
    person = accounts.get_person(name)
    changed = verb(person, view.caller, **body)
    return Response(
        {
            "name": person.username,
            "suspended": not person.is_active,
            "until": person.suspended_until,
            "changed": changed,
        }
    )
