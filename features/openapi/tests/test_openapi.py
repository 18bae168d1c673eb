"""The OpenAPI document tells the truth: who may call what, which headers answers have, and what goes away when."""

import json

from django.core.cache import caches
from django.test import Client

from features.openapi import rest as openapi
from registry.kernel import site_settings
from tests.api.test_answers import VALUES
from tests.api.test_mounted import REPOSITORY

EXAMPLES = {name: example for name, (_, example) in openapi.PARAMETERS.items()}
OPERATIONS = [
    (method, path, operation)
    for path, methods in openapi.document()["paths"].items()
    for method, operation in methods.items()
]


def ask_for(client, method, path):
    filled = path.format(**{**EXAMPLES, **VALUES, "path": "README.md"})
    answer = client.generic(method.upper(), filled, b"{}", content_type="application/json")
    if answer.streaming:
        end(answer)
    return answer


def end(stream):
    """Give the place of a stream back; `close` would close the connection to the database as well."""
    for close in stream._resource_closers:
        close()


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


def test_every_operation_lists_refusals_and_one_form_of_each_answer(cast):
    for method, path, operation in OPERATIONS:
        responses = operation["responses"]
        assert {"401", "429"} <= responses.keys(), path
        assert ("404" in responses) == ("{" in path), path
        assert ("400" in responses) or "requestBody" not in operation, path
        for status, answer in responses.items():
            assert len(answer.get("content", {})) <= 1 or operation["operationId"] == "file", (method, path, status)


def test_streams_have_addresses_of_their_own(ask, repository):
    for path in ("/api/v1/changes/events", "/api/v1/adapters/alice/reviews/revisions/main/verdict/events"):
        answer = ask().get(path)
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream"), path
        assert next(iter(answer)).startswith(b"retry: ")
        end(answer)
    assert ask().get("/api/v1/changes/events?wish=1").json()["code"] == "value-invalid"
    assert ask().get("/api/v1/adapters/alice/none/revisions/main/verdict/events").json()["code"] == "adapter-not-found"


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
