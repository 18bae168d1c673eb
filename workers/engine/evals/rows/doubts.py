"""Finds why a number measured on an author's rows means little: too few, repeated, of one label, or trained on."""

from __future__ import annotations

import csv
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dovetail.adapters.files.header import Opener
from workers.engine.evals.codec import Row

FEWEST = 8
REPEATED = 0.1  # of the rows
TEXTS = ("text", "text_pair", "question", "context", "anchor", "positive", "tokens", "target")
DATA = (".jsonl", ".csv", ".tsv", ".txt", ".json")  # in this order: a tokenizer's .json would take all of MAX_BYTES
PACKED = ".gz"
RAGGED = (".jsonl", ".txt")  # a row a line
MAX_BYTES = 4 * 2**20  # of all files together: reading them takes a part of a second
SHORTEST = 12  # characters of a text that says something by standing in two files


def too_few(rows: Sequence[Row]) -> str:
    """Return a sentence about rows that are too few for a number to mean much, or ""."""
    if len(rows) >= FEWEST:
        return ""
    return f"smoke.jsonl has only {len(rows)} rows: with fewer than {FEWEST}, a measured number means little."


def of_one_label(rows: Sequence[Row]) -> str:
    """Return a sentence about rows that all have one label, or "": always saying it is right every time."""
    labels = {str(row["label"]) for row in rows if "label" in row}
    if len(labels) != 1:
        return ""
    return f"All {len(rows)} rows of smoke.jsonl have the label {labels.pop()[:60]!r}: the number means little."


def distinct(rows: Sequence[Row]) -> list[Row]:
    """Return the rows without those that repeat others."""
    return list({json.dumps(row, sort_keys=True): row for row in rows}.values())


def repeats(rows: Sequence[Row]) -> str:
    """Return a sentence about rows that repeat others, "" if they are few: they make a number look surer than it is."""
    count = Counter(json.dumps(row, sort_keys=True) for row in rows)
    repeated = len(rows) - len(count)
    if repeated <= REPEATED * len(rows):
        return ""
    most = max(count.values())
    again = f"{repeated} of {len(rows)} rows of smoke.jsonl repeat others"
    return f"{again}, one of them {most} times: they measure nothing new."


def trained_on(rows: Sequence[Row], files: Mapping[str, Opener], own: str) -> tuple[int, str]:
    """Return how many rows stand in another data file beside them too, and the file that has most; (0, "") for none."""
    texts = [text for row in rows if len(text := _main_text(row)) >= SHORTEST]
    room, hits = MAX_BYTES, {}
    data = [path for end in DATA for path in sorted(files) if _name(path).endswith(end) and path != own]
    for path in data if texts else ():
        with files[path]() as file:
            raw = file.read(room)
        if path.lower().endswith(PACKED):
            raw = _unpacked(raw, room)
        room -= len(raw)
        beside = set(map(_plain, _texts_in(_name(path), raw.decode("utf-8", "replace"))))
        hits[path] = sum(text in beside for text in texts)
    worst = max(hits, key=lambda path: hits[path], default="")
    return (hits[worst], worst) if worst and hits[worst] else (0, "")


def _name(path: str) -> str:
    """Return the path in lower case, of a packed file that of its content."""
    return path.lower().removesuffix(PACKED)


def _unpacked(raw: bytes, most: int) -> bytes:
    """Return the beginning of a gzip file's content, up to `most` bytes; nothing of a file that is none."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(raw, max(1, most))
    except zlib.error:
        return b""


def _main_text(row: Row) -> str:
    """Return the longest of a row's texts, as it is compared."""
    texts = [row[key] for key in TEXTS if row.get(key)]
    joined = [" ".join(map(str, text)) if isinstance(text, list) else str(text) for text in texts]
    return _plain(max(joined, key=len, default=""))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _texts_in(path: str, content: str) -> Iterator[str]:
    """Yield every text of a data file, and of a plain one each line and its cells; what is malformed is left out."""
    if path.endswith(RAGGED):
        for line in content.splitlines():
            yield from _strings(_parsed(line)) if path.endswith(".jsonl") else (line, *line.split("\t"))
    elif path.endswith(".json"):
        yield from _strings(_parsed(content))
    else:
        try:
            for cells in csv.reader(content.splitlines(), delimiter="\t" if path.endswith(".tsv") else ","):
                yield from cells
        except csv.Error:
            return


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _strings(value: Any, depth: int = 6) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        yield " ".join(value)
        yield from value
    elif depth and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item, depth - 1)
