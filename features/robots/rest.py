"""Robots of an organisation: list, make and remove them, give them tokens and revoke those; in a session only."""

from django.urls import path
from rest_framework import serializers as s
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.answers.record import Answer, Page, Time
from dovetail.answers.versions import Token
from features.robots import verbs
from hub.api import pages
from hub.api.account import MadeToken
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.models import User
from registry.people.tokens.tokens import MACHINE_GRANTS, digest


class NewRobot(s.Serializer[Data]):
    name = Text(max_length=96, help_text="deploy, of acme+deploy")
    purpose = Text(required=False, allow_blank=True, default="", max_length=200)


class NewRobotToken(s.Serializer[Data]):
    name = Text(max_length=100)
    expires_at = s.DateTimeField(help_text="within a year")
    repos = s.DictField(
        child=s.ChoiceField(choices=MACHINE_GRANTS), help_text="repositories of the organisation, or prefix* → right"
    )


class Robot(Answer):
    name: str
    username: str
    purpose: str
    created_at: Time
    tokens: tuple[Token, ...]


class Robots(View):
    @operation("robots", callers="session")
    def get(self, request: Request, org: str) -> Page[Robot]:
        """An organisation's robots."""
        rows = verbs.list_robots(org, self.caller)
        return pages.page(request, map(_shown, rows))

    @operation("make_robot", callers="session", body=NewRobot, status=201)
    def post(self, request: Request, org: str) -> Robot:
        """Make a robot."""
        verbs.list_robots(org, self.caller)  # without the right to it, nothing is said about the body
        given = pages.body(request, NewRobot)
        made = verbs.create_robot(org, given["name"], self.caller, purpose=given["purpose"])
        return _shown(made)


class OneRobot(View):
    @operation("robot", callers="session")
    def get(self, request: Request, org: str, robot: str) -> Robot:
        """A robot and its tokens."""
        return _shown(verbs.get_robot(org, robot, self.caller))

    @operation("remove_robot", callers="session")
    def delete(self, request: Request, org: str, robot: str) -> None:
        """Remove a robot.

        Its tokens end.
        """
        verbs.remove_robot(org, robot, self.caller)


class RobotTokens(View):
    @operation("make_robot_token", callers="session", body=NewRobotToken, answers={201: MadeToken})
    def post(self, request: Request, org: str, robot: str) -> Response:
        """Give a robot a token.

        The value is in this answer and nowhere else.
        """
        row: User = verbs.get_robot(org, robot, self.caller)
        given = pages.body(request, NewRobotToken)
        value = verbs.create_token(org, robot, given["name"], given["repos"], given["expires_at"], self.caller)
        answer = of_row(MadeToken, row.tokens.get(sha256=digest(value)), value=value)
        return Response(answer, status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class OneRobotToken(View):
    @operation("revoke_robot_token", callers="session")
    def delete(self, request: Request, org: str, robot: str, id: int) -> None:
        """Revoke a robot's token."""
        verbs.revoke_token(org, robot, id, self.caller)


def _shown(row: User) -> Robot:
    tokens = tuple(of_row(Token, token) for token in row.tokens.all())
    return of_row(Robot, row, name=row.robot_name, purpose=row.full_name, tokens=tokens)


ROBOTS, ROBOT = "organizations/<str:org>/robots", "organizations/<str:org>/robots/<str:robot>"
REST = [
    path(ROBOTS, Robots.as_view(asks_for_proof=True), name="rest-robots"),
    path(ROBOT, OneRobot.as_view(), name="rest-robot"),
    path(f"{ROBOT}/tokens", RobotTokens.as_view(asks_for_proof=True), name="rest-robot-tokens"),
    path(f"{ROBOT}/tokens/<int:id>", OneRobotToken.as_view(), name="rest-robot-token"),
]
