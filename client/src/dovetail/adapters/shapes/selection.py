"""Decides which modules a config selects, as PEFT does but in bounded time."""

import re
from collections.abc import Mapping
from functools import cached_property

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.patterns import STEPS, Pattern, PatternError
from dovetail.adapters.methods import HEADS, placing

MAX_PATTERNS = 256
ALL_LINEAR = "all-linear"
WRAPPED = ".base_layer"  # what stands in a path for each wrapper around a wrapper
FORMS = {"named": r"(.*\.)?({})$", "ending": r".*\.{}$", "found": r"(?:.*?)(?:{})"}
PLAIN = re.compile(r"[A-Za-z0-9_.\-]+")  # our own pattern, in linear time; an uploaded pattern never reaches `re`


class Names:
    """A list of module names (each matches itself and every path that ends in it) or one pattern for the whole path."""

    def __init__(self, value: object) -> None:
        self.pattern = Pattern(value) if isinstance(value, str) else None
        self.listed = (
            frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()
        )
        self._is_deep = any("." in name for name in self.listed)

    def match(self, module: str) -> bool:
        if self.pattern:
            return self.pattern.fullmatch(module)
        if not self._is_deep:  # the usual case, made fast: a base of 70 B has a thousand modules
            return module.rpartition(".")[2] in self.listed
        return any(suffix in self.listed for suffix in suffixes(module))


class Selection:
    """The modules that a config selects. Raises `PatternError` at first use of a pattern that costs too much."""

    def __init__(self, config: configs.Config) -> None:
        self._config = placing(config)
        self.saved = (*configs.names(config, "modules_to_save"), *HEADS.get(str(config.get("task_type")), ()))

    @property
    def is_all_linear(self) -> bool:
        value = self._config.get("target_modules")
        return isinstance(value, str) and value.lower() == ALL_LINEAR

    @property
    def is_open(self) -> bool:
        """True if the config leaves the choice to the method's defaults."""
        return self._config.get("target_modules") in (None, []) and not self.parameters

    @property
    def parameters(self) -> tuple[str, ...]:
        """The single parameters that are adapted, such as the table of all experts of a layer."""
        return configs.names(self._config, "target_parameters")

    def picks_parameter(self, path: str) -> bool:
        """Return whether PEFT wraps a parameter, by its whole path or the end of it (_inject_parameters)."""
        return any(path == name or path.endswith(f".{name}") for name in self.parameters)

    def holds_parameters(self, module: str) -> bool:
        """Return whether a path in a file may belong to a module with such parameters: each adds one wrapper."""
        home = module
        while home.endswith(WRAPPED):
            home = home.removesuffix(WRAPPED)
        depth = (len(module) - len(home)) // len(WRAPPED)
        ends = [name.rpartition(".")[0] for name in self.parameters]
        return sum(not end or f".{home}".endswith(f".{end}") for end in ends) > depth

    @cached_property
    def targets(self) -> Names:
        return Names(self._config.get("target_modules"))

    @cached_property
    def _excluded(self) -> Names:
        return Names(self._config.get("exclude_modules") or [])

    @cached_property
    def _feedforward(self) -> Pattern | tuple[str, ...]:
        value = self._config.get("feedforward_modules")
        return Pattern(value) if isinstance(value, str) else configs.names(self._config, "feedforward_modules")

    def excludes(self, name: str) -> bool:
        """Return whether all modules of this name may be excluded; `all-linear` is saved with the excluded names."""
        return self._excluded.pattern is not None or self._excluded.match(name)

    def picks(self, module: str) -> bool:
        if self._is_kept_from(module) or self._excluded.match(module):
            return False
        if self.is_all_linear or self.is_open:
            return True
        return self.targets.match(module) and (self.targets.pattern is not None or self._in_layers(module))

    def _is_kept_from(self, module: str) -> bool:
        """Return whether PEFT adapts no part of a module because it is saved whole (check_target_module_exists)."""
        parts = f".{module}."
        return any(f".{name}." in parts for name in self.saved)

    def is_saved(self, module: str) -> bool:
        """Return whether a module, or one that contains it, is saved whole.

        PEFT compares the end of the path only (_set_trainable): "classifier" also matches DistilBERT's pre_classifier,
        and "norm" every post_attention_layernorm.
        """
        if not module.endswith(self.saved) and not any(f"{name}." in module for name in self.saved):
            return False
        parts = module.split(".")
        return any(".".join(parts[:at]).endswith(self.saved) for at in range(1, len(parts) + 1))

    def is_feedforward(self, module: str) -> bool:
        if isinstance(self._feedforward, Pattern):
            return self._feedforward.fullmatch(module)
        return module.endswith(self._feedforward)

    @cached_property
    def _layer_patterns(self) -> list[Pattern]:
        names = configs.names(self._config, "layers_pattern")
        return [Pattern(rf"(?:^|.*?\.){name}\.") for name in names]

    def _in_layers(self, module: str) -> bool:
        layers = self._config.get("layers_to_transform")
        if layers is None or layers == []:
            return True
        index = self._layer(module)
        return index is not None and (index == layers or (isinstance(layers, list) and index in layers))

    def _layer(self, module: str) -> int | None:
        parts = module.split(".")
        for at in range(1, len(parts) - 1):
            if parts[at].isdecimal() and self._may_hold_layers(parts[:at]):
                return int(parts[at])
        return None

    def _may_hold_layers(self, before: list[str]) -> bool:
        if not self._layer_patterns:
            return len(before) >= 2
        return any(pattern.fullmatch(".".join(before) + ".") for pattern in self._layer_patterns)


class PatternTable:
    """`rank_pattern` or `alpha_pattern`: the first key that matches the end of a module's path gives the number.

    The order is that of the file, as in PEFT (utils/other.py, get_pattern_key), not that of the longest match. Some
    methods match otherwise: "ending" needs a part before the key, or the whole path (C3A, FourierFT); "found" matches
    anywhere (OSF).
    """

    def __init__(self, value: object, how: str = "named", *, steps: int = STEPS) -> None:
        table: Mapping[str, float] = value if isinstance(value, dict) else {}
        self._numbers, self._whole = list(table.values()), dict(table) if how == "ending" else {}
        self._plain = {key: at for at, key in enumerate(table) if how == "named" and PLAIN.fullmatch(key)}
        odd = [(at, key) for at, key in enumerate(table) if key not in self._plain]
        if len(odd) > MAX_PATTERNS:
            raise PatternError(f"it has {len(odd):,} patterns; the limit is {MAX_PATTERNS}")
        share = steps // max(1, len(odd))  # one budget for the whole table, however many patterns there are
        self._patterns = [(at, Pattern(FORMS[how].format(key), share)) for at, key in odd]

    def get(self, module: str, default: float) -> float:
        if not self._numbers:
            return default
        first = min((self._plain[end] for end in suffixes(module) if end in self._plain), default=len(self._numbers))
        earlier = (at for at, pattern in self._patterns if at < first and pattern.match(module))
        index = next(earlier, first)
        return self._numbers[index] if index < len(self._numbers) else self._whole.get(module, default)


def suffixes(module: str) -> list[str]:
    """Return the path itself, then the path without its first part, and so on."""
    parts = module.split(".")
    return [".".join(parts[at:]) for at in range(len(parts))]
