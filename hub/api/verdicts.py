"""The verdict of a revision, validating it again, and its comparison with the verified one before."""

import hashlib
import re
from dataclasses import replace
from typing import Annotated

from django.http import HttpResponseBase
from rest_framework import serializers as s
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters.results import report as reports
from dovetail.adapters.results.report import BasePin, EngineRow, Report
from dovetail.adapters.results.usage import AdapterUsage, ProgramRun
from dovetail.answers.record import Answer, OneOf, Time, members
from dovetail.answers.versions import Eligibility, Override, Regression, RevisionRegression, WithdrawnWeights
from dovetail.serve.server_start import Target, completed_report
from hub.addresses import origin
from hub.api import pages, streams
from hub.api.records import of_row, operation, text_of, withdrawn_weights_of
from hub.api.streams import Message, Wait, wait_until
from hub.api.views import View, resolved
from registry import models
from registry.kernel import policy
from registry.kernel.policy import Caller, Permission
from registry.models import Revision
from registry.proof.reports import shown_to
from registry.proof.verdicts import queue, requests
from registry.proof.verified import regressions, verified
from registry.repos import eligibility, pull
from registry.repos.refs import Viewer


class NewOverride(s.Serializer[pages.Data]):
    reason = pages.Text(max_length=500, help_text="public, at least 10 characters: why the number is right")


class OneOverride(View):
    @operation(
        "override_regression",
        body=NewOverride,
        example={"reason": "The rows of label 3 are new, and harder than the old ones."},
    )
    def post(self, request: Request, ns: str, name: str, rev: str) -> RevisionRegression:
        """Let a held back version become verified.

        For a version that scored worse than the verified one before it, or that adds nothing. Owners and
        administrators of the repository may; the reason is public.
        """
        revision = self.revision(request, ns, name, rev)
        wish = pages.body(request, NewOverride)
        verified.override(revision, self.caller, wish["reason"])
        return _answer(revision)

    @operation("withdraw_override")
    def delete(self, request: Request, ns: str, name: str, rev: str) -> RevisionRegression:
        """Take an override back."""
        revision = self.revision(request, ns, name, rev)
        verified.withdraw(revision, self.caller)
        return _answer(revision)

    def revision(self, request: Request, ns: str, name: str, rev: str) -> models.Revision:
        pages.parameters(request, pages.Nothing)
        return resolved(f"{ns}/{name}", rev, self.viewer, Permission.CONFIGURE)


def _answer(revision: models.Revision) -> RevisionRegression:
    return RevisionRegression(
        revision=revision.oid, verified=eligibility_of(revision), regression=regression_of(revision)
    )


def eligibility_of(revision: models.Revision) -> Eligibility:
    """Return whether `verified` may name a revision, as the contract shows it."""
    found = eligibility.of_revision(revision)
    return Eligibility(
        may=found.may,
        because=found.because,
        until=None,
        is_run=found.is_run,
        reason=found.reason or None,
        fix=found.fix or None,
        overridable=found.is_overridable,
    )


def regression_of(revision: models.Revision) -> Regression | None:
    """Return the comparison as the contract shows it; null for a first version, and for one beside main."""
    row = regressions.regression_of(revision)
    if row is None:
        return None
    stated = {
        "state": _state(row),
        "outcome": row.outcome,
        "against": row.against.oid if row.against else None,
        "override": _override(row),
    }
    return Regression(**{name: row.result.get(name) for name, *_ in members(Regression)} | stated)


def _state(row: models.Regression) -> str:
    if row.is_held:
        return "held"
    return "overridden" if row.is_overridden else "open"


def _override(row: models.Regression) -> Override | None:
    if row.override_by is None or row.override_at is None:
        return None
    return Override(by=row.override_by.username, at=text_of(row.override_at), reason=row.override_reason)


class Renewal(Answer):
    """A newer validation of the same revision, which has not ended, or has errored."""

    state: Annotated[str, OneOf("queued", "running", "errored")]
    reason: Annotated[str | None, "why it waits, or what went wrong"]
    attempt: int
    queued_at: Time
    started_at: Time | None
    finished_at: Time | None
    request_id: Annotated[str | None, "of the request that asked for it; to those who may write here"]


class Verdict(Answer):
    """The proof of a revision."""

    adapter: str
    revision: str
    state: Annotated[str, OneOf("queued", "running", "passed", "failed", "errored")]
    renewal: Annotated[Renewal | None, "this verdict is in force until that one has ended"]
    errored_renewal: Annotated[Renewal | None, "the newest one errored, so this verdict stays in force"]
    reason: Annotated[str | None, "why it waits"]
    incomplete: Annotated[str | None, "what is missing, after a push that broke off"]
    attempt: int
    queued_at: Time
    started_at: Time | None
    finished_at: Time | None
    duration_ms: int | None
    request_id: Annotated[str | None, "of the request that asked for it; to those who may write here"]
    kind: str | None
    format: str | None
    base: BasePin | None
    depth: reports.Depth | None
    engine: reports.EngineVersions | None
    engines: tuple[EngineRow, ...]
    checks: tuple[reports.CheckResult, ...]
    evals: Annotated[tuple[reports.Evaluation, ...], "metrics of base and adapter; the first one decides"]
    cost: Annotated[reports.Cost | None, "latency_ratio, memory_mb, adapter_mb: beside the frozen base"]
    samples: Annotated[tuple[reports.Sample, ...], "a few rows: input, expected, base, adapter; none at a gate"]
    usage: Annotated[AdapterUsage | None, "how it is loaded, and a row to try it on; null where none ran it"]
    programs: Annotated[tuple[ProgramRun, ...] | None, "what became of the programs of Use when an engine ran them"]
    conditions: Annotated[reports.Conditions | None, "with what it was measured: rows, seed, batches"]
    strength: Annotated[reports.Strength | None, "score, effect and drift at scales from 0 to 1.25"]
    serving: tuple[reports.Serving, ...]
    fits: Annotated[reports.Fits | None, "known bases that it fits by shape, when it was validated"]
    path: Annotated[str, "the folder that was proven; empty for the top, and for several"]
    contents: Annotated[
        tuple[reports.Content, ...],
        "every adapter in it: path, format, kind; of one that was proven its state, depth, failed, serves; "
        "of several proven ones the `serving` of each, with its flags and commands",
    ]
    verified: Eligibility
    regression: Annotated[Regression | None, "beside the verified version before it; null for a first one"]
    withdrawn_weights: Annotated[WithdrawnWeights | None, "the newest yank of the same weights"]


class OneVerdict(streams.View):
    @operation("verdict", query=Wait, answers={200: Verdict}, callers="anyone")
    def get(self, request: Request, ns: str, name: str, rev: str) -> HttpResponseBase:
        """The verdict.

        Also while it is queued or running. A finished one stays in force while it is renewed, as `renewal` says; with
        `wait` the answer comes as soon as nothing is queued or running. As `text/event-stream` it is an event each time
        it has changed, until it has ended; 204 where the reader has the last of them.
        """
        asked = pages.parameters(request, Wait)
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        if self.is_stream:
            return self._events(request, revision)
        if asked["wait"]:
            wait_until(lambda: _is_over(requests.current(revision)), asked["wait"], request)
            revision = resolved(f"{ns}/{name}", revision.oid, self.viewer)  # the right to see it may be lost
        return Response(document(requests.current(revision), revision, self.caller, origin(request)))

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
        return self._seen != _columns(requests.in_force(self._revision))

    def read(self, by: Caller) -> list[Message]:
        adapter = self._revision.repository.full_name
        self._revision = resolved(adapter, self._revision.oid, replace(self._viewer, by=by))
        verdict = requests.current(self._revision)
        self._seen, self.is_over = _columns(verdict), _is_over(verdict)
        data = streams.render(document(verdict, self._revision, by, self._endpoint))
        before, self.position = self.position, hashlib.sha256(data).hexdigest()[:16]
        return [Message("verdict", self.position, data)] if self.position != before else []


def _columns(verdict: models.Verdict | None) -> tuple[object, ...]:
    """Return the columns of a verdict and the newer one that the document shows, without what moves in the queue."""
    newer = requests.newer_than(verdict) if verdict else None
    return tuple(
        (one.pk, one.state, one.attempt, one.reason, one.result) for one in (verdict, newer) if one is not None
    )


def _is_over(verdict: models.Verdict) -> bool:
    """Return whether nothing will follow by itself: it is finished, and no renewal of it is queued or running."""
    return verdict.is_final and requests.renewal_of(verdict) is None


class Validate(View):
    @operation("validate", status=202)
    def post(self, request: Request, ns: str, name: str, rev: str) -> Verdict:
        """Validate again."""
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        policy.require(self.caller, Permission.PUSH, revision.repository)
        pages.body(request)
        verdict, _ = requests.again(revision, self.caller.user)
        return document(verdict, revision, self.caller, origin(request))


def document(verdict: models.Verdict, revision: Revision, by: Caller, endpoint: str) -> Verdict:
    """Return a verdict as the contract shows it; fields that the engine has not filled yet are null or empty.

    A gate hides what quotes the files behind it. Flags name the version at the hub's address of this request.
    """
    report, newer = shown_to(verdict.report, by, revision.repository), requests.newer_than(verdict)
    entries = {} if revision.is_expired else pull.entries(revision)
    base = report.base or _named_base(verdict)
    pin, name = base or BasePin(), revision.repository.full_name
    target = Target.at_hub(name, endpoint, revision.oid, report.path, pin)
    return of_row(
        Verdict,
        completed_report(report, target),
        state=verdict.state,
        attempt=verdict.attempt,
        queued_at=verdict.queued_at,
        started_at=verdict.started_at,
        finished_at=verdict.finished_at,
        request_id=_request_id(verdict, by),
        adapter=name,
        revision=revision.oid,
        renewal=_renewal(newer, by) if newer and not newer.is_final else None,
        errored_renewal=_renewal(newer, by) if newer and newer.is_final else None,
        reason=queue.why(verdict) or None,
        incomplete=requests.incompleteness(revision) or None,
        duration_ms=verdict.duration_ms,
        kind=report.kind or None,
        format=report.format or None,
        base=base,
        engines=report.engines or _engines(verdict, report),
        verified=eligibility_of(revision),
        regression=regression_of(revision),
        withdrawn_weights=withdrawn_weights_of(revision, entries, by),
    )


def _renewal(renewal: models.Verdict, by: Caller) -> Renewal:
    """Return the newer validation of a revision, beside the verdict that is in force until the newer one decides."""
    error = shown_to(renewal.report, by, renewal.revision.repository).refusal if renewal.is_final else None
    reason = (error.message if error else queue.why(renewal)) or None
    return of_row(Renewal, renewal, reason=reason, request_id=_request_id(renewal, by))


def _request_id(verdict: models.Verdict, by: Caller) -> str | None:
    return (policy.may_write(by, verdict.revision.repository) and verdict.request_id) or None


def _named_base(verdict: models.Verdict) -> BasePin | None:
    return BasePin(verdict.base) if verdict.base else None


def _engines(verdict: models.Verdict, report: Report) -> tuple[EngineRow, ...]:
    if report.engine is None or not verdict.is_final:
        return ()
    return (EngineRow(report.engine.name, report.engine.transformers, state=report.state),)
