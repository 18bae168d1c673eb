"""The teams of an organisation as its administrators see them: create one, fill it, say what it opens, delete it."""

from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from hub.site import routing
from hub.site.forms import Form, Option, Posts, Refusals, choice_field, name_field, posted, status_of, text_field
from hub.site.panels import Link, Pages, Panel
from hub.site.sign_in.sessions import needs_recent_authentication as recent
from hub.site.visitor import caller, person
from registry.kernel.errors import NameInvalid, NamespaceNotFound, NameTaken, QuotaExceeded, ValueInvalid
from registry.models import Team
from registry.people import accounts
from registry.people.organizations import organizations, teams

ROLES = (
    ("read", Option("read", _("sees and pulls them, including private ones."))),
    ("write", Option("write", _("pushes to them, and creates more with such names."))),
    ("admin", Option("admin", _("does that, changes their settings, and deletes them."))),
)
TYPES = (("", _("all types")), ("model", _("models")), ("dataset", _("datasets")), ("space", _("spaces")))


class NewTeam(Form):
    name = name_field(_("Name"), _("Short, as in addresses: `ner`."), placeholder="ner")
    full_name = text_field(_("Full name"), _("Optional."), required=False, maxlength=200)
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
    return render(request, "teams/teams.html", context, status=form.status)


@require_safe
def team_page(request: HttpRequest, ns: str, team: str) -> HttpResponse:
    return _page(request, _team(request, ns, team))


def _organization(request: HttpRequest, ns: str) -> str:
    person(request)
    return accounts.resolve_namespace(ns).name


def _team(request: HttpRequest, ns: str, team: str) -> Team:
    return teams.get_team(_organization(request, ns), team, caller(request))


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
    return render(request, "teams/team.html", context, status=status_of(tried))


TEAM = Posts(_team, _page, lambda team: redirect("team", team.organization, team.name))
add_member = TEAM.form(
    "member",
    TeamMember,
    lambda team, given, by: teams.add_member(team, accounts.get_person(given["username"]), by=by.user),
)
remove_member = TEAM.form(
    "member",
    TeamMember,
    lambda team, given, by: teams.remove_member(team, accounts.get_person(given["username"]), by=by.user),
)
set_grant = TEAM.form("grant", NewGrant, lambda team, given, by: teams.set_grant(team, **given, by=by.user))
remove_grant = TEAM.form("grant", TeamGrant, lambda team, given, by: teams.remove_grant(team, **given, by=by.user))
delete_team = TEAM.button(
    lambda team, by: teams.delete_team(team, by=by.user),
    lambda team, _nothing: redirect("organization-teams", team.organization),
)

TEAMS = "organizations/<str:ns>/settings/teams"
PAGES = Pages(
    routes=[
        routing.at(TEAMS, teams_page, "organization-teams"),
        routing.at(f"{TEAMS}/<str:team>", team_page, "team"),
        *routing.forms(
            "team",
            f"{TEAMS}/<str:team>",
            ("members/add", recent(add_member), "add-team-member"),
            ("members/remove", remove_member, "remove-team-member"),
            ("grants/set", recent(set_grant), "set-team-grant"),
            ("grants/remove", remove_grant, "remove-team-grant"),
            ("delete", delete_team, "delete-team"),
        ),
    ],
    links=(Link("organization", "organization-teams", _("Teams"), place=20),),
    panels=(Panel("member", "teams/of_member.html", lambda page: {} if page["member"].teams.all() else None),),
)
