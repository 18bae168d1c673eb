"""Compositions of the adapters library: readers of the adapters, fusions and heads that a set-up names."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.config import Config, ConfigError
from dovetail.adapters.files.header import Opener, TensorInfo
from dovetail.adapters.methods.kind import Fits, is_flag, is_number, maybe
from dovetail.adapters.readers.folder import Effect, Folder, Source, placed
from dovetail.adapters.readers.library import (
    FUSION_CONFIG,
    HEAD_CONFIG,
    HEAD_WEIGHTS,
    MAX_MEMBERS,
    SETUP_CONFIG,
    Block,
    Library,
    member_name,
    read_block,
    read_setup,
)
from dovetail.adapters.shapes.fit import Shape

FUSION_WEIGHTS, PICKLED_FUSION = "model_adapter_fusion.safetensors", "pytorch_model_adapter_fusion.bin"
# The fields that the config of a fusion may have.
FUSION_FLAGS = (
    *("key", "query", "value", "query_before_ln", "regularization", "residual_before", "temperature"),
    *("value_before_softmax", "value_initialized"),
)
FUSION_KEYS: Mapping[str, Fits] = {**dict.fromkeys(FUSION_FLAGS, is_flag), "dropout_prob": maybe(is_number)}
SAVE_AGAIN = "Save all of it with save_adapter_setup(..., use_safetensors=True), and push the folder it wrote"
HEAD = (HEAD_CONFIG, HEAD_WEIGHTS)
SPREADING = ("Parallel", "Split", "BatchSplit")  # one input, or one batch, is dealt out to several adapters


def under(files: Mapping[str, Opener], folder: str) -> dict[str, Opener]:
    """Return the files in a folder, by their path in it."""
    start = f"{folder}/" if folder else ""
    return {path.removeprefix(start): opener for path, opener in files.items() if path.startswith(start)}


class Fusion(Folder):
    """One AdapterFusion: a layer that weighs the outputs of several adapters."""

    weights, pickled_weights = FUSION_WEIGHTS, PICKLED_FUSION
    base_field = "model_name"
    name = ""

    @cached_property
    def config(self) -> Config:
        with self.files[FUSION_CONFIG]() as file:
            return configs.read(file)

    @property
    def method(self) -> Config | str:
        """The inner config, or the name of one that the library brings."""
        inner = self.config.get("config")
        return inner if isinstance(inner, dict | str) else {}

    @property
    def effects(self) -> list[Effect]:
        values = [tensor for name, tensor in self.tensors.items() if name.endswith(".value.weight")]
        return [Effect("value matrix of the fusion", {"": values}, self.sources[0])] if values else []

    def is_own(self, tensor: str) -> bool:
        return f".adapter_fusion_layer.{self.name}." in f".{tensor}"

    def is_anothers(self, tensor: str) -> bool:
        return ".adapter_fusion_layer." in f".{tensor}"


class Member(Library):
    """An adapter in a folder of its own, or a head without one."""

    @cached_property
    def config(self) -> Config:
        return super().config if configs.NAME in self.files else self.head_config

    @cached_property
    def method(self) -> Config:
        return super().method if configs.NAME in self.files else {}

    @cached_property
    def header(self) -> headers.Header:
        return super().header if self.weights in self.files else headers.Header({}, {})


class Composition(Library):
    """Several adapters that work together. `members` and `fusions` are by folder; a fusion at the top lies in ""."""

    again = f"{SAVE_AGAIN}."

    @cached_property
    def config(self) -> Config:
        with self.files[SETUP_CONFIG if SETUP_CONFIG in self.files else FUSION_CONFIG]() as file:
            return configs.read(file)

    @property
    def is_bare_fusion(self) -> bool:
        """True if the files hold one fusion and no adapter_setup.json; the fusion's config then names its adapters."""
        return SETUP_CONFIG not in self.files

    @cached_property
    def setup(self) -> Block:
        """The composition. Raises `ConfigError` if the library cannot build it."""
        if not self.is_bare_fusion:
            return read_setup(self.config)
        listed = configs.names(self.config, "adapter_names") or tuple(self.name.split(","))
        names = tuple(member_name(name) for each in listed for name in each.split(","))
        if not 2 <= len(names) <= MAX_MEMBERS:
            raise ConfigError(f"it fuses {len(names)} adapters; 2 to {MAX_MEMBERS} are supported here")
        return Block("Fuse", names, name=self.name)

    @cached_property
    def heads(self) -> list[str]:
        """The folders of heads that the set-up names. Raises `ConfigError`."""
        setup = self.config.get("head_setup")
        if setup in (None, False):
            return []
        if setup is True:  # the fixed head of a model class, which lies at the top
            return [""]
        if isinstance(setup, str):
            return [member_name(setup)]
        if isinstance(setup, list):
            return [member_name(name) for name in setup[:MAX_MEMBERS]]
        if not isinstance(setup, dict):
            raise ConfigError(f"head_setup = {setup!r} names no head")
        block = read_block(setup)
        return [block] if isinstance(block, str) else block.adapters()

    @cached_property
    def members(self) -> dict[str, Library]:
        """The adapters, and the heads that lie in folders of their own."""
        return {name: self._member(name) for name in dict.fromkeys([*self.setup.adapters(), *self.heads])}

    def _member(self, name: str) -> Library:
        files = under(self.files, name) if name else {path: self.files[path] for path in HEAD if path in self.files}
        return Member(files, self.card, self.base, self.known_bases)

    @cached_property
    def fusions(self) -> dict[str, Fusion]:
        return {"" if self.is_bare_fusion else name: self._fusion(name) for name in self.setup.fusions()}

    def _fusion(self, name: str) -> Fusion:
        fusion = Fusion(self.files if self.is_bare_fusion else under(self.files, name), self.card, self.base)
        fusion.name = name
        return fusion

    @property
    def library_kind(self) -> str:
        return "fusion" if self.is_bare_fusion else "composition"

    @property
    def base_id(self) -> str | None:
        """The base named by the first part that names one."""
        parts: list[Folder] = [*self.fusions.values(), *self.members.values()]
        here = [part for part in parts if {configs.NAME, FUSION_CONFIG, HEAD_CONFIG} & part.files.keys()]
        return next((part.base_id for part in here if part.base_id), None)

    @property
    def is_spread(self) -> bool:
        """True if a block feeds several adapters: it gives several outputs, or takes only inputs of one size."""
        return any(block.kind in SPREADING for block in self.setup.blocks())

    @property
    def head_member(self) -> Library | None:
        """The member whose head answers: the one the set-up names, else that of the adapter that comes last."""
        names = self.heads or [self.setup.last]
        member = self.members.get(names[0]) if len(names) == 1 and not self.is_spread else None
        return member if member is not None and member.head_task else None

    @property
    def head_task(self) -> str | None:
        return self.head_member.head_task if self.head_member else None

    @property
    def head_config(self) -> Config:
        return self.head_member.head_config if self.head_member else {}

    @property
    def places(self) -> Iterator[tuple[str, Folder]]:
        """Folder and reader of everything that holds tensors."""
        yield from self.members.items()
        yield from self.fusions.items()

    @property
    def sources(self) -> list[Source]:
        return [source for place, part in self.places for source in placed(part.sources, place)]

    @property
    def metadata(self) -> Mapping[str, str]:
        return {}

    @property
    def effects(self) -> list[Effect]:
        return [
            replace(effect, source=replace(effect.source, place=place))
            for place, part in self.places
            if part.sources
            for effect in part.effects
        ]

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """Every tensor of every part, by its folder and its name."""
        return {f"{place}/{name}": info for place, part in self.places for name, info in part.tensors.items()}

    @cached_property
    def header(self) -> headers.Header:
        return headers.Header(self.tensors, {})

    @cached_property
    def expected(self) -> dict[str, Shape]:
        assert self.base is not None
        assert self.base.expect is not None
        return self.base.expect(self)
