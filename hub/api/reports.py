"""Abuse reports over our REST: people and scanners file them, moderators read the queue."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub import limits
from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import reports as shapes
from registry.kernel import policy
from registry.models import Case
from registry.moderation import targets
from registry.moderation.cases import evidence, intake, queue
from registry.moderation.cases.queue import Query, Row


class Reports(View):
    @extend_schema(
        operation_id="report",
        summary="Report something to the moderators; nobody else sees it",
        request=shapes.NewReport,
        responses={201: shapes.FiledReport, 200: shapes.FiledReport},
    )
    def post(self, request: Request) -> Response:
        policy.require_person(self.caller, "report something")  # first: others learn nothing of what exists
        given: dict[str, Any] = pages.body(request, shapes.NewReport)
        kind, id = _target(given)
        target = targets.find(kind, id, self.caller)
        limits.take_report(self.caller)
        filed = intake.report(
            target, self.caller, reason=given["reason"], text=given["text"], evidence=evidence.parse(given["evidence"])
        )
        answer = {
            "id": filed.case.pk,
            "target": {"type": target.kind, "id": target.label},
            "state": filed.case.state,
            "merged": not filed.is_new,
        }
        return Response(answer, status=201 if filed.is_new else 200)


def _target(given: dict[str, Any]) -> tuple[str, str]:
    """Return type and id of what is reported: a whole adapter, one revision of it, or the named target."""
    if "target" in given:
        return given["target"]["type"], given["target"]["id"]
    if given["revision"]:
        return Case.Target.REVISION, f"{given['adapter']}@{given['revision']}"
    return Case.Target.REPOSITORY, given["adapter"]


class Queue(View):
    @extend_schema(
        operation_id="queue",
        summary="Cases for moderators, the gravest first",
        parameters=[shapes.QueuePaging],
        responses=shapes.QueuePage,
    )
    def get(self, request: Request) -> Response:
        self.require_moderator()
        asked = pages.parameters(request, shapes.QueuePaging)
        cursor, limit = asked.pop("cursor", ""), asked.pop("limit")
        rows = queue.page(self.caller, Query(**asked), cursor, limit)
        return Response(pages.page(request, [_item(row) for row in rows.items], rows.next))


def _item(row: Row) -> dict[str, Any]:
    case = row.case
    return {
        "id": case.pk,
        "target": {"type": case.target, "id": case.label},
        "reason": case.reason,
        "severity": case.severity,
        "state": case.state,
        "outcome": case.outcome or None,
        "claimed_by": case.claimed_by.username if case.claimed_by else None,
        "reports": row.people,
        "findings": list(row.findings),
        "created_at": case.created_at,
        "updated_at": case.updated_at,
        "downloads_24h": row.downloads,
        "owner_since": row.owner_since,
        "accuracy": row.accuracy.share,
        "prior_decisions": row.prior,
    }
