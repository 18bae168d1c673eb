"""Adapters in the administration, and what was proven about them: verdicts, bases, workers."""

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from registry.admin.looking import Act, Looking, Reason, Rows
from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.models import Attempt, Base, ModerationDecision, Repository, Revision, Verdict, WorkerHeartbeat
from registry.moderation import quarantine
from registry.proof import verdicts


class NamedLooking(Looking):
    """Rows of adapters, found by `namespace/name` too, as everybody writes it."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        results = super().get_search_results(request, queryset, search_term.replace("/", " "))
        return cast(tuple[QuerySet[Any], bool], results)


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
    model = ModerationDecision
    fields = ("at", "action", "reason", "note", "by")
    ordering = ("-id",)


@admin.register(Repository)
class Adapters(NamedLooking):
    list_display = ("full_name", "type", "kind", "base", "state", "private", "quarantined_at", "updated_at", "page")
    list_filter = ("type", "state", Quarantined, "private", "kind")
    search_fields = ("name", "namespace__name", "base")
    list_select_related = ("namespace",)
    ordering = ("-updated_at", "-id")
    fields = (
        "full_name", "type", "page", "private", "quarantined_at", "created_by", "created_at", "updated_at", "summary",
        "format", "kind", "base", "task", "license", "rank", "size", "state", "downloads",
    )  # fmt: skip
    readonly_fields = ("full_name", "page")
    inlines = (Rulings,)
    acts = (
        Act("quarantine", "Quarantine", Reason, quarantine.quarantine),
        Act("release", "Release", Reason, quarantine.release),
    )

    @admin.display(description="page")
    def page(self, repository: Repository) -> str:
        return format_html('<a href="{}">open</a>', repository.get_absolute_url())


def _of_revision(verb: Callable[..., bool]) -> Callable[..., bool]:
    """Return a moderator's verb on repositories as one on a single revision."""

    def act(revision: Revision, by: Caller, **fields: str) -> bool:
        return verb(revision.repository, by, revision=revision, **fields)

    return act


@admin.register(Revision)
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[Revision]:
        rows: QuerySet[Revision] = super().get_queryset(request).select_related("repository__namespace__person")
        return rows

    @admin.display(description="commit")
    def commit(self, revision: Revision) -> str:
        return revision.oid[:12]

    @admin.display(description="page")
    def page(self, revision: Revision) -> str:
        return format_html('<a href="{}">open</a>', revision.get_absolute_url())

    @admin.display(description="decisions")
    def decided(self, revision: Revision) -> str:
        rows = [(row.at, row.action, row.reason) for row in revision.decisions.order_by("-pk")]
        return format_html_join("", "<p>{} <b>{}</b> {}</p>", rows) or "-"


class Attempts(Rows):
    model = Attempt
    fields = ("number", "worker", "started_at", "ended_at", "outcome")
    ordering = ("number",)


def _validate_again(verdict: Verdict, by: Caller) -> bool:
    return verdicts.again(verdict.revision, policy.require_admin(by))[1]


@admin.register(Verdict)
class Verdicts(NamedLooking):
    list_display = ("repository", "commit", "number", "state", "base", "attempt", "queued_at", "duration_ms")
    list_filter = ("state",)
    search_fields = ("revision__repository__name", "revision__repository__namespace__name", "revision__oid", "base")
    list_select_related = ("revision__repository__namespace",)
    ordering = ("-id",)
    fields = (
        "repository", "commit", "number", "state", "reason", "base", "attempt", "queued_at", "started_at",
        "finished_at", "duration_ms", "checks",
    )  # fmt: skip
    readonly_fields = ("repository", "commit", "checks")
    inlines = (Attempts,)
    acts = (Act("again", "Validate again", forms.Form, _validate_again),)

    @admin.display(description="repository")
    def repository(self, verdict: Verdict) -> str:
        return verdict.revision.repository.full_name

    @admin.display(description="commit")
    def commit(self, verdict: Verdict) -> str:
        return verdict.revision.oid[:12]

    @admin.display(description="checks")
    def checks(self, verdict: Verdict) -> str:
        rows = [(check.id, check.outcome, check.message, check.fix) for check in verdict.report.checks]
        return format_html_join("", "<p><b>{}</b> {}: {} {}</p>", rows) or "-"


@admin.register(Base)
class Bases(Looking):
    list_display = ("id", "revision", "license", "size", "source", "added_at")
    search_fields = ("id", "source")
    ordering = ("id",)
    fields = ("id", "revision", "sha256", "license", "size", "source", "added_at", "files", "config")


@admin.register(WorkerHeartbeat)
class Workers(Looking):
    list_display = ("worker", "beat_at", "problem")
    ordering = ("-beat_at",)
