"""Robots of an organisation: list, make and remove them, give them tokens and revoke those; in a session only."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes.people import robots as shapes
from hub.api.shapes.people.account import MadeToken, Token
from registry.models import User
from registry.people.organizations import robots
from registry.people.tokens.tokens import digest


class Robots(View):
    @extend_schema(operation_id="robots", summary="An organisation's robots", responses=shapes.RobotPage)
    def get(self, request: Request, org: str) -> Response:
        rows = robots.list_robots(org, self.caller)
        return Response({"items": shapes.Robot(rows, many=True).data, "next": None})

    @extend_schema(
        operation_id="make_robot", summary="Make a robot", request=shapes.NewRobot, responses={201: shapes.Robot}
    )
    def post(self, request: Request, org: str) -> Response:
        robots.list_robots(org, self.caller)  # without the right to it, nothing is said about the body
        given = pages.body(request, shapes.NewRobot)
        made = robots.create_robot(org, given["name"], self.caller, purpose=given["purpose"])
        return Response(shapes.Robot(made).data, status.HTTP_201_CREATED)


class OneRobot(View):
    @extend_schema(operation_id="robot", summary="A robot and its tokens", responses=shapes.Robot)
    def get(self, request: Request, org: str, robot: str) -> Response:
        return Response(shapes.Robot(robots.get_robot(org, robot, self.caller)).data)

    @extend_schema(
        operation_id="remove_robot", summary="Remove a robot", description="Its tokens end.", responses={204: None}
    )
    def delete(self, request: Request, org: str, robot: str) -> Response:
        robots.remove_robot(org, robot, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)


class RobotTokens(View):
    @extend_schema(
        operation_id="make_robot_token", summary="Give a robot a token",
        description="The value is in this answer and nowhere else.",
        request=shapes.NewRobotToken, responses={201: MadeToken},
    )  # fmt: skip
    def post(self, request: Request, org: str, robot: str) -> Response:
        row: User = robots.get_robot(org, robot, self.caller)
        given = pages.body(request, shapes.NewRobotToken)
        value = robots.create_token(org, robot, given["name"], given["repos"], given["expires_at"], self.caller)
        token = Token(row.tokens.get(sha256=digest(value))).data
        return Response({**token, "value": value}, status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class OneRobotToken(View):
    @extend_schema(operation_id="revoke_robot_token", summary="Revoke a robot's token", responses={204: None})
    def delete(self, request: Request, org: str, robot: str, id: int) -> Response:
        robots.revoke_token(org, robot, id, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)
