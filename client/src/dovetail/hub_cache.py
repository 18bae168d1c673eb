"""The cache that this client shares with huggingface_hub: brings files of a revision into it, several at a time.

huggingface_hub 2.4 begins a file anew whose download was stopped. Large files are therefore read by `Range` here, and
what arrived is kept beside the blob; small ones come through `hf_hub_download`, by Xet where that is installed.
"""

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from huggingface_hub import constants, get_session, hf_hub_download, try_to_load_from_cache

from dovetail import hub_api
from dovetail.manifests import ManifestFile
from dovetail.problems import Problem, interrupted, no_hub, unreachable
from dovetail.transport import Transport

LARGE = 16 << 20  # bytes of a file that is worth going on with
AT_ONCE, TRIES, PIECE, PARTIAL = 8, 5, 1 << 20, 206
FIRST_WAIT_SECONDS = 1.0  # after a line that broke; doubled each time
_ETAG = r'(W/)?"?[\w.-]*\w[\w.-]*"?'
_SAFE = {"etag": _ETAG, "x-linked-etag": _ETAG, "x-repo-commit": "[0-9a-f]{40}"}


Progress = Callable[[str, int, int], None]  # path, bytes done, bytes in all


def cached(adapter: str, revision: str, path: str) -> Path | None:
    """Return where a file of a commit lies in the cache, if it is there."""
    place = try_to_load_from_cache(adapter, path, revision=revision)
    return Path(place) if isinstance(place, str) else None


def bring(
    transport: Transport,
    adapter: str,
    revision: str,
    files: Sequence[ManifestFile],
    progress: Progress,
    *,
    again: bool = False,
) -> Mapping[str, Path]:
    """Return path → place in the cache, once all files are there; with `again` they are downloaded in any case.

    Raises Problem. On failure and on Ctrl-C, files that arrived stay, and so do parts of large ones.
    """
    job = _Job(transport, adapter, revision, progress, again=again)
    with hub_api.progress(is_shown=False), _guarded(transport.endpoint), ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {str(file.path): pool.submit(job.bring, file) for file in files}
        try:
            return {path: future.result() for path, future in futures.items()}
        finally:  # after a failure or Ctrl-C no other file is begun, and large ones stop
            job.is_stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)


def drop(place: Path) -> None:
    """Remove a file from the cache whose bytes are not those of its digest."""
    blob = place.resolve()
    place.unlink(missing_ok=True)
    if blob.is_relative_to(Path(constants.HF_HUB_CACHE).resolve()):
        blob.unlink(missing_ok=True)


class _Job:
    """One download of several files."""

    def __init__(self, transport: Transport, adapter: str, revision: str, progress: Progress, *, again: bool) -> None:
        self.transport, self.adapter, self.revision, self.progress = transport, adapter, revision, progress
        self.again, self.is_stopped = again, threading.Event()
        self.blobs = Path(constants.HF_HUB_CACHE) / f"models--{adapter.replace('/', '--')}" / "blobs"

    def bring(self, file: ManifestFile) -> Path:
        path = str(file.path)
        if not self.again and (here := cached(self.adapter, self.revision, path)):
            self.progress(path, file.size, file.size)
            return here
        blob = self.blobs / file.sha256
        if file.size >= LARGE and file.is_lfs and (self.again or not blob.exists()):
            self._receive_large(file, blob)
        else:
            self.progress(path, 0, file.size)
        with hub_api.problems(self.transport.endpoint, self.adapter, "download"):
            place = hf_hub_download(  # of a file whose blob is here, it makes the link alone
                self.adapter, path, revision=self.revision, endpoint=self.transport.endpoint,
                token=self.transport.token or False, library_name=hub_api.NAME,
                force_download=self.again and file.size < LARGE,
            )  # fmt: skip
        self.progress(path, file.size, file.size)
        return Path(place)

    def _receive_large(self, file: ManifestFile, blob: Path) -> None:
        part = _own_part(blob)
        try:
            for attempt in range(TRIES):
                try:
                    self._append(file, part)
                    break
                except Problem as problem:
                    if problem.code != "client-unreachable" or attempt == TRIES - 1:
                        raise
                self.is_stopped.wait(FIRST_WAIT_SECONDS * 2**attempt)
            _require_digest(file, part)
            part.replace(blob)
        finally:
            _keep_part(part, blob)

    def _append(self, file: ManifestFile, part: Path) -> None:
        """Ask for the bytes that are not here. Raises Problem, also when the line breaks."""
        at = part.stat().st_size if part.stat().st_size < file.size else 0
        route = f"/{quote(self.adapter)}/resolve/{self.revision}/{quote(str(file.path))}"
        with self.transport.download(route, at) as answer, part.open("r+b") as out:
            at = at if answer.status == PARTIAL else 0
            out.truncate(at)
            out.seek(at)
            # One byte more than the manifest states is enough to see that the file is too long.
            while piece := _next_piece(self.transport, answer, min(PIECE, file.size + 1 - at)):
                if self.is_stopped.is_set():
                    raise interrupted()
                out.write(piece)
                at += len(piece)
                self.progress(str(file.path), min(at, file.size), file.size)
        if at < file.size:
            raise unreachable(self.transport.endpoint, f"the download of {file.path} broke off")


def _next_piece(transport: Transport, answer: HTTPResponse, size: int) -> bytes:
    try:
        return answer.read(size)
    except (OSError, HTTPException) as error:
        reason = f"the download broke off ({str(error) or type(error).__name__})"
        raise unreachable(transport.endpoint, reason) from None


def _require_digest(file: ManifestFile, part: Path) -> None:
    with part.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != file.sha256:
        size = part.stat().st_size
        part.unlink()  # going on with it would never end well
        raise mismatch(file, size, digest)


def mismatch(file: ManifestFile, size: int, digest: str) -> Problem:
    """Return the problem of bytes that are not those of the manifest."""
    arrived = f"{size:,} bytes" if size != file.size else f"bytes with the sha256 {digest[:12]}…"
    return Problem(
        f"{file.path} arrived as {arrived}, not as the manifest states ({file.size:,} bytes, {file.sha256[:12]}…).",
        "Nothing was written. Pull again; if it happens again, tell the hub's administrator.",
        code="client-digest-mismatch",
    )


# --- parts of large files: a process owns the one it has renamed ------------------------------------------------------
def _own_part(blob: Path) -> Path:
    blob.parent.mkdir(parents=True, exist_ok=True)
    part = blob.with_name(f"{blob.name}.{uuid4().hex[:8]}.incomplete")
    part.touch(exist_ok=False)
    with contextlib.suppress(FileNotFoundError):
        _kept(blob).replace(part)
    return part


def _keep_part(part: Path, blob: Path) -> None:
    """Keep what arrived for the next download, if the file is not whole."""
    with contextlib.suppress(FileNotFoundError):
        if part.stat().st_size:
            part.replace(_kept(blob))
        else:
            part.unlink()


def _kept(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.dovetail.incomplete")


# --- hubs that lie ----------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def _guarded(endpoint: str) -> Iterator[None]:
    """Refuse headers of this hub that huggingface_hub would make paths of: they could lead out of its cache."""

    def look(response: Any) -> None:
        if str(response.url).startswith(f"{endpoint}/"):
            for name, pattern in _SAFE.items():
                value = response.headers.get(name)
                if value is not None and not re.fullmatch(pattern, value):
                    raise no_hub(endpoint)

    hooks = get_session().event_hooks["response"]  # this list itself: another download at the same time adds its own
    hooks.append(look)
    try:
        yield
    finally:
        hooks.remove(look)
