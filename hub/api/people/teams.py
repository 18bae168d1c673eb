"""The teams of an organisation: who is in them, and which repositories they open."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.people import teams as shapes
from registry.models import Team
from registry.people import accounts
from registry.people.organizations import organizations, teams


class Teams(View):
    @extend_schema(operation_id="teams", summary="An organisation's teams", responses=shapes.TeamPage)
    def get(self, request: Request, org: str) -> Response:
        return Response({"items": [_shown(team) for team in teams.list_teams(org, self.caller)], "next": None})

    @extend_schema(
        operation_id="create_team", summary="Create a team", request=shapes.NewTeam, responses={201: shapes.Team}
    )
    def post(self, request: Request, org: str) -> Response:
        organization = organizations.require_administered(org, self.caller)
        given = pages.body(request, shapes.NewTeam)
        team = teams.create_team(organization, given["name"], full_name=given["full_name"], by=self.caller.user)
        return Response(_shown(team), status.HTTP_201_CREATED)


class OneTeam(View):
    @extend_schema(operation_id="team", summary="A team", responses=shapes.Team)
    def get(self, request: Request, org: str, team: str) -> Response:
        return Response(_shown(teams.get_team(org, team, self.caller, writing=False)))

    @extend_schema(
        operation_id="delete_team", summary="Delete a team",
        description="Its members stay in the organisation.", responses={204: None},
    )  # fmt: skip
    def delete(self, request: Request, org: str, team: str) -> Response:
        teams.delete_team(teams.get_team(org, team, self.caller), by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class TeamMember(View):
    @extend_schema(
        operation_id="put_team_member", summary="Put a member of the organisation into a team",
        request=None, responses=shapes.Team,
    )  # fmt: skip
    def put(self, request: Request, org: str, team: str, user: str) -> Response:
        row = teams.get_team(org, team, self.caller)
        pages.body(request)
        teams.add_member(row, accounts.get_person(user), by=self.caller.user)
        return Response(_shown(teams.get_team(org, team, self.caller)))

    @extend_schema(operation_id="drop_team_member", summary="Take a person out of a team", responses={204: None})
    def delete(self, request: Request, org: str, team: str, user: str) -> Response:
        row = teams.get_team(org, team, self.caller)
        teams.remove_member(row, accounts.get_person(user), by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class TeamGrant(View):
    @extend_schema(
        operation_id="put_team_grant", summary="Give a team a role in repositories, by a pattern of their names",
        description="`type` is any, model, dataset or space.", request=shapes.NewGrant, responses=shapes.Team,
    )  # fmt: skip
    def put(self, request: Request, org: str, team: str, type: str, pattern: str) -> Response:
        row = teams.get_team(org, team, self.caller)
        wish = pages.body(request, shapes.NewGrant)
        teams.set_grant(row, pattern, wish["role"], type=_type(type), by=self.caller.user)
        return Response(_shown(teams.get_team(org, team, self.caller)))

    @extend_schema(operation_id="drop_team_grant", summary="Take a team's role by this pattern", responses={204: None})
    def delete(self, request: Request, org: str, team: str, type: str, pattern: str) -> Response:
        teams.remove_grant(teams.get_team(org, team, self.caller), pattern, type=_type(type), by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _type(word: str) -> str:
    return "" if word == "any" else word


def _shown(team: Team) -> Data:
    return {
        "name": team.name,
        "full_name": team.full_name,
        "members": sorted(member.membership.user.username for member in team.members.all()),
        "grants": [teams.describe(grant) for grant in team.grants.all()],
    }
