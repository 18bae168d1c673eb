"""One validation from start to end, on engines that behave and engines that do not."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from registry.models import Comparison, Verdict
from registry.proof import dossiers
from registry.proof.verdicts import sweeps
from registry.repos import pull
from tests.sweep import at_merge
from tests.workers.conftest import BASE, validate
from workers import base_folders
from workers.engines import capabilities, sandbox, warm_engines
from workers.loop import WorkLoop

pytestmark = pytest.mark.django_db(transaction=True)  # the lease is kept on another connection


@pytest.fixture(autouse=True)
def _patience(settings):
    settings.ENGINE_SECONDS = 1
    settings.HEARTBEAT_SECONDS = 0.1


def proven(verdict: Verdict) -> Verdict:
    validate(verdict.pk)
    return Verdict.objects.get(pk=verdict.pk)


def test_a_push_becomes_a_verdict(pushed, base, engine):
    found = proven(pushed())
    assert found.state == "passed"
    assert found.result["depth"] == "run"
    assert found.duration_ms > 0
    assert found.result["base"] == {"id": BASE, "revision": base.revision, "sha256": base.sha256}, "the shelf knows"
    assert list(Path(tempfile.gettempdir()).glob(f"dovetail-job-{os.getpid()}-*")) == []


def test_a_second_message_for_the_same_row_does_nothing(pushed, base, engine):
    verdict = pushed()
    assert proven(verdict).attempt == proven(verdict).attempt == 1


def test_a_message_for_a_row_that_is_gone_does_nothing(db, engine):
    validate(404)


@pytest.mark.parametrize("mode", ["dies", "claims to pass", *at_merge("floods", "leaks", "ends at once")])
def test_a_bad_engine_errors_after_three_attempts_and_never_fails_the_author(pushed, base, engine, mode):
    engine(mode)
    verdict = pushed()
    assert [proven(verdict).state for _ in range(3)] == ["queued", "queued", "errored"]
    (check,) = Verdict.objects.get().result["checks"]
    assert check["id"] == "engine.check-crashed"
    assert "Engine" in check["message"]
    assert proven(verdict).attempt == 3


def test_a_hung_engine_is_given_up(pushed, base, engine, settings, monkeypatch):
    monkeypatch.setattr(sandbox, "GRACE_SECONDS", 0.1)
    settings.ENGINE_SECONDS = 0.2
    engine("hangs")
    verdict = proven(pushed())
    assert verdict.state == "queued"
    assert "gave no answer" in verdict.attempts.get().outcome


@pytest.mark.merge
def test_an_engine_that_is_slow_to_start_costs_no_attempt(pushed, base, engine, monkeypatch):
    monkeypatch.setattr(sandbox, "START_SECONDS", 0.2)
    engine("ready after work")
    found = proven(pushed())
    assert (found.state, found.attempt) == ("queued", 0)
    assert "still starting" in found.reason
    Verdict.objects.update(not_before=found.queued_at)
    (held,) = warm_engines.ENGINES._warm.values()
    assert held.engine.is_alive
    monkeypatch.setattr(sandbox, "START_SECONDS", 60)
    sweeps.sweep()
    later = proven(found)
    assert later.state == "passed", later.reason


def test_a_good_engine_after_a_bad_one_gives_the_verdict(pushed, base, engine):
    engine("dies")
    verdict = pushed()
    assert proven(verdict).state == "queued"
    engine("passes")
    assert proven(verdict).state == "passed"


def test_the_lease_is_kept_while_an_engine_works(pushed, base, engine, settings):
    settings.LEASE_SECONDS = 0.4
    settings.ENGINE_SECONDS = 5
    engine("slow")  # 1.5 s, with a sweep right behind it
    verdict = pushed()
    assert proven(verdict).state == "passed"


@pytest.mark.parametrize("mode", ["passes", "dies"])
def test_a_claim_that_was_taken_away_is_not_written(pushed, base, engine, monkeypatch, caplog, mode):
    engine(mode)
    verdict = pushed()

    gather = dossiers.gather

    def steal(claim, folder):
        Verdict.objects.update(fence="another's")
        return gather(claim, folder)

    monkeypatch.setattr(dossiers, "gather", steal)
    assert proven(verdict).state == "running"
    assert "claim was lost" in caplog.text


def test_a_jail_that_does_not_hold_leaves_rows_untouched_and_is_said(pushed, base, engine, settings, tmp_path):
    python = tmp_path / "engines" / "e5" / "bin" / "python"
    hole = '{"holes": ["A file outside can be read."]}'
    python.write_text(f"#!/bin/sh\necho '{hole}'\n")
    capabilities.unfit.cache_clear()
    assert "A file outside can be read." in capabilities.unfit()
    assert proven(pushed()).attempt == 0


def test_without_an_interpreter_the_worker_says_how_to_get_one(settings, tmp_path):
    settings.ENGINES = tmp_path
    capabilities.unfit.cache_clear()
    assert "make" in capabilities.unfit()
    capabilities.unfit.cache_clear()


def test_a_blob_store_that_is_down_waits_without_costing_an_attempt(pushed, base, engine, settings):
    verdict = pushed()
    settings.BLOBS = "file:///dev/null/blobs"
    found = proven(verdict)
    assert (found.state, found.attempt) == ("queued", 0)


def test_a_base_whose_bytes_changed_is_never_loaded(pushed, base, engine):
    weights = base_folders.path(base) / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(b"WEIGHTS")
    found = proven(pushed())
    assert (found.state, found.attempt) == ("queued", 0)
    assert "is not the file that was added to the base cache" in found.reason


def test_files_reach_the_engine_as_copies(pushed, base, tmp_path):
    verdict = pushed()
    pull.copy_files(verdict.revision, tmp_path / "job")
    laid = tmp_path / "job" / "adapter_config.json"
    sha256 = verdict.revision.files.get(path=laid.name).sha256
    (stored,) = (tmp_path / "blobs").rglob(sha256)
    assert laid.read_bytes() == stored.read_bytes()
    assert laid.stat().st_ino != stored.stat().st_ino


def test_the_base_that_was_asked_for_last_is_warmed(pushed, base, engine):
    warm_engines.warm()
    warm = [held.engine for held in warm_engines.ENGINES._warm.values()]
    assert len(warm) == 1
    proven(pushed())
    assert [held.engine for held in warm_engines.ENGINES._warm.values()] == warm


def test_an_adapter_without_a_base_goes_to_an_engine_without_one(pushed, db, engine):
    found = proven(pushed("/home/alice/model"))
    assert found.state == "passed"
    assert found.result["base"] is None
    assert warm_engines.ENGINES.labels == [("e5", "")]


def test_a_push_never_waits_for_the_engine_of_a_comparison_to_start(pushed, base, engine, settings, tmp_path):
    slow = settings.ENGINES / "e4" / "bin" / "python"
    slow.parent.mkdir(parents=True)
    slow.write_text((settings.ENGINES / "e5" / "bin" / "python").read_text().replace('"passes"', '"never ready"'))
    slow.chmod(0o755)
    turn = WorkLoop()
    pushed()
    assert turn.step()
    began = time.monotonic()
    assert not turn.step(), "the second engine starts beside us"
    assert ("e4", BASE) in warm_engines.ENGINES.labels
    second = pushed(message="second")
    assert turn.step()
    assert Verdict.objects.get(pk=second.pk).state == "passed"
    assert time.monotonic() - began < 110, "an engine that is never ready is waited for 120 s"
    assert Comparison.objects.count() == 2
