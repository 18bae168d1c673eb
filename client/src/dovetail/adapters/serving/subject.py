"""An adapter as a serving engine sees it: config, names and shapes of the tensors, the base it will be served with."""

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from dovetail.adapters.files import archives, gguf
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import Opener
from dovetail.adapters.formats import formats
from dovetail.adapters.formats.description import WEIGHTS
from dovetail.adapters.formats.images import ROWS
from dovetail.adapters.shapes.layout import named

PREFIX = "base_model.model."
SIDES = (".lora_A.weight", ".lora_B.weight", ".lora_embedding_A", ".lora_embedding_B")
LAYER = re.compile(r"(?:^|\.)(\d+)\.")
OTHER_WEIGHTS = ("adapters.safetensors", "pytorch_lora_weights.safetensors")
MAX_ADDED_BYTES = 256 * 2**10
TITLES = {
    "adapters": "an adapter of the adapters library",
    "peft": "a PEFT adapter without its config",
    "unknown": "an unknown format",
    **{format: row.name for format, row in ROWS.items()},
}

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Base:
    """The known facts of the base it will be served with; empty or 0 means unknown."""

    id: str = ""
    architectures: tuple[str, ...] = ()
    vocabulary: int = 0
    layers: int = 0
    tied: bool = False  # whether the output embedding is the input embedding


UNKNOWN = Base()


class Subject:
    """One adapter."""

    def __init__(
        self,
        config: configs.Config,
        tensors: Shapes,
        *,
        files: tuple[str, ...] = (WEIGHTS, configs.NAME),
        added: Mapping[str, int] | None = None,
        metadata: Mapping[str, str] | None = None,
        base: Base = UNKNOWN,
        is_gguf: bool = False,
        architecture: str = "",
    ) -> None:
        new = named(tensors)
        self.named = list(new)  # the tensors whose names hold the adapter's own name, default
        self.config, self.files = config, files
        self.tensors: Shapes = {new.get(name, name): shape for name, shape in tensors.items()}
        self.added, self.metadata, self.base = added or {}, metadata or {}, base
        self.is_gguf, self.architecture = is_gguf, architecture  # of a GGUF file alone

    @cached_property
    def format(self) -> str:
        format_id = formats.of_config(self.config)
        if format_id == "unknown":
            format_id = formats.of_tensors(self.tensors, self.metadata, self.tensors)[0] or format_id
        return "gguf" if self.is_gguf else format_id

    @cached_property
    def method(self) -> str:
        """The method of PEFT in its own spelling, or "" for other formats."""
        return str(self.config.get("peft_type") or "").strip().upper()

    @property
    def is_lora(self) -> bool:
        return self.method == "LORA"

    @property
    def title(self) -> str:
        """The format or method, as part of a sentence."""
        return f"{self.method} of PEFT" if self.method else TITLES.get(self.format, self.format)

    # --- numbers -----------------------------------------------------------------------------------------------------
    @cached_property
    def rank(self) -> int:
        """The `r` of the config, or PEFT's default."""
        return configs.whole(self.config, "r") or 8

    @cached_property
    def ranks(self) -> set[int]:
        """The ranks of the tensors in the file; for a table of experts the shape does not tell the rank."""
        sides = (".lora_A.weight", ".lora_embedding_A")
        beside = {f"{PREFIX}{path}.lora_A.weight" for path in self.tables}
        return {
            shape[0] for name, shape in self.tensors.items() if name.endswith(sides) and shape and name not in beside
        }

    @cached_property
    def max_rank(self) -> int:
        table = self.config.get("rank_pattern")
        overrides = [rank for rank in table.values() if type(rank) is int] if isinstance(table, dict) else []
        return max([self.rank, *overrides, *self.ranks])

    @property
    def alpha(self) -> float:
        alpha = configs.number(self.config, "lora_alpha")
        return 8.0 if alpha is None else alpha

    @property
    def root(self) -> str:
        """The factor by which rsLoRA is too weak for an engine that uses alpha/r, as text; "" if both scales agree."""
        if not (self.flag("use_rslora") and self.rank > 1):
            return ""
        return f"{math.sqrt(self.rank):.3g}"

    # --- config ------------------------------------------------------------------------------------------------------
    def flag(self, key: str) -> bool:
        return bool(self.config.get(key))

    def table(self, key: str) -> list[str]:
        value = self.config.get(key)
        return [str(item) for item in value] if isinstance(value, dict) else []

    @property
    def saved_modules(self) -> list[str]:
        return list(configs.names(self.config, "modules_to_save"))

    @property
    def replacing_init(self) -> str:
        """The initialisation if it makes PEFT change base weights, else ""."""
        init = self.config.get("init_lora_weights")
        is_replacing = isinstance(init, str) and init.lower().startswith(("pissa", "olora", "corda", "loftq"))
        return str(init) if is_replacing else ""

    @property
    def bias(self) -> str:
        value = self.config.get("bias")
        return "" if value in (None, "none") else str(value)

    # --- tensors -----------------------------------------------------------------------------------------------------
    @cached_property
    def modules(self) -> dict[str, list[str]]:
        """Module path without PEFT's prefix → the suffixes of its LoRA tensors."""
        sides: dict[str, list[str]] = defaultdict(list)
        for name in self.tensors:
            for side in SIDES:
                if name.endswith(side):
                    sides[name.removesuffix(side).removeprefix(PREFIX)].append(side)
        return dict(sides)

    @property
    def tables(self) -> list[str]:
        """Modules of which single parameters are adapted, such as the tables of all experts of a layer."""
        ends = {str(name).rpartition(".")[0] for name in configs.names(self.config, "target_parameters")}
        return [path for path in self.modules if any(f".{_home(path)}".endswith(f".{end}") for end in ends)]

    @cached_property
    def types(self) -> set[str]:
        """The last parts of the modules' paths: q_proj, c_attn …"""
        return {path.rpartition(".")[2] for path in self.modules}

    @cached_property
    def others(self) -> list[str]:
        """Tensors other than the two matrices of a LoRA."""
        return [name for name in self.tensors if not name.endswith(SIDES)]

    @property
    def magnitudes(self) -> list[str]:
        return [name for name in self.others if "lora_magnitude_vector" in name or "dora_scale" in name]

    @property
    def lora_biases(self) -> list[str]:
        return [name for name in self.others if name.endswith(".lora_B.bias")]

    @property
    def tokens(self) -> list[str]:
        return [name for name in self.others if name.endswith("trainable_tokens_delta")]

    @property
    def embeddings(self) -> list[str]:
        """Whole embedding tables, input or output."""
        ends = ("embed_tokens.weight", "lm_head.weight", "base_layer.weight", "wte.weight", "word_embeddings.weight")
        return [name for name in self.others if name.endswith(ends)]

    @property
    def heads(self) -> list[str]:
        """Saved modules outside the layers, such as a trained classifier."""
        trained = {*self.magnitudes, *self.lora_biases, *self.tokens, *self.embeddings}
        return [name for name in self.others if name not in trained and not LAYER.search(name)]

    @cached_property
    def layers(self) -> dict[str, set[int]]:
        """Type of module → the numbers of the layers that have a LoRA on it."""
        numbers: dict[str, set[int]] = defaultdict(set)
        for path in self.modules:
            if number := LAYER.search(path):
                numbers[path.rpartition(".")[2]].add(int(number[1]))
        return dict(numbers)

    @cached_property
    def gaps(self) -> list[str]:
        """Types of modules that have a LoRA in some layers and none in others."""
        reach = self.base.layers or max((max(numbers) + 1 for numbers in self.layers.values()), default=0)
        return sorted(kind for kind, numbers in self.layers.items() if len(numbers) < reach)

    @property
    def grown_rows(self) -> int:
        """The number of embedding rows in the file if it differs from the base's; 0 if it is equal or unknown."""
        rows = {self.tensors[name][0] for name in self.embeddings if self.tensors[name]}
        odd = {row for row in rows if self.base.vocabulary and row != self.base.vocabulary}
        return max(odd, default=0)

    @property
    def added_ids(self) -> list[str]:
        """Tokens of added_tokens.json that are not in the base's vocabulary; empty if the vocabulary is unknown."""
        return [token for token, number in self.added.items() if 0 < self.base.vocabulary <= number]


def _home(path: str) -> str:
    """Return a module's path without the suffixes that nested wrappers append."""
    while path.endswith(".base_layer"):
        path = path.removesuffix(".base_layer")
    return path


def subject_of(files: Mapping[str, Opener], *, base: Base = UNKNOWN) -> Subject | None:
    """Reads config, header and added tokens of an adapter; None where the weights, or all else, cannot be read."""
    config, path = _config(files), _weights(files)
    header = _header(files, path) if path else None
    if (path or _has_pickles(files)) and header is None:
        return None
    is_gguf = not config and any(family == "gguf" for family, _, _ in formats.detect(_of_llama(files)))
    if not (config or header or is_gguf):
        return None
    shapes = {name: tensor.shape for name, tensor in header.tensors.items()} if header else {}
    return Subject(
        config,
        shapes,
        files=tuple(files),
        added=_added(files),
        metadata=header.metadata if header else {},
        base=base,
        is_gguf=is_gguf,
        architecture=_architecture(files) if is_gguf else "",
    )


def _architecture(files: Mapping[str, Opener]) -> str:
    """Return what a GGUF adapter says of its base's architecture."""
    family = next(path for name, _, path in formats.detect(_of_llama(files)) if name == "gguf")
    with files[family]() as file:
        return gguf.read(file).get("general.architecture", "")


def _weights(files: Mapping[str, Opener]) -> str:
    alone = [path for path in files if path.endswith((".safetensors", archives.SUFFIX)) and "/" not in path]
    conventional = [path for path in (WEIGHTS, *OTHER_WEIGHTS) if path in files]
    return conventional[0] if conventional else alone[0] if len(alone) == 1 else ""


def _of_llama(files: Mapping[str, Opener]) -> dict[str, Opener]:
    return {path: opener for path, opener in files.items() if path.endswith(".gguf")}


def _has_pickles(files: Mapping[str, Opener]) -> bool:
    return any(path.endswith((".bin", ".pt", ".ckpt")) and "/" not in path for path in files)


def _config(files: Mapping[str, Opener]) -> configs.Config:
    if configs.NAME not in files:
        return {}
    try:
        with files[configs.NAME]() as file:
            return configs.read(file)
    except configs.ConfigError:
        return {}


def _header(files: Mapping[str, Opener], path: str) -> headers.Header | None:
    try:
        with files[path]() as file:
            return archives.read(file) if path.endswith(archives.SUFFIX) else headers.read(file)
    except headers.HeaderError:
        return None


def _added(files: Mapping[str, Opener]) -> dict[str, int]:
    if "added_tokens.json" not in files:
        return {}
    try:
        with files["added_tokens.json"]() as file:
            content = json.loads(file.read(MAX_ADDED_BYTES))
    except (ValueError, RecursionError):
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    return {str(token)[:120]: number for token, number in entries if type(number) is int}
