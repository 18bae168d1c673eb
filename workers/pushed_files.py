"""Background work on pushed files: scans new revisions, and reads tensors.

A scan holds back code in pickles, revokes leaked tokens, looks for secrets, and renders the card. It reads revisions of
every repository, and the files that no push reads: those that came by Git LFS or Xet, and the end of large ones. It
does so in a process of its own, with limits; a version whose search reaches one is held back.

Of new tensors the digest is kept, by which the blocklist knows them under another header; features read them too.
"""

import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

import dovetail
from dovetail.adapters.checks import search_program
from dovetail.adapters.checks.search_program import MEMORY_BYTES, OUT_OF_MEMORY
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import Header, HeaderError
from registry.bytes import blocked_files, search_turns, tensor_digests
from registry.bytes.blobs import BlobMissing, Keys, store
from registry.kernel import seams
from registry.kernel.errors import StoreUnavailable
from registry.models import Blob, DerivedArtifact, PickleScan, Revision, TensorDigest
from registry.moderation import findings
from registry.people.tokens import tokens
from registry.proof import pickle_scans
from registry.proof.verified import withdrawals
from registry.publish.push import MAX_SCANNED
from registry.repos import pull
from registry.repos.contents import rendered_cards, stored_facts
from registry.repos.contents.facts import BlobFile, open_blob
from registry.repos.manifest import Entry

logger = logging.getLogger(__name__)
SCANNING_SECONDS = 20  # after that no revision is begun: the others wait for the next tick
MAX_BROKEN = 3  # searches of a revision that the hub failed to do; nobody knows then what is in it
DIGESTING_SECONDS = 10  # after that no file is begun, either
FACTS_SECONDS = 60  # of each hour, after a release whose parser says more: who asks for such facts writes them, too
CHECK = "file.pickle"
READING = 0.25  # of the time that its reads last, which hold a thread: so much of it counts to the author
MOST_BEFORE = 1.0  # seconds of one search, after which a fresh process does the next one: its memory is in pieces
LONGEST_WORDS = 4000  # characters of what it wrote to its standard error
NOT_SEARCHED = (
    "The hub failed to search it for code. Ask its moderators to release it, and its operators to find the cause."
)
SMALLER = "Push it again with fewer archives or pickles, or unpack them; or ask the moderators to release it."


class SearchTooLong(Exception):
    """A search needs more processor time or memory than the files of one revision have."""


class SearchError(Exception):
    """A search ended in another way: by its lease, by a fault of the hub, or because somebody ended its process."""


class SearchProcess:
    """Searches files, one revision after the other. It starts with the first one, and reads no file by itself."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.seconds = 0.0  # that the last search counts: of processor time, and READING of its reads

    def search(self, files: Mapping[str, Entry], until: datetime) -> Iterator[Mapping[str, Any]]:
        """Yield the answers of `search_program` about these files, until then; sets `seconds`.

        Raises SearchTooLong, SearchError, BlobMissing and StoreUnavailable.
        """
        job = {
            "files": {path: entry.size for path, entry in files.items()},
            "unread": [path for path, entry in files.items() if entry.is_lfs or entry.size > MAX_SCANNED],
            "tokens": tokens.pattern().decode("latin-1"),
            "seconds": settings.SEARCH_SECONDS,
        }
        process = self._process = self._process or _start()
        assert process.stdout is not None
        is_done, path = False, ""
        began, reading, computed = time.monotonic(), 0.0, float(settings.SEARCH_SECONDS)  # of one that breaks
        try:
            _write(process, json.dumps(job).encode() + b"\n")
            while not is_done and (line := process.stdout.readline()):
                answer = json.loads(line)
                if "read" in answer:
                    path, start, end = answer["read"]
                    asked = time.monotonic()
                    file = BlobFile(files[path].sha256, files[path].size)
                    file.seek(start)
                    _write(process, file.read(end - start))
                    reading += time.monotonic() - asked
                else:
                    is_done, computed = "seconds" in answer, answer.get("seconds", computed)
                    yield answer
                if not is_done and timezone.now() > until:
                    raise SearchError(f"The search outlasted its lease; the last file was {path[:200]}.")
        except BrokenPipeError:  # it ended while it waited for bytes
            pass
        finally:
            words = "" if is_done and computed <= MOST_BEFORE else self.close()
            self.seconds = min(computed, time.monotonic() - began) + READING * reading
        if not is_done:
            raise _problem(process.returncode, path, words)

    def close(self) -> str:
        """End the process, if there is one; return what it wrote to its standard error."""
        process, self._process = self._process, None
        if process is None:
            return ""
        process.kill()
        return process.communicate()[1][-LONGEST_WORDS:].decode("utf-8", "replace")


def _start() -> "subprocess.Popen[bytes]":
    program = [sys.executable, "-sP", "-W", "ignore", str(Path(search_program.__file__))]
    environment = {"PYTHONPATH": str(Path(dovetail.__file__).parents[1])}
    return subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )


def _write(process: "subprocess.Popen[bytes]", data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def _problem(status: int, path: str, words: str) -> Exception:
    """Return what ended a process with this exit status, when it read a file last."""
    limits = {
        -signal.SIGXCPU: f"{settings.SEARCH_SECONDS} s of processor time",
        OUT_OF_MEMORY: f"{MEMORY_BYTES >> 30} GiB of memory",
    }
    if status in limits:
        return SearchTooLong(f"The search for code needs more than {limits[status]}; the last file was {path[:200]}.")
    return SearchError(f"The search ended with {status} at {path[:200]}: {words}")


def scan_revisions() -> None:
    """Look through the revisions that wait; one that cannot be read now is tried again when its lease has ended."""
    until = time.monotonic() + SCANNING_SECONDS
    with closing(SearchProcess()) as process:
        while time.monotonic() < until and (row := pickle_scans.claim()):
            try:
                seconds = _scan(row, process)
            except SearchTooLong as problem:
                seconds = float(settings.SEARCH_SECONDS)
                withdrawals.hold(row.revision, f"{problem} {SMALLER}")
            except (BlobMissing, StoreUnavailable, SearchError) as problem:
                logger.warning("A revision was not looked through: %s", problem, extra={"revision": row.revision.oid})
                seconds = process.seconds if isinstance(problem, SearchError) else 0.0
                if not isinstance(problem, SearchError) or row.attempts + 1 < MAX_BROKEN:
                    pickle_scans.give_back(row, seconds)
                    continue
                withdrawals.hold(row.revision, NOT_SEARCHED)
            pickle_scans.finish(row, seconds)
            _render_card(row.revision)


def _render_card(revision: Revision) -> None:
    """Render the card for the page of the repository; without it, the page renders the card itself."""
    try:
        rendered_cards.keep(revision)
    except StoreUnavailable as problem:
        logger.warning("A card was not rendered: %s", problem, extra={"revision": revision.oid})


def write_facts() -> int:
    """Write the facts of revisions that have no row or an older one, the newest first; return their number.

    Raises StoreUnavailable if the store does not answer; a revision of which it has lost a file gets no row.
    """
    until, written = time.monotonic() + FACTS_SECONDS, 0
    for revision in stored_facts.without_row().order_by("-pk").iterator():
        if time.monotonic() > until:
            break
        try:
            stored_facts.revision_facts(revision, pull.entries(revision))
            written += 1
        except StoreUnavailable:
            store().check()
    return written


def _scan(row: PickleScan, process: SearchProcess) -> float:
    """Hold a revision back for its first new file that may run code, and revoke the tokens in its new files.

    Objects of libraries are held back as well, since nobody can tell what all of them do; its case says no malware.
    Returns the seconds that its author is counted with.
    """
    revision = row.revision
    if revision.is_expired:  # while it waited, or it is a copy of such a version: no file is left to read
        return 0.0
    files = pickle_scans.files_to_scan(revision)
    for answer in process.search(files, row.free_at):
        if "unsafe" in answer:
            withdrawals.hold(revision, answer["unsafe"], finding=CHECK if answer["is_attack"] else "")
        elif "tokens" in answer:
            candidates = {path: tokens.readings(values) for path, values in answer["tokens"].items()}
            with transaction.atomic():
                tokens.revoke_in(candidates, revision.repository, revision)
        elif "searched" in answer:
            places = [(path, line, kind) for path, line, kind in answer["places"]]
            findings.keep_secrets(revision, answer["searched"], places, new=files.keys())
    return process.seconds


def digest_files() -> None:
    """Read the files that wait; one that cannot be read now is tried again when its lease has ended."""
    until = time.monotonic() + DIGESTING_SECONDS
    while time.monotonic() < until and (row := tensor_digests.claim()):
        began = time.thread_time()
        try:
            sha256 = _read(row)
        except (BlobMissing, StoreUnavailable) as problem:
            logger.warning("Tensors were not read: %s", problem, extra={"sha256": row.file})
            try:  # a file that cannot be read while the store answers is one that it has lost
                store().check()
            except StoreUnavailable:
                tensor_digests.postpone(row)
                return
            continue
        finally:
            search_turns.give_back(row.author, time.thread_time() - began)
        tensor_digests.finish(row, sha256)
        blocked_files.learn(row.file, sha256)


def _read(row: TensorDigest) -> str:
    """Return the digest of the tensors of a file, or of the safetensors that were derived of a pickle; "" without any.

    Features read them too.
    """
    blob = _readable_blob(row.file)
    if blob is None:
        return ""
    try:
        header = headers.read(open_blob(blob.sha256, blob.size))
    except HeaderError:
        return ""
    for feature in seams.joined():
        feature.read_weights(row.file, blob, header)
    return _digest(blob, header)


def _digest(blob: Blob, header: Header) -> str:
    start = min((tensor.offset for tensor in header.tensors.values()), default=blob.size)
    with store().open(Keys.blob(blob.sha256), start, blob.size) as reader:
        return tensor_digests.compute(header, reader.read)


def _readable_blob(file: str) -> Blob | None:
    form = DerivedArtifact.Form.SAFETENSORS
    derived = DerivedArtifact.objects.filter(source=file, form=form).select_related("blob").first()
    return derived.blob if derived else Blob.objects.filter(pk=file, size__gt=0).first()
