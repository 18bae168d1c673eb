"""Rules for the architecture of the base, from the table of what each engine has LoRA for."""

from __future__ import annotations

from collections.abc import Callable

from dovetail.adapters.formats.architectures import names
from dovetail.adapters.serving.rules import UNKNOWN_ARCHITECTURE, Rule
from dovetail.adapters.serving.subject import Subject

TEXT_KEYS = "model.layers."  # the modules of a model for text alone


As = Callable[[str], str]  # the class that an engine takes for an architecture


def itself(architecture: str) -> str:
    return architecture


def _foreign(engine: str, taken_as: As) -> Callable[[Subject], str]:
    """Return a rule for architectures that are in neither list of an engine."""
    known = names(engine, "lora") | names(engine, "without")

    def foreign(a: Subject) -> str:
        own = a.base.architectures
        return ", ".join(own) if a.is_lora and not known & set(map(taken_as, own)) else ""

    return foreign


def refused_without_lora(engine: str, title: str, source: str, taken_as: As = itself) -> Rule:
    """Return the rule for architectures that an engine has without LoRA."""
    lora, without = names(engine, "lora"), names(engine, "without")

    def refused(a: Subject) -> str:
        own = set(map(taken_as, a.base.architectures))
        return next(iter(sorted(without & own)), "") if a.is_lora and not lora & own else ""

    return Rule(f"{engine}.architecture", "refuses", source, refused, f"{title} has no LoRA for {{}}.")


def refused_unless_listed(engine: str, title: str, source: str) -> Rule:
    """Return the rule for an engine that has no other way than its own list of architectures."""
    lora = names(engine, "lora")

    def refused(a: Subject) -> str:
        own = a.base.architectures
        return ", ".join(own) if a.is_lora and not lora & set(own) else ""

    return Rule(f"{engine}.architecture", "refuses", source, refused, f"{title} has no LoRA for {{}}.")


def unknown(engine: str, title: str, source: str, taken_as: As = itself) -> Rule:
    """Return the rule that nothing is promised for what the table does not have."""
    sentence = f"Whether {title} serves a LoRA on {{}} is not known."
    return Rule(f"{engine}{UNKNOWN_ARCHITECTURE}", "unknown", source, _foreign(engine, taken_as), sentence)


def lost_text_keys(engine: str) -> Callable[[Subject], list[str]]:
    """Return a rule for adapters of a text model whose base is wrapped in a model for images or sound."""
    lost = names(engine, "text_keys_lost")

    def keys(a: Subject) -> list[str]:
        if not a.is_lora or not lost & set(a.base.architectures):
            return []
        return [path for path in a.modules if path.startswith(TEXT_KEYS)]

    return keys
