"""Facts that trainers wrote beside the weights: steps, losses, results, hyperparameters, trigger words.

They are what a trainer says of itself; nothing here is measured. Pickles such as training_args.bin are never loaded. A
file that is too large or no JSON states nothing.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError, Opener
from dovetail.adapters.results.records import JsonObject
from dovetail.adapters.shapes import trainer_settings
from dovetail.adapters.shapes.trainer_settings import MAX_TEXT, Parse, Stated, is_number, stated

MAX_BYTES = 2 << 20
MAX_FACTS = 60
MAX_POINTS = 120  # of a loss curve
MAX_TAGS = 8  # most frequent ones of the pictures
STATE, RESULTS = "trainer_state.json", ("all_results.json", "eval_results.json", "train_results.json")
_STATE_KEYS = (
    *("global_step", "max_steps", "epoch", "num_train_epochs", "train_batch_size", "best_metric"),
    *("best_global_step", "best_model_checkpoint"),
)
_NOTES = re.compile(
    r"modelspec\.(?!hash|thumbnail)\w+|ss_(?:base_model_version|network_(?:module|dim|alpha|dropout|args)|optimizer|"
    r"learning_rate|unet_lr|text_encoder_lr|lr_scheduler|resolution|steps|num_epochs|epoch|num_train_images|"
    r"batch_size_per_device|clip_skip|(?:new_)?sd_model_hash|noise_offset|min_snr_gamma|seed|mixed_precision)"
)
README = "README.md"
MAX_README = 1 << 20
MAX_ROWS = 40
# Tags that trainers write → their names.
_TRAINERS = (
    *("axolotl", "LLaMA-Factory", "Unsloth", "TRL", "SetFit", "sentence-transformers", "ai-toolkit", "AutoTrain"),
    *("torchtune", "LitGPT", "MLX"),
)
_TAGS = {name.lower(): name for name in _TRAINERS}
_UNSLOTH = "github.com/unslothai/unsloth"
_HEADING = re.compile(r"#{2,5} (?:training|non-default) hyperparameters", re.IGNORECASE)
_ROW = re.compile(r"[-*] `?([A-Za-z][\w.-]{0,60})`?: (.{1,200})")


@dataclass(frozen=True, slots=True)
class Training:
    """The facts of a training, its losses by step, and the words that call up what a LoRA for images learnt."""

    facts: tuple[Stated, ...] = ()
    losses: tuple[tuple[float, float], ...] = ()
    losses_source: str = ""
    words: tuple[str, ...] = ()

    def as_json(self) -> JsonObject:
        return {
            "facts": [{"name": fact.name, "value": fact.value, "source": fact.source} for fact in self.facts],
            "losses": [list(point) for point in self.losses],
            "losses_source": self.losses_source or None,
            "words": list(self.words),
        }


def read(files: Mapping[str, Opener], card: Mapping[str, object], parse: Parse) -> Training:
    """Return what trainers state in files (path → opener), in the header of the weights and in the card.

    `card` is the front matter of README.md, and `parse` reads YAML.
    """
    weights = weights_of(files)
    notes = notes_of(files)
    state_path = _newest(files)
    state = _object(files, state_path)
    losses = tuple(_losses(state.get("log_history")))
    facts = [*_numbers(state, state_path, _STATE_KEYS)]
    for path in RESULTS:
        facts += _numbers(results := _object(files, path), path, sorted(results))
    facts += trainer_settings.read(files, parse)
    facts += _of_card(files, card, parse)
    known = {fact.name for fact in facts}
    facts += [
        Stated(key, value[:MAX_TEXT], f"{weights}:{key}")
        for key, value in sorted(notes.items())
        if _NOTES.fullmatch(key) and key not in known and value.isprintable() and value not in ("", "None")
    ]
    once = {(fact.name, fact.value): fact for fact in reversed(facts)}  # the first source of what several files say
    facts = [fact for fact in facts if once[fact.name, fact.value] is fact]
    words = words_of(notes, card, phrase_of(facts))
    return Training(tuple(facts[:MAX_FACTS]), losses, f"{state_path}:log_history" if losses else "", words)


def phrase_of(facts: Iterable[Stated]) -> str:
    """Return the trigger phrase among the settings of a trainer, "" if there is none."""
    return next((str(fact.value) for fact in facts if fact.name == "trigger_word"), "")


def weights_of(files: Mapping[str, Any]) -> str:
    """Return the path of the weights whose header is read, "" if there are none."""
    weights = (path for path in files if path.endswith(".safetensors"))
    return min(weights, key=lambda path: (path.count("/"), path), default="")


def notes_of(files: Mapping[str, Opener]) -> Mapping[str, str]:
    """Return the notes in the header of the weights; none if it cannot be read."""
    weights = weights_of(files)
    try:
        with files[weights]() as file:
            return headers.read(file).metadata
    except (KeyError, HeaderError):
        return {}


def paths(files: Mapping[str, Any]) -> list[str]:
    """Return the files that `read` opens."""
    own = (_newest(files), *RESULTS, weights_of(files), README)
    return [path for path in own if path in files] + trainer_settings.paths(files)


def _newest(files: Mapping[str, Any]) -> str:
    """Return the state of the training: the one at the top, else that of the last checkpoint."""
    found = [path for path in files if path.rpartition("/")[2] == STATE and path.count("/") <= 1]
    return max(found, key=lambda path: ("/" not in path, _step(path), path), default="")


def _step(path: str) -> int:
    match = re.search(r"checkpoint-(\d{1,9})/", path)
    return int(match[1]) if match else -1


def _object(files: Mapping[str, Opener], path: str) -> JsonObject:
    if path not in files:
        return {}
    with files[path]() as file:
        raw = file.read(MAX_BYTES + 1)
    return _parsed(raw) if len(raw) <= MAX_BYTES else {}


def _parsed(raw: bytes | str) -> JsonObject:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _numbers(results: Mapping[str, Any], path: str, keys: tuple[str, ...] | list[str]) -> Iterator[Stated]:
    for key in keys:
        if is_number(results.get(key)):
            yield from stated(key, results[key], f"{path}:{key[:MAX_TEXT]}")


def _losses(history: object) -> Iterator[tuple[float, float]]:
    """Yield (step, loss), evenly thinned to MAX_POINTS."""
    rows = history if isinstance(history, list) else []
    points = [
        (float(row["step"]), float(row["loss"]))
        for row in rows
        if isinstance(row, dict) and is_number(row.get("step")) and is_number(row.get("loss"))
    ]
    every = -(-len(points) // MAX_POINTS) or 1
    yield from points[::every]


def words_of(notes: Mapping[str, str], card: Mapping[str, object], phrase: str = "") -> tuple[str, ...]:
    """Return the trigger phrase that the notes, the settings (`phrase`) or the card name, else the commonest tags."""
    for text in (notes.get("modelspec.trigger_phrase"), phrase, card.get("instance_prompt")):
        if isinstance(text, str) and text.strip() and text.strip().isprintable():
            return (text.strip()[:MAX_TEXT],)
    counts: dict[str, int] = {}
    for tags in _parsed(notes.get("ss_tag_frequency", "")).values():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            word = tag.strip()[:MAX_TEXT]
            if word and is_number(count) and word.isprintable():
                counts[word] = counts.get(word, 0) + int(count)
    return tuple(sorted(counts, key=lambda tag: (-counts[tag], tag))[:MAX_TAGS])


# --- the card --------------------------------------------------------------------------------------------------------
def _of_card(files: Mapping[str, Opener], card: Mapping[str, object], parse: Parse) -> Iterator[Stated]:
    """Yield what the card states of the training; `card` is its front matter, whose model-index is a claim instead."""
    if README not in files:
        return
    with files[README]() as file:
        raw = file.read(MAX_README + 1)
    text = raw.decode("utf-8", "replace") if len(raw) <= MAX_README else ""
    yield from _marks(card, text)
    yield from trainer_settings.of_settings(parse(_axolotl(text)), f"{README}:axolotl config")
    yield from _rows(text)


def _marks(card: Mapping[str, object], text: str) -> Iterator[Stated]:
    tags = card.get("tags")
    words = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    names = [_TAGS[tag] for tag in words if tag in _TAGS]
    if "Unsloth" not in names and _UNSLOTH in text:
        yield Stated("trainer", "Unsloth", f"{README}:{_UNSLOTH}")
    for name in names:
        yield Stated("trainer", name, f"{README}:tags")
    for tag in words:  # sentence-transformers
        key, _, value = tag.partition(":")
        if key in ("loss", "dataset_size"):
            yield from stated(key, value, f"{README}:tags")


def _axolotl(text: str) -> str:
    block = text.partition("See axolotl config")[2].partition("```yaml\n")[2].partition("\n```")[0]
    return block if len(block) <= trainer_settings.MAX_BYTES else ""


def _rows(text: str) -> Iterator[Stated]:
    """Yield the rows of the lists that Trainer, sentence-transformers and SetFit write."""
    is_inside, left = False, MAX_ROWS
    for line in map(str.strip, text.splitlines()):
        if line.startswith(("#", "<details")):
            is_inside = _HEADING.fullmatch(line) is not None
        elif is_inside and left and (row := _ROW.fullmatch(line)):
            left -= 1
            yield from stated(row[1], row[2].strip("`"), f"{README}:{row[1]}")
