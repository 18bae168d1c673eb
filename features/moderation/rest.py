"""Moderation over our REST: people and scanners report; moderators read the queue and files, hold back and suspend."""

from collections.abc import Callable
from typing import Annotated, Any

from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.answers.record import Answer, Page, Time
from dovetail.answers.versions import FiledReport, ReportedTarget
from features.moderation import evidence, intake, queue, targets
from hub import limits
from hub.api import pages
from hub.api.pages import Data, Paging, Text, WholeNumber
from hub.api.records import of_row, operation, text_of
from hub.api.views import View
from hub.list_parameters import one_of
from hub.server.large_bodies import send
from registry.kernel import policy
from registry.kernel.policy import Permission
from registry.models import Case
from registry.models.moderation import FORMER_REASONS
from registry.moderation import quarantine, suspension
from registry.people import accounts
from registry.repos import lookup, pull


class Place(s.Serializer[Data]):
    """The place that a report points to; at least one part."""

    commit = Text(required=False, max_length=40)
    file = Text(required=False, max_length=1024)
    line = WholeNumber(required=False, allow_null=True, min_value=1)
    end_line = WholeNumber(required=False, allow_null=True, min_value=1)
    tensor = Text(required=False, max_length=500)


class ReportTarget(s.Serializer[Data]):
    type = s.ChoiceField(choices=Case.Target.choices)
    id = Text(max_length=1500, help_text="ns/name, ns/name@REV, ns/name@REV:PATH, ns/name#NUMBER[:COMMENT], or a name")


class NewReport(s.Serializer[Data]):
    adapter = Text(required=False, max_length=200, help_text="ns/name; or send target")
    revision = Text(required=False, allow_null=True, default=None, max_length=200)
    target = ReportTarget(required=False)
    reason = one_of(Case.Reason.choices, former=FORMER_REASONS)
    text = Text(required=False, allow_blank=True, default="", max_length=10_000)
    evidence = Place(many=True, required=False, default=list)

    def validate(self, attrs: Data) -> Data:
        if ("adapter" in attrs) == ("target" in attrs):
            raise s.ValidationError("Send either adapter or target.")
        return attrs


class QueuePaging(Paging):
    state = s.ChoiceField(choices=queue.STATES, required=False, default="waiting")
    reason = one_of(Case.Reason.choices, former=FORMER_REASONS, required=False)
    severity = s.IntegerField(required=False, min_value=1, max_value=3)
    target = s.ChoiceField(choices=Case.Target.choices, required=False)
    source = s.ChoiceField(choices=queue.SOURCES, required=False)  # type: ignore[assignment]  # also a name of s.Field
    q = s.CharField(required=False, max_length=200)


class OfType(s.Serializer[Data]):
    type = s.ChoiceField(choices=["model", "dataset", "space"], required=False, default="model")


class QueueItem(Answer):
    id: int
    target: ReportedTarget
    reason: str
    severity: Annotated[int, "3 high, 2 medium, 1 low"]
    state: str
    outcome: str | None
    claimed_by: str | None
    reports: Annotated[int, "people who reported it"]
    findings: Annotated[tuple[str, ...], "check ids of the hub's own"]
    created_at: Time
    updated_at: Time
    downloads_24h: int
    owner_since: Time | None
    accuracy: Annotated[float | None, "upheld part of the reporters' decided reports, 0 to 1"]
    prior_decisions: int


class Reports(View):
    @operation(
        "report",
        body=NewReport,
        answers={201: FiledReport, 200: FiledReport},
        example={"adapter": "alice/reviews", "reason": "spam", "text": "An advertisement."},
    )
    def post(self, request: Request) -> Response:
        """Report something to the moderators; nobody else sees it."""
        policy.require_person(self.caller, "report something")  # first: others learn nothing of what exists
        given = pages.body(request, NewReport)
        kind, id = _target(given)
        target = targets.find(kind, id, self.caller)
        limits.take_report(self.caller)
        filed = intake.report(
            target, self.caller, reason=given["reason"], text=given["text"], evidence=evidence.parse(given["evidence"])
        )
        answer = FiledReport(
            id=filed.case.pk,
            target=ReportedTarget(type=target.kind, id=target.label),
            state=filed.case.state,
            merged=not filed.is_new,
        )
        return Response(answer, status=201 if filed.is_new else 200)


def _target(given: Data) -> tuple[str, str]:
    """Return type and id of what is reported: a whole adapter, one revision of it, or the named target."""
    if "target" in given:
        return given["target"]["type"], given["target"]["id"]
    if given["revision"]:
        return Case.Target.REVISION, f"{given['adapter']}@{given['revision']}"
    return Case.Target.REPOSITORY, given["adapter"]


class Queue(View):
    @operation("queue", query=QueuePaging, callers="session")
    def get(self, request: Request) -> Page[QueueItem]:
        """Cases for moderators, the gravest first."""
        self.require_moderator()
        asked = pages.parameters(request, QueuePaging)
        cursor, limit = asked.pop("cursor", ""), asked.pop("limit")
        rows = queue.page(self.caller, queue.Query(**asked), cursor, limit)
        return pages.page(request, [_item(row) for row in rows.items], rows.next)


def _item(row: queue.Row) -> QueueItem:
    case = row.case
    return of_row(
        QueueItem,
        case,
        target=ReportedTarget(type=case.target, id=case.label),
        outcome=case.outcome or None,
        claimed_by=case.claimed_by.username if case.claimed_by else None,
        reports=row.people,
        findings=tuple(row.findings),
        downloads_24h=row.downloads,
        owner_since=row.owner_since,
        accuracy=row.accuracy.share,
        prior_decisions=row.prior,
    )


class Evidence(View):
    family = limits.Family.FILES

    @operation(
        "evidence",
        query=OfType,
        callers="session",
        answers={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, "The bytes; Range works")},
    )
    def get(self, request: Request, ns: str, name: str, rev: str, path: str) -> HttpResponseBase:
        """The bytes of a file that is held back or in a case; each look is logged."""
        self.require_moderator()
        asked = pages.parameters(request, OfType)
        _, entry = evidence.look(f"{ns}/{name}", rev, path, self.caller, type=asked["type"])
        answer = send(request._request, entry, "application/octet-stream")
        answer["Content-Disposition"] = content_disposition_header(True, path.rpartition("/")[2]) or "attachment"
        answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
        answer["Cache-Control"] = "private, no-store"
        return answer


class Ruling(s.Serializer[Data]):
    reason = Text(max_length=500, help_text="the people who may write there read it")
    note = Text(required=False, allow_blank=True, default="", max_length=10_000, help_text="moderators read it")
    revision = Text(required=False, allow_null=True, default=None, help_text="null: the whole adapter")


class Reasoned(s.Serializer[Data]):
    reason = Text(max_length=500)
    note = Text(required=False, allow_blank=True, default="", max_length=10_000, help_text="moderators read it")


class Suspension(Reasoned):
    until = s.DateTimeField(required=False, allow_null=True, default=None, help_text="null: until a moderator ends it")


class Ruled(Answer):
    adapter: str
    quarantined_at: Time | None
    changed: Annotated[bool, "false where it was so already"]


class Suspended(Answer):
    name: str
    suspended: bool
    until: Time | None
    changed: Annotated[bool, "false where it was so already"]


class Quarantine(View):
    @operation(
        "quarantine",
        body=Ruling,
        callers="session",
        example={"reason": "It carries a pickle.", "note": "Reported twice."},
    )
    def post(self, request: Request, ns: str, name: str) -> Ruled:
        """Hold an adapter back on every road."""
        return _rule(self, f"{ns}/{name}", quarantine.quarantine)


class Release(View):
    @operation("release", body=Ruling, callers="session", example={"reason": "It was a false alarm."})
    def post(self, request: Request, ns: str, name: str) -> Ruled:
        """Serve a quarantined adapter again."""
        return _rule(self, f"{ns}/{name}", quarantine.release)


class TakeDown(View):
    @operation("takedown", body=Ruling, callers="session")
    def post(self, request: Request, ns: str, name: str) -> Ruled:
        """Hold an adapter back for good and delete its files."""
        self.require_moderator(final=True)
        return _rule(self, f"{ns}/{name}", quarantine.take_down)


class Delete(View):
    @operation("moderation-delete", body=Reasoned, callers="session")
    def post(self, request: Request, ns: str, name: str) -> Ruled:
        """Delete an adapter and everything in it."""
        self.require_moderator(final=True)
        body = pages.body(request, Reasoned)
        repository = lookup.find(f"{ns}/{name}", self.caller, Permission.QUARANTINE)
        quarantine.delete(repository, self.caller, **body)
        return Ruled(adapter=repository.full_name, quarantined_at=None, changed=True)


class Suspend(View):
    @operation("suspend", body=Suspension, callers="session")
    def post(self, request: Request, name: str) -> Suspended:
        """Keep a person out."""
        self.require_moderator(final=True)
        return _suspend(self, name, suspension.suspend, Suspension)


class Unsuspend(View):
    @operation("unsuspend", body=Reasoned, callers="session")
    def post(self, request: Request, name: str) -> Suspended:
        """Let a suspended person in again."""
        return _suspend(self, name, suspension.unsuspend, Reasoned)


def _rule(view: View, full_name: str, verb: Callable[..., bool]) -> Ruled:
    view.require_moderator()  # first, so that a stranger does not learn which adapters there are
    ruling: Data = pages.body(view.request, Ruling)
    repository = lookup.find(full_name, view.caller, Permission.QUARANTINE)
    revision = pull.resolve(repository, ruling["revision"]) if ruling["revision"] else None
    changed = verb(repository, view.caller, reason=ruling["reason"], note=ruling["note"], revision=revision)
    target = revision or repository
    held_at = text_of(target.quarantined_at)
    return Ruled(adapter=repository.full_name, quarantined_at=held_at, changed=changed)


def _suspend(view: View, name: str, verb: Callable[..., bool], shape: type[s.Serializer[Any]]) -> Suspended:
    view.require_moderator()
    body = pages.body(view.request, shape)
    person = accounts.get_person(name)
    changed = verb(person, view.caller, **body)
    until = text_of(person.suspended_until)
    return Suspended(name=person.username, suspended=not person.is_active, until=until, changed=changed)


REST = [
    path(
        "moderation/adapters/<str:ns>/<str:name>/revisions/<api_revision:rev>/files/<path:path>",
        Evidence.as_view(),
        name="rest-evidence",
    ),
    path("moderation/adapters/<str:ns>/<str:name>/quarantine", Quarantine.as_view(), name="rest-quarantine"),
    path("moderation/adapters/<str:ns>/<str:name>/release", Release.as_view(), name="rest-release"),
    path("moderation/adapters/<str:ns>/<str:name>/delete", Delete.as_view(), name="rest-moderation-delete"),
    path("moderation/adapters/<str:ns>/<str:name>/takedown", TakeDown.as_view(), name="rest-takedown"),
    path("moderation/users/<str:name>/suspend", Suspend.as_view(), name="rest-suspend"),
    path("moderation/users/<str:name>/unsuspend", Unsuspend.as_view(), name="rest-unsuspend"),
    path("moderation/queue", Queue.as_view(), name="rest-queue"),
    path("reports", Reports.as_view(), name="rest-reports"),
]
