"""Verdicts in the shape of the contract, and asking for another one."""

import dataclasses
import html
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pytest

from dovetail.adapters.results.records import without_none
from dovetail.adapters.results.report import CheckResult, Report
from hub.about import PORT
from registry.models import Base, Verdict
from registry.people import gates
from registry.proof.verdicts import jobs, sweeps
from registry.publish import moves
from tests.api.conftest import BASE, judged, pushed
from tests.api.document import document
from tests.live import ROOT

AT = "/api/v1/adapters/alice/reviews/revisions/main"
KEYS = [
    "adapter",
    "revision",
    "state",
    "renewal",
    "errored_renewal",
    "reason",
    "incomplete",
    "attempt",
    "queued_at",
    "started_at",
    "finished_at",
    "duration_ms",
    "request_id",
    "kind",
    "format",
    "base",
    "depth",
    "engine",
    "engines",
    "checks",
    "evals",
    "cost",
    "samples",
    "usage",
    "programs",
    "conditions",
    "strength",
    "serving",
    "fits",
    "path",
    "contents",
    "verified",
    "regression",
    "withdrawn_weights",
]
CHECK = {"id", "outcome", "message", "fix", "where", "duration_ms"}


@pytest.fixture
def on_shelf(db):
    return Base.objects.create(id=BASE, revision="r", sha256="0" * 64)


def test_a_verdict_that_waits_for_its_base_says_which_and_what_to_do(ask, repository):
    found = ask().get(f"{AT}/verdict").json()
    assert list(found) == KEYS
    assert (found["state"], found["attempt"], found["checks"]) == ("queued", 0, [])
    assert BASE in found["reason"]
    assert "base cache" in found["reason"]


def test_checks_are_there_while_it_runs(ask, repository, on_shelf):
    row = Verdict.objects.get()
    sweeps.base_arrived(Base.objects.get())
    claim = jobs.claim(row.pk, "a test")
    jobs.progress(claim, [CheckResult("file.header", "passed")])
    found = ask().get(f"{AT}/verdict").json()
    assert (found["state"], found["engines"]) == ("running", [])
    assert set(found["checks"][0]) == CHECK


def test_a_finished_verdict_is_told_as_the_engine_told_it(ask, repository, on_shelf):
    libraries = {"torch": "2.13.0", "transformers": "5.24.0", "peft": "0.21.2", "adapters": None}
    runtime = {"attention": "sdpa", "device": "cpu", "dtype": "float32", "threads": 1, "batch": 8}
    engine = {"name": "e5", **libraries, **runtime}
    checks = [
        {
            "id": "tensors.not-finite",
            "outcome": "failed",
            "message": "3 NaN",
            "fix": "Train again.",
            "where": {"n": 3},
            "duration_ms": 2.1,
        }
    ]
    judged(repository.revisions.get(title="push"), "failed", engine=engine, checks=checks, kind="lora", depth="static")
    found = ask().get(f"{AT}/verdict").json()
    assert list(found) == KEYS
    assert (found["state"], found["kind"], found["depth"], found["duration_ms"]) == ("failed", "lora", "static", 412)
    assert found["checks"] == checks
    assert found["engine"] == engine
    assert found["engines"] == [{"name": "e5", "transformers": "5.24.0", "state": "failed"}]


def test_what_is_no_adapter_has_no_verdict(ask, cast):
    pushed(cast, cast.repository("alice/words"), files={"README.md": b"only words", "model.safetensors": b"no"})
    for answer in (
        ask().get("/api/v1/adapters/alice/words/revisions/main/verdict"),
        ask("alice", "write").post("/api/v1/adapters/alice/words/revisions/main/validate"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "verdict-not-applicable")
        assert answer.json()["detail"].endswith(
            "model.safetensors is not a valid safetensors file: the file has 2 bytes, too few for a header."
        )


def test_who_may_write_can_ask_for_another_verdict(ask, repository, on_shelf):
    judged(repository.revisions.get(title="push"))
    answer = ask("alice", "write").post(f"{AT}/validate")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert Verdict.objects.count() == 2
    assert ask("alice", "write").post(f"{AT}/validate").json()["state"] == "queued"
    assert Verdict.objects.count() == 2, "one that waits already is not doubled"


def test_the_request_behind_a_verdict_is_named_to_those_who_may_write(ask, repository, on_shelf):
    judged(repository.revisions.get(title="push"))
    headers = {"X-Request-Id": "the-job-of-alice"}
    asked = ask("alice", "write").post(f"{AT}/validate", headers=headers).json()
    assert asked["request_id"].endswith(";the-job-of-alice")
    assert ask("alice").get(f"{AT}/verdict").json()["renewal"]["request_id"] == asked["request_id"]
    for who in ("carol", "anonymous"):
        told = ask(who).get(f"{AT}/verdict").json()
        assert (told["request_id"], told["renewal"]["request_id"]) == (None, None)


def test_rows_of_a_gated_file_are_shown_to_those_who_may_have_the_file(ask, cast, repository):
    rows = [{"input": "A row of mine.", "expected": "1", "base": "0", "adapter": "1"}]
    judged(repository.refs.get(name="refs/heads/main").revision, samples=rows)
    assert ask("carol").get(f"{AT}/verdict").json()["samples"] == rows
    gates.set_gate(repository, "manual", cast.session("alice"))
    assert ask("alice").get(f"{AT}/verdict").json()["samples"] == rows
    assert ask("carol").get(f"{AT}/verdict").json()["samples"] == []


def test_places_of_private_data_are_told_to_those_who_may_have_the_files(ask, cast, repository):
    where = {"findings": [{"file": "run.sh", "kind": "a Hugging Face token", "line": 3}]}
    found = {"id": "privacy.secret", "outcome": "warned", "message": "run.sh holds a token, line 3.", "where": where}
    judged(repository.refs.get(name="refs/heads/main").revision, checks=[found])
    for visitor in ("carol", "alice"):
        assert "run.sh" in ask(visitor).get(f"{AT}/verdict").content.decode()
    gates.set_gate(repository, "manual", cast.session("alice"))
    for path in (f"{AT}/verdict", "/alice/reviews/verdict/main"):
        assert "line 3" in ask("alice").get(path).content.decode(), path
        answer = ask("carol").get(path)
        assert answer.status_code == 200, path
        assert "run.sh" not in answer.content.decode(), path
        assert "those who may read them see" in answer.content.decode(), path


# Recorded when reports were still dictionaries.
REAL = json.loads((ROOT / "tests/client/reports.json").read_text())
OF_THE_REPORT = KEYS[KEYS.index("kind") : KEYS.index("verified")]


@pytest.mark.parametrize("case", REAL.values(), ids=REAL)
def test_a_real_report_is_served_as_it_always_was(ask, repository, on_shelf, case):
    judged(repository.revisions.get(title="push"), case["state"], **case["stored"])
    answer = ask().get(f"{AT}/verdict").json()
    named = {"id": BASE, "revision": None, "sha256": None}  # the row's own, where the report has none
    expected = case["served"] | {
        "base": case["stored"]["base"] or named,
        "strength": None,
        "usage": None,
        "programs": None,
    }
    assert list(answer) == KEYS
    for key in OF_THE_REPORT:
        if key != "serving":
            assert answer[key] == expected[key], key
    known = [{key: row[key] for key in row.keys() - {"flags"}} | {"by": "rule"} for row in expected["serving"]]
    assert [{key: row[key] for key in row.keys() - {"flags", "commands"}} for row in answer["serving"]] == known


def test_flags_say_where_the_files_are_as_the_adapter_is_called_when_they_are_read(ask, cast, repository, on_shelf):
    revision = repository.revisions.get(title="push")
    judged(revision, **REAL["an adapter that passes"]["stored"])
    moves.move(repository, "alice/opinions", cast.session("alice"))
    answer = ask().get("/api/v1/adapters/alice/opinions/revisions/main/verdict").json()
    [vllm] = [row for row in answer["serving"] if row["engine"] == "vllm"]
    name, folder = f"opinions@{revision.oid[:7]}", f"./opinions-{revision.oid[:7]}"
    assert vllm["flags"][-1] == f"--lora-modules {name}={folder}"
    pull = f"dovetail pull alice/opinions@{revision.oid} --to {folder} --endpoint http://127.0.0.1:{PORT}"
    assert vllm["commands"][0] == pull
    assert "alice/reviews" not in json.dumps(answer["serving"])


def schema(hint: Any) -> Any:
    """Return what OpenAPI must say of an annotation: the JSON type, and the same of what is inside."""
    hint = without_none(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return schema(arguments[0])
    if origin is Literal:
        return set(arguments)
    if origin in (tuple, Sequence):
        return [schema(arguments[0])]
    if origin is Mapping:
        return "object"
    if dataclasses.is_dataclass(hint):
        return {name: schema(inner) for name, inner in get_type_hints(hint, include_extras=True).items()}
    return {str: "string", float: "number", bool: "boolean"}[hint]


def promised(said: dict[str, Any]) -> Any:
    """Return the same of a part of the OpenAPI document."""
    shapes = document()["components"]["schemas"]
    if "allOf" in said:
        (said,) = said["allOf"]
    if "$ref" in said:
        said = shapes[said["$ref"].rpartition("/")[2]]
    if "oneOf" in said:  # a choice that may be null
        [said] = [part for part in map(resolved, said["oneOf"]) if "null" not in part.get("type", ())]
    if "enum" in said:
        return {*said["enum"]} - {None}
    kinds = said.get("type", "any")
    [kind] = [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]
    if kind == "array":
        return [promised(said["items"])]
    if "properties" in said:
        return {name: promised(inner) for name, inner in said["properties"].items()}
    return kind


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    shapes = document()["components"]["schemas"]
    return shapes[part["$ref"].rpartition("/")[2]] if "$ref" in part else part


def test_each_of_several_adapters_has_flags_to_copy_in_rest_and_on_the_page(ask, cast):
    made = cast.repository("alice/reviews")
    revision = pushed(cast, made)
    row = {"engine": "vllm", "version": "0.11", "outcome": "serves", "reason": "", "flags": ["--enable-lora"]}
    part = {"format": "peft", "kind": "lora", "proven": True, "state": "passed", "serves": ["vllm"], "serving": [row]}
    judged(revision, serving=[row], contents=[{**part, "path": path} for path in ("english", "a/german")])
    short = revision.oid[:7]
    flags = [f"--lora-modules reviews-{name}@{short}=./reviews-{short}/{path}"
             for name, path in (("english", "english"), ("a-german", "a/german"))]  # fmt: skip
    shown = ask().get("/api/v1/adapters/alice/reviews/revisions/main/verdict").json()
    assert [part["serving"][0]["flags"] for part in shown["contents"]] == [["--enable-lora", flag] for flag in flags]
    assert (shown["serving"][0]["outcome"], shown["serving"][0]["flags"]) == ("serves", ["--enable-lora"]), "no folder"
    lock = ask().get("/api/v1/adapters/alice/reviews/revisions/main/lock").json()
    assert [part["serving"][0]["flags"] for part in lock["parts"]] == [["--enable-lora", flag] for flag in flags]
    assert lock["serving"][0]["flags"] == ["--enable-lora"], "nothing lies at the top"
    page = html.unescape(ask().get(f"/alice/reviews/verdict/{revision.oid}").content.decode())
    assert all(flag in page for flag in flags)
    assert f"=./reviews-{short} " not in page


def test_openapi_says_of_a_report_what_its_dataclasses_say():
    properties = document()["components"]["schemas"]["Verdict"]["properties"]
    assert list(properties) == KEYS
    hints = get_type_hints(Report, include_extras=True)
    assert hints.keys() - properties.keys() == {"proven_with", "earlier"}, "which are the hub's own"
    for name in OF_THE_REPORT:
        assert promised(properties[name]) == schema(hints[name]), name
