"""The types of serving engines and their rules, and their application; each engine has its rules in its own file.

Rules for the architecture of the base come from the table of what each engine has LoRA for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from dovetail.adapters.formats.bases import names
from dovetail.adapters.results.findings import some
from dovetail.adapters.results.report import Serves, Serving
from dovetail.adapters.serving.subject import Subject

MAX_REASON = 900
ARCHITECTURE, UNKNOWN_ARCHITECTURE = ".architecture", ".unknown-architecture"  # the ends of two rules' ids
NO_BASE = "The base is not known here, so its support there was not checked."
WORST_FIRST: tuple[Serves, ...] = ("refuses", "wrong", "unknown")


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which an engine does not serve the adapter that the author trained.

    `applies` returns a value for the {} in `sentence`, or a false one. `refuses` is a visible error; `wrong` means
    answers without an error that are not the adapter's; `unknown` means that nothing can be promised. `source` is the
    file with the evidence, in the engine's repository at the engine's version.
    """

    id: str
    outcome: Literal["refuses", "wrong", "unknown"]
    source: str
    applies: Callable[[Subject], object]
    sentence: str


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that serves adapters, at the version whose source was read.

    `flags` returns the start options that depend on the weights; dovetail.serve.server_start adds names and folders.
    """

    name: str
    title: str
    version: str
    project: str
    rules: Sequence[Rule]
    flags: Callable[[Subject], list[str]]
    serves: Callable[[Subject], str]


def own_name(engine: str, outcome: Literal["refuses", "wrong", "unknown"], source: str, does: str) -> Rule:
    """Return the rule for tensors whose names hold the adapter's own name, as those of a state dict do."""
    return Rule(
        f"{engine}.own-name",
        outcome,
        source,
        lambda a: a.named,
        f"Names of tensors contain the adapter's own name, default ({{}}): {does}.",
    )


def no_flags(_: Subject) -> list[str]:
    """Return the options of an engine that needs to be told of the folder alone."""
    return []


def ask(engine: Engine, subject: Subject) -> Serving:
    """Apply all rules. Refusals hide wrong answers, because then nobody gets an answer; both hide what is unknown."""
    broken = [(rule, value) for rule in engine.rules if (value := rule.applies(subject))]
    outcomes = {rule.outcome for rule, _ in broken}
    outcome: Serves = next((outcome for outcome in WORST_FIRST if outcome in outcomes), "serves")
    decisive = [(rule, value) for rule, value in broken if rule.outcome == outcome]
    reason = " ".join(rule.sentence.format(_as_text(value)) for rule, value in decisive) or engine.serves(subject)
    if outcome == "serves" and subject.is_lora and not subject.base.architectures and _asks_for_base(engine):
        reason = f"{reason} {NO_BASE}"
    flags = engine.flags(subject) if outcome == "serves" else []
    return Serving(
        engine.name,
        engine.version,
        outcome=outcome,
        reason=reason[:MAX_REASON],
        flags=flags,
        rules=[rule.id for rule, _ in decisive],
    )


def _asks_for_base(engine: Engine) -> bool:
    return any(rule.id.endswith((ARCHITECTURE, UNKNOWN_ARCHITECTURE)) for rule in engine.rules)


def _as_text(value: object) -> str:
    """Return the value of a rule as part of a sentence."""
    if isinstance(value, str):
        return value[:200]
    if isinstance(value, list | tuple | set | frozenset):
        return some([str(item)[:120] for item in value], 3)
    return f"{value:g}" if isinstance(value, float) else str(value)[:200]


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
