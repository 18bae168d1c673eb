"""The events that their consumers could not handle, in the administration: what they tell, and another attempt."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from registry.admin.looking import Act, Looking
from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.models import OutboxEvent
from registry.talk import dispatch


def _retry(event: OutboxEvent, by: Caller) -> bool:
    return dispatch.retry(event, policy.require_admin(by))


@admin.register(OutboxEvent)
class GivenUpEvents(Looking):
    list_display = ("id", "kind", "about", "at", "consumers", "attempts", "given_up_at")
    list_filter = ("kind",)
    ordering = ("-id",)
    fields = ("kind", "about", "at", "by", "consumers", "attempts", "given_up_at", "repository", "data")
    readonly_fields = ("about", "consumers")
    acts = (Act("retry", "Try again", forms.Form, _retry),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxEvent]:
        """Leave out the events that wait: the workers have them in hand."""
        rows: QuerySet[OutboxEvent, Any] = super().get_queryset(request)
        return rows.filter(given_up_at__isnull=False)

    @admin.display(description="repository")
    def about(self, event: OutboxEvent) -> str:
        return "{namespace}/{name}".format_map(cast(dict[str, str], event.repository)) if event.repository else "-"

    @admin.display(description="not told")
    def consumers(self, event: OutboxEvent) -> str:
        return ", ".join(event.pending or dispatch.consumers())
