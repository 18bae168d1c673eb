"""Predicates for the values of config keys; `methods` lists the keys of each method."""

from __future__ import annotations

import math
from collections.abc import Callable

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
