"""Makes the derived artifacts of a proven revision: safetensors of its pickles and the reverse; or quarantines it."""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import IntegrityError, transaction

from dovetail.adapters.files import header as headers
from dovetail.adapters.files import torchfile
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.files.pickle_interpreter import Refused
from dovetail.adapters.formats.twins import MAX_TWINS
from dovetail.adapters.results.report import Report
from registry.bytes import blobs, intake, tensor_digests
from registry.bytes.blobs import Digest, Hasher, Keys, store
from registry.kernel.errors import StoreUnavailable
from registry.models import Blob, DerivedArtifact, Revision
from registry.proof.verified import withdrawals
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
        return target.is_file() and store_derived(artifact, target) is not None


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


def store_derived(artifact: Derivation, path: Path) -> DerivedArtifact | None:
    """Store a derived file; return None if it exceeds the size limit or is not a valid file of its form.

    The file comes out of a sandbox, so it is parsed and hashed here. Raises StoreUnavailable.
    """
    if path.stat().st_size > settings.MAX_FILE_BYTES or not _is_sound(path, artifact.form):
        return None
    digest = _digest(path)
    intake.store_verified(digest.sha256, _pieces(path))
    try:
        row = _note(artifact, digest)
    except IntegrityError:  # the sweep deleted the blob's row between the two inserts
        row = _note(artifact, digest)
    intake.store_verified(digest.sha256, _pieces(path))
    if not blobs.object_exists(Keys.blob(digest.sha256)):
        raise StoreUnavailable(f"The bytes of {digest.sha256} were swept while they were stored.")
    return row


def _note(artifact: Derivation, digest: Digest) -> DerivedArtifact:
    with transaction.atomic():
        Blob.objects.bulk_create([Blob(sha256=digest.sha256, size=digest.size)], ignore_conflicts=True)
        row, _ = DerivedArtifact.objects.get_or_create(
            source_id=artifact.source.sha256, form=artifact.form, defaults={"blob_id": digest.sha256}
        )
        if artifact.form == DerivedArtifact.Form.SAFETENSORS:
            tensor_digests.enqueue_digests([artifact.source.sha256])
    return row


def _is_sound(path: Path, form: str) -> bool:
    read: Callable[[BinaryIO], object] = headers.read if form == DerivedArtifact.Form.SAFETENSORS else torchfile.read
    try:
        with path.open("rb") as file:
            read(file)
    except (HeaderError, Refused):
        return False
    return True


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(blobs.PIECE):
            yield piece


def _digest(path: Path) -> Digest:
    hasher = Hasher()
    for piece in _pieces(path):
        hasher.update(piece)
    return hasher.digest()
