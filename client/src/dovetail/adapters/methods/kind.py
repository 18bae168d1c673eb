"""The type of a row of `methods`: the keys of a method's config, its parameters and their shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dovetail.adapters.methods.accepts import Fits, is_flag, is_layers, is_name_list, is_names, is_text, one_of

TASKS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "CAUSAL_LM", "SEQ_2_SEQ_LM", "FEATURE_EXTRACTION")
EVERYWHERE: Mapping[str, Fits] = {
    "task_type": one_of(*TASKS, None),
    "base_model_name_or_path": is_text,
    "revision": is_text,
    "inference_mode": is_flag,
    "modules_to_save": is_name_list,
    "peft_version": is_text,
}
OLD = {"enable_lora": None, "merge_weights": False}  # keys of PEFT before 0.3, with the values that mean nothing
IGNORED = frozenset({"peft_type", "auto_mapping", "megatron_core", "runtime_config", "ensure_weight_tying"})
# The keys that select modules; a method's row tells which of them it has.
TARGETS: Mapping[str, Fits] = {"target_modules": is_names}
EXCLUDED: Mapping[str, Fits] = {"exclude_modules": is_names}
LAYERS: Mapping[str, Fits] = {"layers_to_transform": is_layers, "layers_pattern": is_names}
PLACING: Mapping[str, Fits] = {**TARGETS, **EXCLUDED, **LAYERS}
SELECTING = frozenset({*PLACING, "feedforward_modules", "target_parameters"})

Shape = tuple[int, ...] | None  # None: any shape
Numbers = Mapping[str, Any]
LINEAR = ("linear", "conv1d")
OPERATOR = re.compile(r"([*/])")


@dataclass(frozen=True, slots=True)
class Place:
    """A module that the method wraps, and the numbers that hold there: those of the config, `in` and `out`."""

    path: str
    kind: str
    numbers: Numbers
    parameters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def has_bias(self) -> bool:
        return "bias" in self.parameters


Places = Sequence[Place]


@dataclass(frozen=True, slots=True)
class Unproven:
    """A variant of a method that no engine here runs: the key, the values that mean it, and why."""

    key: str
    why: str
    means: Fits = bool

    def holds(self, config: Mapping[str, object]) -> bool:
        value = config.get(self.key)  # an empty table is a table: loaders fill it with their defaults
        return self.means(value) or value == {}


@dataclass(frozen=True, slots=True)
class Kind:
    """One method of PEFT; a row of `methods` is all that is known of it.

    `keys` are read and reach the loader, `ignored` change nothing once an adapter is trained. `parameters` maps what
    follows a module's path in a tensor's name to its shape, in words ("out r", "in/vector_length"): numbers of the
    config, `in`, `out` and what `derive` adds; "" is any shape. `choose` says which of them a place has, and in which
    words where they vary; all of them if it is None. `shared` are the tensors that belong to no module. `tables` are
    the keys that give single modules another number: how PEFT matches them, and which number. `effect` are parameters
    without which nothing changes.
    """

    peft_type: str
    keys: Mapping[str, Fits]
    parameters: Mapping[str, str] = field(default_factory=dict)
    defaults: Numbers = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    unproven: tuple[Unproven, ...] = ()
    choose: Callable[[Place], Sequence[str] | Mapping[str, str]] | None = None
    derive: Callable[[Place, Places], Numbers] | None = None
    shared: Callable[[Numbers, Places], Mapping[str, Shape]] | None = None
    shared_names: tuple[str, ...] = ()  # what the names of shared tensors begin with
    groups: tuple[tuple[str, ...], ...] = ()  # parameters that come together in each module; all of them when empty
    effect: tuple[str, ...] = ()
    tables: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    sized: tuple[str, ...] = LINEAR  # the modules whose shapes are known
    wraps: tuple[str, ...] = ("linear", "conv1d", "embedding", "conv")
    fixed: Mapping[str, object] = field(default_factory=dict)  # what the loader is always told
    last: Callable[[Numbers], int] | None = None  # only so many of the places, counted from the end
    is_prompt: bool = False
    asks_feedforward: bool = False  # whether it acts on the input of feed-forward modules
    ranked: str = "r"  # the key that is bounded and compared with the tensors as their rank; "" for none
    doubt: str = ""  # what the loader computes from the base, and may compute otherwise elsewhere
    doubtful: Fits = bool
    whole_numbers: tuple[str, ...] = ()  # what the names of tensors of whole numbers have in them
    is_prefix: bool = False  # whether the prompt is keys and values of every layer
    takes_layers_pattern_alone: bool = False  # layers_pattern without layers_to_transform; the others fail to load
    refuses_layers_with_pattern: bool = False  # layers_to_transform beside a pattern in target_modules
    since: str = ""  # the first release of PEFT that has it; "" for 0.5 and before
    note: str = ""  # for docs/formats.md: the variants that are run too, and what is particular

    @property
    def name(self) -> str:
        """The method as verdicts and catalogues spell it."""
        return self.peft_type.lower().replace("_", "-")

    @property
    def prefix(self) -> str:
        """The prefix of a module's path in PEFT's tensor names; prompts do not wrap the base model a second time."""
        return "base_model." if self.is_prompt else "base_model.model."

    @property
    def is_regular(self) -> bool:
        """True if modules of equal size have parameters of equal size."""
        return self.derive is None and "other" not in self.wraps

    @property
    def together(self) -> tuple[tuple[str, ...], ...]:
        return self.groups or (tuple(self.parameters),)

    def knows(self, key: str) -> bool:
        groups = (self.keys, EVERYWHERE, IGNORED, self.ignored, {variant.key for variant in self.unproven})
        return any(key in keys for keys in groups)

    def numbers(self, config: Mapping[str, object]) -> Numbers:
        """Return the config with PEFT's defaults where it says nothing."""
        stated = {key: value for key, value in config.items() if value is not None and key in self.keys}
        return {**self.defaults, **stated}

    def shapes(self, place: Place, every: Places) -> dict[str, Shape]:
        """Return the parameters of one place by name."""
        chosen = self.parameters if self.choose is None else self.choose(place)
        words = chosen if isinstance(chosen, Mapping) else {name: self.parameters[name] for name in chosen}
        if place.kind not in self.sized:
            return dict.fromkeys(words, None)
        extra = self.derive(place, every) if self.derive else {}
        return {name: shape_of(shape_words, {**place.numbers, **extra}) for name, shape_words in words.items()}

    def is_shared(self, name: str) -> bool:
        return bool(self.shared_names) and name.startswith(self.shared_names)


def shape_of(words: str, numbers: Numbers) -> Shape:
    """Return the shape that words give, such as "out r" or "num_B*r in"; None where a number is not known."""
    sizes = tuple(_size(word, numbers) for word in words.split())
    return None if not sizes or min(sizes) < 0 else sizes


def _size(word: str, numbers: Numbers) -> int:
    first, *rest = OPERATOR.split(word)
    size = _number(first, numbers)
    for operator, name in zip(rest[::2], rest[1::2], strict=True):
        other = _number(name, numbers)
        size = size * other if operator == "*" else size // max(other, 1)
    return size


def _number(word: str, numbers: Numbers) -> int:
    return int(word) if word.isdecimal() else int(numbers.get(word, -1))
