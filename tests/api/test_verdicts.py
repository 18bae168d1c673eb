"""Verdicts in the shape of the contract, and asking for another one."""

import pytest

from registry.models import Base, Verdict
from registry.people import gates
from registry.proof import verdicts
from tests.api.conftest import BASE, judged, pushed

AT = "/api/v1/adapters/alice/reviews/revisions/main"
KEYS = [
    "adapter",
    "revision",
    "state",
    "reason",
    "attempt",
    "queued_at",
    "started_at",
    "finished_at",
    "duration_ms",
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
    "conditions",
    "serving",
    "fits",
    "path",
    "contents",
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
    assert "shelf" in found["reason"]


def test_checks_are_there_while_it_runs(ask, repository, on_shelf):
    row = Verdict.objects.get()
    verdicts.base_arrived(Base.objects.get())
    claim = verdicts.claim(row.pk, "a test")
    verdicts.progress(claim, [{"id": "file.header", "outcome": "passed"}])
    found = ask().get(f"{AT}/verdict").json()
    assert (found["state"], found["engines"]) == ("running", [])
    assert set(found["checks"][0]) == CHECK


def test_a_finished_verdict_is_told_as_the_engine_told_it(ask, repository, on_shelf):
    engine = {"name": "e5", "torch": "2.13.0", "transformers": "5.24.0", "peft": "0.21.2", "attention": "sdpa"}
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
    pushed(cast, cast.repository("alice/words"), files={"README.md": b"only words"})
    for answer in (
        ask().get("/api/v1/adapters/alice/words/revisions/main/verdict"),
        ask("alice", "write").post("/api/v1/adapters/alice/words/revisions/main/validate"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "verdict-not-applicable")


def test_who_may_write_can_ask_for_another_verdict(ask, repository, on_shelf):
    judged(repository.revisions.get(title="push"))
    answer = ask("alice", "write").post(f"{AT}/validate")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert Verdict.objects.count() == 2
    assert ask("alice", "write").post(f"{AT}/validate").json()["state"] == "queued"
    assert Verdict.objects.count() == 2, "one that waits already is not doubled"


def test_rows_of_a_gated_file_are_shown_to_those_who_may_have_the_file(ask, cast, repository):
    rows = [{"input": "A row of mine.", "expected": "1", "base": "0", "adapter": "1"}]
    judged(repository.refs.get(name="refs/heads/main").revision, samples=rows)
    assert ask("carol").get(f"{AT}/verdict").json()["samples"] == rows
    gates.set_gate(repository, "manual", cast.session("alice"))
    assert ask("alice").get(f"{AT}/verdict").json()["samples"] == rows
    assert ask("carol").get(f"{AT}/verdict").json()["samples"] == []
    for page in ("", "/verdict/main"):
        assert "A row of mine." not in ask("carol").get(f"/alice/reviews{page}").content.decode()
        assert "A row of mine." in ask("alice").get(f"/alice/reviews{page}").content.decode()
