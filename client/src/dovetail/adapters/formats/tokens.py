"""The tokens that a repository adds to its base's vocabulary or trains, and its chat template, read from its files."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import gguf
from dovetail.adapters.files.header import Opener
from dovetail.adapters.results.records import JsonObject

TOKENIZER, CONFIG, ADDED, TEMPLATE = (
    "tokenizer.json",
    "tokenizer_config.json",
    "added_tokens.json",
    "chat_template.jinja",
)
OF_PROCESSOR = "chat_template.json"  # of models that see, before transformers 4.56
MAP = "special_tokens_map.json"
ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
MAX_BYTES = 2 * 2**20  # the added tokens stand before the vocabulary, which may have tens of megabytes
LIST = '"added_tokens"'
VOCABULARIES = (
    TOKENIZER,
    "vocab.json",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
MAX_VOCABULARY = 48 * 2**20  # the largest in use have some thirty megabytes
MAX_PIECES = 1 << 21  # the largest in use have some 262,144
MAX_ID = 1 << 31  # files may number tokens by integers of any length: what is beyond this is taken for this


def trained(config: configs.Config) -> set[int]:
    """Return the ids of single trained tokens, from either of the two keys and in either form."""
    values = (config.get(key) for key in ("trainable_token_indices", "token_indices"))
    lists = [value for item in values for value in (item.values() if isinstance(item, dict) else [item])]
    return {number for item in lists if isinstance(item, list) for number in item if type(number) is int}


def added(files: Mapping[str, Opener]) -> dict[int, str]:
    """Return id → file of the tokens that a tokenizer adds to its vocabulary; those of its base are among them.

    transformers 5 writes tokenizer.json alone, older releases the other two as well.
    """
    return {
        min(number, MAX_ID): path
        for path, read in READERS.items()
        if path in files
        for number in read(_text(files[path]))
    }


def chat_template(files: Mapping[str, Opener]) -> str:
    """Return the chat template that is used by default in a repository or a base, "" if it has none."""
    if TEMPLATE in files:
        return _text(files[TEMPLATE])
    for path in (CONFIG, OF_PROCESSOR):
        content = _file(files, path).get("chat_template")
        if isinstance(content, list):  # of several, each with its name
            content = next((one.get("template") for one in content if _is_default(one)), None)
        if isinstance(content, str):
            return content
    return ""


def chat_templates(files: Mapping[str, Opener]) -> Iterator[tuple[str, str]]:
    """Yield every chat template that a program might take of a repository, each with its file."""
    for path in files:
        name = path.rpartition("/")[2]
        if name.endswith(".jinja"):
            yield path, _text(files[path])
        elif name in (CONFIG, OF_PROCESSOR):
            content = _file(files, path).get("chat_template")
            for one in content if isinstance(content, list) else [{"template": content}]:
                if isinstance(one, dict) and isinstance(text := one.get("template"), str):
                    yield path, text
        elif name.endswith(".gguf"):
            with files[path]() as file:
                yield from ((path, text) for key, text in gguf.read(file, lists=True).items() if "chat_template" in key)


def _is_default(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("name") == "default"


def _of_tokenizer(text: str) -> Iterator[int]:
    yield from (entry["id"] for entry in _entries(text))


def _entries(text: str) -> Iterator[JsonObject]:
    """Yield the added tokens of a tokenizer.json, of which the beginning is enough."""
    _, found, rest = text.partition(LIST)
    start = rest.find("[")
    try:
        entries = json.JSONDecoder().raw_decode(rest, start)[0] if found and start >= 0 else []
    except (ValueError, RecursionError):
        return
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and type(entry.get("id")) is int:
            yield entry


def _of_config(text: str) -> Iterator[int]:
    table = _object(text).get("added_tokens_decoder")
    for number in table if isinstance(table, dict) else ():
        if str(number).isascii() and str(number).isdecimal() and len(number) < 10:
            yield int(number)


def _of_added(text: str) -> Iterator[int]:
    yield from (number for number in _object(text).values() if type(number) is int)


READERS = {TOKENIZER: _of_tokenizer, CONFIG: _of_config, ADDED: _of_added}


def _object(text: str) -> JsonObject:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _text(opener: Opener) -> str:
    with opener() as file:
        return file.read(MAX_BYTES).decode("utf-8", "replace")


# --- the vocabulary ---------------------------------------------------------------------------------------------------
def vocabulary(files: Mapping[str, Opener]) -> tuple[str, dict[str, int]] | None:
    """Return the file that numbers the tokens of a repository, and their ids; None if it has no such file.

    The added tokens are among them. The pieces of SentencePiece are numbered as they stand in the file; some
    tokenizers number them from one.
    """
    path = next((path for path in VOCABULARIES if path in files), None)
    if path is None:
        return None
    with files[path]() as file:
        raw = file.read(MAX_VOCABULARY + 1)
    if len(raw) > MAX_VOCABULARY:
        return None
    read = _pieces if path.endswith(".model") else _lines if path.endswith(".txt") else _table
    ids = read(raw) | (_file(files, ADDED) if path != TOKENIZER else {})
    known = {text: number for text, number in ids.items() if type(number) is int and 0 <= number < MAX_ID}
    return (path, known) if known else None


def _table(raw: bytes) -> JsonObject:
    """Return the ids of a tokenizer.json (WordPiece, BPE, word level, unigram) or of a vocab.json."""
    content = _object(raw.decode("utf-8", "replace"))
    model = content.get("model")
    if not isinstance(model, dict):
        return {} if "added_tokens" in content else content
    ids, entries = model.get("vocab"), content.get("added_tokens")
    if isinstance(ids, list):  # of a unigram model, each with its score
        ids = {str(entry[0]): at for at, entry in enumerate(ids) if isinstance(entry, list) and entry}
    added = [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    return (ids if isinstance(ids, dict) else {}) | {str(one.get("content")): one.get("id") for one in added}


def _lines(raw: bytes) -> JsonObject:
    lines = raw.decode("utf-8", "replace").split("\n")
    return {line.rstrip("\r"): at for at, line in enumerate(lines) if line}


def _pieces(raw: bytes) -> JsonObject:
    """Return the pieces of a SentencePiece model: field 1 of a protobuf message, of each again field 1."""
    fields = islice(_fields(raw), MAX_PIECES)
    pieces = [text for number, value in fields if number == 1 for text in _first_text(value)]
    return {text: at for at, text in enumerate(pieces)}


def _first_text(raw: bytes) -> list[str]:
    return [value.decode("utf-8", "replace") for number, value in _fields(raw) if number == 1][:1]


def _fields(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of the fields of a protobuf message that have a length; stop where it is none."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        size, start = (8, at) if tag & 7 == 1 else (4, at) if tag & 7 == 5 else _varint(raw, at)
        if tag & 7 not in (0, 1, 2, 5) or start + size * (tag & 7 != 0) > len(raw):
            return
        at = start if tag & 7 == 0 else start + size
        if tag & 7 == 2:
            yield tag >> 3, raw[start:at]


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(raw) and shift < 64:
        number |= (raw[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if raw[at - 1] < 128:
            break
    return number, at


# --- the names of tokens ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Names:
    """The texts of a tokenizer's tokens: those with a role (such as eos_token), and the added ones by their ids."""

    roles: Mapping[str, str]
    special: frozenset[str]  # further special tokens
    added: Mapping[int, str]


def names(files: Mapping[str, Opener]) -> Names | None:
    """Return the names that a tokenizer's files state, of a repository or of a base; None if they state none."""
    config = {**_file(files, MAP), **_file(files, CONFIG)}
    further = [config.get(key) for key in ("additional_special_tokens", "extra_special_tokens")]
    stated = Names(
        {role: text for role in ROLES if (text := _content(config.get(role)))},
        frozenset(text for items in further if isinstance(items, list) for one in items if (text := _content(one))),
        _contents(files, config),
    )
    return stated if stated.roles or stated.added else None


def _contents(files: Mapping[str, Opener], config: Mapping[str, Any]) -> dict[int, str]:
    table = config.get("added_tokens_decoder")
    decoder = table.items() if isinstance(table, dict) else ()
    pairs = [(int(key), _content(one)) for key, one in decoder if key.isascii() and key.isdecimal() and len(key) < 10]
    pairs += [(number, text) for text, number in _file(files, ADDED).items() if type(number) is int]
    if TOKENIZER in files:
        pairs += [(one["id"], _content(one)) for one in _entries(_text(files[TOKENIZER]))]
    return {number: text for number, text in pairs if text}


def _content(value: object) -> str:
    """Return the text of a token, which is written alone or in an object; "" for anything else."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _file(files: Mapping[str, Opener], path: str) -> JsonObject:
    return _object(_text(files[path])) if path in files else {}
