"""Facts that trainers wrote beside the weights: steps, losses, results, hyperparameters, trigger words.

They are what a trainer says of itself; nothing here is measured. Pickles such as training_args.bin are never loaded. A
file that is too large or no JSON states nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dovetail.adapters.header import Opener

MAX_BYTES = 2 << 20
MAX_FACTS = 60
MAX_POINTS = 120  # of a loss curve
MAX_TEXT = 200
MAX_TAGS = 8  # most frequent ones of the pictures
STATE, RESULTS = "trainer_state.json", ("all_results.json", "eval_results.json", "train_results.json")
_STATE_KEYS = ("global_step", "max_steps", "epoch", "num_train_epochs", "train_batch_size", "best_metric",
               "best_global_step", "best_model_checkpoint")  # fmt: skip
_NOTES = re.compile(
    r"modelspec\.(?!hash|thumbnail)\w+|ss_(?:base_model_version|network_(?:module|dim|alpha|dropout|args)|optimizer|"
    r"learning_rate|unet_lr|text_encoder_lr|lr_scheduler|resolution|steps|num_epochs|epoch|num_train_images|"
    r"batch_size_per_device|clip_skip|noise_offset|min_snr_gamma|seed|mixed_precision)"
)


@dataclass(frozen=True, slots=True)
class Stated:
    """One fact and its source, `file:key`."""

    name: str
    value: float | str
    source: str

    @property
    def is_number(self) -> bool:
        return isinstance(self.value, float)


@dataclass(frozen=True, slots=True)
class Training:
    """The facts of a training, its losses by step, and the words that call up what a LoRA for images learnt."""

    facts: tuple[Stated, ...] = ()
    losses: tuple[tuple[float, float], ...] = ()
    losses_source: str = ""
    words: tuple[str, ...] = ()


def read(files: Mapping[str, Opener], notes: Mapping[str, str], weights: str) -> Training:
    """Return what trainers state in files (path → opener) and in the notes of the header of `weights`."""
    state_path = _newest(files)
    state = _object(files, state_path)
    losses = tuple(_losses(state.get("log_history")))
    facts = [*_numbers(state, state_path, _STATE_KEYS)]
    for path in RESULTS:
        facts += _numbers(results := _object(files, path), path, sorted(results))
    known = {fact.name for fact in facts}
    facts += [
        Stated(key, value[:MAX_TEXT], f"{weights}:{key}")
        for key, value in sorted(notes.items())
        if _NOTES.fullmatch(key) and key not in known and value.isprintable() and value not in ("", "None")
    ]
    words = tuple(_words(notes))
    return Training(tuple(facts[:MAX_FACTS]), losses, f"{state_path}:log_history" if losses else "", words)


def paths(files: Mapping[str, Any]) -> list[str]:
    """Return the files that `read` opens."""
    return [path for path in (_newest(files), *RESULTS) if path in files]


def _newest(files: Mapping[str, Any]) -> str:
    """Return the state of the training: the one at the top, else that of the last checkpoint."""
    found = [path for path in files if path.rpartition("/")[2] == STATE and path.count("/") <= 1]
    return max(found, key=lambda path: ("/" not in path, _step(path), path), default="")


def _step(path: str) -> int:
    match = re.search(r"checkpoint-(\d{1,9})/", path)
    return int(match[1]) if match else -1


def _object(files: Mapping[str, Opener], path: str) -> dict[str, Any]:
    if path not in files:
        return {}
    with files[path]() as file:
        raw = file.read(MAX_BYTES + 1)
    return _parsed(raw) if len(raw) <= MAX_BYTES else {}


def _parsed(raw: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _numbers(stated: Mapping[str, Any], path: str, keys: tuple[str, ...] | list[str]) -> Iterator[Stated]:
    for key in keys:
        value: Any = stated.get(key)
        if _is_number(value) and key.isprintable():
            yield Stated(key[:MAX_TEXT], float(value), f"{path}:{key[:MAX_TEXT]}")


def _losses(history: object) -> Iterator[tuple[float, float]]:
    """Yield (step, loss), evenly thinned to MAX_POINTS."""
    rows = history if isinstance(history, list) else []
    points = [
        (float(row["step"]), float(row["loss"]))
        for row in rows
        if isinstance(row, dict) and _is_number(row.get("step")) and _is_number(row.get("loss"))
    ]
    every = -(-len(points) // MAX_POINTS) or 1
    yield from points[::every]


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _words(notes: Mapping[str, str]) -> Iterator[str]:
    """Yield the trigger phrase, else the commonest tags of the pictures."""
    phrase = notes.get("modelspec.trigger_phrase", "").strip()
    if phrase and phrase.isprintable():
        yield phrase[:MAX_TEXT]
        return
    counts: dict[str, int] = {}
    for tags in _parsed(notes.get("ss_tag_frequency", "")).values():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if _is_number(count) and tag.isprintable():
                counts[tag.strip()[:MAX_TEXT]] = counts.get(tag.strip()[:MAX_TEXT], 0) + int(count)
    yield from sorted(counts, key=lambda tag: (-counts[tag], tag))[:MAX_TAGS]
