"""Every answer of our REST is what its shape in the OpenAPI document says: keys, types and nesting, to the bottom."""

import hashlib
import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

import pytest

from registry.models import Token
from registry.publish import branches
from tests import of_features
from tests.api.conftest import expired, judged, pushed, regressed
from tests.api.document import document
from tests.test_no_500_json import known_base

JSON_TYPES = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
}  # fmt: skip


def faults(value: Any, schema: dict[str, Any], where: str = "answer") -> list[str]:
    """Return each place where a JSON value differs from an OpenAPI 3.1 schema, strictly: no key more, no key less."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return faults(value, document()["components"]["schemas"][name], where)
    for union in ("oneOf", "allOf", "anyOf"):
        if union in schema:
            tried = [faults(value, one, where) for one in schema[union]]
            return [] if [] in tried else tried[0]
    return _faults_of_type(value, schema, where)


def _faults_of_type(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    kinds = schema.get("type")
    if kinds is None:
        return []
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if value is None:
        return [] if "null" in kinds else [f"{where} is null"]
    [kind] = [kind for kind in kinds if kind != "null"] or ["null"]
    if kind == "null" or not isinstance(value, JSON_TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return [f"{where} is {type(value).__name__}, not {kind}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where} is {value!r}, none of {schema['enum']}"]
    if schema.get("format") == "date-time":
        datetime.fromisoformat(value)
    if kind == "array":
        return [fault for n, item in enumerate(value) for fault in faults(item, schema["items"], f"{where}[{n}]")]
    if kind == "object" and "properties" in schema:
        return _faults_of_members(value, schema, where)
    if kind == "object" and isinstance(more := schema.get("additionalProperties"), dict):
        return [fault for key, item in value.items() for fault in faults(item, more, f"{where}.{key}")]
    return []


def _faults_of_members(value: dict[str, Any], schema: dict[str, Any], where: str) -> list[str]:
    members = schema["properties"]
    found = [f"{where} has {key!r}, which is not described" for key in value.keys() - members.keys()]
    found += [f"{where} lacks {key!r}" for key in set(schema.get("required", ())) - value.keys()]
    for key in value.keys() & members.keys():
        found += faults(value[key], members[key], f"{where}.{key}")
    return found


def described(method: str, template: str, status: int) -> dict[str, Any]:
    """Return the schema of an answer; the template is the path of the OpenAPI document."""
    answers = document()["paths"][f"/api/v1/{template}"][method.lower()]["responses"]
    schema: dict[str, Any] = answers[str(status)]["content"]["application/json"]["schema"]
    return schema


ADAPTER = "adapters/{ns}/{name}"
ORGANIZATION = "organizations/{org}"
OVERRIDE = "adapters/alice/worse/revisions/main/regression-override"
ANSWERS = (  # method, path of the document, who asks, body
    ("GET", "adapters", "alice", None),
    ("GET", "adapters?facets=1", "alice", None),
    ("GET", ADAPTER, "alice", None),
    ("GET", f"{ADAPTER}/downloads?days=90", "anonymous", None),
    ("GET", f"{ADAPTER}/revisions", "alice", None),
    ("GET", f"{ADAPTER}/revisions/{{rev}}", "alice", None),
    ("GET", f"{ADAPTER}/revisions/{{rev}}/verdict", "alice", None),
    ("GET", f"{ADAPTER}/revisions/{{rev}}/lock", "alice", None),
    ("POST", f"{ADAPTER}/revisions/{{rev}}/validate", "alice", None),
    ("GET", "bases", "anonymous", None),
    ("GET", "bases/{base}", "anonymous", None),
    ("GET", "bases/{base}/adapters", "anonymous", None),
    ("GET", "search?q=reviews", "anonymous", None),
    ("POST", "lookup", "anonymous", {"sha256": [hashlib.sha256(b"x").hexdigest()]}),
    ("GET", "me/sessions", "alice", None),
    ("GET", "changes", "alice", None),
    ("GET", "me", "alice", None),
    ("GET", "me/tokens", "alice", None),
    ("POST", "me/tokens", "alice", {"name": "ci", "role": "read", "expires_at": "2040-01-01T00:00:00Z"}),
    ("GET", "me/tokens/{id}", "alice", None),
    ("POST", "organizations", "alice", {"name": "lab"}),
    ("GET", ORGANIZATION, "alice", None),
    ("GET", ORGANIZATION, "anonymous", None),
    ("PATCH", ORGANIZATION, "alice", {"full_name": "Acme Ltd"}),
    ("GET", f"{ORGANIZATION}/members", "alice", None),
    ("PUT", f"{ORGANIZATION}/members/bob", "alice", {"role": "read"}),
    ("GET", f"{ORGANIZATION}/members/bob", "alice", None),
    ("PUT", f"{ORGANIZATION}/invitations/carol", "alice", {"role": "read"}),
    ("GET", f"{ORGANIZATION}/invitations", "alice", None),
    ("GET", "me/invitations", "carol", None),
    ("POST", "me/invitations/{org}/accept", "carol", {}),
    ("GET", "me/usage", "alice", None),
    ("GET", f"{ORGANIZATION}/usage", "alice", None),
    ("GET", "site", "anonymous", None),
    ("PUT", f"{ADAPTER}/aliases/prod", "alice", {"revision": "first", "force": True, "reason": "A trial."}),
    ("PUT", f"{ADAPTER}/aliases/prod", "alice", {"revision": "main", "force": True, "reason": "Another."}),
    ("GET", f"{ADAPTER}/aliases", "anonymous", None),
    ("GET", f"{ADAPTER}/aliases/prod", "anonymous", None),
    ("GET", f"{ADAPTER}/aliases/prod/history", "anonymous", None),
    ("POST", f"{ADAPTER}/aliases/prod/rollback", "alice", {}),
    ("POST", OVERRIDE, "alice", {"reason": "The new rows are harder."}),
    ("DELETE", OVERRIDE, "alice", None),
    ("POST", f"{ADAPTER}/yank", "alice", {"revision": "main", "reason": "It repeats itself."}),
    ("POST", f"{ADAPTER}/unyank", "alice", {"revision": "main"}),
    ("PUT", f"{ADAPTER}/deprecation", "alice", {"message": "Use another."}),
    ("DELETE", f"{ADAPTER}/deprecation", "alice", None),
    ("PUT", f"{ADAPTER}/archive", "alice", {}),
    ("DELETE", f"{ADAPTER}/archive", "alice", None),
    *of_features.rows("ANSWERS"),
)
VALUES = {"ns": "alice", "name": "reviews", "rev": "main", "base": "openai-community/gpt2", "org": "acme", "id": "1"}
VALUES |= {"a": "first", "b": "main", "task": "text-classification"}
OF_A_PERSON = {
    "members/bob": "members/{user}",
    "invitations/carol": "invitations/{user}",
    "aliases/prod": "aliases/{alias}",
    "adapters/alice/worse/revisions/main": "adapters/{ns}/{name}/revisions/{rev}",
} | dict(of_features.rows("OF_A_PERSON"))


def test_every_answer_is_what_its_shape_says(ask, cast, repository):
    judged(
        repository.revisions.get(title="push"),
        "failed",
        checks=[{"id": "tensors.nan", "outcome": "failed", "message": "m"}],
    )
    pushed(cast, repository, title="notes", files={"notes.txt": b"x"})
    branches.create_ref(repository, "refs/heads/first", repository.revisions.earliest("pk"), cast.session("alice"))
    ask("bob").post("/alice/reviews/discussions/new", {"title": "A question", "text": "How?"})
    known_base()
    regressed(cast, cast.repository("alice/worse"))
    expired(cast, cast.repository("alice/old"))
    for present in of_features.rows("PRESENT"):
        present(cast)
    cast.token("alice")
    values = VALUES | {"id": Token.objects.get().pk}
    wrong, seen = [], set()
    for method, template, who, body in ANSWERS:
        answer = ask(who).generic(
            method, f"/api/v1/{template.format(**values)}", _encoded(body), content_type="application/json"
        )
        assert answer.status_code in (200, 201, 202), (method, template, answer.content)
        path = template.partition("?")[0]
        for written, of_document in OF_A_PERSON.items():
            path = path.replace(written, of_document)
        seen.add((method, path))
        wrong += [
            f"{method} {template}: {fault}"
            for fault in faults(answer.json(), described(method, path, answer.status_code))
        ]
    assert wrong == []
    elsewhere = all_with_an_answer([*of_features.rows("ELSEWHERE"), *of_features.rows("UNANSWERED")])
    elsewhere |= {("GET", f"{ADAPTER}/revisions/{{rev}}/files/{{path}}")}  # a view of a config: tests/api/test_fit.py
    assert all_with_an_answer() - seen == elsewhere


def _encoded(body: Any) -> bytes:
    return b"" if body is None else json.dumps(body).encode()


def all_with_an_answer(named: Collection[tuple[str, str]] | None = None) -> set[tuple[str, str]]:
    """Return (method, path) of each operation that answers with JSON; of these (id, reason) alone."""
    chosen = None if named is None else dict(named)
    return {
        (method.upper(), path.removeprefix("/api/v1/"))
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
        if any("application/json" in answer.get("content", {}) for answer in operation["responses"].values())
        if chosen is None or operation["operationId"] in chosen
    }


@pytest.mark.parametrize(
    ("value", "schema", "fault"),
    [
        ("1", {"type": "integer"}, "answer is str, not integer"),
        (True, {"type": "integer"}, "answer is bool, not integer"),
        (None, {"type": "string"}, "answer is null"),
        ({"b": 1}, {"type": "object", "properties": {"a": {}}, "required": ["a"]}, "not described"),
        (
            [[1], ["x"]],
            {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
            "answer[1][0] is str",
        ),
    ],
)
def test_a_fault_anywhere_in_an_answer_is_found(value, schema, fault):
    assert any(fault in one for one in faults(value, schema))
