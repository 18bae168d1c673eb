"""A process that searches files of strangers: with limits of processor time and memory, without secrets or database."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

import dovetail
from registry.people.tokens import tokens
from registry.publish.push import MAX_SCANNED
from registry.repos.contents.facts import BlobFile
from registry.repos.manifest import Entry
from workers import search_program
from workers.search_program import MEMORY_BYTES, OUT_OF_MEMORY

MOST_BEFORE = 1.0  # seconds of one search, after which a fresh process does the next one: its memory is in pieces
LONGEST_WORDS = 4000  # characters of what it wrote to its standard error


class SearchTooLong(Exception):
    """A search needs more processor time or memory than the files of one revision have."""


class SearchError(Exception):
    """A search ended in another way: by a fault of the hub, or because somebody ended its process."""


class SearchProcess:
    """Searches files, one revision after the other. It starts with the first one, and reads no file by itself."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "SearchProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def search(self, files: Mapping[str, Entry]) -> Iterator[Mapping[str, Any]]:
        """Yield the answers of `search_program` about these files; the last one has the seconds that it took.

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
        try:
            _write(process, json.dumps(job).encode() + b"\n")
            while not is_done and (line := process.stdout.readline()):
                answer = json.loads(line)
                if "read" in answer:
                    path, start, end = answer["read"]
                    file = BlobFile(files[path].sha256, files[path].size)
                    file.seek(start)
                    _write(process, file.read(end - start))
                else:
                    is_done = "seconds" in answer
                    yield answer
                    if is_done and answer["seconds"] > MOST_BEFORE:
                        self._end()
        except BrokenPipeError:  # it ended while it waited for bytes
            pass
        finally:
            words = "" if is_done else self._end()
        if not is_done:
            raise _problem(process.returncode, path, words)

    def _end(self) -> str:
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
        return SearchTooLong(f"To search it for code takes more than {limits[status]}; the last file was {path[:200]}.")
    return SearchError(f"The search ended with {status} at {path[:200]}: {words}")
