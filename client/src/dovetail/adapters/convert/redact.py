"""Files of a repository without what is private in them: tokens, keys, e-mail addresses, home folders.

Nothing else changes: texts keep their formatting, JSON the same keys and numbers, weights get another header before the
same bytes.
"""

import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from dovetail.adapters.checks import privacy
from dovetail.adapters.checks.base import FIELD
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import gguf, pickles
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError, Opener
from dovetail.adapters.files.secrets import SECRETS
from dovetail.adapters.formats.twins import framed
from dovetail.adapters.readers.folder import MAX_TEXT_BYTES
from dovetail.adapters.results.findings import some
from dovetail.adapters.results.records import JsonObject

REMOVED, PLAIN = "[removed]", "removed"  # the latter in YAML, where brackets make a list
YAML = (".yaml", ".yml")
FRONT_MATTER = re.compile(r"\A---\r?\n.*?^---\s*$", re.DOTALL | re.MULTILINE)
# A key in several lines, of which the check tells the first one.
KEY_BLOCK = re.compile(r"-----BEGIN ([A-Z ]{0,20}PRIVATE KEY)-----(?:[A-Za-z0-9+/=\s\\:,.]|-(?!----))*-----END \1-----")
LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
PATTERNS = tuple(secret.pattern for secret in SECRETS if secret.kind != "a private key")
ANY = re.compile("|".join(p.pattern for p in (privacy.HOME, privacy.EMAIL, *(secret.pattern for secret in SECRETS))))
ESCAPED = "nrtbf"  # after a backslash these are white space, and no part of an address


def redacted_text(path: str, text: str, kept: str = "") -> str:
    """Return the text of a file without what is private; of the string `kept` of JSON only secrets are removed."""
    lower = path.lower()
    with_emails = not lower.endswith(privacy.WITH_AUTHORS)
    if lower.endswith(".jsonl"):
        return "\n".join(without_private(line, with_emails=with_emails) for line in text.split("\n"))
    if lower.endswith(YAML):
        return _replaced(text, PLAIN, with_emails=with_emails)
    if lower.endswith(".md") and (front := FRONT_MATTER.match(text)):
        body = text[front.end() :]
        return _replaced(front[0], PLAIN, with_emails=False) + _replaced(body, REMOVED, with_emails=False)
    return without_private(text, with_emails=with_emails, kept=kept)


def without_private(text: str, *, with_emails: bool, kept: str = "") -> str:
    """Return a text, JSON or not, without what is private; of the string `kept` only secrets are removed."""
    structure = _structure(text)
    if structure is None:
        return _replaced(text, REMOVED, with_emails=with_emails)

    def literal(match: re.Match[str]) -> str:
        value = json.loads(match[0])
        if not ANY.search(value):
            return match[0]
        cleaned = (
            _without_secrets(value, REMOVED) if value == kept else _replaced(value, REMOVED, with_emails=with_emails)
        )
        is_ascii = match[0].isascii() or LONE_SURROGATE.search(cleaned) is not None
        return match[0] if cleaned == value else json.dumps(cleaned, ensure_ascii=is_ascii)

    # The secrets again, since the name of a key and its value are two strings.
    cleaned = _without_secrets(LITERAL.sub(literal, text), REMOVED)
    return cleaned if _are_equal(_structure(cleaned), structure) else text


def _replaced(text: str, word: str, *, with_emails: bool) -> str:
    text = privacy.HOME.sub(word, _without_secrets(text, word))
    return privacy.EMAIL.sub(lambda match: _escape_before(match) + word, text) if with_emails else text


def _without_secrets(text: str, word: str) -> str:
    text = KEY_BLOCK.sub(word, text)
    for pattern in PATTERNS:
        text = pattern.sub(lambda match: _with(word, match), text)
    return text


def _with(word: str, match: re.Match[str]) -> str:
    start, end = match.span(match.lastindex or 0)
    return match.string[match.start() : start] + word + match.string[end : match.end()]


def _escape_before(match: re.Match[str]) -> str:
    """Return the letter of an escape such as \\n that only looks like the beginning of an address."""
    at = match.start()
    while at and match.string[at - 1] == "\\":
        at -= 1
    return match[0][0] if (match.start() - at) % 2 and match[0][0] in ESCAPED else ""


def _structure(text: str) -> object:
    """Return a JSON document without its texts, None for a text that is no JSON or names a key twice."""
    try:
        document = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_values, parse_constant=str)
        return [_without_texts(document)]
    except (ValueError, RecursionError):
        return None


def _values(pairs: list[tuple[str, object]]) -> tuple[object, ...]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key occurs twice")
    return tuple(_without_texts(value) for _, value in pairs)


def _without_texts(value: object) -> object:
    if isinstance(value, list):  # an object is a tuple, and has no text any more
        return [_without_texts(item) for item in value]
    return "" if isinstance(value, str) else value


def _are_equal(left: object, right: object) -> bool:
    try:
        return left == right
    except RecursionError:
        return False


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
            redacted.removed.append(f"{_quoted(path)} is deleted: training state.")
        elif name == privacy.ARGUMENTS and size <= MAX_TEXT_BYTES:
            _arguments(path, files[path], redacted)
        elif path.lower().endswith(privacy.TEXTS) and size <= MAX_TEXT_BYTES:
            budget -= size
            if budget >= 0:
                _text(path, files[path], redacted)
            else:
                redacted.left.append(
                    f"{_quoted(path)}: not read, because the texts before it already have {MAX_TEXTS_BYTES:,} bytes"
                )
        elif path.endswith(".safetensors"):
            _weights(path, files[path], redacted, fits=size <= max_bytes)
        elif path.endswith(".gguf"):
            with files[path]() as file:
                notes = gguf.read(file)
            redacted.left += [
                f"{place}: the header of a GGUF file, which cannot be rewritten here" for place in _places(path, notes)
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
    return ", in a vocabulary, which must not change" if name in VOCABULARIES else ""


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
        redacted.left += [f"{place}: the file is too large to rewrite" for place in _places(path, notes)]
        return
    redacted.weights[path] = Rewritten(head, opener, start)
    changed = sorted(key for key, value in notes.items() if cleaned.get(key) != value)
    redacted.removed.append(
        f"{_quoted(path)}: notes of the header ({some(map(_quoted, changed), 20)}); its tensors stay unchanged."
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


def _kinds(traces: list[privacy.Trace]) -> str:
    return ", ".join(dict.fromkeys(trace.kind for trace in traces))
