"""What follows from the pickles of a revision once it is judged: quarantine, or the files that are derived of it."""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dovetail.adapters import config as configs
from dovetail.adapters import header as headers
from dovetail.adapters import torchwriter
from dovetail.adapters.description import WEIGHTS
from dovetail.adapters.header import HeaderError
from dovetail.adapters.twins import MAX_TWINS
from registry.bytes.blobs import Keys, store
from registry.kernel.errors import StoreUnavailable
from registry.models import DerivedArtifact, Revision
from registry.proof import fit, holding
from registry.publish import deriving
from registry.repos import derived, facts, pull
from registry.repos.derived import Derivation, DerivedEntry
from workers import matrix, sandbox, scratch
from workers.engine import jail
from workers.report import Report

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).parent / "engine" / "derive.py"
SECONDS = 130  # of a clock, for all files of one revision; each process bounds its own CPU time
MAX_WORDS = 500
PIECE = 1 << 20


def settle(revision: Revision, report: Report) -> Report:
    """Hold a revision back whose pickle holds more than tensors; else derive what is served beside its files.

    Returns the report with what the twin says of other bases. Nothing here decides a verdict, and what cannot be
    derived now is tried again with the next one.
    """
    failed = [check for check in report["checks"] if check["outcome"] == "failed"]
    held = next((check for check in failed if check["id"] == "file.pickle" and check["where"].get("quarantine")), None)
    if held:
        holding.hold(revision, f"{held['message']} {held['fix']}")
        return report
    if any(check["id"].startswith("file.") for check in failed):
        return report
    try:
        for one, made in _make(derived.not_yet_derived(pull.entries(revision))):
            logger.info("A file was derived", extra={"revision": revision.oid, "path": one.path, "kept": made})
    except (StoreUnavailable, OSError, subprocess.SubprocessError) as problem:
        logger.warning("Nothing was derived: %s", problem, extra={"revision": revision.oid})
        return report
    return _fitted(revision, report)


def _fitted(revision: Revision, report: Report) -> Report:
    """Ask of a twin, now that it is outside, what was asked of safetensors before: which bases it fits."""
    entries = pull.served_entries(revision)
    if "fits" in report or not isinstance(entries.get(WEIGHTS), DerivedEntry):
        return report
    spoken = configs.names(dict(facts.read_facts(entries).card.data), "base_model")
    return fit.tell(report, fit.survey_files(facts.file_openers(entries)), spoken)


def _make(wanted: Sequence[Derivation]) -> list[tuple[Derivation, bool]]:
    until = time.monotonic() + SECONDS
    return [(one, _kept(one, until)) for one in wanted[:MAX_TWINS] if time.monotonic() < until]


def _kept(one: Derivation, until: float) -> bool:
    """Make one file and store it, with nothing of another one in reach of whoever makes it.

    What comes of a pickle is served wherever that pickle lies. So a process gets to see one alone: a pickle that took
    its process over may spoil its own twin, which nobody has but who has that pickle.
    """
    with scratch.folder("twin") as folder:
        source, made = folder / "from", folder / "to" / "made"
        made.parent.mkdir()
        _fetch(one, source)
        if one.form == DerivedArtifact.Form.SAFETENSORS:
            _twin(source, made, until - time.monotonic())
        else:
            _pickle(source, made)
        return made.is_file() and deriving.store_derived(one, made) is not None


def _fetch(one: Derivation, target: Path) -> None:
    with store().open(Keys.blob(one.source.sha256)) as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, PIECE)


def _twin(source: Path, made: Path, seconds: float) -> None:
    """Have a twin written by a jailed process; where it fails, there is none."""
    python = str(matrix.interpreter(matrix.built()[0]))  # of any engine: the standard library is enough
    with (source.parent / "said").open("w+b") as said:  # a file, since its size is bounded and our memory is not
        done = subprocess.run(
            [python, "-I", str(SCRIPT), str(source), str(made)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=said, cwd=made.parent, env=sandbox.environment(made.parent), check=False, timeout=max(seconds, 1),
            preexec_fn=partial(jail.die_with_parent, os.getpid()),
        )  # fmt: skip
        if done.returncode:
            said.seek(max(0, said.seek(0, os.SEEK_END) - MAX_WORDS))
            words = said.read().decode(errors="replace")
            logger.warning("The process that derives ended with %s: %s", done.returncode, words)


def _pickle(source: Path, target: Path) -> Path:
    """Write a file of torch.save here: its source is safetensors, of which nothing but the header is read."""
    try:
        with source.open("rb") as file, target.open("xb") as written:
            torchwriter.write(headers.read(file), file, written)
    except (HeaderError, torchwriter.Unwritable) as problem:
        logger.info("No pickle for %s: %s", source, problem)
        target.unlink()
    return target
