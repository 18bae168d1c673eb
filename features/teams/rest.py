"""Teams over REST: create and delete them, put members of the organisation in, and open repositories to them."""

from typing import Annotated

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf, Page
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from registry import models
from registry.people import accounts
from registry.people.organizations import organizations, teams

GRANT_ROLES = models.TeamGrant.Role


class NewTeam(s.Serializer[Data]):
    name = Text(max_length=96)
    full_name = Text(required=False, allow_blank=True, default="", max_length=200)


class NewGrant(s.Serializer[Data]):
    role = s.ChoiceField(choices=GRANT_ROLES.choices)


class Grant(Answer):
    """A role in the repositories of the organisation whose names match."""

    pattern: Annotated[str, "* is any characters, ? is one"]
    type: Annotated[str, OneOf("any", *models.Repository.Type.values)]
    role: Annotated[str, OneOf(*GRANT_ROLES.values)]


class Team(Answer):
    name: str
    full_name: str
    members: Annotated[tuple[str, ...], "their user names"]
    grants: tuple[Grant, ...]


class Teams(View):
    @operation("teams")
    def get(self, request: Request, org: str) -> Page[Team]:
        """An organisation's teams."""
        return pages.page(request, map(_shown_team, teams.list_teams(org, self.caller)))

    @operation("create_team", body=NewTeam, status=201, example={"name": "ner", "full_name": "Entities"})
    def post(self, request: Request, org: str) -> Team:
        """Create a team."""
        organization = organizations.require_administered(org, self.caller)
        given = pages.body(request, NewTeam)
        team = teams.create_team(organization, given["name"], full_name=given["full_name"], by=self.caller.user)
        return _shown_team(team)


class OneTeam(View):
    @operation("team")
    def get(self, request: Request, org: str, team: str) -> Team:
        """A team."""
        return _shown_team(teams.get_team(org, team, self.caller, writing=False))

    @operation("delete_team")
    def delete(self, request: Request, org: str, team: str) -> None:
        """Delete a team.

        Its members stay in the organisation.
        """
        teams.delete_team(teams.get_team(org, team, self.caller), by=self.caller.user)


class TeamMember(View):
    @operation("put_team_member")
    def put(self, request: Request, org: str, team: str, user: str) -> Team:
        """Put a member of the organisation into a team."""
        row = teams.get_team(org, team, self.caller)
        pages.body(request)
        teams.add_member(row, accounts.get_person(user), by=self.caller.user)
        return _shown_team(teams.get_team(org, team, self.caller))

    @operation("drop_team_member")
    def delete(self, request: Request, org: str, team: str, user: str) -> None:
        """Take a person out of a team."""
        row = teams.get_team(org, team, self.caller)
        teams.remove_member(row, accounts.get_person(user), by=self.caller.user)


class TeamGrant(View):
    @operation("put_team_grant", body=NewGrant, example={"role": "write"})
    def put(self, request: Request, org: str, team: str, type: str, pattern: str) -> Team:
        """Give a team a role in repositories, by a pattern of their names.

        `type` is any, model, dataset or space.
        """
        row = teams.get_team(org, team, self.caller)
        wish = pages.body(request, NewGrant)
        teams.set_grant(row, pattern, wish["role"], type=_grant_type(type), by=self.caller.user)
        return _shown_team(teams.get_team(org, team, self.caller))

    @operation("drop_team_grant")
    def delete(self, request: Request, org: str, team: str, type: str, pattern: str) -> None:
        """Take a team's role by this pattern."""
        teams.remove_grant(teams.get_team(org, team, self.caller), pattern, type=_grant_type(type), by=self.caller.user)


def _grant_type(word: str) -> str:
    return "" if word == "any" else word


def _shown_team(team: models.Team) -> Team:
    members = tuple(sorted(member.membership.user.username for member in team.members.all()))
    return of_row(Team, team, members=members, grants=tuple(Grant(**teams.describe(one)) for one in team.grants.all()))


TEAM = "organizations/<str:org>/teams/<str:team>"
REST = [
    path("organizations/<str:org>/teams", Teams.as_view(), name="rest-teams"),
    path(TEAM, OneTeam.as_view(), name="rest-team"),
    path(f"{TEAM}/members/<str:user>", TeamMember.as_view(asks_for_proof=True), name="rest-team-member"),
    path(f"{TEAM}/grants/<str:type>/<str:pattern>", TeamGrant.as_view(asks_for_proof=True), name="rest-team-grant"),
]
