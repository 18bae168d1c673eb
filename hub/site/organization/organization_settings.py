"""An organisation as its administrators change it: details, members, invitations, name, and its end."""

from dataclasses import replace
from typing import ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub.site.forms import (
    Choice,
    Confirm,
    Form,
    Option,
    Posts,
    Refusals,
    choice_field,
    name_field,
    status_of,
    text_field,
)
from hub.site.organization.organizations import ROLES, seen_by_field
from hub.site.visitor import caller, person
from registry.kernel import policy
from registry.kernel.errors import RegistryError, SecondFactorRequired, ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Organization
from registry.people import accounts
from registry.people.organizations import invitations, organizations
from registry.publish import moves


class OrganizationDetails(Form):
    full_name = text_field(_("Full name"), required=False, maxlength=200, autocomplete="organization")
    visibility = seen_by_field(must_answer=True)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "full_name"}


class SecondFactor(Form):
    requirement = Choice(
        label=_("Second factor"),
        must_answer=True,
        options=[
            ("optional", Option(_("Optional"), _("Members decide for themselves."))),
            (
                "required",
                Option(_("Required"), _("Without one, a role grants nothing here: no private adapters, no changes.")),
            ),
        ],
    )
    fields_of: ClassVar[Refusals] = {SecondFactorRequired: "requirement"}


class Invite(Form):
    username = name_field(_("User name"))
    role = choice_field(_("Role"), [(role, Option(role, note)) for role, note in ROLES], "write")
    fields_of: ClassVar[Refusals] = {RegistryError: "username"}


class Member(Form):
    """A name that a button carries, with the role for those that give one."""

    username = name_field(_("User name"))
    role = forms.CharField(required=False, widget=forms.HiddenInput)


class Rename(Form):
    name = name_field(
        _("Name"), _("All its repositories move with it. Old links redirect, and nobody else can take the old name.")
    )
    fields_of: ClassVar[Refusals] = {RegistryError: "name"}


DELETE_HELP = _(
    "For good, and only when it holds no repositories; its collections go with it, and nobody gets its name again. "
    "Type `{name}` to confirm."
)


@require_safe
def settings(request: HttpRequest, ns: str) -> HttpResponse:
    organization = _administered(request, ns)
    if str(organization) != ns:
        return HttpResponseRedirect(reverse("organization-settings", args=[organization]), status=307)
    return _page(request, organization)


@require_safe
def details(request: HttpRequest, ns: str) -> HttpResponse:
    return _details_page(request, _administered(request, ns))


def require_factor(request: HttpRequest, ns: str) -> HttpResponse:
    """Require a second factor of the members, or leave it to them."""
    organization = _administered(request, ns)
    form = SecondFactor(request.POST)
    if form.is_valid():
        with form:
            is_required = form.cleaned_data["requirement"] == "required"
            organizations.require_second_factor(organization, is_required, caller(request))
            if is_required:
                messages.success(request, gettext("A second factor is now required for members."))
            else:
                messages.success(request, gettext("A second factor is now optional."))
            return redirect("organization-details", organization)
    return _details_page(request, organization, factor=form)


def set_role(request: HttpRequest, ns: str) -> HttpResponse:
    """Give a member another role; an administrator of the hub adds somebody with it."""
    organization = _administered(request, ns)
    form = Member(request.POST)
    if form.is_valid():
        with form:
            given = form.cleaned_data
            invitations.add_member(str(organization), given["username"], given["role"], caller(request))
            return _after_members_changed(request, organization)
    return _page(request, organization, member=form)


def remove_member(request: HttpRequest, ns: str) -> HttpResponse:
    organization = _administered(request, ns)
    form = Member(request.POST)
    if form.is_valid():
        with form:
            organizations.remove_member(str(organization), form.cleaned_data["username"], caller(request))
            return _after_members_changed(request, organization)
    return _page(request, organization, member=form)


def delete(request: HttpRequest, ns: str) -> HttpResponse:
    organization = _administered(request, ns)
    form = _confirm(organization, request.POST)
    if form.is_valid():
        with form:
            organizations.delete_organization(str(organization), caller(request))
            messages.success(request, gettext("{name} is deleted.").format(name=ns))
            return redirect("organizations")
    return _details_page(request, organization, delete=form)


def _administered(request: HttpRequest, ns: str) -> Organization:
    person(request)
    return organizations.require_administered(accounts.resolve_namespace(ns).name, caller(request))


def _after_members_changed(request: HttpRequest, organization: Organization) -> HttpResponse:
    """Show the settings again, or the organisation's page to somebody who no longer administers it."""
    if policy.administers(Caller(user=caller(request).user), organization):
        return redirect("organization-settings", organization)
    return redirect(organization)


def _confirm(organization: Organization, data: object = None) -> Confirm:
    name = str(organization)
    return Confirm(data, label=gettext("Delete this organisation"), name=name, help_text=DELETE_HELP.format(name=name))


def _page(request: HttpRequest, organization: Organization, **tried: Form) -> HttpResponse:
    """Show the members, and the form that invites one; `tried` is the form that was refused."""
    by, name = caller(request), str(organization)
    context = {
        "organization": organization,
        "members": organizations.list_members(name, by),
        "invitations": invitations.list_sent(name, by),
        "adds": policy.is_hub_admin(by),
        "roles": [role for role, _note in ROLES],
        "forms": {"invite": Invite(), **tried},
        "welcome": "welcome" in request.GET and not tried,
    }
    return render(request, "site/organization_settings.html", context, status=status_of(tried))


def _details_page(request: HttpRequest, organization: Organization, **tried: Form) -> HttpResponse:
    """Show what concerns the whole organisation: details, second factor, name, and its end."""
    seen_by = "private" if organization.private_by_default else "public"
    requirement = "required" if organization.requires_second_factor else "optional"
    forms: dict[str, Form] = {
        "details": OrganizationDetails(initial={"full_name": organization.full_name, "visibility": seen_by}),
        "factor": SecondFactor(initial={"requirement": requirement}),
        "rename": Rename(initial={"name": str(organization)}),
        "delete": _confirm(organization),
    }
    context = {"organization": organization, "forms": forms | tried}
    return render(request, "site/organization_details.html", context, status=status_of(tried))


ADMINISTER = Posts(_administered, _page, lambda organization: redirect("organization-settings", organization))
DETAILS = replace(ADMINISTER, page=_details_page, back=lambda row: redirect("organization-details", row))
change = DETAILS.form(
    "details",
    OrganizationDetails,
    lambda organization, given, by: organizations.change_organization(
        organization, full_name=given["full_name"], private_by_default=given["visibility"] == "private", by=by.user
    ),
    done=_("Settings saved."),
)
invite = ADMINISTER.form(
    "invite",
    Invite,
    lambda organization, given, by: invitations.invite_or_add(str(organization), given["username"], given["role"], by),
)
withdraw = ADMINISTER.form(
    "member", Member, lambda organization, given, by: invitations.withdraw(str(organization), given["username"], by)
)
rename = DETAILS.form(
    "rename",
    Rename,
    lambda organization, given, by: moves.rename(str(organization), given["name"], by),
    lambda organization, renamed: redirect("organization-details", renamed),
)
