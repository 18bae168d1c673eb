"""The teams of an organisation as its administrators see them: create one, fill it, say what it opens, delete it."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from hub.site.forms import Form, Option, Refusals, choice_field, name_field, posted, status_of, text_field
from hub.site.visitor import caller, person
from registry.kernel.errors import NameInvalid, NamespaceNotFound, NameTaken, QuotaExceeded, ValueInvalid
from registry.models import Team
from registry.people import accounts
from registry.people.organizations import organizations, teams

ROLES = (
    ("read", Option("read", _("sees and pulls them, private ones too."))),
    ("write", Option("write", _("pushes to them, and creates more with such names."))),
    ("admin", Option("admin", _("does that, changes their settings, and deletes them."))),
)
TYPES = (("", _("all types")), ("model", _("models")), ("dataset", _("datasets")), ("space", _("spaces")))


class NewTeam(Form):
    name = name_field(_("Name"), _("Short, as in addresses: `ner`."), placeholder="ner")
    full_name = text_field(_("Full name"), _("May stay empty."), required=False, maxlength=200)
    fields_of: ClassVar[Refusals] = {NameInvalid: "name", NameTaken: "name", ValueInvalid: "full_name"}


class TeamMember(Form):
    username = name_field(_("User name"), list="others")
    fields_of: ClassVar[Refusals] = {ValueInvalid: "username", NamespaceNotFound: "username"}


class TeamGrant(Form):
    """A pattern that a button carries."""

    pattern = name_field(
        _("Names"),
        _("`*` is any characters, `?` is one: `*` opens all repositories, `ner-*` those that begin with `ner-`."),
        placeholder="ner-*",
    )
    type = forms.CharField(label=_("Of these types"), required=False, widget=forms.Select(choices=TYPES))


class NewGrant(TeamGrant):
    role = choice_field(_("Role"), ROLES, "read")
    fields_of: ClassVar[Refusals] = {QuotaExceeded: "pattern"}

    def clean_role(self) -> Any:
        return self.cleaned_data["role"] or "read"


@require_http_methods(["GET", "POST"])
def teams_page(request: HttpRequest, ns: str) -> HttpResponse:
    """List the teams; POST creates one."""
    name = _organization(request, ns)
    rows = teams.list_teams(name, caller(request))
    form = NewTeam(posted(request))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            organization = organizations.require_administered(name, caller(request))
            made = teams.create_team(organization, given["name"], full_name=given["full_name"], by=caller(request).user)
            return redirect("team", name, made.name)
    context = {"organization": name, "teams": rows, "form": form}
    return render(request, "site/organization_teams.html", context, status=form.status)


@require_safe
def team_page(request: HttpRequest, ns: str, team: str) -> HttpResponse:
    return _page(request, _team(request, ns, team))


def add_member(request: HttpRequest, ns: str, team: str) -> HttpResponse:
    def act(row: Team, username: str) -> None:
        teams.add_member(row, accounts.get_person(username), by=caller(request).user)

    return _change(request, _team(request, ns, team), "member", TeamMember(request.POST), act)


def remove_member(request: HttpRequest, ns: str, team: str) -> HttpResponse:
    def act(row: Team, username: str) -> None:
        teams.remove_member(row, accounts.get_person(username), by=caller(request).user)

    return _change(request, _team(request, ns, team), "member", TeamMember(request.POST), act)


def set_grant(request: HttpRequest, ns: str, team: str) -> HttpResponse:
    act = partial(teams.set_grant, by=caller(request).user)
    return _change(request, _team(request, ns, team), "grant", NewGrant(request.POST), act)


def remove_grant(request: HttpRequest, ns: str, team: str) -> HttpResponse:
    act = partial(teams.remove_grant, by=caller(request).user)
    return _change(request, _team(request, ns, team), "grant", TeamGrant(request.POST), act)


def delete_team(request: HttpRequest, ns: str, team: str) -> HttpResponse:
    row = _team(request, ns, team)
    teams.delete_team(row, by=caller(request).user)
    return redirect("organization-teams", row.organization)


def _organization(request: HttpRequest, ns: str) -> str:
    person(request)
    return accounts.resolve_namespace(ns).name


def _team(request: HttpRequest, ns: str, team: str) -> Team:
    return teams.get_team(_organization(request, ns), team, caller(request))


def _change(request: HttpRequest, team: Team, kind: str, form: Form, act: Callable[..., object]) -> HttpResponse:
    """Do with the team what the form says, its fields as arguments; show the page with the form where it is refused."""
    if form.is_valid():
        with form:
            act(team, **form.cleaned_data)
            return redirect("team", team.organization, team.name)
    return _page(request, team, **{kind: form})


def _page(request: HttpRequest, team: Team, **tried: Form) -> HttpResponse:
    """Show a team with its forms; `tried` is the one that was refused."""
    inside = sorted((row.membership.user for row in team.members.all()), key=lambda user: user.username)
    others = team.organization.memberships.exclude(teams__team=team).order_by("user__username")
    forms: dict[str, Form] = {"member": TeamMember(), "grant": NewGrant(initial={"role": "read"})}
    context = {
        "organization": str(team.organization),
        "team": team,
        "members": inside,
        "others": list(others.values_list("user__username", flat=True)),
        "grants": team.grants.all(),
        "forms": forms | tried,
    }
    return render(request, "site/team.html", context, status=status_of(tried))
