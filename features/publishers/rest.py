"""Trusted publishers of a namespace, those of repositories that do not exist yet too; in a session only."""

from collections.abc import Mapping
from typing import Annotated

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, Page, RepositoryType, Time
from features.publishers import verbs
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from registry import models
from registry.people.tokens import id_tokens

CLAIMS = {"repository": ["acme/train"], "repository_owner_id": ["1"], "workflow_ref": ["acme/train/x.yml@main"]}
EXAMPLE = {"repository": "reviews-de", "issuer": id_tokens.GITHUB, "claims": CLAIMS}


class Values(s.ListField):
    child = Text(max_length=255)


class NewPublisher(s.Serializer[Data]):
    repository = Text(max_length=96, help_text="its name, without the namespace")
    type = s.ChoiceField(choices=models.Repository.Type.choices, required=False, default="model")
    issuer = Text(max_length=255)
    claims = s.DictField(child=Values(), help_text="claim → accepted values; a * at the end stands for any rest")


class Publisher(Answer):
    id: int
    repository: str
    type: RepositoryType
    pending: Annotated[bool, "true while the repository does not exist"]
    issuer: str
    claims: Mapping[str, tuple[str, ...]]
    username: str
    by: str | None
    created_at: Time
    last_used_at: Time | None


class Publishers(View):
    @operation("publishers", callers="session")
    def get(self, request: Request, ns: str) -> Page[Publisher]:
        """Trusted publishers."""
        rows = verbs.list_in_namespace(ns, self.caller)
        return pages.page(request, map(_line, rows))

    @operation("trust_publisher", callers="session", body=NewPublisher, status=201, example=EXAMPLE)
    def post(self, request: Request, ns: str) -> Publisher:
        """Trust a CI job.

        Of a repository that does not exist, its first push creates it.
        """
        verbs.require_namespace(ns, self.caller)  # without the right to it, nothing is said about the body
        given = pages.body(request, NewPublisher)
        made = verbs.trust_pending(
            f"{ns}/{given['repository']}", given["issuer"], given["claims"], self.caller, type=given["type"]
        )
        return _line(made)


class OnePublisher(View):
    @operation("distrust_publisher", callers="session")
    def delete(self, request: Request, ns: str, id: int) -> None:
        """End the trust in a publisher.

        Its tokens end at once.
        """
        verbs.remove_in_namespace(ns, id, self.caller)


def _line(row: models.TrustedPublisher) -> Publisher:
    return of_row(
        Publisher,
        row,
        repository=row.full_name,
        pending=row.repository_id is None,
        username=row.account.username,
        by=row.created_by.username if row.created_by else None,
    )


REST = [
    path("namespaces/<str:ns>/publishers", Publishers.as_view(asks_for_proof=True), name="rest-publishers"),
    path("namespaces/<str:ns>/publishers/<int:id>", OnePublisher.as_view(), name="rest-publisher"),
]
