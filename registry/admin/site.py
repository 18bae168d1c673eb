"""The log of privileged acts, events that their consumers could not handle, and the switches of the site, as pages."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.widgets import UnfoldAdminSelectWidget

from registry.admin.looking import Act, Looking
from registry.kernel import policy, site_settings
from registry.kernel.policy import Caller
from registry.models import AuditEvent, OutboxEvent, SiteSetting, User
from registry.talk import dispatch


@admin.register(AuditEvent)
class Log(Looking):
    list_display = ("at", "actor", "action", "object", "reason", "request_id")
    list_filter = ("action",)
    search_fields = ("actor", "object", "reason", "request_id")
    date_hierarchy = "at"
    ordering = ("-id",)


class Switches(forms.Form):
    """The settings of the site, each with its choices."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, choices in site_settings.CHOICES.items():
            field = forms.ChoiceField(choices=[(choice, choice) for choice in choices], widget=UnfoldAdminSelectWidget)
            field.label, field.initial = name.replace("_", " ").capitalize(), site_settings.get_setting(name)
            self.fields[name] = field


@admin.register(SiteSetting)
class SiteSettings(Looking):
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show all settings in one form, also those that still have their first value."""
        if not self.has_view_permission(request):
            raise Http404
        form = Switches(request.POST if request.method == "POST" else None)
        if form.is_valid():
            by = policy.require_admin(Caller(user=cast(User, request.user)))
            changed = [
                name for name, value in form.cleaned_data.items() if site_settings.change_setting(name, value, by)
            ]
            messages.success(request, f"Changed: {', '.join(changed)}." if changed else "Nothing to change.")
            return HttpResponseRedirect(self._list_url())
        explanation = f"Every process of the hub follows within {site_settings.FOLLOW_SECONDS * 2:.0f} seconds."
        return self._ask(request, "Change site settings", form, explanation=explanation)


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
