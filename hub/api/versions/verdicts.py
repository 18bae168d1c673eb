"""The verdict of a revision, and a request to validate it again."""

import hashlib
import re
from dataclasses import replace

from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters.results.report import BasePin, EngineRow, Report
from dovetail.serve.server_start import completed_report
from dovetail.serve.target import Target
from hub.api import pages, streaming
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.versions import verdicts as shapes
from hub.api.streaming import Message
from hub.api.versions.lifecycle import withdrawn_weights_of
from hub.api.versions.regressions import eligibility_of, regression_of
from hub.api.versions.revisions import resolved
from hub.api.waiting import Wait, wait_until
from hub.origin import origin
from registry.kernel import policy
from registry.kernel.policy import Caller, Permission
from registry.models import Revision, Verdict
from registry.proof import verdicts
from registry.proof.shown_reports import shown_to
from registry.repos import pull
from registry.repos.viewers import Viewer


class OneVerdict(streaming.View):
    @extend_schema(
        operation_id="verdict",
        summary="The verdict",
        description="Also while it is queued or running. A finished one stays in force while it is renewed, as"
        " `renewal` says; with `wait` the answer comes as soon as nothing is queued or running. As"
        " `text/event-stream` it is an event each time it has changed, until it has ended; 204 where the reader has the"
        " last of them.",
        parameters=[Wait, streaming.LAST_EVENT_ID],
        responses=streaming.responses(shapes.Verdict) | {204: OpenApiResponse(description="No event will follow.")},
    )
    def get(self, request: Request, ns: str, name: str, rev: str) -> HttpResponseBase:
        asked = pages.parameters(request, Wait)
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        if self.is_stream:
            return self._events(request, revision)
        if asked["wait"]:
            wait_until(lambda: _is_over(verdicts.current(revision)), asked["wait"], request)
            revision = resolved(f"{ns}/{name}", revision.oid, self.viewer)  # the right to see it may be lost
        return Response(document(verdicts.current(revision), revision, self.caller, origin(request)))

    def _events(self, request: Request, revision: Revision) -> HttpResponseBase:
        source = _Source(revision, self.viewer, origin(request), self.last_event_id)
        first = source.read(self.caller)
        if source.is_over and not first:  # browsers ask again after each end, until they are told so
            return Response(status=status.HTTP_204_NO_CONTENT)
        return self.stream(source, first)


class _Source:
    """A verdict as events of a stream; the id of one is a digest of its data."""

    is_over = False

    def __init__(self, revision: Revision, viewer: Viewer, endpoint: str, last_event_id: str) -> None:
        self._revision, self._viewer, self._endpoint = revision, viewer, endpoint
        self.position = last_event_id if re.fullmatch("[0-9a-f]{16}", last_event_id) else ""
        self._seen: tuple[object, ...] = ()

    def has_news(self) -> bool:
        return self._seen != _columns(verdicts.in_force(self._revision))

    def read(self, by: Caller) -> list[Message]:
        adapter = self._revision.repository.full_name
        self._revision = resolved(adapter, self._revision.oid, replace(self._viewer, by=by))
        verdict = verdicts.current(self._revision)
        self._seen, self.is_over = _columns(verdict), _is_over(verdict)
        data = streaming.render(document(verdict, self._revision, by, self._endpoint))
        before, self.position = self.position, hashlib.sha256(data).hexdigest()[:16]
        return [Message("verdict", self.position, data)] if self.position != before else []


def _columns(verdict: Verdict | None) -> tuple[object, ...]:
    """Return the columns of a verdict and the newer one that the document shows, without what moves in the queue."""
    newer = verdicts.newer_than(verdict) if verdict else None
    return tuple(
        (one.pk, one.state, one.attempt, one.reason, one.result) for one in (verdict, newer) if one is not None
    )


def _is_over(verdict: Verdict) -> bool:
    """Return whether nothing will follow by itself: it is finished, and no renewal of it is queued or running."""
    return verdict.is_final and verdicts.renewal_of(verdict) is None


class Validate(View):
    @extend_schema(operation_id="validate", summary="Validate again", request=None, responses={202: shapes.Verdict})
    def post(self, request: Request, ns: str, name: str, rev: str) -> Response:
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        policy.require(self.caller, Permission.PUSH, revision.repository)
        pages.body(request)
        verdict, _ = verdicts.again(revision, self.caller.user)
        return Response(document(verdict, revision, self.caller, origin(request)), status.HTTP_202_ACCEPTED)


def document(verdict: Verdict, revision: Revision, by: Caller, endpoint: str) -> Data:
    """Return a verdict as the contract shows it; fields that the engine has not filled yet are null or empty.

    A gate hides what quotes the files behind it. Flags name the version at the hub's address of this request.
    """
    report, newer = shown_to(verdict.report, by, revision.repository), verdicts.newer_than(verdict)
    entries = {} if revision.is_expired else pull.entries(revision)
    base = report.base or _named_base(verdict) or BasePin()
    target = Target(
        revision.repository.full_name, endpoint, revision.oid, report.path, base.id or "", base.revision or ""
    )
    fields = replace(
        completed_report(report, target),
        base=report.base or _named_base(verdict),
        engines=report.engines or _engines(verdict, report),
    ).as_json()
    return {
        "adapter": revision.repository.full_name,
        "revision": revision.oid,
        "state": verdict.state,
        "renewal": _renewal(newer, by) if newer and not newer.is_final else None,
        "errored_renewal": _renewal(newer, by) if newer and newer.is_final else None,
        "reason": verdicts.why(verdict) or None,
        "incomplete": verdicts.incompleteness(revision) or None,
        "attempt": verdict.attempt,
        "queued_at": verdict.queued_at,
        "started_at": verdict.started_at,
        "finished_at": verdict.finished_at,
        "duration_ms": verdict.duration_ms,
        "request_id": _request_id(verdict, by),
        "kind": report.kind or None,
        "format": report.format or None,
        **{name: fields.get(name) for name in shapes.REPORT_FIELDS},
        "verified": eligibility_of(revision),
        "regression": regression_of(revision),
        "withdrawn_weights": withdrawn_weights_of(revision, entries, by),
    }


def _renewal(renewal: Verdict, by: Caller) -> Data:
    """Return the newer validation of a revision, beside the verdict that is in force until one decides anew."""
    error = shown_to(renewal.report, by, renewal.revision.repository).refusal if renewal.is_final else None
    return {
        "state": renewal.state,
        "reason": (error.message if error else verdicts.why(renewal)) or None,
        "attempt": renewal.attempt,
        "queued_at": renewal.queued_at,
        "started_at": renewal.started_at,
        "finished_at": renewal.finished_at,
        "request_id": _request_id(renewal, by),
    }


def _request_id(verdict: Verdict, by: Caller) -> str | None:
    return (policy.may_write(by, verdict.revision.repository) and verdict.request_id) or None


def _named_base(verdict: Verdict) -> BasePin | None:
    return BasePin(verdict.base) if verdict.base else None


def _engines(verdict: Verdict, report: Report) -> tuple[EngineRow, ...]:
    if report.engine is None or not verdict.is_final:
        return ()
    return (EngineRow(report.engine.name, report.engine.transformers, state=report.state),)
