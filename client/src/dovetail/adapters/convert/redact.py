"""Files of a repository without what is private in them: tokens, keys, e-mail addresses, home folders.

Nothing else changes: texts keep their formatting, weights get another header before the same bytes.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from dovetail.adapters.checks import privacy
from dovetail.adapters.checks.base import FIELD
from dovetail.adapters.checks.privacy import Trace
from dovetail.adapters.convert.private_texts import redacted as redacted_text
from dovetail.adapters.convert.private_texts import without_private
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import gguf, pickles
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError, Opener
from dovetail.adapters.formats.twins import framed
from dovetail.adapters.readers.folder import MAX_TEXT_BYTES
from dovetail.adapters.results.findings import some
from dovetail.adapters.results.records import JsonObject

MAX_TEXTS_BYTES = 4 << 20  # of all texts together: patterns are looked for while somebody waits
# Another text in these is another token, so the tokenizer would be another one.
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Weights with another header; the tensors are the bytes of the file from `start` on."""

    head: bytes
    opener: Opener
    start: int

    def write(self, target: BinaryIO) -> None:
        target.write(self.head)
        with self.opener() as file:
            file.seek(self.start)
            shutil.copyfileobj(file, target, 1 << 20)


@dataclass(slots=True)
class Redacted:
    """The files that change, by path, and those to be deleted; `removed` and `left` are sentences without secrets."""

    texts: dict[str, bytes] = field(default_factory=dict)
    weights: dict[str, Rewritten] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.texts or self.weights or self.deleted)


def redact(files: Mapping[str, Opener], max_bytes: int) -> Redacted:
    """Return the files without what is private; weights of more than `max_bytes` are left as they are."""
    redacted, budget = Redacted(), MAX_TEXTS_BYTES
    for path in sorted(files):
        name, size = path.rpartition("/")[2], _size(files[path])
        if privacy.is_ballast(path):
            redacted.deleted.append(path)
            redacted.removed.append(f"{_quoted(path)} is deleted: state of the training.")
        elif name == privacy.ARGUMENTS and size <= MAX_TEXT_BYTES:
            _arguments(path, files[path], redacted)
        elif path.lower().endswith(privacy.TEXTS) and size <= MAX_TEXT_BYTES:
            budget -= size
            if budget >= 0:
                _text(path, files[path], redacted)
            else:
                redacted.left.append(
                    f"{_quoted(path)}: not read, since the texts before it are {MAX_TEXTS_BYTES:,} bytes"
                )
        elif path.endswith(".safetensors"):
            _weights(path, files[path], redacted, fits=size <= max_bytes)
        elif path.endswith(".gguf"):
            with files[path]() as file:
                notes = gguf.read(file)
            redacted.left += [
                f"{place}: the header of a GGUF file, which is not written here" for place in _places(path, notes)
            ]
    return redacted


def _size(opener: Opener) -> int:
    with opener() as file:
        return file.seek(0, io.SEEK_END)


# --- one file each ---------------------------------------------------------------------------------------------------
def _arguments(path: str, opener: Opener, redacted: Redacted) -> None:
    with opener() as file:
        pickle = pickles.read(path, file)
    traces = list(privacy.traces_of(path, "\n".join(sorted(pickle.texts)))) if pickle else []
    if traces:
        redacted.deleted.append(path)
        redacted.removed.append(f"{_quoted(path)} is deleted: {_kinds(traces)}. It is a pickle, which no loader needs.")


def _text(path: str, opener: Opener, redacted: Redacted) -> None:
    with opener() as file:
        raw = file.read(MAX_TEXT_BYTES)
    text = raw.decode("utf-8", "surrogateescape")
    name = path.rpartition("/")[2]
    base = _base(raw) if name == configs.NAME else ""
    cleaned = text if name in VOCABULARIES else redacted_text(path, text, kept=base)
    before, after = list(privacy.traces_of(path, text)), list(privacy.traces_of(path, cleaned))
    if cleaned != text:
        redacted.texts[path] = cleaned.encode("utf-8", "surrogateescape")
        redacted.removed.append(f"{_quoted(path)}: {_kinds(before) or 'private text'}.")
    redacted.left += [f"{_quoted(trace.place)}: {trace.kind}{_reason(path)}" for trace in after]


def _base(raw: bytes) -> str:
    """Return the name of the base in a config, which naming the base replaces, and nothing else can."""
    try:
        return str(configs.read(io.BytesIO(raw)).get(FIELD))
    except configs.ConfigError:
        return ""


def _reason(path: str) -> str:
    name = path.rpartition("/")[2]
    if name == configs.NAME:
        return ", in the name of its base; name the base itself instead"
    return ", in a vocabulary, which would be another one" if name in VOCABULARIES else ""


def _weights(path: str, opener: Opener, redacted: Redacted, *, fits: bool) -> None:
    header = _header(opener)
    if header is None:
        return
    entries, start = header
    notes: dict[str, str] = entries.get("__metadata__", {})
    cleaned = {key: _note(key, value) for key, value in notes.items() if not privacy.PRIVATE.match(key)}
    if cleaned == notes:
        return
    head = framed({**entries, "__metadata__": cleaned})
    if not fits or len(head) > headers.MAX_HEADER_BYTES:
        redacted.left += [f"{place}: the file is too large to be rewritten" for place in _places(path, notes)]
        return
    redacted.weights[path] = Rewritten(head, opener, start)
    changed = sorted(key for key, value in notes.items() if cleaned.get(key) != value)
    redacted.removed.append(
        f"{_quoted(path)}: notes of the header ({some(map(_quoted, changed), 20)}); its tensors keep their bytes."
    )


def _header(opener: Opener) -> tuple[JsonObject, int] | None:
    """Return the entries of a safetensors header, and where the tensors begin; None if it cannot be read."""
    with opener() as file:
        try:
            headers.read(file)
        except HeaderError:
            return None  # file.header says so
        file.seek(0)
        length = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(length)), 8 + length


def _note(key: str, value: str) -> str:
    start, rest = value[:MAX_TEXT_BYTES], value[MAX_TEXT_BYTES:]
    return without_private(start, with_emails=not key.startswith("modelspec.")) + rest


def _places(path: str, notes: Mapping[str, str]) -> Iterator[str]:
    """Yield the notes with something private, as places."""
    for key, value in sorted(notes.items()):
        if privacy.PRIVATE.match(key) or _note(key, value) != value:
            yield _quoted(f"{path} ({key})")


def _quoted(name: str) -> str:
    """Return a name that strangers chose as code of Markdown, which names nobody and links nowhere."""
    return f"`{' '.join(name.replace('`', ' ').split())[:200]}`"


def _kinds(traces: list[Trace]) -> str:
    return ", ".join(dict.fromkeys(trace.kind for trace in traces))
