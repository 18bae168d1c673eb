"""People and organisations in the administration: roles are given there, and people suspended."""

from typing import cast

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminSelectWidget

from registry.admin.looking import Act, Looking, Reason, Rows
from registry.kernel.policy import Caller
from registry.models import Membership, Organization, User
from registry.moderation.strikes import suspension
from registry.people import accounts, second_factors
from registry.people.organizations import robots


class NewRole(forms.Form):
    """The role that a person gets."""

    role = forms.ChoiceField(choices=User.Role.choices, widget=UnfoldAdminSelectWidget)


def _set_role(user: User, by: Caller, role: str) -> bool:
    return accounts.set_role(user, role, by=by)


def _remove_factors(user: User, by: Caller, *, reason: str, note: str = "") -> bool:
    return second_factors.remove_all(user, by, reason=reason, note=note) > 0


def _disable_robot(user: User, by: Caller, *, reason: str, note: str = "") -> bool:
    return robots.disable(user, by, reason=reason, note=note)


class Memberships(Rows):
    model = Membership
    fields = ("organization", "user", "role")


@admin.register(User)
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
        "username", "kind", "works_for", "full_name", "email", "role", "is_active", "departure", "created_at",
        "last_login", "page",
    )  # fmt: skip
    readonly_fields = ("page",)
    inlines = (Memberships,)
    acts = (
        Act("role", "Change role", NewRole, _set_role, needs_recent_proof=True),
        Act("factors", "Remove second factors", Reason, _remove_factors, needs_recent_proof=True),
        Act("suspend", "Suspend", Reason, suspension.suspend),
        Act("disable", "Disable robot", Reason, _disable_robot),
        Act("unsuspend", "End suspension", Reason, suspension.unsuspend),
    )

    @admin.display(description="page")
    def page(self, user: User) -> str:
        return format_html('<a href="{0}">{0}</a>', user.get_absolute_url())


@admin.register(Organization)
class Organizations(Looking):
    list_display = ("namespace", "full_name", "people", "private_by_default", "requires_second_factor")
    search_fields = ("namespace__name", "full_name")
    list_select_related = ("namespace",)
    ordering = ("namespace__name",)
    inlines = (Memberships,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        return cast(QuerySet[Organization], super().get_queryset(request)).annotate(people_count=Count("memberships"))

    @admin.display(description="people", ordering="people_count")
    def people(self, organization: Organization) -> int:
        return cast(int, organization.people_count)  # type: ignore[attr-defined]  # annotated above
