"""A world in which every operation of our REST has something to do: who asks, for which objects, with which body."""

import copy
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from django.db import transaction
from django.test import Client

from features.openapi import rest as openapi
from registry.models import Repository
from registry.publish import branches
from tests import of_features
from tests.api.conftest import BASE, SERVING, expired, judged, pushed, regressed
from tests.api.test_bases import evaluation
from tests.cast import PASSWORD, Cast
from tests.test_no_500_json import GPT2, known_base

CAROLS = frozenset({"accept_invitation", "decline_invitation", "join_organization", "report", "own_invitations"})
# Parameters of a query that an operation cannot do without.
REQUIRED = {"merge_preview": {"other": "alice/reviews@main"}, "find": {"q": "reviews"}}
# Operations that need what this world has not, and the tests that give it to them.
ELSEWHERE = dict(of_features.rows("ELSEWHERE"))


class Clock:
    """The clock by which requests wait: their seconds go by at once."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class World:
    """The objects by name, and a browser of each person that has proven lately who it is.

    `values` are parameters in addresses, `special` those of single operations, `bodies` what is sent to operations.
    """

    values: dict[str, Any] = field(default_factory=dict)
    special: dict[str, dict[str, Any]] = field(default_factory=dict)
    bodies: dict[str, Any] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)

    def client(self, who: str) -> Client:
        """Return the browser of a person."""
        if who not in self.clients:
            client = Client(raise_request_exception=False)
            assert client.post("/login", {"username": who, "password": PASSWORD}).status_code == 302
            self.clients[who] = client
        return self.clients[who]

    def parameters(self, operation: str, path: str) -> dict[str, Any]:
        """Return the parameters in the address of an operation."""
        names = [part.partition("}")[0] for part in path.split("{")[1:]]
        return {name: self.special.get(operation, {}).get(name, self.values[name]) for name in names}

    def send(self, operation: str, request: httpx.Request) -> httpx.Response:
        """Send a request as who may, in a transaction that is undone, so that each one finds the same world."""
        client = self.client(_who(operation, request.url.path))
        headers = {name: value for name, value in request.headers.items() if name not in _OF_THE_TRANSPORT}
        kind, cookies = request.headers.get("content-type", "application/json"), copy.deepcopy(client.cookies)
        with transaction.atomic():
            answer = client.generic(
                request.method, request.url.raw_path.decode(), request.read(), content_type=kind, headers=headers
            )
            content = b"".join(answer) if answer.streaming else answer.content
            transaction.set_rollback(True)
        client.cookies = cookies
        fields = list(answer.headers.items())
        response = httpx.Response(answer.status_code, headers=fields, content=content, request=request)
        response.elapsed = timedelta()
        return response


_OF_THE_TRANSPORT = {"content-length", "content-type", "host", "user-agent", "accept-encoding", "accept", "connection"}


def _who(operation: str, path: str) -> str:
    if "/moderation/" in path:
        return "mona"
    return "ada" if "/quotas" in path else "carol" if operation in CAROLS else "alice"


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Return (method, path, operation) of each operation."""
    paths = openapi.document()["paths"]
    return [(method, path, operation) for path, methods in paths.items() for method, operation in methods.items()]


def examples() -> dict[str, Any]:
    """Return the example of a body of each operation that has one, by its name."""
    bodies = {
        operation["operationId"]: operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for _, _, operation in operations()
    }
    return {name: body["example"] for name, body in bodies.items() if "example" in body}


def seed(cast: Cast, repository: Repository) -> World:
    """Make the world around alice/reviews, most of it by REST."""
    world, alice = World(), cast.session("alice")
    first = repository.revisions.get(title="push")
    judged(first, evals=[evaluation(0.5, 0.75)])
    branches.create_ref(repository, "refs/tags/v1", first, alice)
    second = pushed(cast, repository, title="again", files={"notes.txt": b"x"})
    base = {"id": BASE, "revision": None, "sha256": None}
    judged(second, evals=[evaluation(0.5, 0.75)], serving=SERVING, base=base)
    world.client("bob").post("/alice/reviews/discussions/new", {"title": "A question", "text": "How?"})
    known_base()
    regressed(cast, cast.repository("alice/worse"))
    expired(cast, cast.repository("alice/old"))

    def ask(who: str, method: str, path: str, **body: Any) -> Any:
        answer = world.client(who).generic(method, f"/api/v1/{path}", json.dumps(body), content_type="application/json")
        assert answer.status_code < 300, (path, answer.content)
        return answer.json() if answer.content else None

    for rev in ("v1", "main"):
        ask("alice", "PUT", "adapters/alice/reviews/aliases/prod", revision=rev)
    for present in of_features.rows("PRESENT"):
        present(cast)
    for who, method, path, body in of_features.rows("SEEDS"):
        ask(who, method, path, **body)
    ask("alice", "PUT", "organizations/acme/invitations/carol", role="read")
    token = ask("alice", "POST", "me/tokens", name="laptop", role="read")["id"]
    world.client("alice")
    session = ask("alice", "GET", "me/sessions")["items"][0]["id"]
    world.values = {name: example for name, (_, example) in openapi.PARAMETERS.items()}
    world.values |= {"path": "README.md", "tag_name": "kept", "base": GPT2, "pattern": "x", "id": token}
    world.special = {
        "override_regression": {"name": "worse"}, "withdraw_override": {"name": "worse"},
        "restore_versions": {"name": "old"},
        "withdraw_invitation": {"user": "carol"}, "invite": {"user": "mona"}, "end_session": {"id": session},
        **dict(of_features.rows("SPECIAL")),
    }  # fmt: skip
    world.bodies = examples() | {
        "deprecate": {"message": "Use another."},
        **dict(of_features.rows("SENT")),
    }
    return world
