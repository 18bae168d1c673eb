"""The caller's notifications of verdicts, access requests and discussions, and marking them as read."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes.people import notifications as shapes
from registry.kernel import policy
from registry.kernel.texts import cursors
from registry.kernel.texts.links import absolute
from registry.models import Alert
from registry.proof.proofs import refusal
from registry.talk.alerts import alerts


class Notifications(View):
    @extend_schema(
        operation_id="notifications", summary="What you were told, newest first", parameters=[pages.Paging],
        responses=shapes.NotificationPage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = pages.parameters(request, pages.Paging)
        below = cursors.row_id(asked.get("cursor", ""))
        page = cursors.newest_first(alerts.of(self.person(), self.caller), below, asked["limit"])
        return Response(pages.page(request, [_line(alert) for alert in page.items], page.next))


class Read(View):
    @extend_schema(
        operation_id="notificationsRead", summary="Mark them as read", request=shapes.Read, responses=shapes.Marked
    )
    def post(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        user = policy.require_person(self.caller, "mark notifications as read", publishes=False)
        body = pages.body(request, shapes.Read)
        return Response({"read": alerts.read(user, body["up_to"])})


def _line(alert: Alert) -> dict[str, object]:
    verdict = alert.verdict
    check, message = refusal(verdict.report) if verdict else ("", "")
    return {
        "id": alert.pk,
        "kind": alert.kind,
        "topic": alert.topic,
        "adapter": alert.repository.full_name if alert.repository else None,
        "type": alert.repository.type if alert.repository else None,
        "organization": str(alert.invitation.organization) if alert.invitation else None,
        "revision": verdict.revision.oid if verdict else None,
        "state": verdict.state if verdict else None,
        "was": (verdict.changed_from or None) if verdict else None,
        "check": check or None,
        "discussion": alert.discussion.number if alert.discussion else None,
        "by": alert.by.username if alert.by else None,
        "count": alert.count,
        "message": message or alerts.sentence(alert),
        "url": absolute(alerts.address(alert)),
        "created_at": alert.created_at,
        "read": alert.read_at is not None,
    }
