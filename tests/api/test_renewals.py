"""A finished verdict stays in force on every road while its renewal waits, runs, hangs or is tried."""

import pytest
import typer
from django.test import Client
from django.utils import timezone

from dovetail import verdicts as client_verdicts
from dovetail.commands import verdict_commands
from dovetail.commands.printer import Printer
from dovetail.serve.vllm_plugin import versions
from dovetail.serve.vllm_plugin.versions import Name
from registry.models import Repository, Verdict
from registry.proof.verdicts import jobs, requests
from registry.repos import pull
from registry.repos.lists import catalog
from tests.api.conftest import BASE, accuracy, judged

AT = "/api/v1/adapters/alice/reviews"
PIN = {"id": BASE, "revision": "r", "sha256": "0" * 64}
REACHED = {"depth": "run", "engine": "vllm 0.32.0", "modules": 12, "of": 12, "answer": "adapter"}
MISSED = {"depth": "run", "engine": "llama.cpp b6000", "modules": 0, "of": 12, "missed": ["q_proj"]}


def by_rule(engine: str, outcome: str = "serves") -> dict:
    return {
        "engine": engine,
        "version": "1",
        "outcome": outcome,
        "reason": "",
        "flags": ["--enable-lora"],
        "by": "rule",
    }


def passed(serving: list[dict]) -> dict:
    rows = [{"name": "e5", "transformers": "5", "state": "passed"}]
    return {"depth": "evaluated", "evals": [accuracy(46)], "base": PIN, "serving": serving, "engines": rows,
            "kind": "lora", "format": "peft", "engine": {"name": "e5", "peft": "0.21"}}  # fmt: skip


MEASURED = [
    {**by_rule("vllm"), "by": "measured", "measured": REACHED},
    {**by_rule("llama.cpp", "wrong"), "by": "measured", "measured": MISSED, "flags": []},
]


@pytest.fixture
def proven(repository: Repository) -> Verdict:
    revision = repository.revisions.get(title="push")
    revision.repository = repository
    return judged(revision, **passed(MEASURED))


def roads(proven: Verdict, ask) -> dict[str, object]:
    """Return what every road says of the version."""
    revision, anybody = proven.revision, ask()

    def told(path: str) -> dict:
        answer = anybody.get(f"{AT}{path}")
        return answer.json() if answer.status_code == 200 else {"status": answer.status_code, **answer.json()}

    def page(path: str) -> str:
        answer = Client().get(path)
        return answer.content.decode() if answer.status_code == 200 else str(answer.status_code)

    verdict = told("/revisions/main/verdict")
    read = client_verdicts.read(verdict)
    lists = anybody.get("/api/v1/adapters?verdict=passed&engine=vllm").json()["items"]
    try:
        plugin = versions._require_proven(Name.parse("alice/reviews@main"), read, BASE)
    except versions.Refused as refused:
        plugin = str(refused)
    repository = Repository.objects.get(pk=revision.repository_id)
    return {
        "verdict": (verdict["state"], verdict["depth"], bool(verdict["finished_at"]), verdict["verified"]["may"]),
        "served": [(row["engine"], row["outcome"], row["by"]) for row in verdict["serving"]],
        "the plugin of vLLM with nothing kept": plugin,
        "the client": (read.passed, read.held_back),
        "manifest of the revision": told("/revisions/main")["state"],
        "history": told("/revisions")["items"][0]["state"],
        "lock": told("/revisions/main/lock")["state"],
        "verified": told("")["verified"],
        "a list": [(row["id"], row["verdict"]["state"]) for row in lists],
        "in lists": catalog.listed_verdicts([repository])[repository.pk].verdict.state,
        "states": requests.states_in_force([revision.pk]),
        "pulls under the policy": pull.served_to_anybody([revision]),
        "column": (repository.outcome, repository.is_verified, repository.serves),
        "Use": "--enable-lora" in page("/alice/reviews/use?tool=vllm"),
        "page of the verdict": "0.9583" in page(f"/alice/reviews/verdict/{revision.oid}"),
        "page": "not proven yet" in page("/alice/reviews"),
    }


def test_every_road_reads_the_finished_verdict_while_its_renewal_hangs(proven, ask):
    before = roads(proven, ask)
    assert before["verdict"] == ("passed", "evaluated", True, True)
    renewal, _ = requests.again(proven.revision, None)
    differ = [f"queued: {road}" for road, told in roads(proven, ask).items() if told != before[road]]
    assert jobs.claim(renewal.pk, "a worker that hangs")
    differ += [f"running: {road}" for road, told in roads(proven, ask).items() if told != before[road]]
    assert differ == []
    told = ask().get(f"{AT}/revisions/main/verdict").json()
    assert (told["renewal"]["state"], told["renewal"]["attempt"]) == ("running", 1)
    assert "being tested again" in Client().get("/alice/reviews").content.decode()
    assert not client_verdicts.read(told).finished, "who waits for a verdict waits for the renewal"


def test_a_renewal_that_fails_replaces_the_verdict_when_it_has_ended(proven, ask):
    renewal, _ = requests.again(proven.revision, None)
    judged(proven.revision, "failed", **passed([]))
    told = ask().get(f"{AT}/revisions/main/verdict").json()
    assert (told["state"], told["renewal"], told["verified"]["may"]) == ("failed", None, False)
    assert Verdict.objects.get(pk=renewal.pk).finished_at <= timezone.now()


def test_a_squash_copies_the_verdict_in_force(proven):
    requests.again(proven.revision, None)
    adopted = requests.adopt(proven.revision.repository.revisions.exclude(pk=proven.revision_id).get(), proven.revision)
    assert (adopted.state, adopted.eligibility) == ("passed", "may")


def test_a_renewal_that_errors_is_told_beside_the_verdict_that_stays_in_force(proven, ask, settings, capsys):
    settings.MAX_ATTEMPTS = 1
    assert ask().get(f"{AT}/revisions/main/verdict").json()["errored_renewal"] is None
    requests.again(proven.revision, None)
    assert ask().get(f"{AT}/revisions/main/verdict").json()["errored_renewal"] is None, "it has not ended"
    crash = {"id": "engine.check-crashed", "outcome": "failed", "message": "The engine e5 broke off.", "fix": "Ask."}
    judged(proven.revision, "errored", checks=[crash])
    told = ask().get(f"{AT}/revisions/main/verdict").json()
    assert (told["state"], told["renewal"], told["verified"]["may"]) == ("passed", None, True)
    errored = told["errored_renewal"]
    assert (errored["state"], errored["reason"], bool(errored["finished_at"])) == ("errored", crash["message"], True)
    read = client_verdicts.read(told)
    assert (read.finished, read.passed) == (True, True)
    with pytest.raises(typer.Exit) as ended:
        verdict_commands.conclude(Printer(), read)
    assert ended.value.exit_code == 0
    said = capsys.readouterr().out
    assert "the newest validation errored: The engine e5 broke off." in said
    assert "stays in force" in said
    requests.again(proven.revision, None)
    judged(proven.revision, **passed([]))
    assert ask().get(f"{AT}/revisions/main/verdict").json()["errored_renewal"] is None, "a newer one decided"
