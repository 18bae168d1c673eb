"""Trusted publishers in the administration: administrators of the hub end the trust in one."""

from django.contrib import admin

from features.publishers import verbs
from registry.admin.looking import Act, Looking, Reason
from registry.kernel.policy import Caller
from registry.models import TrustedPublisher


def _end_trust(publisher: TrustedPublisher, by: Caller, *, reason: str, note: str = "") -> bool:
    return verbs.disable(publisher, by, reason=reason, note=note)


@admin.register(TrustedPublisher)
class TrustedPublishers(Looking):
    list_display = ("account", "full_name", "type", "issuer", "created_by", "created_at", "last_used_at")
    list_filter = ("issuer", "type")
    list_select_related = ("account", "namespace", "repository__namespace", "created_by")
    search_fields = ("account__username", "namespace__name", "name")
    ordering = ("-pk",)
    fields = ("account", "full_name", "type", "issuer", "claims", "created_by", "created_at", "last_used_at")
    readonly_fields = ("full_name",)
    acts = (Act("end", "End trust", Reason, _end_trust),)
