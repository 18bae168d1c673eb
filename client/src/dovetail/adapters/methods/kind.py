"""The type of a row of `methods`: the keys of a method's config, its parameters and their shapes.

Predicates say which values a key takes; a field is checked once before anything else reads it. The fields of one method
are in its row; here are those of all configs of a family.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Fits = Callable[[object], bool]
INITS = ("gaussian", "orthogonal", "eva", "lora_ga", "mica", "loftq", "pissa", "corda", "olora")
MOST_ROWS = 4096


def is_anything(value: object) -> bool:
    return True


def is_table(value: object) -> bool:
    return value is None or isinstance(value, dict)


def is_flag(value: object) -> bool:
    return value is None or type(value) is bool


def is_whole(value: object) -> bool:
    return type(value) is int


def is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]  # its type was asked


def is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def is_names(value: object) -> bool:
    return is_text(value) or (isinstance(value, list) and all(isinstance(item, str) and item for item in value))


def is_name_list(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(item, str) and item for item in value))


def is_layers(value: object) -> bool:
    return value is None or is_whole(value) or (isinstance(value, list) and all(is_whole(item) for item in value))


def is_whole_table(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(is_whole(item) for item in value.values()))


def is_number_table(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(is_number(item) for item in value.values()))


def is_mask_table(value: object) -> bool:
    """Accept AdaLoRA's rank_pattern: a mask of the kept ranks for each module."""
    masks = value.values() if isinstance(value, dict) else ()
    fits = all(isinstance(mask, list) and mask and all(type(bit) is bool for bit in mask) for mask in masks)
    return value is None or (isinstance(value, dict) and fits)


def is_label_table(value: object) -> bool:
    """Accept names of labels by their number, which some trainers write as text."""
    return value is None or (isinstance(value, dict) and all(type(item) in (int, str) for item in value.values()))


def is_token_table(value: object) -> bool:
    lists = value.values() if isinstance(value, dict) else [value]
    return value is None or all(isinstance(item, list) and item and all(map(is_index, item)) for item in lists)


def is_tokens(value: object) -> bool:
    return isinstance(value, list) and len(value) >= 1 and all(map(is_index, value))


def is_few_wholes(value: object) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= MOST_ROWS and all(map(is_index, value))


def is_index(value: object) -> bool:
    return type(value) is int and value >= 0


def is_whole_or_none(value: object) -> bool:
    return value is None or is_whole(value)


def is_bias(value: object) -> bool:
    """Accept the choice of trained biases of the base: none, all, or those of the modules that the method wraps."""
    return value in (None, "none", "all") or (isinstance(value, str) and value.endswith("_only"))


def is_init(value: object) -> bool:
    """Accept the initialisations of PEFT 0.21, which raises for any other; some take a suffix (pissa_niter_4)."""
    return is_flag(value) or (isinstance(value, str) and value.lower().startswith(INITS))


def one_of(*allowed: object) -> Fits:
    return lambda value: any(value is item or (type(value) is type(item) and value == item) for item in allowed)


def whole(least: int, most: int) -> Fits:
    """Accept an integer within bounds, because it becomes a size or a number of rounds in the loader."""
    return lambda value: type(value) is int and least <= value <= most


def between(least: float, most: float) -> Fits:
    return lambda value: is_number(value) and least <= value <= most  # type: ignore[operator]  # it is a number


def either(*choices: Fits) -> Fits:
    return lambda value: any(fits(value) for fits in choices)


def maybe(fits: Fits) -> Fits:
    return lambda value: value is None or fits(value)


SEED = whole(-(2**53), 2**53)
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


Rules = Mapping[str, Fits]

# Fields of every config of PEFT.
PEFT_RULES: Rules = {**EVERYWHERE, "peft_type": is_text, "auto_mapping": is_table}
# Of an adapter of the adapters library, and of its head.
LIBRARY_RULES: Rules = {
    **dict.fromkeys(("name", "model_name", "model_class", "model_type", "version"), is_text),
    "hidden_size": maybe(whole(1, 2**31)),
    "config": is_table,
}
# The fields inside `config` of a head.
HEAD_RULES: Rules = {
    **dict.fromkeys(("head_type", "activation_function"), is_text),
    **dict.fromkeys(("use_pooler", "bias", "layer_norm", "shift_labels"), is_flag),
    "num_labels": whole(0, 4096),
    "layers": whole(0, 8),
    "label2id": is_label_table,
}
FUSION_RULES: Rules = {**LIBRARY_RULES, "config": either(is_table, is_text), "adapter_names": is_names}
MLX_RULES: Rules = {
    **dict.fromkeys(("fine_tune_type", "model"), is_text),
    "num_layers": maybe(whole(-1, 2**16)),
    "lora_parameters": is_table,
}
MLX_LORA_RULES: Rules = {"scale": maybe(is_number), "dropout": maybe(is_number), "keys": is_names}


def rules_of_peft(kind: Kind | None) -> Rules:
    """Return the rules for a config of PEFT, with those of its method if that is known."""
    return {**PEFT_RULES, **kind.keys} if kind else PEFT_RULES
