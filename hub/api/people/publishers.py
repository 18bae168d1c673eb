"""Trusted publishers of a namespace, those of repositories that do not exist yet too; in a session only."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes.people import publishers as shapes
from registry.people.tokens import publishers


class Publishers(View):
    @extend_schema(operation_id="publishers", summary="Trusted publishers", responses=shapes.PublisherPage)
    def get(self, request: Request, ns: str) -> Response:
        rows = publishers.list_in_namespace(ns, self.caller)
        return Response({"items": shapes.Publisher(rows, many=True).data, "next": None})

    @extend_schema(
        operation_id="trust_publisher", summary="Trust a CI job",
        description="Of a repository that does not exist, its first push creates it.",
        request=shapes.NewPublisher, responses={201: shapes.Publisher},
    )  # fmt: skip
    def post(self, request: Request, ns: str) -> Response:
        publishers.require_namespace(ns, self.caller)  # without the right to it, nothing is said about the body
        given = pages.body(request, shapes.NewPublisher)
        made = publishers.trust_pending(
            f"{ns}/{given['repository']}", given["issuer"], given["claims"], self.caller, type=given["type"]
        )
        return Response(shapes.Publisher(made).data, status.HTTP_201_CREATED)


class OnePublisher(View):
    @extend_schema(
        operation_id="distrust_publisher", summary="End the trust in a publisher",
        description="Its tokens end at once.", responses={204: None},
    )  # fmt: skip
    def delete(self, request: Request, ns: str, id: int) -> Response:
        publishers.remove_in_namespace(ns, id, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)
