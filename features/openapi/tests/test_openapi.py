"""The OpenAPI document tells the truth: who may call what, which headers answers have, and what goes away when."""

import json

from django.core.cache import caches
from django.test import Client

from features.openapi import rest as openapi
from registry.kernel import site_settings
from tests.api.test_answers import VALUES
from tests.api.test_mounted import REPOSITORY

MORE = {
    "alias": "prod",
    "release": "v1.0.0",
    "platform": "kserve",
    "key": "0" * 32,
    "user": "bob",
    "team": "ner",
    "branch": "next",
    "tag_name": "v0",
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
    anonymous, token = ask(), ask("alice", "write")
    for method, path, operation in sorted(OPERATIONS, key=lambda row: (row[0] == "delete", -row[1].count("/"))):
        name, security = operation["operationId"], operation["security"]
        status = ask_for(anonymous, method, path).status_code
        assert (status != 401) == ({} in security), (name, status)
        answer = ask_for(token, method, path)
        code = answer.json()["code"] if answer.status_code >= 400 else ""
        if {"token": []} in security:
            assert code != "session-required", name
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


def test_the_openapi_document_describes_every_answer(cast):
    document = json.loads(Client().get("/api/v1/openapi.json").content)
    assert document["openapi"].startswith("3.")
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_the_readable_page_names_every_route_and_loads_nothing_foreign(cast):
    page = Client().get("/api/v1/docs")
    assert page.status_code == 200
    text = page.content.decode()
    for path in openapi.document()["paths"]:
        assert path in text
    assert 'src="http' not in text
    assert "<script>" not in text


def test_the_page_and_the_document_of_the_interface_name_addresses_below_the_path(mounted, ask, cast):
    document = json.loads(ask().get("/api/v1/openapi.json").content)
    [server] = document["servers"]
    assert server["url"] == mounted
    assert all(path.startswith("/api/v1/") for path in document["paths"])
    page = ask().get("/api/v1/docs").content.decode()
    assert f'href="{mounted}/api/v1/openapi.json"' in page
    assert f"{mounted}{REPOSITORY.replace('alice', '{ns}').replace('reviews', '{name}')}" in page
