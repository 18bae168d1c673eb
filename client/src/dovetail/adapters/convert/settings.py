"""Facts that a file format leaves out and somebody must state: as an option, or in the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dovetail.adapters.convert.refusal import Unconvertible
from dovetail.adapters.files import config as configs
from dovetail.adapters.formats.description import PIPELINE_TAGS

TRUE, FALSE = "true", "false"
MAX_PARTS, MAX_ALPHA, MAX_RANK = 8, 1e6, 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """The alpha of a file of loralib, the parts of merged linears that it adapts, PEFT's task type; a LoRA's rank."""

    alpha: float | None = None
    enable_lora: Sequence[bool] = ()
    task: str = ""
    rank: int = 0


def stated(card: Mapping[str, object], alpha: float | None = None, enable_lora: str = "", rank: int = 0) -> Settings:
    """Return what was asked for, and for what was not what the card states. Raises `Unconvertible` for odd values."""
    plain = dict(card)
    given = enable_lora.split(",") if enable_lora else plain.get("enable_lora") or []
    words = [str(word).strip().casefold() for word in given] if isinstance(given, list) else ["?"]
    if not set(words) <= {TRUE, FALSE} or len(words) > MAX_PARTS or (words and TRUE not in words):
        raise Unconvertible(
            "enable_lora has true or false for each part of a merged linear, such as true,false,true.",
            option="enable_lora",
        )
    number = configs.number(plain, "lora_alpha") if alpha is None else alpha
    if number is not None and not 0 < number <= MAX_ALPHA:
        raise Unconvertible(f"An alpha is more than 0, at most {MAX_ALPHA:g}.", option="alpha")
    if not 0 <= rank <= MAX_RANK:
        raise Unconvertible(f"A rank is 1 to {MAX_RANK:,}.", option="rank")
    tag = configs.text(plain, "pipeline_tag")
    task = next((task for task, name in PIPELINE_TAGS.items() if name == tag), "")
    return Settings(number, tuple(word == TRUE for word in words), task, rank)
