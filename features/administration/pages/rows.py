"""The rows of the administration: people, organisations, adapters, what was proven, the log, undone events, switches.

Roles are given there, and people suspended.
"""

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html, format_html_join

from features.administration.pages.looking import Act, Looking, Reason, Rows
from registry import models
from registry.kernel import policy, seams, site_settings
from registry.kernel.policy import Caller
from registry.moderation import quarantine, suspension
from registry.people import accounts, sign_ins
from registry.proof.verdicts import requests
from registry.talk import dispatch


class NewRole(forms.Form):
    """The role that a person gets."""

    role = forms.ChoiceField(choices=models.User.Role.choices)


def _set_role(user: models.User, by: Caller, role: str) -> bool:
    return accounts.set_role(user, role, by=by)


def _remove_factors(user: models.User, by: Caller, *, reason: str, note: str = "") -> bool:
    return sign_ins.remove_all(user, by, reason=reason, note=note) > 0


def _acts_of_features(table: str) -> list[Act]:
    acts = [act for feature in seams.joined() for act in feature.acts]
    return [Act(name, title, Reason, verb) for of, name, title, verb in acts if of == table]


class Memberships(Rows):
    model = models.Membership
    fields = ("organization", "user", "role")


@admin.register(models.User)
class People(Looking):
    list_display = (
        "username",
        "kind",
        "full_name",
        "email",
        "role",
        "is_active",
        "departure",
        "created_at",
        "last_login",
    )
    list_filter = ("kind", "role", "is_active", "departure")
    search_fields = ("username", "full_name", "email")
    ordering = ("username",)
    fields = (
        *("username", "kind", "works_for", "full_name", "email", "role", "is_active", "departure"),
        *("created_at", "last_login", "page"),
    )
    readonly_fields = ("page",)
    inlines = (Memberships,)
    acts = (
        Act("role", "Change role", NewRole, _set_role),
        Act("factors", "Remove second factors", Reason, _remove_factors),
        Act("suspend", "Suspend", Reason, suspension.suspend),
        *_acts_of_features("User"),
        Act("unsuspend", "End suspension", Reason, suspension.unsuspend),
    )

    @admin.display(description="page")
    def page(self, user: models.User) -> str:
        return format_html('<a href="{0}">{0}</a>', user.get_absolute_url())


@admin.register(models.Organization)
class Organizations(Looking):
    list_display = ("namespace", "full_name", "people", "private_by_default", "requires_second_factor")
    search_fields = ("namespace__name", "full_name")
    list_select_related = ("namespace",)
    ordering = ("namespace__name",)
    inlines = (Memberships,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Organization]:
        rows: QuerySet[models.Organization] = super().get_queryset(request)
        return rows.annotate(people_count=Count("memberships"))

    @admin.display(description="people", ordering="people_count")
    def people(self, organization: models.Organization) -> int:
        return cast(int, organization.people_count)  # type: ignore[attr-defined]  # annotated above


class NamedLooking(Looking):
    """Rows of adapters, found by `namespace/name` too, as everybody writes it."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return super().get_search_results(request, queryset, search_term.replace("/", " "))


class Quarantined(admin.SimpleListFilter):
    title = "quarantine"
    parameter_name = "quarantined"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "quarantined"), ("no", "not quarantined")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"yes", "no"}:
            return queryset
        return queryset.filter(quarantined_at__isnull=self.value() == "no")


class Rulings(Rows):
    model = models.ModerationDecision
    fields = ("at", "action", "reason", "note", "by")
    ordering = ("-id",)


class OfValue(admin.SimpleListFilter):
    """A filter by a column with values that `lookups` knows: to find out which there are, Django reads all rows."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class State(OfValue):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, state.value) for state in models.Verdict.State]


class Kind(OfValue):
    title = parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        counted = models.CatalogueCount.objects.filter(base__isnull=True).exclude(kind="")
        return [(kind, kind) for kind in counted.order_by("kind").values_list("kind", flat=True).distinct()]


@admin.register(models.Repository)
class Adapters(NamedLooking):
    list_display = ("full_name", "type", "kind", "base", "state", "private", "quarantined_at", "updated_at", "page")
    list_filter = ("type", State, Quarantined, "private", Kind)
    search_fields = ("name", "namespace__name", "base")
    list_select_related = ("namespace",)
    ordering = ("-id",)
    fields = (
        *("full_name", "type", "page", "private", "quarantined_at", "created_by", "created_at", "updated_at"),
        *("summary", "format", "kind", "base", "task", "license", "rank", "size", "state", "downloads"),
    )
    readonly_fields = ("full_name", "page")
    inlines = (Rulings,)
    acts = (
        Act("quarantine", "Quarantine", Reason, quarantine.quarantine),
        Act("release", "Release", Reason, quarantine.release),
    )

    @admin.display(description="page")
    def page(self, repository: models.Repository) -> str:
        return format_html('<a href="{}">open</a>', repository.get_absolute_url())


def _of_revision(verb: Callable[..., bool]) -> Callable[..., bool]:
    """Return a moderator's verb on repositories as one on a single revision."""

    def act(revision: models.Revision, by: Caller, **fields: str) -> bool:
        return verb(revision.repository, by, revision=revision, **fields)

    return act


@admin.register(models.Revision)
class Revisions(NamedLooking):
    """Revisions, to find those that are held back and to release them one by one."""

    list_display = ("repository", "commit", "title", "author", "quarantined_at", "created_at", "page")
    list_filter = (Quarantined,)
    search_fields = ("repository__name", "repository__namespace__name", "oid")
    list_select_related = ("repository__namespace", "author")
    ordering = ("-id",)
    fields = ("repository", "oid", "page", "title", "author", "pushed_with", "quarantined_at", "created_at", "decided")
    readonly_fields = ("page", "decided")
    acts = (
        Act("quarantine", "Quarantine", Reason, _of_revision(quarantine.quarantine)),
        Act("release", "Release", Reason, _of_revision(quarantine.release)),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Revision]:
        rows: QuerySet[models.Revision] = super().get_queryset(request).select_related("repository__namespace__person")
        return rows

    @admin.display(description="commit")
    def commit(self, revision: models.Revision) -> str:
        return revision.oid[:12]

    @admin.display(description="page")
    def page(self, revision: models.Revision) -> str:
        return format_html('<a href="{}">open</a>', revision.get_absolute_url())

    @admin.display(description="decisions")
    def decided(self, revision: models.Revision) -> str:
        rows = [(row.at, row.action, row.reason) for row in revision.decisions.order_by("-pk")]
        return format_html_join("", "<p>{} <b>{}</b> {}</p>", rows) or "-"


class Attempts(Rows):
    model = models.Attempt
    fields = ("number", "worker", "started_at", "ended_at", "outcome")
    ordering = ("number",)


def _validate_again(verdict: models.Verdict, by: Caller) -> bool:
    return requests.again(verdict.revision, policy.require_admin(by))[1]


@admin.register(models.Verdict)
class Verdicts(NamedLooking):
    list_display = ("repository", "commit", "number", "state", "base", "attempt", "queued_at", "duration_ms")
    list_filter = ("state",)
    search_fields = ("revision__repository__name", "revision__repository__namespace__name", "revision__oid", "base")
    list_select_related = ("revision__repository__namespace",)
    ordering = ("-id",)
    fields = (
        *("repository", "commit", "number", "state", "reason", "base", "attempt", "queued_at", "started_at"),
        *("finished_at", "duration_ms", "checks"),
    )
    readonly_fields = ("repository", "commit", "checks")
    inlines = (Attempts,)
    acts = (Act("again", "Validate again", forms.Form, _validate_again),)

    @admin.display(description="repository")
    def repository(self, verdict: models.Verdict) -> str:
        return verdict.revision.repository.full_name

    @admin.display(description="commit")
    def commit(self, verdict: models.Verdict) -> str:
        return verdict.revision.oid[:12]

    @admin.display(description="checks")
    def checks(self, verdict: models.Verdict) -> str:
        rows = [(check.id, check.outcome, check.message, check.fix) for check in verdict.report.checks]
        return format_html_join("", "<p><b>{}</b> {}: {} {}</p>", rows) or "-"


@admin.register(models.Base)
class Bases(Looking):
    list_display = ("id", "revision", "license", "size", "source", "added_at")
    search_fields = ("id", "source")
    ordering = ("id",)
    fields = ("id", "revision", "sha256", "license", "size", "source", "added_at", "files", "config")


@admin.register(models.TrustedPublisher)
class TrustedPublishers(Looking):
    list_display = ("account", "full_name", "type", "issuer", "created_by", "created_at", "last_used_at")
    list_filter = ("issuer", "type")
    list_select_related = ("account", "namespace", "repository__namespace", "created_by")
    search_fields = ("account__username", "namespace__name", "name")
    ordering = ("-pk",)
    fields = ("account", "full_name", "type", "issuer", "claims", "created_by", "created_at", "last_used_at")
    readonly_fields = ("full_name",)
    acts = _acts_of_features("TrustedPublisher")


@admin.register(models.WorkerHeartbeat)
class Workers(Looking):
    list_display = ("worker", "beat_at", "problem")
    ordering = ("-beat_at",)


@admin.register(models.AuditEvent)
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
            field = forms.ChoiceField(choices=[(choice, choice) for choice in choices])
            field.label, field.initial = name.replace("_", " ").capitalize(), site_settings.get_setting(name)
            self.fields[name] = field


@admin.register(models.SiteSetting)
class SiteSettings(Looking):
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show all settings in one form, also those that still have their first value."""
        if not self.has_view_permission(request):
            raise Http404
        form = Switches(request.POST if request.method == "POST" else None)
        if form.is_valid():
            by = policy.require_admin(Caller(user=cast(models.User, request.user)))
            changed = [
                name for name, value in form.cleaned_data.items() if site_settings.change_setting(name, value, by)
            ]
            messages.success(request, f"Changed: {', '.join(changed)}." if changed else "Nothing to change.")
            return HttpResponseRedirect(self._list_url())
        explanation = "Writes follow a switch at once in every process, reads within a second."
        return self._ask(request, "Change site settings", form, explanation=explanation)


def _retry(event: models.OutboxEvent, by: Caller) -> bool:
    return dispatch.retry(event, policy.require_admin(by))


@admin.register(models.OutboxEvent)
class GivenUpEvents(Looking):
    list_display = ("id", "kind", "about", "at", "consumers", "attempts", "given_up_at")
    list_filter = ("kind",)
    ordering = ("-id",)
    fields = ("kind", "about", "at", "by", "consumers", "attempts", "given_up_at", "repository", "data")
    readonly_fields = ("about", "consumers")
    acts = (Act("retry", "Try again", forms.Form, _retry),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.OutboxEvent]:
        """Leave out the events that wait: the workers have them in hand."""
        rows: QuerySet[models.OutboxEvent, Any] = super().get_queryset(request)
        return rows.filter(given_up_at__isnull=False)

    @admin.display(description="repository")
    def about(self, event: models.OutboxEvent) -> str:
        return "{namespace}/{name}".format_map(cast(dict[str, str], event.repository)) if event.repository else "-"

    @admin.display(description="not told")
    def consumers(self, event: models.OutboxEvent) -> str:
        return ", ".join(event.pending or dispatch.consumers())
