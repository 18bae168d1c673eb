"""The site administration: everything can be looked at, and what can be done goes through the heart's verbs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

import django.contrib.auth.admin  # noqa: F401  # registers what is taken away below
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.contrib.auth.views import redirect_to_login
from django.db import models
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from unfold.admin import ModelAdmin, TabularInline
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from registry import ids, moderation, people, policy, site, verdicts
from registry.errors import RegistryError
from registry.models import (
    Adapter,
    Attempt,
    AuditEvent,
    Base,
    Membership,
    Organization,
    Ruling,
    SiteSetting,
    User,
    Verdict,
    WorkerHeartbeat,
)
from registry.policy import Caller

MOST_AT_ONCE = 100


# --- the way in: the website's own sign-in page, with its limits, is the only one ------------------------------------
def _sign_in(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    if request.user.is_authenticated:
        raise Http404  # somebody who is no administrator: for him there is nothing here
    return redirect_to_login(request.GET.get("next", reverse("admin:index")), "/login")


def _not_here(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    raise Http404


admin.site.login = _sign_in  # type: ignore[method-assign]  # Django documents no other way
admin.site.password_change = _not_here  # type: ignore[method-assign, assignment]  # Django has no other switch
admin.site.unregister(Group)  # what somebody may do follows from his role


# --- looking at rows, and acting on them -----------------------------------------------------------------------------
class Reason(forms.Form):
    """Why somebody does this."""

    reason = forms.CharField(
        max_length=moderation.MAX_REASON,
        widget=UnfoldAdminTextInputWidget,
        help_text="One sentence. The owners and the log show it.",
    )
    note = forms.CharField(
        max_length=moderation.MAX_NOTE,
        required=False,
        widget=UnfoldAdminTextareaWidget,
        help_text="For moderators only: evidence, links, who reported it.",
    )


class NewRole(forms.Form):
    """Which role somebody gets."""

    role = forms.ChoiceField(choices=User.Role.choices, widget=UnfoldAdminSelectWidget)


@dataclass(frozen=True)
class Act:
    """Something an administrator does to chosen rows, after a page that asks for what `form` asks for.

    `verb` takes a row, the caller and the form's fields, says whether anything changed, and writes the log.
    """

    name: str
    title: str
    form: type[forms.Form]
    verb: Callable[..., bool]


class Looking(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Shows rows; nothing is added, edited or deleted, only acted on through `acts`."""

    acts: Sequence[Act] = ()
    list_per_page = 50
    show_full_result_count = False

    def __init__(self, model: type[models.Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        for act in self.acts:  # unfold finds the buttons of a row's page as methods by name
            setattr(self, act.name, self._button(act))
        self.actions_detail = [act.name for act in self.acts]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer each act for the rows that are ticked; the question comes on a page of its own."""
        return {
            act.name: (
                lambda _, request, rows, name=act.name: self._question(name, rows.values_list("pk", flat=True)),
                act.name,
                f"{act.title} …",
            )
            for act in self.acts
        }

    def get_urls(self) -> list[URLPattern]:
        views = [path(f"act/{act.name}/", self.admin_site.admin_view(self._view(act))) for act in self.acts]
        return views + cast(list[URLPattern], super().get_urls())

    def _button(self, act: Act) -> Callable[[HttpRequest, str], HttpResponse]:
        def button(request: HttpRequest, object_id: str) -> HttpResponse:
            return self._question(act.name, [object_id])

        # What unfold's own decorator would set.
        vars(button).update(short_description=f"{act.title} …", attrs={}, variant=ActionVariant.DEFAULT)
        return button

    def _question(self, name: str, rows: Iterable[object]) -> HttpResponse:
        query = urlencode([("id", one) for one in rows][:MOST_AT_ONCE])
        return HttpResponseRedirect(f"{self._list_url()}act/{name}/?{query}")

    def history_view(self, request: HttpRequest, object_id: str, extra_context: object = None) -> HttpResponse:
        """What happened to a row is in our own log; nothing is written to Django's."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return HttpResponseRedirect(f"{reverse('admin:registry_auditevent_changelist')}?{urlencode({'q': row})}")

    def _list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def _view(self, act: Act) -> Callable[[HttpRequest], HttpResponse]:
        def view(request: HttpRequest) -> HttpResponse:
            asked = [ids.row(one) for one in (request.POST or request.GET).getlist("id")]
            chosen = list(self.get_queryset(request).filter(pk__in=asked))
            form = act.form(request.POST if request.method == "POST" else None)
            if not chosen:
                raise Http404
            if form.is_valid():
                for row in chosen:
                    self._do(act, row, request, form.cleaned_data)
                return HttpResponseRedirect(self._list_url())
            return self._ask(request, act.title, form, chosen=chosen)

        return view

    def _ask(self, request: HttpRequest, title: str, form: forms.Form, **more: object) -> HttpResponse:
        shown = self.admin_site.each_context(request) | {"opts": self.opts, "title": title, "form": form, **more}
        return render(request, "admin/registry/act.html", shown | {"back": self._list_url()})

    def _do(self, act: Act, row: models.Model, request: HttpRequest, fields: dict[str, str]) -> None:
        try:
            changed = act.verb(row, Caller(user=cast(User, request.user)), **fields)
        except RegistryError as refusal:
            messages.error(request, f"{row}: {refusal.detail} {refusal.fix}")
        else:
            messages.success(request, f"{act.title}: {row}{'' if changed else ' needed nothing'}.")


class NamedLooking(Looking):
    """Rows of adapters, found by `namespace/name` too, as everybody writes it."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found = super().get_search_results(request, queryset, search_term.replace("/", " "))
        return cast(tuple[QuerySet[Any], bool], found)


class Rows(TabularInline):  # type: ignore[misc]  # unfold has no types
    """Rows that belong to the one on the page, to look at."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


# --- people ----------------------------------------------------------------------------------------------------------
class Memberships(Rows):
    model = Membership
    fields = ("organization", "user", "role")


@admin.register(User)
class People(Looking):
    list_display = ("username", "full_name", "email", "role", "is_active", "created_at", "last_login")
    list_filter = ("role", "is_active")
    search_fields = ("username", "full_name", "email")
    ordering = ("username",)
    fields = ("username", "full_name", "email", "role", "is_active", "created_at", "last_login", "page")
    readonly_fields = ("page",)
    inlines = (Memberships,)
    acts = (
        Act("role", "Change role", NewRole, lambda user, by, role: people.set_role(user, role, by=by)),
        Act("suspend", "Suspend", Reason, moderation.suspend),
        Act("unsuspend", "End suspension", Reason, moderation.unsuspend),
    )

    @admin.display(description="page")
    def page(self, user: User) -> str:
        return format_html('<a href="/{0}">/{0}</a>', user.username)


@admin.register(Organization)
class Organizations(Looking):
    list_display = ("namespace", "full_name", "people", "private_by_default")
    search_fields = ("namespace__name", "full_name")
    list_select_related = ("namespace",)
    ordering = ("namespace__name",)
    inlines = (Memberships,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        return cast(QuerySet[Organization], super().get_queryset(request)).annotate(people_count=Count("memberships"))

    @admin.display(description="people", ordering="people_count")
    def people(self, organization: Organization) -> int:
        return cast(int, organization.people_count)  # type: ignore[attr-defined]  # annotated above


# --- adapters and what was proven about them -------------------------------------------------------------------------
class Quarantined(admin.SimpleListFilter):
    title = "quarantine"
    parameter_name = "quarantined"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "quarantined"), ("no", "not quarantined")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Adapter]) -> QuerySet[Adapter]:
        if self.value() not in {"yes", "no"}:
            return queryset
        return queryset.filter(quarantined_at__isnull=self.value() == "no")


class Rulings(Rows):
    model = Ruling
    fields = ("at", "action", "reason", "note", "by")
    ordering = ("-id",)


@admin.register(Adapter)
class Adapters(NamedLooking):
    list_display = ("full_name", "type", "kind", "base", "state", "private", "quarantined_at", "updated_at", "page")
    list_filter = ("type", "state", Quarantined, "private", "kind")
    search_fields = ("name", "namespace__name", "base")
    list_select_related = ("namespace",)
    ordering = ("-updated_at", "-id")
    fields = (
        "full_name", "type", "page", "private", "quarantined_at", "created_by", "created_at", "updated_at", "summary",
        "format", "kind", "base", "task", "licence", "rank", "size", "state", "downloads",
    )  # fmt: skip
    readonly_fields = ("full_name", "page")
    inlines = (Rulings,)
    acts = (
        Act("quarantine", "Quarantine", Reason, moderation.quarantine),
        Act("release", "Release", Reason, moderation.release),
    )

    @admin.display(description="page")
    def page(self, adapter: Adapter) -> str:
        return format_html('<a href="{}">open</a>', adapter.path)


class Attempts(Rows):
    model = Attempt
    fields = ("number", "worker", "started_at", "ended_at", "outcome")
    ordering = ("number",)


def _validate_again(verdict: Verdict, by: Caller) -> bool:
    return verdicts.again(verdict.revision, policy.require_admin(by))[1]


@admin.register(Verdict)
class Verdicts(NamedLooking):
    list_display = ("adapter", "commit", "number", "state", "base", "attempt", "queued_at", "duration_ms")
    list_filter = ("state",)
    search_fields = ("revision__adapter__name", "revision__adapter__namespace__name", "revision__oid", "base")
    list_select_related = ("revision__adapter__namespace",)
    ordering = ("-id",)
    fields = (
        "adapter", "commit", "number", "state", "reason", "base", "attempt", "queued_at", "started_at", "finished_at",
        "duration_ms", "checks",
    )  # fmt: skip
    readonly_fields = ("adapter", "commit", "checks")
    inlines = (Attempts,)
    acts = (Act("again", "Validate again", forms.Form, _validate_again),)

    @admin.display(description="adapter")
    def adapter(self, verdict: Verdict) -> str:
        return verdict.revision.adapter.full_name

    @admin.display(description="commit")
    def commit(self, verdict: Verdict) -> str:
        return verdict.revision.oid[:12]

    @admin.display(description="checks")
    def checks(self, verdict: Verdict) -> str:
        rows = [
            [str(check.get(key, "")) for key in ("id", "outcome", "message", "fix")]
            for check in verdict.result.get("checks", [])
        ]
        return format_html_join("", "<p><b>{}</b> {}: {} {}</p>", rows) or "-"


@admin.register(Base)
class Bases(Looking):
    list_display = ("id", "revision", "licence", "size", "source", "added_at")
    search_fields = ("id", "source")
    ordering = ("id",)
    fields = ("id", "revision", "sha256", "licence", "size", "source", "added_at", "files", "config")


@admin.register(WorkerHeartbeat)
class Workers(Looking):
    list_display = ("worker", "beat_at", "problem")
    ordering = ("-beat_at",)


# --- the log and the switches ----------------------------------------------------------------------------------------
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
        for name, choices in site.CHOICES.items():
            field = forms.ChoiceField(choices=[(choice, choice) for choice in choices], widget=UnfoldAdminSelectWidget)
            field.label, field.initial = name.replace("_", " ").capitalize(), site.value(name)
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
            changed = [name for name, value in form.cleaned_data.items() if site.change(name, value, by)]
            messages.success(request, f"Changed: {', '.join(changed)}." if changed else "Nothing to change.")
            return HttpResponseRedirect(self._list_url())
        explanation = f"Every process of the hub follows within {site.FOLLOW_SECONDS * 2:.0f} seconds."
        return self._ask(request, "Change site settings", form, explanation=explanation)
