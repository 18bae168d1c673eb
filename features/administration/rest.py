"""The limits of one owner over REST, for administrators of the hub."""

from typing import Annotated

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf, Page, Time
from hub.api import pages
from hub.api.pages import Data, Text, WholeNumber
from hub.api.records import of_row, operation, text_of
from hub.api.views import View
from registry.kernel import quotas
from registry.kernel.texts import cursors
from registry.models import NamespaceQuota
from registry.people import accounts, quota_limits

QUOTA_RESET = "Back to the limits of the hub."
HUBS_OWN = "null: the hub's own limit; 0: no limit"


class NewQuota(s.Serializer[Data]):
    bytes = WholeNumber(required=False, default=None, allow_null=True, help_text=HUBS_OWN)
    repositories = WholeNumber(required=False, default=None, allow_null=True, help_text=HUBS_OWN)
    reason = Text(max_length=300, help_text="its owners read it")


class SetLimits(Answer):
    bytes: Annotated[int | None, HUBS_OWN]
    repositories: Annotated[int | None, HUBS_OWN]


class Quota(Answer):
    name: str
    kind: Annotated[str, OneOf("person", "organization")]
    set: Annotated[SetLimits, "what administrators set"]
    limit: Annotated[int | None, "bytes, in force; null: no limit"]
    repository_limit: Annotated[int | None, "in force; null: no limit"]
    bytes: Annotated[int, "held, those in the bin too"]
    repositories: Annotated[int, "how many, those in the bin too"]
    reason: str
    by: Annotated[str, "the administrator; empty: the operator, or nobody"]
    at: Time | None


class Quotas(View):
    @operation("quotas", query=pages.Paging, callers="session")
    def get(self, request: Request) -> Page[Quota]:
        """Limits that were set for one owner, newest first."""
        self.require_administrator()
        asked = pages.parameters(request, pages.Paging)
        below, limit = cursors.row_id(asked.pop("cursor", "")), asked.pop("limit")
        rows = cursors.newest_first(quota_limits.listed().order_by(), below, limit)
        return pages.page(
            request, [_quota_line(row, held) for row, held in quotas.usage_of_each(rows.items)], rows.next
        )


class OneQuota(View):
    @operation("quota", callers="session")
    def get(self, request: Request, ns: str) -> Quota:
        """The limits and the use of one owner."""
        self.require_administrator()
        return _quota_of(ns)

    @operation("set_quota", body=NewQuota, callers="session")
    def put(self, request: Request, ns: str) -> Quota:
        """Set the limits of one person or organisation.

        Its owners get a notification with the reason.
        """
        self.require_administrator()
        wish = pages.body(request, NewQuota)
        quota_limits.change(ns, self.caller, **wish)
        return _quota_of(ns)

    @operation("reset_quota", callers="session")
    def delete(self, request: Request, ns: str) -> Quota:
        """Go back to the limits of the hub."""
        self.require_administrator()
        quota_limits.change(ns, self.caller, bytes=None, repositories=None, reason=QUOTA_RESET)
        return _quota_of(ns)


def _quota_of(name: str) -> Quota:
    namespace = accounts.resolve_namespace(name)
    return _quota_line(quota_limits.own_limits(namespace), quotas.usage_of(namespace))


def _quota_line(row: NamespaceQuota, held: quotas.Usage) -> Quota:
    return Quota(
        name=row.namespace.name,
        kind=row.namespace.kind,
        set=of_row(SetLimits, row),
        limit=held.limit or None,
        repository_limit=held.repository_limit or None,
        bytes=held.bytes,
        repositories=held.repositories,
        reason=row.reason,
        by=row.by,
        at=text_of(row.at) if row.pk else None,
    )


REST = [
    path("quotas", Quotas.as_view(), name="rest-quotas"),
    path("quotas/<str:ns>", OneQuota.as_view(), name="rest-quota"),
]
