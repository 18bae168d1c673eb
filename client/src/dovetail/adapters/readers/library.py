"""The files of an adapter of the adapters library: its config, its weights, its head, and the names of its tensors.

The composition that adapter_setup.json describes, blocks of adapters, is read strictly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.config import Config, ConfigError
from dovetail.adapters.files.header import TensorInfo
from dovetail.adapters.methods import HEAD_TASKS, task_of_class
from dovetail.adapters.methods.library import as_trained, kind_of
from dovetail.adapters.readers.folder import Effect, Folder, Source
from dovetail.adapters.shapes.fit import Shape

WEIGHTS, PICKLED = "adapter.safetensors", "pytorch_adapter.bin"
HEAD_CONFIG, HEAD_WEIGHTS = "head_config.json", "model_head.safetensors"
FUSION_CONFIG, SETUP_CONFIG = "adapter_fusion_config.json", "adapter_setup.json"
AGAIN = "Save the adapter again with save_adapter(..., use_safetensors=True)"
DELTAS = (".adapter_up.weight", ".lora_B", ".adapter_up.W_right")  # matrices that lead back into the model
NAME = re.compile(r"[A-Za-z0-9_\-]{1,100}")  # it becomes the name of a module and of a folder
CONTAINERS = (
    r"(?:\w*adapters|prefix_tunings|prefix_gates|loras|refts|prompt_tunings|shared_parameters)"  # adapters/loading.py
)


class Library(Folder):
    """One adapter, read lazily; properties raise the errors of the file readers, which earlier checks report."""

    weights, pickled_weights = WEIGHTS, PICKLED
    base_field = "model_name"
    again = f"{AGAIN} and push it."
    to_safetensors = f"{AGAIN}, and push {WEIGHTS} in its place."

    @cached_property
    def method(self) -> configs.Config:
        """The inner config, which states how the adapter is built, with keys of older releases converted."""
        inner = self.config.get("config")
        return as_trained(inner, self.version) if isinstance(inner, dict) else {}

    @property
    def version(self) -> str | None:
        """The release that saved it, such as "adapters.1.3.0"; None for adapter-transformers."""
        return configs.text(self.config, "version")

    @property
    def name(self) -> str:
        """The name of the adapter, which is a part of the name of every tensor."""
        return configs.text(self.config, "name") or ""

    @property
    def library_kind(self) -> str:
        return kind_of(self.method)

    @cached_property
    def head_config(self) -> configs.Config:
        """The config of the head beside the adapter; empty if there is none."""
        if HEAD_CONFIG not in self.files or HEAD_WEIGHTS not in self.files:
            return {}
        with self.files[HEAD_CONFIG]() as file:
            return configs.read(file)

    @property
    def head_name(self) -> str:
        return configs.text(self.head_config, "name") or self.name

    @cached_property
    def head_header(self) -> headers.Header:
        if HEAD_WEIGHTS not in self.files:
            return headers.Header({}, {})
        with self.files[HEAD_WEIGHTS]() as file:
            return headers.read(file)

    @property
    def head_task(self) -> str | None:
        """The task of the head; None without a head, or for a task that is not evaluated here."""
        inner = self.head_config.get("config")
        if isinstance(inner, dict):
            return HEAD_TASKS.get(str(inner.get("head_type")))
        task = task_of_class(str(self.head_config.get("model_class"))) if self.head_config else None
        return None if task == "MASKED_LM" else task

    @property
    def stated_task(self) -> str | None:
        return self.head_task

    @property
    def label_names(self) -> list[str]:
        """The names of the head's labels in the order of their ids; empty unless every id has a name."""
        inner = self.head_config.get("config")
        ids = inner.get("label2id") if isinstance(inner, dict) else None
        numbered = {number: name for name, number in ids.items()} if isinstance(ids, dict) else {}
        return [numbered[at] for at in range(len(numbered))] if numbered.keys() == set(range(len(numbered))) else []

    @property
    def missing_head(self) -> str:
        is_headless = HEAD_CONFIG in self.files and HEAD_WEIGHTS not in self.files
        return HEAD_WEIGHTS if is_headless else ""

    @property
    def whole_numbers(self) -> tuple[str, ...]:
        return ()

    @property
    def scales(self) -> dict[str, float]:
        return {}

    @property
    def sources(self) -> list[Source]:
        headers_of = {self.weights: lambda: self.header, HEAD_WEIGHTS: lambda: self.head_header}
        return [
            Source(path, self.files[path], read, is_head=path == HEAD_WEIGHTS)
            for path, read in headers_of.items()
            if path in self.files
        ]

    @property
    def effects(self) -> list[Effect]:
        ending = [tensor for name, tensor in self.header.tensors.items() if name.endswith(DELTAS)]
        what = "matrix that projects back into the model"
        return [Effect(what, {"": ending}, self.sources[0])] if ending else []

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """The tensors of adapter and head."""
        return {**self.header.tensors, **(self.head_header.tensors if self.head_task else {})}

    @cached_property
    def expected(self) -> dict[str, Shape]:
        assert self.base is not None
        assert self.base.expect is not None
        return self.base.expect(self)

    @property
    def can_be_fitted(self) -> bool:
        return self.base is not None and self.base.expect is not None

    @property
    def strangers(self) -> list[str]:
        return sorted(self.tensors.keys() - self.expected.keys())

    @property
    def misshapen(self) -> list[tuple[str, tuple[int, ...]]]:
        tensors = self.tensors
        return [(name, shape) for name, shape in self.expected.items() if shape and tensors[name].shape != shape]

    def is_own(self, tensor: str) -> bool:
        """Return whether the library loads a tensor as part of this adapter or of its head."""
        own = rf"(?:.*\.)?{CONTAINERS}\.{re.escape(self.name)}\..+"
        return re.fullmatch(own, tensor) is not None or self.is_head(tensor)

    def is_head(self, tensor: str) -> bool:
        if not self.head_task or tensor not in self.head_header.tensors:
            return False
        return self.has_static_head or tensor.startswith(f"heads.{self.head_name}.")

    def is_anothers(self, tensor: str) -> bool:
        """Return whether the name belongs to an adapter or head; called for tensors that are not of this one."""
        return re.fullmatch(rf"(?:.*\.)?(?:{CONTAINERS}|heads)\.[^.]+\..+", tensor) is not None

    @property
    def has_static_head(self) -> bool:
        """True if the head is the fixed one of a model class, which the library converts to a flexible head."""
        return self.head_config.get("config") is None


MAX_MEMBERS, MAX_NUMBER = 16, 512
NESTS = {  # adapters/composition.py, ALLOWED_NESTINGS; what it calls MultiTask needs the number of a task with each row
    "Stack": ("Fuse", "Split", "Parallel", "BatchSplit", "Average"),
    "Fuse": ("Stack",),
    "Split": ("Split", "Stack", "BatchSplit", "Average"),
    "Parallel": ("Stack", "BatchSplit", "Average"),
    "BatchSplit": ("Stack", "Split", "BatchSplit", "Average"),
    "Average": ("Stack", "Split", "BatchSplit"),
}
NUMBERS = {"Split": "splits", "BatchSplit": "batch_sizes", "Average": "weights"}


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
    setup = read_block(config.get("adapter_setup"))
    if isinstance(setup, str):
        setup = Block("Stack", (setup,))
    if not 1 <= len(setup.adapters()) <= MAX_MEMBERS:
        raise ConfigError(f"it combines {len(setup.adapters())} adapters; 1 to {MAX_MEMBERS} are supported here")
    return setup


def read_block(entry: object, level: int = 0) -> Block | str:
    if not isinstance(entry, dict) or not isinstance(entry.get("children"), list) or not entry["children"]:
        raise ConfigError("adapter_setup is not a composition: each part needs a type and children")
    kind, children = entry.get("type"), entry["children"]
    if kind == "single":
        return member_name(children[0])
    if not isinstance(kind, str) or kind not in NESTS:
        raise ConfigError(f"{str(kind)[:40]!r} is not a supported composition")
    if level > 2 or len(children) > MAX_MEMBERS:
        raise ConfigError("the composition is deeper or wider than the library builds")
    parts = tuple(read_block(child, level + 1) for child in children)
    wrong = [part.kind for part in parts if isinstance(part, Block) and part.kind not in NESTS[kind]]
    if wrong:
        raise ConfigError(f"a {wrong[0]} is not allowed in a {kind}")
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
        raise ConfigError(f"{key} of a {kind} are {str(numbers)[:60]}, which is not supported")
    return tuple(numbers)


def member_name(name: object) -> str:
    """Return the name of a member, which becomes a folder and a module. Raises `ConfigError` if it is unsafe."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(f"an adapter is called {str(name)[:60]!r}; a plain name has letters, digits, '_' and '-'")
    return name
