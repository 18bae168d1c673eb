"""Every operation with seeded objects, valid and invalid values: answers are what the OpenAPI document says.

MORE_EXAMPLES=50 asks each operation fifty times as often.
"""

import copy
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from features.openapi import rest as openapi
from features.openapi.tests.seeded import ELSEWHERE, REQUIRED, Clock, World, operations, seed
from hub.api import streams

# test_openapi.py asks who may call what. A body that fits its schema may be refused by a rule that no schema says:
# names that are taken or reserved, cursors that only this hub signs, times in the past.
NOT_ASKED = [ignored_auth, positive_data_acceptance]
EXAMPLES = int(os.environ.get("MORE_EXAMPLES", "1"))
pytestmark = [pytest.mark.night, pytest.mark.timeout(300 * EXAMPLES)]


@pytest.fixture
def world(cast, repository, monkeypatch) -> World:
    monkeypatch.setattr(streams, "time", Clock())
    return seed(cast, repository)


def without_security() -> dict[str, Any]:
    """Return the document without who may call what: requests go out as somebody who may."""
    document = copy.deepcopy(openapi.document())
    for methods in document["paths"].values():
        for operation in methods.values():
            del operation["security"]
    return document


def send(world: World, case: Case) -> httpx.Response:
    """Send a request of schemathesis."""
    made = requests.Request(**_plain(case.as_transport_kwargs(base_url="http://testserver"))).prepare()
    request = httpx.Request(made.method, made.url, headers=dict(made.headers), content=made.body or b"")
    return world.send(case.operation.definition.raw["operationId"], request)


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in options.items() if key in {"method", "url", "params", "headers", "json", "data"}
    }


def faults(world: World, case: Case) -> list[str]:
    """Return what is wrong with the answer to a request, and in which way it was asked."""
    response = send(world, case)
    try:
        case.validate_response(response, excluded_checks=NOT_ASKED)
    except FailureGroup as group:
        asked = f"{case.method} {case.formatted_path} {case.query} {str(case.body)[:300]} → {response.status_code}"
        return [
            f"{asked}: {failure.title}: {failure.message[:300]} {response.text[:300]}" for failure in group.exceptions
        ]
    return []


def test_no_operation_takes_a_field_that_it_does_not_know(world):
    taken = []
    for method, path, raw in operations():
        name = raw["operationId"]
        if method in ("get", "delete") or name in ELSEWHERE:
            continue
        address = path.format(**world.parameters(name, path))
        for unknown in ("dataset", "reasons"):
            body = {**world.bodies.get(name, {}), unknown: "x/y"}
            request = httpx.Request(method.upper(), f"http://testserver{address}", json=body)
            answer = world.send(name, request)
            if answer.status_code != 400 or f"{unknown!r}" not in answer.json()["detail"]:
                taken.append(f"{name}: {answer.status_code} {answer.text[:200]}")
    assert taken == []


def test_every_operation_succeeds_in_the_seeded_world(world):
    schema = schemathesis.openapi.from_dict(without_security())
    wrong, refused = [], {}
    for method, path, raw in operations():
        name = raw["operationId"]
        body = (
            {"body": world.bodies[name], "media_type": "application/json"}
            if "requestBody" in raw and name in world.bodies
            else {}
        )
        values = {"path_parameters": world.parameters(name, path), "query": REQUIRED.get(name, {})}
        case = schema[path][method.upper()].Case(**values, **body)
        wrong += faults(world, case)
        response = send(world, case)
        if response.status_code >= 400:
            refused[name] = (response.status_code, response.text[:200])
    assert wrong == []
    assert refused.keys() == ELSEWHERE.keys(), refused


def asking(world: World, name: str, wrong: dict[Any, str]) -> Callable[[Case], None]:
    """Return a test of one operation, which notes each fault once."""

    def ask(case: Case) -> None:
        for fault in faults(world, case):
            wrong.setdefault((name, re.sub(r".*?: ", "", fault, count=1)[:40]), fault)

    return ask


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_values_make_an_answer_other_than_described(world, mode):
    schema, wrong = schemathesis.openapi.from_dict(without_security()), {}
    for method, path, raw in operations():
        operation = schema[path][method.upper()]
        takes = "requestBody" in raw or any(one.get("in") == "query" for one in raw.get("parameters", []))
        if mode == GenerationMode.NEGATIVE and not takes:
            continue  # any text may stand in an address
        name = raw["operationId"]

        seeded = (
            {"path_parameters": world.parameters(name, path)}
            if mode == GenerationMode.POSITIVE or "requestBody" in raw
            else {}
        )
        strategy = operation.as_strategy(mode, **seeded)
        bounded = settings(
            max_examples=2 * EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        with suppress(Unsatisfiable):  # an operation that takes nothing has no invalid values
            bounded(given(strategy)(asking(world, name, wrong)))()
    assert wrong == {}, json.dumps(list(wrong.values()), indent=1)
