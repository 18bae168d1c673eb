"""Makes the derived artifacts of a proven revision: safetensors of its pickles and the reverse; or quarantines it."""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dovetail.adapters.files import header as headers
from dovetail.adapters.files import torchfile
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.formats.twins import MAX_TWINS
from dovetail.adapters.results.report import Report
from registry.bytes.blobs import Keys, store
from registry.kernel.errors import StoreUnavailable
from registry.models import DerivedArtifact, Revision
from registry.proof.verified import withdrawals
from registry.publish.made import deriving
from registry.repos import derived, pull
from registry.repos.derived import Derivation
from workers import scratch_folders
from workers.engine import jail
from workers.engines import capabilities
from workers.engines.keeper import environment
from workers.validation.layout import survey_derived

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).parents[1] / "engine" / "derive.py"
SECONDS = 130  # of wall time, for all files of one revision; each process bounds its own CPU time
MAX_WORDS = 500
PIECE = 1 << 20


def derive(revision: Revision, report: Report) -> Report:
    """Quarantine a revision whose pickle holds more than tensors, else make the files that are served beside its own.

    Returns the report with the bases that a derived artifact fits, where the pushed files could not tell. Nothing here
    decides a verdict, and a file that cannot be derived now is tried again with the next verdict.
    """
    is_hostile = [check for check in report.failed if check.id == "file.pickle" and check.where.get("quarantine")]
    if is_hostile:
        withdrawals.hold(revision, f"{is_hostile[0].message} {is_hostile[0].fix}", finding=is_hostile[0].id)
        return report
    if any(check.id.startswith("file.") for check in report.failed):
        return report
    try:
        for artifact, is_kept in _make(derived.not_yet_derived(pull.entries(revision))):
            details = {"revision": revision.oid, "path": artifact.path, "kept": is_kept}
            logger.info("A file was derived", extra=details)
    except (StoreUnavailable, OSError, subprocess.SubprocessError) as problem:
        logger.warning("Nothing was derived: %s", problem, extra={"revision": revision.oid})
        return report
    return survey_derived(revision, report)


def _make(derivations: Sequence[Derivation]) -> list[tuple[Derivation, bool]]:
    deadline = time.monotonic() + SECONDS
    return [
        (artifact, _make_one(artifact, deadline)) for artifact in derivations[:MAX_TWINS] if time.monotonic() < deadline
    ]


def _make_one(artifact: Derivation, deadline: float) -> bool:
    """Make one file and store it, in a folder that holds no other file.

    A file derived from a pickle is served wherever that pickle lies, so the process sees that pickle alone: a pickle
    that takes its process over can spoil only its own artifact, which nobody has who has not the pickle as well.
    """
    with scratch_folders.folder("twin") as folder:
        source, target = folder / "from", folder / "to" / "made"
        target.parent.mkdir()
        _fetch(artifact, source)
        if artifact.form == DerivedArtifact.Form.SAFETENSORS:
            _write_safetensors(source, target, deadline - time.monotonic())
        else:
            _write_pickle(source, target)
        return target.is_file() and deriving.store_derived(artifact, target) is not None


def _fetch(artifact: Derivation, target: Path) -> None:
    with store().open(Keys.blob(artifact.source.sha256)) as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, PIECE)


def _write_safetensors(source: Path, target: Path, seconds: float) -> None:
    """Convert a pickle in a jailed process; if that fails, there is no file."""
    python = str(capabilities.interpreter(capabilities.built()[0]))  # of any engine: the standard library is enough
    with (source.parent / "said").open("w+b") as stderr:  # a file, since its size is bounded and our memory is not
        process = subprocess.run(
            [python, "-I", str(SCRIPT), str(source), str(target)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=stderr, cwd=target.parent, env=environment(target.parent), check=False,
            timeout=max(seconds, 1), preexec_fn=partial(jail.die_with_parent, os.getpid()),
        )  # fmt: skip
        if process.returncode:
            stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - MAX_WORDS))
            words = stderr.read().decode(errors="replace")
            logger.warning("The process that derives ended with %s: %s", process.returncode, words)


def _write_pickle(source: Path, target: Path) -> None:
    """Write a file of torch.save in this process: of its source, safetensors, only the header is interpreted."""
    try:
        with source.open("rb") as reader, target.open("xb") as writer:
            torchfile.write(headers.read(reader), reader, writer)
    except (HeaderError, torchfile.Unwritable) as problem:
        logger.info("No pickle for %s: %s", source, problem)
        target.unlink()
