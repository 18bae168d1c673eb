"""The OpenAPI document tells the truth: who may call what, which headers answers have, and what goes away when."""

from datetime import UTC, datetime

import pytest
from django.core.cache import caches

from hub.api import openapi, views
from hub.api.openapi import ANYONE, SESSION
from registry.kernel import site_settings
from tests.api.test_answers import VALUES

MORE = {
    "alias": "prod",
    "release": "v1.0.0",
    "platform": "kserve",
    "key": "0" * 32,
    "user": "bob",
    "team": "ner",
    "robot": "deploy",
    "type": "any",
    "pattern": "x",
    "sha256": "0" * 64,
}
OPERATIONS = [
    (method, path, operation)
    for path, methods in openapi.document()["paths"].items()
    for method, operation in methods.items()
]


def ask_for(client, method, path):
    filled = path.format(**{**VALUES, **MORE, "path": "README.md"})
    return client.generic(method.upper(), filled, b"{}", content_type="application/json")


def test_every_operation_says_who_may_call_it(ask, cast, repository):
    assert {operation["operationId"] for *_, operation in OPERATIONS} >= ANYONE | SESSION
    anonymous, token = ask(), ask("alice", "write")
    for method, path, operation in sorted(OPERATIONS, key=lambda row: (row[0] == "delete", -row[1].count("/"))):
        name, security = operation["operationId"], operation["security"]
        status = ask_for(anonymous, method, path).status_code
        assert (status != 401) == ({} in security), (name, status)
        answer = ask_for(token, method, path)
        code = answer.json()["code"] if answer.status_code >= 400 else ""
        if {"token": []} in security:
            assert (name in SESSION, code != "session-required") == (False, True), name
        else:
            assert security == [{"session": []} if method == "get" else {"session": [], "csrf": []}], name
            assert code in {"session-required", "not-allowed"}, (name, code)


def test_every_parameter_is_described_and_every_header_is_one(cast):
    headers = openapi.document()["components"]["headers"]
    for method, path, operation in OPERATIONS:
        for parameter in operation.get("parameters", []):
            assert parameter.get("$ref") or parameter["description"], (method, path, parameter)
        for response in operation["responses"].values():
            assert {header["$ref"].rpartition("/")[2] for header in response["headers"].values()} <= headers.keys()
        for media in operation.get("requestBody", {}).get("content", {}):
            assert media == "application/json"
    assert openapi.BODIES.keys() <= {operation["operationId"] for *_, operation in OPERATIONS}
    assert "x-spec-enum-id" not in str(openapi.document())


def test_answers_carry_the_headers_that_are_promised(ask, repository):
    caches["counters"].clear()
    site_settings.change_setting("throttle", "on", None)
    templates = {path: methods for path, methods in openapi.document()["paths"].items() if "get" in methods}
    for path in ("/api/v1/adapters", "/api/v1/adapters/{ns}/{name}/revisions/{rev}/files/{path}", "/api/v1/me"):
        answer = ask_for(ask("alice"), "get", path)
        promised = templates[path]["get"]["responses"][str(answer.status_code)]["headers"]
        assert [name for name in promised if name not in answer.headers] == ["X-Request-Id"][
            answer.has_header("X-Request-Id") :
        ]
    assert answer["ETag"]


@pytest.mark.parametrize("route", ["", "/api/v1/bases"])
def test_a_deprecated_operation_says_so_until_it_is_gone(ask, repository, monkeypatch, route):
    going = views.Deprecated(
        datetime(2026, 1, 2, tzinfo=UTC), datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC), "/docs/stability"
    )
    monkeypatch.setattr(views, "DEPRECATED", {"GET /api/v1/adapters/{ns}/{name}": going})
    answer = ask().get(route or "/api/v1/adapters/alice/reviews")
    said = {name: answer.headers.get(name) for name in ("Deprecation", "Sunset", "Link")}
    expected = {
        "Deprecation": "@1767312000",
        "Sunset": "Sat, 02 Jan 2027 03:04:05 GMT",
        "Link": '</docs/stability>; rel="deprecation"; type="text/html"',
    }
    assert said == (dict.fromkeys(expected) if route else expected)
