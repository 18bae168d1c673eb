"""Compositions of the adapters library: the adapters, fusions and heads that a set-up names, and where each lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from dovetail.adapters import config as configs
from dovetail.adapters import header as headers
from dovetail.adapters.accepts import Fits, is_flag, is_number, maybe
from dovetail.adapters.config import Config, ConfigError
from dovetail.adapters.fit import Shape
from dovetail.adapters.folder import Folder
from dovetail.adapters.header import Opener, TensorInfo
from dovetail.adapters.library.contents import FUSION_CONFIG, HEAD_CONFIG, HEAD_WEIGHTS, NAME, SETUP_CONFIG, Library
from dovetail.adapters.sources import Effect, Source, placed

FUSION_WEIGHTS, PICKLED_FUSION = "model_adapter_fusion.safetensors", "pytorch_model_adapter_fusion.bin"
MAX_MEMBERS, MAX_NUMBER = 16, 512
NESTS = {  # adapters/composition.py, ALLOWED_NESTINGS; what it calls MultiTask needs the number of a task with each row
    "Stack": ("Fuse", "Split", "Parallel", "BatchSplit", "Average"),
    "Fuse": ("Stack",),
    "Split": ("Split", "Stack", "BatchSplit", "Average"),
    "Parallel": ("Stack", "BatchSplit", "Average"),
    "BatchSplit": ("Stack", "Split", "BatchSplit", "Average"),
    "Average": ("Stack", "Split", "BatchSplit"),
}
# The fields that the config of a fusion may have.
FUSION_KEYS: Mapping[str, Fits] = {
    **dict.fromkeys(
        ("key", "query", "value", "query_before_ln", "regularization", "residual_before", "temperature",
         "value_before_softmax", "value_initialized"),
        is_flag,
    ),
    "dropout_prob": maybe(is_number),
}  # fmt: skip
SAVE_AGAIN = "Save the whole with save_adapter_setup(..., use_safetensors=True), and push the folder it wrote"
NUMBERS = {"Split": "splits", "BatchSplit": "batch_sizes", "Average": "weights"}
HEAD = (HEAD_CONFIG, HEAD_WEIGHTS)
SPREADING = ("Parallel", "Split", "BatchSplit")  # one input, or one batch, is dealt out to several adapters


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a composition; `numbers` are lengths of a Split, sizes of a BatchSplit or weights of an Average.

    `name` is that of a Fuse: its layer is called so, whatever becomes of its children.
    """

    kind: str
    children: tuple[Block | str, ...]
    numbers: tuple[float, ...] = ()
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}[{', '.join(map(str, self.children))}]"

    @property
    def last(self) -> str:
        child = self.children[-1]
        return child if isinstance(child, str) else child.last

    def blocks(self) -> Iterator[Block]:
        """Itself and every block in it."""
        yield self
        for child in self.children:
            if isinstance(child, Block):
                yield from child.blocks()

    def adapters(self) -> list[str]:
        """Return the names of the adapters, each once, in their order."""
        names: dict[str, None] = {}
        for child in self.children:
            names.update(dict.fromkeys([child] if isinstance(child, str) else child.adapters()))
        return list(names)

    def fusions(self) -> dict[str, list[str]]:
        """Return the fusion layers by name, each with the adapters it weighs."""
        fuses = [block for block in self.blocks() if block.kind == "Fuse"]
        return {fuse.name: [c if isinstance(c, str) else c.last for c in fuse.children] for fuse in fuses}

    def members(self) -> list[Block | str]:
        """Return the parts whose effect can be measured alone: fusions, and adapters that no fusion weighs."""
        members: list[Block | str] = [self] if self.kind == "Fuse" else []
        for child in self.children if not members else ():
            members += [child] if isinstance(child, str) else child.members()
        return members

    def without(self, member: Block | str) -> Block | None:
        """Return the same with one member left out; None when nothing is left."""
        if self == member:
            return None
        kept = [at for at, child in enumerate(self.children) if child != member]
        parts = [self.children[at] for at in kept]
        cut = [part if isinstance(part, str) else part.without(member) for part in parts]
        left = tuple(child for child in cut if child is not None)
        numbers = tuple(self.numbers[at] for at in kept) if self.numbers else ()
        return replace(self, children=left, numbers=numbers) if left else None


def read_setup(config: Config) -> Block:
    """Return the composition in adapter_setup.json. Raises `ConfigError` if the library cannot build it."""
    setup = _block(config.get("adapter_setup"))
    if isinstance(setup, str):
        setup = Block("Stack", (setup,))
    if not 1 <= len(setup.adapters()) <= MAX_MEMBERS:
        raise ConfigError(f"it composes {len(setup.adapters())} adapters, and 1 to {MAX_MEMBERS} are proven here")
    return setup


def _block(entry: object, level: int = 0) -> Block | str:
    if not isinstance(entry, dict) or not isinstance(entry.get("children"), list) or not entry["children"]:
        raise ConfigError("adapter_setup is no composition: each part needs a type and children")
    kind, children = entry.get("type"), entry["children"]
    if kind == "single":
        return _name(children[0])
    if not isinstance(kind, str) or kind not in NESTS:
        raise ConfigError(f"{str(kind)[:40]!r} is no composition that is proven here")
    if level > 2 or len(children) > MAX_MEMBERS:
        raise ConfigError("the composition is deeper or wider than the library builds")
    parts = tuple(_block(child, level + 1) for child in children)
    wrong = [part.kind for part in parts if isinstance(part, Block) and part.kind not in NESTS[kind]]
    if wrong:
        raise ConfigError(f"a {wrong[0]} cannot stand in a {kind}")
    lasts = [part if isinstance(part, str) else part.last for part in parts]
    return Block(
        kind, parts, _numbers(kind, entry.get("kwargs"), len(parts)), ",".join(lasts) if kind == "Fuse" else ""
    )


def _numbers(kind: str, kwargs: object, count: int) -> tuple[float, ...]:
    key = NUMBERS.get(kind)
    if key is None:
        return ()
    numbers = kwargs.get(key) if isinstance(kwargs, dict) else None
    if not isinstance(numbers, list) or len(numbers) != count:
        raise ConfigError(f"a {kind} of {count} parts needs {count} {key}")
    whole = kind != "Average"
    good = all(
        type(number) in ((int,) if whole else (int, float)) and (not whole or 1 <= number <= MAX_NUMBER)
        for number in numbers
    )
    if not good or not sum(numbers):
        raise ConfigError(f"{key} of a {kind} are {str(numbers)[:60]}, which cannot be used")
    return tuple(numbers)


def _name(name: object) -> str:
    """Return the name of a member, which becomes a folder and a module. Raises `ConfigError` if it is unsafe."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(f"an adapter is called {str(name)[:60]!r}; a plain name has letters, digits, '_' and '-'")
    return name


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
        names = tuple(_name(name) for each in listed for name in each.split(","))
        if not 2 <= len(names) <= MAX_MEMBERS:
            raise ConfigError(f"it fuses {len(names)} adapters, and 2 to {MAX_MEMBERS} are proven here")
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
            return [_name(setup)]
        if isinstance(setup, list):
            return [_name(name) for name in setup[:MAX_MEMBERS]]
        if not isinstance(setup, dict):
            raise ConfigError(f"head_setup = {setup!r} names no head")
        block = _block(setup)
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
            for place, part in self.places if part.sources
            for effect in part.effects
        ]  # fmt: skip

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
