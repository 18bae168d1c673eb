"""The statements about the training in a README.md: lists of hyperparameters, axolotl's config, marks of trainers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dovetail.adapters.files.header import Opener
from dovetail.adapters.shapes.stated import Stated, stated
from dovetail.adapters.shapes.trainer_settings import MAX_BYTES, Parse, of_settings

README = "README.md"
MAX_README = 1 << 20
MAX_ROWS = 40
# Tags that trainers write → their names.
_TAGS = {
    "axolotl": "axolotl", "llama-factory": "LLaMA-Factory", "unsloth": "Unsloth", "trl": "TRL", "setfit": "SetFit",
    "sentence-transformers": "sentence-transformers", "ai-toolkit": "ai-toolkit", "autotrain": "AutoTrain",
    "torchtune": "torchtune", "litgpt": "LitGPT", "mlx": "MLX",
}  # fmt: skip
_UNSLOTH = "github.com/unslothai/unsloth"
_HEADING = re.compile(r"#{2,5} (?:training|non-default) hyperparameters", re.IGNORECASE)
_ROW = re.compile(r"[-*] `?([A-Za-z][\w.-]{0,60})`?: (.{1,200})")


def read(files: Mapping[str, Opener], card: Mapping[str, object], parse: Parse) -> Iterator[Stated]:
    """Yield what the card states of the training; `card` is its front matter, whose model-index is a claim instead."""
    if README not in files:
        return
    with files[README]() as file:
        raw = file.read(MAX_README + 1)
    text = raw.decode("utf-8", "replace") if len(raw) <= MAX_README else ""
    yield from _marks(card, text)
    yield from of_settings(parse(_axolotl(text)), f"{README}:axolotl config")
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
    return block if len(block) <= MAX_BYTES else ""


def _rows(text: str) -> Iterator[Stated]:
    """Yield the rows of the lists that Trainer, sentence-transformers and SetFit write."""
    is_inside, left = False, MAX_ROWS
    for line in map(str.strip, text.splitlines()):
        if line.startswith(("#", "<details")):
            is_inside = _HEADING.fullmatch(line) is not None
        elif is_inside and left and (row := _ROW.fullmatch(line)):
            left -= 1
            yield from stated(row[1], row[2].strip("`"), f"{README}:{row[1]}")
