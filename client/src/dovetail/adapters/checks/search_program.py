"""Searches files of strangers for code in pickles, tokens of the hub and secrets; runs alone, with limits.

It imports nothing of ours but the format library. Each line of standard input is a job: {"files": {path: size},
"unread": [paths], "tokens": a regular expression, "seconds": of processor time}. Each line of standard output is one
answer: {"read": [path, start, end]}, which is answered by these bytes; {"unsafe": …} for the first file that may run
code, {"tokens": {path: [values]}} of the files that no push read, {"searched": words, "places": …} of secrets, and
{"seconds": …} at the end. Processor time that runs out ends the process by SIGXCPU, memory by OUT_OF_MEMORY.
"""

import io
import json
import re
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from typing import Any, BinaryIO, cast

from dovetail.adapters.checks.files import is_pointer, scan, unsafe
from dovetail.adapters.files.header import SeekableFile
from dovetail.adapters.files.secrets import Search, secrets_of
from dovetail.adapters.readers.folder import Folder

MEMORY_BYTES = 2 << 30
OUT_OF_MEMORY = 3  # its exit status
READ_AHEAD = 64 << 10
MAX_FILE, MAX_IN_ALL = 64 << 20, 256 << 20  # bytes that are read of a file, and of a revision, for tokens
MAX_CANDIDATES = 1000  # of one piece
PIECE = 4 << 20
LONGEST = 256  # bytes of a token, which may lie across two pieces
TEXT_START = 8 << 10  # of a text, which holds no NUL there

Openers = Mapping[str, Callable[[], BinaryIO]]
_input, _output = cast(io.BufferedReader, sys.stdin.buffer), sys.stdout.buffer


def _answer(**values: object) -> None:
    _output.write(json.dumps(values).encode() + b"\n")
    _output.flush()


class _File(SeekableFile):
    """A file whose bytes the process outside reads."""

    def __init__(self, path: str, size: int) -> None:
        super().__init__(size)
        self._path = path

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), max(0, self._size - self._at))
        if length:
            _answer(read=[self._path, self._at, self._at + length])
            if _input.readinto(view[:length]) < length:
                raise SystemExit  # nobody listens any more
        self._at += length
        return length


def _open(path: str, size: int) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_File(path, size), READ_AHEAD))


def _look_for_code(files: Openers) -> None:
    """Tell the first file that may run code; objects of libraries count: nobody can tell what all of them do."""
    for path, opener in files.items():
        scanned = scan(path, opener)
        if scanned and not scanned.is_data and not is_pointer(opener):
            finding = unsafe(path, scanned, Folder.to_safetensors)
            _answer(unsafe=f"{finding.message} {finding.fix}", is_attack=scanned.is_attack)
            return


def _look_for_tokens(files: Openers, pattern: re.Pattern[bytes]) -> None:
    left, found = MAX_IN_ALL, {}
    for path, opener in files.items():
        if left <= 0:
            break
        with opener() as file:
            found[path] = sorted(_candidates(file, min(left, MAX_FILE), pattern))
            left -= file.tell()
    _answer(tokens={path: values for path, values in found.items() if values})


def _candidates(file: BinaryIO, most: int, pattern: re.Pattern[bytes]) -> set[str]:
    """Return the places of a text that may hold tokens; of other files only the start is read."""
    values: set[str] = set()
    piece = file.read(TEXT_START)
    if b"\0" in piece:
        return values
    end = b""
    while piece:
        values |= {value.decode("latin-1") for value in pattern.findall(end + piece)[:MAX_CANDIDATES]}
        end, most = piece[-LONGEST:], most - len(piece)
        piece = file.read(min(PIECE, max(most, 0)))
    return values


def _look_for_secrets(files: Openers, sizes: Mapping[str, int]) -> None:
    search = Search()
    places = [(path, line, kind) for path, text in search.texts(files, sizes) for line, kind in secrets_of(text)]
    _answer(searched=str(search), places=places)


def _work(files: Mapping[str, int], unread: Sequence[str], tokens: str, seconds: int) -> None:
    began = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(began) + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    openers = {path: partial(_open, path, size) for path, size in files.items()}
    _look_for_code(openers)
    _look_for_tokens({path: openers[path] for path in unread}, re.compile(tokens.encode("latin-1")))
    _look_for_secrets(openers, files)
    _answer(seconds=time.process_time() - began)


def main() -> None:
    """Limit this process, and do the jobs until nobody has one."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for line in iter(_input.readline, b""):
            _work(**json.loads(line))
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
