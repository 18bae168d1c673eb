"""The limits that administrators set for one person or organisation, over REST, in a session."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.people import quotas as shapes
from registry.kernel.limits import usage
from registry.kernel.limits.usage import Usage
from registry.kernel.texts import cursors
from registry.models import NamespaceQuota
from registry.people import accounts, quotas

RESET = "Back to the limits of the hub."


class Quotas(View):
    @extend_schema(
        operation_id="quotas", summary="Limits that were set for one owner, newest first", parameters=[pages.Paging],
        responses=shapes.QuotaPage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        self.require_administrator()
        asked = pages.parameters(request, pages.Paging)
        below, limit = cursors.row_id(asked.pop("cursor", "")), asked.pop("limit")
        rows = cursors.newest_first(quotas.listed().order_by(), below, limit)
        return Response(
            pages.page(request, [_line(row, held) for row, held in usage.usage_of_each(rows.items)], rows.next)
        )


class OneQuota(View):
    @extend_schema(operation_id="quota", summary="The limits and the use of one owner", responses=shapes.Quota)
    def get(self, request: Request, ns: str) -> Response:
        self.require_administrator()
        return Response(_of(ns))

    @extend_schema(
        operation_id="set_quota", summary="Set the limits of one person or organisation",
        description="Its owners get a notification with the reason.", request=shapes.NewQuota, responses=shapes.Quota,
    )  # fmt: skip
    def put(self, request: Request, ns: str) -> Response:
        self.require_administrator()
        wish = pages.body(request, shapes.NewQuota)
        quotas.change(ns, self.caller, **wish)
        return Response(_of(ns))

    @extend_schema(
        operation_id="reset_quota", summary="Go back to the limits of the hub", responses={200: shapes.Quota}
    )
    def delete(self, request: Request, ns: str) -> Response:
        self.require_administrator()
        quotas.change(ns, self.caller, bytes=None, repositories=None, reason=RESET)
        return Response(_of(ns))


def _of(name: str) -> Data:
    namespace = accounts.resolve_namespace(name)
    return _line(quotas.own_limits(namespace), usage.usage_of(namespace))


def _line(row: NamespaceQuota, held: Usage) -> Data:
    return {
        "name": row.namespace.name,
        "kind": row.namespace.kind,
        "set": {"bytes": row.bytes, "repositories": row.repositories},
        "limit": held.limit or None,
        "repository_limit": held.repository_limit or None,
        "bytes": held.bytes,
        "repositories": held.repositories,
        "reason": row.reason,
        "by": row.by,
        "at": row.at if row.pk else None,
    }
