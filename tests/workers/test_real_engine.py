"""Real weights in the real engine, from the push to the verdict, also when the kernel takes the engine away."""

import json
import os
import signal
import time
from itertools import product
from pathlib import Path

import pytest

from dovetail.adapters.results.programs import Address, digest
from features.renewal import verbs as renewal
from registry.models import Base, Comparison, Ref, Regression, Verdict
from registry.proof import fit
from registry.proof.verdicts import requests, sweeps
from registry.proof.verdicts.requests import latest
from registry.publish import push
from registry.publish.push import MAIN, Inline, Intent
from registry.repos import bases
from tests import adapters, once
from tests.workers.conftest import validate
from workers import base_cache
from workers.engines import capabilities, warm_engines
from workers.engines.sandbox import Engine
from workers.loop import WorkLoop
from workers.validation import pipeline

PAIRS = list(product(("film", "book", "meal", "room", "cat"), ("good", "bad", "great")))
pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def shelves(tmp_path_factory):
    """A folder for the shelf that lasts for the module, so that engines stay warm, and the tiny bases to put there."""
    assert capabilities.host_python().exists(), f"{capabilities.host_python()} is missing: build it with `make engines`"
    capabilities.unfit.cache_clear()
    yield tmp_path_factory.mktemp("shelf"), once.tiny_bases(capabilities.host_python())
    warm_engines.ENGINES.stop()


@pytest.fixture
def bert(shelves, settings, db) -> Base:
    """The tiny BERT, whose shapes are known: a worker would measure them anew for the empty database of each test."""
    settings.SHELF, made = shelves
    base = base_cache.add_folder(adapters.TINY_BERT.id, made / "bert", source="a test", tell=lambda line: None)
    fit.remember(base, "e5", once.measured(capabilities.interpreter("e5"), made)["bert"])
    return base


@pytest.fixture
def judged(cast, django_capture_on_commit_callbacks):
    """Push files as an adapter and return its verdict after one validation."""
    repository = cast.repository("alice/reviews")

    def judge(files: adapters.Files) -> Verdict:
        operations = [Inline(path, content) for path, content in files.items()]
        revision = push.receive(Intent(repository, MAIN, cast.session("alice"), "weights"), operations).revision
        verdict = latest(revision)
        assert verdict is not None
        return once_more(verdict)

    return judge


def once_more(verdict: Verdict) -> Verdict:
    validate(verdict.pk)
    return Verdict.objects.get(pk=verdict.pk)


def engine() -> Engine:
    """Return the engine that was used last."""
    return next(reversed(warm_engines.ENGINES._warm.values())).engine


def failed(verdict: Verdict) -> list[str]:
    return [check["id"] for check in verdict.result["checks"] if check["outcome"] == "failed"]


def test_an_honest_adapter_passes_and_becomes_the_verified_one(bert, judged):
    found = judged(adapters.lora())
    assert (found.state, failed(found)) == ("passed", [])
    assert found.result["kind"] == "lora"
    assert found.result["base"] == {"id": bert.id, "revision": bert.revision, "sha256": bert.sha256}
    assert found.result["engine"]["name"] == "e5"
    assert Ref.objects.get(name="refs/verified").revision_id == found.revision_id


def test_a_saboteur_fails_with_a_reason_and_a_fix_and_the_next_adapter_passes(bert, judged):
    found = judged(adapters.with_nan()(adapters.lora()))
    assert (found.state, failed(found)) == ("failed", ["tensors.not-finite"])
    (check,) = [check for check in found.result["checks"] if check["outcome"] == "failed"]
    assert check["message"]
    assert check["fix"]
    assert judged(adapters.lora(seed=1)).state == "passed"


def test_a_path_on_the_authors_disk_fails_without_any_base(bert, judged):
    found = judged(adapters.config(base_model_name_or_path="/home/alice/model")(adapters.lora()))
    assert (found.state, failed(found)) == ("failed", ["base.local-path"])
    assert found.result["base"] is None


def test_a_killed_engine_costs_an_attempt_and_the_next_one_gives_the_verdict(bert, judged, monkeypatch):
    judged(adapters.lora(seed=2))
    dying, write = engine().pid, Engine._write
    os.kill(dying, signal.SIGSTOP)  # so that it is in the middle when the end comes

    def write_and_kill(self: Engine, line: bytes) -> None:
        write(self, line)
        if self.pid == dying:
            os.kill(dying, signal.SIGKILL)

    monkeypatch.setattr(Engine, "_write", write_and_kill)
    found = judged(adapters.lora(seed=3))
    assert found.state == "queued"
    assert "SIGKILL" in found.attempts.get().outcome
    assert not Path("/proc", str(dying)).exists()
    assert once_more(found).state == "passed"


@pytest.mark.merge
def test_an_engine_that_is_stopped_in_the_middle_is_killed_and_replaced(bert, judged, settings, monkeypatch):
    monkeypatch.setattr("workers.engines.sandbox.GRACE_SECONDS", 0.5)
    judged(adapters.lora(seed=4))
    settings.ENGINE_SECONDS = 1
    stopped = engine().pid
    os.kill(stopped, signal.SIGSTOP)
    found = judged(adapters.lora(seed=5))
    assert found.state == "queued"
    assert "gave no answer" in found.attempts.get().outcome
    assert not Path("/proc", str(stopped)).exists()
    settings.ENGINE_SECONDS = 60
    assert once_more(found).state == "passed"


# --- other names of a base -------------------------------------------------------------------------------------------
def check_of(verdict: Verdict, name: str) -> dict:
    return next(check for check in verdict.result["checks"] if check["id"] == name)


def naming(base: str, readme: bytes = b"---\nlicense: mit\n---\n# Reviews\n") -> adapters.Files:
    """The honest adapter, whose config and card name its base so."""
    files = adapters.lora()
    config = json.loads(files["adapter_config.json"]) | {"base_model_name_or_path": base}
    return files | {"adapter_config.json": json.dumps(config).encode(), "README.md": readme}


def test_an_adapter_that_names_a_quantised_copy_is_proven_on_the_base_it_was_made_of(bert, judged):
    found = judged(naming(f"{bert.id}-bnb-4bit"))
    assert (found.state, failed(found)) == ("passed", [])
    assert found.result["base"]["id"] == bert.id
    note = check_of(found, "base.quantised")
    assert (note["outcome"], note["where"]["base"]) == ("warned", bert.id)
    assert check_of(found, "base.mismatch")["outcome"] == "passed"
    assert found.result["proven_with"]["engines"]["e5"]["peft"] == found.result["engine"]["peft"]
    assert found.proven_with in pipeline.current_provenances()


def test_another_name_of_the_base_is_no_mismatch_and_the_license_of_the_base_is_looked_at(bert, judged):
    bases.add_alias("house/tiny", bert.id)
    bases.set_license(bert.id, "llama3")
    found = judged(naming("house/tiny"))
    assert (found.state, failed(found)) == ("passed", [])
    assert "another name of" in check_of(found, "base.quantised")["message"]
    claim = check_of(found, "card.license")
    assert claim["outcome"] == "warned"
    assert "a name that begins with 'Llama 3'" in claim["message"]


def test_who_serves_it_is_said_of_what_passed_alone(bert, judged):
    good = judged(adapters.lora())
    assert {item["outcome"] for item in good.result["serving"]} >= {"serves"}
    good.revision.repository.refresh_from_db()
    served = good.revision.repository.serves
    assert "vllm" in served.split()
    spoilt = judged(adapters.with_nan()(adapters.lora()))
    assert spoilt.state == "failed"
    assert spoilt.result["serving"] == []
    spoilt.revision.repository.refresh_from_db()
    assert spoilt.revision.repository.serves == served, "lists go by `verified`, which is the good version"


ROWS = [
    {"text": f"the {noun} is {word}", "label": label}
    for noun in ("film", "book", "meal", "room")
    for label, word in enumerate(("bad", "good"))
]


def offer_rows(cast, name: str, *, private: bool = False) -> str:
    """Push an evaluation set with rows; return the commit."""
    found = cast.repository(name, type="dataset", private=private)
    files = [Inline("smoke.jsonl", "\n".join(map(json.dumps, ROWS)).encode())]
    return push.receive(Intent(found, MAIN, cast.session("alice"), "rows"), files).revision.oid


def with_card(**said) -> adapters.Files:
    return {**adapters.lora(), adapters.CARD: adapters.card(**said)}


def test_an_adapter_without_rows_is_measured_on_the_set_that_its_card_names(bert, judged, cast):
    commit = offer_rows(cast, "acme/opinions")
    found = judged(with_card(datasets=["imdb", "acme/opinions"]))
    assert {item["name"] for item in found.result["evals"]} == {f"acme/opinions@{commit[:8]}"}
    assert found.result["depth"] == "evaluated"


def test_rows_that_not_everybody_may_read_appear_in_no_public_verdict(bert, judged, cast):
    offer_rows(cast, "acme/covert", private=True)
    found = judged(with_card(smoke="acme/covert"))
    assert found.result["evals"] == []
    assert found.result["depth"] == "run"


def test_rows_of_its_own_come_first(bert, judged, cast):
    offer_rows(cast, "acme/opinions")
    own = {adapters.SMOKE: adapters.smoke([{"text": "a good film", "label": 1}] * 9)}
    found = judged({**with_card(datasets=["acme/opinions"]), **own})
    assert {item["name"] for item in found.result["evals"]} == {"smoke"}


def test_a_worse_version_with_other_rows_is_run_on_those_of_the_verified_one(bert, judged):
    texts = [f"the {noun} was {word}" for noun in ("film", "book", "meal", "room")
             for word in ("good", "bad", "great", "awful", "fine", "poor")]  # fmt: skip
    asked = judged(with_rows(3, [{"text": text, "label": 1} for text in texts]))
    rows = [{"text": text, "label": int(score)}
            for text, score in zip(texts, asked.result["evals"][0]["scores"], strict=True)]  # fmt: skip
    good = judged(with_rows(3, rows))
    worse = judged(with_rows(4, rows[::-1]))
    assert [verdict.state for verdict in (good, worse)] == ["passed", "passed"]
    # The first one is below a guess of its rows, so it was never verified, and its rows are not asked.
    assert asked.eligibility == Verdict.Eligibility.BELOW_BASE
    assert [entry["revision"] for entry in worse.result["earlier"]] == [good.revision.oid]
    assert Ref.objects.get(name="refs/verified").revision_id == good.revision_id
    comparison = Regression.objects.get(revision=worse.revision)
    assert (comparison.outcome, comparison.against_id) == ("worse", good.revision_id)
    assert "24 rows of the verified version" in comparison.result["reason"]


def with_rows(seed: int, rows: list[dict]) -> adapters.Files:
    return {**adapters.lora(seed=seed), adapters.SMOKE: adapters.smoke(rows)}


# --- an adapter in place of a base -----------------------------------------------------------------------------------
def pushed_on(cast, name, base, who="alice", capture=None, **more) -> Verdict:
    files = adapters.config(base_model_name_or_path=base)(adapters.lora())
    repository = cast.repository(name, by=who, **more)
    intent = Intent(repository, MAIN, cast.session(who), "weights")
    with capture(execute=True):
        revision = push.receive(intent, [Inline(path, data) for path, data in files.items()]).revision
    return latest(revision)


def test_an_adapter_that_names_an_adapter_as_its_base_fails_at_once_with_the_two_ways_out(
    bert, judged, cast, django_capture_on_commit_callbacks
):
    capture = django_capture_on_commit_callbacks
    early = pushed_on(cast, "alice/early", "Alice/Reviews", capture=capture)
    assert early.reason.startswith("Waiting for the base model Alice/Reviews"), "nothing here has that name yet"
    assert judged(adapters.lora()).state == "passed"
    assert sweeps.sweep().released == 1
    late = pushed_on(cast, "alice/late", "alice/reviews", capture=capture)
    other = pushed_on(cast, "carol/hers", "alice/reviews", who="carol", capture=capture)
    for waiting in (early, late, other):
        found = once_more(waiting)
        assert (found.state, failed(found)) == ("failed", ["base.unknown"]), found.reason
        (check,) = (check for check in found.result["checks"] if check["id"] == "base.unknown")
        assert f"is an adapter of {adapters.TINY_BERT.id}, not a base model" in check["message"]
        assert "merge_and_unload()" in check["fix"]
        assert f"set base_model_name_or_path to '{adapters.TINY_BERT.id}'" in check["fix"]
        assert check["where"]["base"] == adapters.TINY_BERT.id
        assert len([one for one in found.result["checks"] if one["outcome"] == "passed"]) > 20, "its files were checked"


def test_a_private_adapter_of_others_looks_like_a_base_that_does_not_exist(
    bert, cast, django_capture_on_commit_callbacks
):
    capture = django_capture_on_commit_callbacks
    pushed_on(cast, "bob/secret", adapters.TINY_BERT.id, who="bob", capture=capture, private=True)
    on_it = pushed_on(cast, "carol/on-it", "bob/secret", who="carol", capture=capture)
    on_nothing = pushed_on(cast, "carol/on-nothing", "bob/nothing", who="carol", capture=capture)
    in_public = pushed_on(cast, "bob/in-public", "bob/secret", who="bob", capture=capture)
    for waiting in (on_it, in_public):
        assert waiting.reason.replace("secret", "nothing") == on_nothing.reason
    sweeps.sweep()
    assert [once_more(one).state for one in (on_it, on_nothing, in_public)] == ["queued"] * 3
    beside = pushed_on(cast, "bob/beside", "bob/secret", who="bob", capture=capture, private=True)
    assert failed(once_more(beside)) == ["base.unknown"], "who reads the one reads the other"


def worked(verdict: Verdict) -> Verdict:
    """Do what waits after a verdict, and return it."""
    loop, deadline = WorkLoop(), time.monotonic() + 300
    while Comparison.objects.exists():
        assert time.monotonic() < deadline
        if not loop.step():
            time.sleep(0.05)
    return Verdict.objects.get(pk=verdict.pk)


@pytest.mark.merge
def test_the_programs_of_use_are_run_after_the_verdict_and_kept_until_they_are_run_again(bert, judged, cast, settings):
    """What the page offers is what was run: its digest is that of the text with the page's own address in it."""
    rows = [{"text": f"the {noun} was {word}", "label": at % 3} for at, (noun, word) in enumerate(PAIRS)]
    card = adapters.card(label_names=["calm", "glad", "sad"])
    smoke = "\n".join(map(json.dumps, rows)).encode()
    before = judged(adapters.lora(labels=3, size=0.6) | {"README.md": card, "smoke.jsonl": smoke})
    assert (before.state, before.report.programs) == ("passed", None)
    assert (before.report.usage.labels, before.report.usage.names) == (3, ("calm", "glad", "sad"))
    done = worked(before)
    assert [(run.key, run.outcome, run.engine, run.problem) for run in done.report.programs or ()] == [
        ("peft", "ran", "e5", ""),
        ("pipeline", "ran", "e5", ""),
    ]
    assert done.report.programs[0].printed == before.report.usage.answer in ("calm", "glad", "sad")
    assert [row.name for row in done.report.engines] == ["e5", "e4"], "the comparison is made too"
    here = Address("alice/reviews", "verified", "https://hub.example", bert.id, bases.oid_of(bert))
    assert done.report.programs[0].sha256 == digest(done.report.usage, here, "peft")
    assert (done.has_failed_programs, renewal.with_failed_programs().count()) == (False, 0)

    again = once_more(requests.request(done.revision, done.base, again=True))
    assert again.report.programs == done.report.programs, "of the same bytes, until they are run again"
    Verdict.objects.filter(pk=again.pk).update(
        result=again.result | {"usage": again.result["usage"] | {"labels": 5, "names": []}}
    )
    failed = worked(again)
    assert {run.outcome for run in failed.report.programs or ()} == {"failed"}
    assert "size mismatch" in failed.report.programs[0].problem
    assert list(renewal.with_failed_programs()) == [failed]
