"""Examines files before they are committed, as `dovetail check` does on somebody's machine.

The static checks of the format library run in a process of their own, with limits and without secrets: strangers wrote
the bytes. Nothing of it is a verdict, which needs the base, and is given to what was committed.
"""

import hashlib
import json
import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dovetail.adapters.formats.description import Description
from dovetail.adapters.results.records import Malformed
from dovetail.adapters.results.report import CheckResult
from features.editing import examine_program
from registry.bytes import blobs
from registry.repos.contents import card, facts
from registry.repos.manifest import Entry

logger = logging.getLogger(__name__)
SECONDS = 15  # of processor time
PATIENCE = 50  # seconds that a page waits, below the minute of proxies
MAX_COPIED = 512 << 20  # bytes that are fetched from a store that has no files of its own
MAX_ANSWER = 4 << 20
MAX_LOGGED = 1000  # bytes of what the program wrote to its standard error
AT_ONCE = 4  # in one web process: each may take a core, 2 GiB, and the copies of its files
WAIT = 2.0  # seconds for one of these places

KNOWN = 64  # examinations that a process keeps

_places = threading.BoundedSemaphore(AT_ONCE)
_known: dict[str, "Examination"] = {}  # the oldest first
_known_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Examination:
    """The description of some files, and the results of the static checks; `why_unchecked` if they did not run."""

    description: Description | None
    checks: tuple[CheckResult, ...] = ()
    why_unchecked: str = ""
    failed_before: int = 0  # checks that a change does not mend, and did not break

    def since(self, before: "Examination") -> "Examination":
        """Return it without the failures that were there before a change."""
        old = {(check.id, check.message) for check in before.failed}
        checks = tuple(row for row in self.checks if row.outcome != "failed" or (row.id, row.message) not in old)
        return replace(self, checks=checks, failed_before=len(self.checks) - len(checks))

    @property
    def failed(self) -> list[CheckResult]:
        return [check for check in self.checks if check.outcome == "failed"]

    @property
    def warned(self) -> list[CheckResult]:
        return [check for check in self.checks if check.outcome == "warned"]

    @property
    def passed(self) -> int:
        return sum(check.outcome == "passed" for check in self.checks)


def describe(entries: Mapping[str, Entry]) -> Description | None:
    """Return what files say they are; None if they hold no adapter. Raises StoreUnavailable."""
    return facts.read_facts(entries).description


def examine(entries: Mapping[str, Entry], changed: Mapping[str, bytes]) -> Examination:
    """Return what the files of a revision would be with `changed` (path → new content) in their place.

    Raises StoreUnavailable if a file cannot be read.
    """
    with _known_lock:
        known = _known.get(key := _key(entries, changed))
    if known is not None:
        return known
    if not _places.acquire(timeout=WAIT):
        return _unchecked(entries, changed, "Too many are being checked at this moment")
    try:
        found = _examine(entries, changed)
    finally:
        _places.release()
    if not found.why_unchecked:
        with _known_lock:
            _known[key] = found
            while len(_known) > KNOWN:
                del _known[next(iter(_known))]
    return found


def _key(entries: Mapping[str, Entry], changed: Mapping[str, bytes]) -> str:
    """Return a digest of the paths and bytes of all files: a page and the commit after it have the same."""
    digests = {path: entry.sha256 for path, entry in entries.items()}
    digests |= {path: hashlib.sha256(content).hexdigest() for path, content in changed.items()}
    return hashlib.sha256(json.dumps(sorted(digests.items())).encode()).hexdigest()


def _examine(entries: Mapping[str, Entry], changed: Mapping[str, bytes]) -> Examination:
    with (
        tempfile.TemporaryDirectory(prefix="dovetail-examine-") as folder,
        _laid_out(entries, changed, Path(folder)) as files,
    ):
        answer = _run(files, _front_matter(entries, changed)) if files is not None else None
    if answer is None:
        why = "They are too large to check here" if files is None else "The checks took too long here"
        return _unchecked(entries, changed, why)
    return answer


def _unchecked(entries: Mapping[str, Entry], changed: Mapping[str, bytes], why: str) -> Examination:
    known = {path: entry for path, entry in entries.items() if path not in changed}
    return Examination(describe(known), why_unchecked=f"{why}: the verdict will say.")


@contextmanager
def _laid_out(
    entries: Mapping[str, Entry], changed: Mapping[str, bytes], folder: Path
) -> Iterator[dict[str, str] | None]:
    """Yield path → file on this machine; None if they are too large to be fetched."""
    files: dict[str, str] = {}
    room = MAX_COPIED
    for number, (path, entry) in enumerate(entries.items()):
        if path in changed:
            continue
        local = blobs.store().local_path(blobs.Keys.blob(entry.sha256))
        room -= 0 if local else entry.size
        if room < 0:
            yield None
            return
        files[path] = str(local or _fetched(entry, folder / f"s{number}"))
    for number, (path, content) in enumerate(changed.items()):
        place = folder / f"c{number}"
        place.write_bytes(content)
        files[path] = str(place)
    yield files


def _fetched(entry: Entry, place: Path) -> Path:
    with place.open("wb") as file:
        for piece in blobs.pieces(blobs.store().open(blobs.Keys.blob(entry.sha256))):
            file.write(piece)
    return place


def _front_matter(entries: Mapping[str, Entry], changed: Mapping[str, bytes]) -> dict[str, object]:
    if facts.README in changed:
        return dict(card.parse_card(changed[facts.README].decode("utf-8", "replace")).data)
    return dict(facts.card_of(entries).data)


def _run(files: Mapping[str, str], front_matter: Mapping[str, object]) -> Examination | None:
    """Return what the program found; None if it did not end well."""
    job = json.dumps({"files": files, "card": front_matter, "seconds": SECONDS})
    program = [sys.executable, "-I", str(Path(examine_program.__file__))]
    environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each thread reserves memory
    try:
        done = subprocess.run(
            program, input=job.encode(), capture_output=True, env=environment, timeout=PATIENCE, check=True
        )
        answer = json.loads(done.stdout) if len(done.stdout) <= MAX_ANSWER else None
        if answer is None:
            return None
        described = answer["description"]
        return Examination(
            Description(**{**described, "also": tuple(described["also"])}) if described else None,
            tuple(CheckResult.parse(row) for row in answer["checks"]),
        )
    except (subprocess.SubprocessError, OSError, ValueError, TypeError, KeyError, Malformed) as problem:
        # Files of strangers may use up the limits; an error of ours looks the same on the page, so the log tells more.
        last_words = (getattr(problem, "stderr", None) or b"")[-MAX_LOGGED:].decode("utf-8", "replace")
        logger.warning("Files were not checked before their commit: %s", problem, extra={"stderr": last_words})
        return None
