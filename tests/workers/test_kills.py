"""kill -9 at every step, stuck children, full disks, wrong clocks: one result, in time, and nothing left behind."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now

from dovetail.adapters.results.report import Report
from registry.models import Attempt, Comparison, Verdict
from registry.moderation import quarantine
from registry.proof import dossiers
from registry.proof.dossiers import Dossier
from registry.proof.verdicts import jobs, requests, sweeps
from registry.proof.verdicts.queue import Claim
from registry.publish import push
from registry.publish.push import MAIN, Inline, Intent
from tests import adapters
from tests.workers.conftest import BASE, validate
from tests.workers.doomed import STEPS
from tests.workers.test_queue import ROOT, database_url, until
from tests.workers.test_real_engine import bert, judged, shelves  # noqa: F401 - fixtures among them
from tests.workers.test_real_engine import engine as last_engine
from workers import base_cache
from workers.engine import work_folders
from workers.engines import sessions, warm_engines
from workers.loop import WorkLoop
from workers.validation import pipeline

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def temporary(settings, monkeypatch) -> Iterator[Path]:
    """The folder for temporary files of this test; its path is short, since sockets lie in there."""
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = 2, 0.5
    with tempfile.TemporaryDirectory(prefix="dk") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)
        warm_engines.ENGINES.stop()  # their homes are in there
        sessions.PLACE.leave()


@pytest.fixture
def second(engine, settings) -> None:
    """A second engine beside the first, that behaves alike."""
    (settings.ENGINES / "e4").symlink_to(settings.ENGINES / "e5")


@pytest.fixture
def doomed(settings, tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a worker that dies at a step."""
    started: list[subprocess.Popen] = []

    def start(*step: str, wait: bool = True) -> subprocess.Popen:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DOVETAIL_")}
        environment = kept | {
            "DOVETAIL_DATA": str(tmp_path),
            "DOVETAIL_SECRET_KEY": "x" * 60,
            "DOVETAIL_DATABASE_URL": database_url(),
            "DOVETAIL_BLOBS": settings.BLOBS,
            "DOVETAIL_SHELF": str(settings.SHELF),
            "DOVETAIL_ENGINES": str(settings.ENGINES),
            "DOVETAIL_BROKER_URL": "redis://127.0.0.1:1/0",  # it is down, too
            "DJANGO_SETTINGS_MODULE": "tests.workers.hasty",
            "PYTHONPATH": f"{ROOT}:{ROOT}/client/src",
        }
        with (tmp_path / "doomed.log").open("ab") as log:
            command = [sys.executable, "-m", "tests.workers.doomed", *step]
            started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
        if wait:
            started[-1].wait(200)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def survivors(temporary: Path) -> list[str]:
    """Return the processes of the worker that died: those whose surroundings name the folder of this test."""
    held = [warm.engine for warm in warm_engines.ENGINES._warm.values()]
    found, ours = [], {str(number) for engine in held for number in (os.getpid(), engine.pid, engine.parent)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if bytes(temporary) in said and state != "Z" and process.name not in ours:
            found.append(f"{process.name} {said[:200]!r}")
    return found


def left(temporary: Path) -> list[str]:
    """Return what lies in the folder for temporary files, after the sweep that each beat makes, and without engines."""
    sessions.PLACE.leave()
    work_folders.sweep()
    return [path.name for path in temporary.iterdir()]


def comes_to_an_end(verdict: Verdict, *, patience: float = 400) -> Verdict:
    """Sweep and work as the next worker does, until the verdict is decided and nothing is owed."""
    deadline = time.monotonic() + patience
    loop = WorkLoop()
    while not (found := Verdict.objects.get(pk=verdict.pk)).is_final or Comparison.objects.exists():
        assert time.monotonic() < deadline, f"{found.state}: {found.reason}"
        sweeps.sweep()
        if not loop.step():
            time.sleep(0.1)
    return Verdict.objects.get(pk=verdict.pk)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.merge
def test_a_worker_killed_at_any_step_leaves_one_result_and_nothing_else(
    pushed, base, engine, second, doomed, tmp_path, temporary, step
):
    verdict = pushed()
    assert doomed(step).returncode == -signal.SIGKILL, (tmp_path / "doomed.log").read_text()
    until(lambda: not survivors(temporary))
    found = comes_to_an_end(verdict)
    assert (found.state, found.number, Verdict.objects.count()) == ("passed", 1, 1)
    assert [row["name"] for row in found.result["engines"]] == ["e5", "e4"], "and each engine said its word once"
    results = list(Attempt.objects.values_list("outcome", flat=True))
    assert results.count("passed") == 1, results
    assert found.attempt == (1 if step in ("claiming", "recorded", "comparing", "recording a comparison") else 2)
    warm_engines.ENGINES.stop()
    assert left(temporary) == []


@pytest.fixture
def alone(settings, tmp_path) -> Callable[[str], None]:
    """Leave one real engine: each that starts costs seconds."""

    def leave(name: str) -> None:
        (tmp_path / "engines").mkdir()
        (tmp_path / "engines" / name).symlink_to(settings.ENGINES / name)
        settings.ENGINES = tmp_path / "engines"

    return leave


@pytest.mark.engine
@pytest.mark.parametrize(("step", "name"), [("the first check", "e5"), ("comparing", "e4")])
@pytest.mark.merge
def test_a_worker_killed_in_the_middle_of_a_real_engine_leaves_no_process(
    bert, cast, alone, doomed, tmp_path, temporary, step, name
):
    alone(name)
    files = [Inline(path, content) for path, content in adapters.lora().items()]
    intent = Intent(cast.repository("alice/reviews"), MAIN, cast.session("alice"), "weights")
    verdict = requests.current(push.receive(intent, files).revision)
    if step == "comparing":
        passed = Report(state="passed", format="peft")
        jobs.record(jobs.claim(verdict.pk, "w"), passed, 1, compare=[name])
    assert doomed(step).returncode == -signal.SIGKILL, (tmp_path / "doomed.log").read_text()
    until(lambda: not survivors(temporary))
    final = comes_to_an_end(verdict)
    assert final.state == "passed"
    assert [row["name"] for row in final.result["engines"]] == [name]


# --- children --------------------------------------------------------------------------------------------------------
def to_the_next_child(parent: int, number: int) -> threading.Thread:
    """Send a signal to the next child that an engine forks."""

    def watch() -> None:
        children, deadline = Path(f"/proc/{parent}/task/{parent}/children"), time.monotonic() + 240
        while time.monotonic() < deadline:
            if found := children.read_text().split():
                os.kill(int(found[0]), number)
                return
            time.sleep(0.001)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.engine
@pytest.mark.merge
def test_a_child_that_is_killed_or_stuck_costs_an_attempt_and_the_engine_lives_on(bert, judged, settings, alone):
    alone("e5")  # a second engine would decide at once
    assert judged(adapters.lora(seed=6)).state == "passed"
    parent = last_engine().pid
    for number in (signal.SIGKILL, signal.SIGSTOP):
        settings.ENGINE_SECONDS = 5
        watcher = to_the_next_child(parent, number)
        found = judged(adapters.lora(seed=number))
        watcher.join()
        assert (found.state, found.attempt) == ("queued", 1), found.result
        assert last_engine().pid == parent
        settings.ENGINE_SECONDS = 60
        assert validate(found.pk).state == "passed"
    until(lambda: not Path(f"/proc/{parent}/task/{parent}/children").read_text())


# --- what changes under its feet -------------------------------------------------------------------------------------
@pytest.fixture
def meanwhile(monkeypatch) -> Callable[[Callable[[], object]], None]:
    """Do something in the middle of the next validation."""
    gather = dossiers.gather

    def arrange(act: Callable[[], object]) -> None:
        def both(claim: Claim, folder: Path) -> Dossier:
            monkeypatch.setattr(dossiers, "gather", gather)
            dossier = gather(claim, folder)
            act()
            return dossier

        monkeypatch.setattr(dossiers, "gather", both)

    return arrange


def test_a_verdict_or_an_adapter_deleted_meanwhile_is_no_matter(pushed, base, engine, meanwhile, temporary, caplog):
    one = pushed()
    meanwhile(lambda: Verdict.objects.filter(pk=one.pk).delete())
    assert validate(one.pk) is None
    two = pushed(message="two")
    meanwhile(two.revision.repository.delete)
    assert validate(two.pk) is None
    assert caplog.text.count("claim was lost") == 2
    warm_engines.ENGINES.stop()
    assert left(temporary) == []


@pytest.mark.merge
def test_an_adapter_quarantined_meanwhile_gets_its_verdict_all_the_same(pushed, base, engine, meanwhile, cast):
    verdict = pushed()
    meanwhile(lambda: quarantine.quarantine(verdict.revision.repository, cast.session("mona"), reason="malware"))
    assert validate(verdict.pk).state == "passed"


def test_a_base_removed_meanwhile_does_not_fail_the_author(pushed, base, engine, meanwhile, model):
    verdict = pushed()
    meanwhile(lambda: base_cache.remove(BASE))
    found = validate(verdict.pk)
    assert (found.state, found.attempt) == ("queued", 0)
    assert "shelf" in found.reason
    base_cache.add_folder(BASE, model, source="a test", tell=lambda line: None)
    Verdict.objects.update(not_before=found.queued_at)
    assert comes_to_an_end(found).state == "passed"


def test_a_base_removed_between_the_claim_and_the_work_is_waited_for(pushed, base, engine):
    verdict = pushed()
    claim = jobs.claim(verdict.pk, "w")
    base_cache.remove(BASE)
    pipeline.validate(claim)
    found = Verdict.objects.get()
    assert (found.state, found.attempt) == ("queued", 0)
    assert f"{BASE} is in the base cache according to the database, but not in" in found.reason


# --- disks and clocks ------------------------------------------------------------------------------------------------
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_costs_no_attempt_and_is_said_and_ends(pushed, base, engine, temporary):
    small = temporary
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", small], check=True)
    try:
        (small / "ballast").write_bytes(b"x" * 8192)
        found = validate(pushed().pk)
        assert (found.state, found.attempt) == ("queued", 0)
        assert "No space left" in found.reason
        assert not list(small.glob("dovetail-*"))
        subprocess.run(["mount", "-o", "remount,size=10m", small], check=True)
        Verdict.objects.update(not_before=found.queued_at)
        assert comes_to_an_end(found).state == "passed"
    finally:
        warm_engines.ENGINES.stop()
        sessions.PLACE.leave()
        until(lambda: subprocess.run(["umount", small]).returncode == 0)  # the keeper's socket lies in there


@pytest.mark.parametrize("hours", ["5", "-5"])
@pytest.mark.merge
def test_a_worker_whose_clock_is_wrong_keeps_its_lease_by_the_databases(pushed, base, engine, doomed, hours):
    engine("slow")  # 1.5 s
    verdict = pushed()
    worker = doomed("clock", hours, wait=False)
    lost = 0
    while worker.poll() is None:
        lost += sweeps.sweep().lost
        time.sleep(0.1)
    found = Verdict.objects.get(pk=verdict.pk)
    assert (found.state, found.attempt, lost) == ("passed", 1, 0)


def test_a_lost_lease_ends_by_the_databases_clock_whatever_the_sweeper_thinks(pushed, base, settings, monkeypatch):
    settings.LEASE_SECONDS = 600
    verdict = pushed()
    jobs.claim(verdict.pk, "w")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 36_000)
    monkeypatch.setattr("django.utils.timezone.now", lambda: verdict.queued_at.replace(year=2099))
    assert sweeps.sweep().lost == 0
    monkeypatch.undo()
    Verdict.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert sweeps.sweep().lost == 1
