"""The composition that adapter_setup.json describes: blocks of adapters, read strictly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dovetail.adapters.files.config import Config, ConfigError
from dovetail.adapters.readers.library.contents import NAME

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
        raise ConfigError(f"it composes {len(setup.adapters())} adapters, and 1 to {MAX_MEMBERS} are proven here")
    return setup


def read_block(entry: object, level: int = 0) -> Block | str:
    if not isinstance(entry, dict) or not isinstance(entry.get("children"), list) or not entry["children"]:
        raise ConfigError("adapter_setup is no composition: each part needs a type and children")
    kind, children = entry.get("type"), entry["children"]
    if kind == "single":
        return member_name(children[0])
    if not isinstance(kind, str) or kind not in NESTS:
        raise ConfigError(f"{str(kind)[:40]!r} is no composition that is proven here")
    if level > 2 or len(children) > MAX_MEMBERS:
        raise ConfigError("the composition is deeper or wider than the library builds")
    parts = tuple(read_block(child, level + 1) for child in children)
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


def member_name(name: object) -> str:
    """Return the name of a member, which becomes a folder and a module. Raises `ConfigError` if it is unsafe."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(f"an adapter is called {str(name)[:60]!r}; a plain name has letters, digits, '_' and '-'")
    return name
