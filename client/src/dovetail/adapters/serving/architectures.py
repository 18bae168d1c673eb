"""The architectures that each engine serves with LoRA, as `ops/architectures.py` read them in the engine's source."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dovetail.adapters.serving.rules import Rule
from dovetail.adapters.serving.subject import Subject

TABLE: Mapping[str, Any] = json.loads((Path(__file__).parents[1] / "architectures.json").read_bytes())
TEXT_KEYS = "model.layers."  # the modules of a model for text alone
NO_BASE = "a base that is not known here"


def _names(engine: str, key: str) -> frozenset[str]:
    return frozenset(entry.partition("=")[0] for entry in TABLE[engine].get(key, ()))


def _foreign(engine: str) -> Callable[[Subject], str]:
    """Return a rule for architectures that are in neither list of an engine, and for a base that is not known."""
    known = _names(engine, "lora") | _names(engine, "without")

    def unknown(a: Subject) -> str:
        if not a.is_lora or known & set(a.base.architectures):
            return ""
        return ", ".join(a.base.architectures) or NO_BASE

    return unknown


def refused_without_lora(engine: str, title: str, source: str) -> Rule:
    """Return the rule for architectures that an engine has without LoRA."""
    lora, without = _names(engine, "lora"), _names(engine, "without")

    def refused(a: Subject) -> str:
        names = set(a.base.architectures)
        return next(iter(sorted(without & names)), "") if a.is_lora and not lora & names else ""

    return Rule(f"{engine}.architecture", "refuses", source, refused, f"{title} has no LoRA for {{}}.")


def refused_unless_listed(engine: str, title: str, source: str) -> Rule:
    """Return the rule for an engine that has no other way than its own list of architectures."""
    lora = _names(engine, "lora")

    def refused(a: Subject) -> str:
        names = a.base.architectures
        return ", ".join(names) if a.is_lora and names and not lora & set(names) else ""

    return Rule(f"{engine}.architecture", "refuses", source, refused, f"{title} has no LoRA for {{}}.")


def unknown(engine: str, title: str, source: str) -> Rule:
    """Return the rule that nothing is promised for what the table does not have."""
    sentence = f"Whether {title} serves a LoRA on {{}} is not known."
    return Rule(f"{engine}.unknown-architecture", "unknown", source, _foreign(engine), sentence)


def lost_text_keys(engine: str) -> Callable[[Subject], list[str]]:
    """Return a rule for adapters of a text model whose base is wrapped in a model for images or sound."""
    lost = _names(engine, "text_keys_lost")

    def keys(a: Subject) -> list[str]:
        if not a.is_lora or not lost & set(a.base.architectures):
            return []
        return [path for path in a.modules if path.startswith(TEXT_KEYS)]

    return keys


def of_gguf(architectures: tuple[str, ...]) -> frozenset[str]:
    """Return the names that GGUF has for some architectures; empty if the converter has none of them."""
    pairs = (entry.partition("=") for entry in TABLE["llama.cpp"]["lora"])
    return frozenset(name for architecture, _, name in pairs if architecture in architectures and name)
