"""Fixtures for tests of workers: a base cache, a pushed adapter, and engines, honest and not."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry.models import Base, Revision, Verdict
from registry.proof.verdicts import jobs, queue
from registry.proof.verdicts.requests import latest
from registry.publish import push
from registry.publish.push import MAIN, Inline, Intent
from tests.cast import Cast, assemble
from workers import base_cache
from workers.engine.job import ENGINES
from workers.engines import capabilities, warm_engines
from workers.validation import pipeline

FAKE = Path(__file__).parent / "fake_engine.py"
BASE = "tiny/base"
NOTIFIED: list[int] = []


def notify(verdict: int, *queues: str) -> bool:
    """Record the notification instead of sending it to a worker."""
    NOTIFIED.append(verdict)
    return True


@pytest.fixture
def notified() -> list[int]:
    """The verdicts that a worker was told of, in order."""
    return NOTIFIED


@pytest.fixture(autouse=True)
def _hub(settings, tmp_path):
    settings.DOORBELL = f"{__name__}.notify"
    settings.BLOBS = f"file://{tmp_path}/blobs"
    settings.SHELF = tmp_path / "shelf"
    NOTIFIED.clear()


@pytest.fixture
def cast(db) -> Cast:
    return assemble()


@pytest.fixture
def model(tmp_path) -> Path:
    """A folder that looks like a model to the shelf."""
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return folder


@pytest.fixture
def base(db, model) -> Base:
    return base_cache.add_folder(BASE, model, source="a test", tell=lambda line: None)


@pytest.fixture
def pushed(cast, django_capture_on_commit_callbacks) -> Callable[..., Verdict]:
    """Push an adapter that names a base, and return its verdict; the content makes each push another one."""
    repository = cast.repository("alice/reviews")

    def push_one(base: str = BASE, *, message: str = "weights") -> Verdict:
        config = {"peft_type": "LORA", "base_model_name_or_path": base}
        files = [
            Inline("adapter_config.json", json.dumps(config).encode()),
            Inline("adapter_model.safetensors", message.encode()),
        ]
        with django_capture_on_commit_callbacks(execute=True):
            ref = push.receive(Intent(repository, MAIN, cast.session("alice"), message), files)
        verdict = latest(ref.revision)
        assert verdict is not None
        return verdict

    return push_one


@pytest.fixture
def engine(settings, tmp_path, monkeypatch) -> Iterator[Callable[[str], None]]:
    """Choose how the engine of this hub behaves: a part in fake_engine.py."""
    python = tmp_path / "engines" / next(iter(ENGINES)) / "bin" / "python"
    python.parent.mkdir(parents=True)
    settings.ENGINES = tmp_path / "engines"
    (settings.ENGINES / "venv").symlink_to(sys.prefix)  # engines read what lies in here
    fake = settings.ENGINES / "fake_engine" / FAKE.name
    (fake.parent / "bin").mkdir(parents=True)
    (fake.parent / "bin" / "python").symlink_to(sys.executable)
    fake.write_text(FAKE.read_text().replace("Path(__file__).parents[2]", repr(str(FAKE.parents[2]))))
    capabilities.unfit.cache_clear()

    def behave(mode: str) -> None:
        warm_engines.ENGINES.stop()
        self_test = f'case "$2" in *selftest.py) exec {sys.executable} "$@";; esac\n'
        python.write_text(f'#!/bin/sh\n{self_test}exec {sys.executable} -I {fake} "{mode}" {tmp_path}\n')
        python.chmod(0o755)

    behave("passes")
    yield behave
    warm_engines.ENGINES.stop()
    capabilities.unfit.cache_clear()


def validate(verdict: int) -> Verdict | None:
    """Prove this verdict as a worker does whose turn came to it; nothing where this worker may not take it."""
    if not capabilities.unfit() and queue.claimable(capabilities.current()).filter(pk=verdict).exists():
        claim = jobs.claim(verdict, capabilities.name())
        assert claim is not None
        pipeline.validate(claim)
    return Verdict.objects.filter(pk=verdict).first()


def history(revision: Revision) -> list[str]:
    """Return the oids from a revision to the first."""
    return [revision.oid, *(history(revision.parent) if revision.parent else [])]
