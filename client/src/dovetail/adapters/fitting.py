"""Does an adapter fit a base? Answered from config, header and the base's stored shapes, without weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dovetail.adapters import config as configs
from dovetail.adapters import fields
from dovetail.adapters.findings import some
from dovetail.adapters.fit import Shape, expected
from dovetail.adapters.header import Header
from dovetail.adapters.kinds import Kind, kind_of, task_of
from dovetail.adapters.layout import Layout, sort_tensors
from dovetail.adapters.shapes import Shapes


class NotComputable(ValueError):
    """The tensors that this adapter needs on a base are not known here; the message says why."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A tensor that has another shape than the base needs."""

    tensor: str
    found: tuple[int, ...]
    expected: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """How an adapter lies on a base. `grown` are the rows of a vocabulary that the adapter enlarges, else 0."""

    wanted: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    replaces: tuple[str, ...] = ()
    grown: int = 0

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unexpected or self.wrong or self.replaces)

    @property
    def why(self) -> str:
        """The reasons in one or more sentences, with numbers, the one that tells most first."""
        said = []
        if self.wrong:
            first = self.wrong[0]
            said.append(
                f"{len(self.wrong):,} of {self.wanted:,} tensors have another shape: {first.tensor} is "
                f"{list(first.found)}, the base needs {list(first.expected)}."
            )
        if self.replaces:
            said.append(f"It would replace weights of the base: {some(self.replaces, 3)}.")
        if self.missing:
            said.append(f"{len(self.missing):,} tensors that the base needs are not there: {some(self.missing, 3)}.")
        if self.unexpected:
            said.append(f"The base has no place for {len(self.unexpected):,} tensors: {some(self.unexpected, 3)}.")
        if self.fits:
            said.append(f"All {self.wanted:,} tensors are there in the shape that the base needs.")
            if self.grown:
                said.append(f"It enlarges the vocabulary to {self.grown:,} rows.")
        return " ".join(said)


class Adapter:
    """Config and header of one adapter; what does not depend on the base is computed once for all bases."""

    def __init__(self, config: configs.Config, header: Header) -> None:
        """Raises `NotComputable` for a method whose tensors are not known here."""
        kind = kind_of(config)
        if culprits := fields.wrong(config, fields.of_peft(kind)):
            raise NotComputable(f"{fields.said(config, culprits[0])}, which is not a value that PEFT accepts.")
        if kind is None:
            method = str(config.get("peft_type") or "")[:40]
            raise NotComputable(
                f"Which tensors {method} needs is not known here." if method else "It is no adapter of PEFT."
            )
        unproven = [one.key for one in kind.unproven if one.holds(config)]
        if unproven:
            raise NotComputable(f"Which tensors {some(unproven)} needs is not known here.")
        self.config, self.header, self.kind = config, header, kind

    @property
    def task(self) -> str | None:
        return task_of(self.config)

    @cached_property
    def layout(self) -> Layout:
        return sort_tensors(self.header, self.config, self.kind)

    def on(self, shapes: Shapes) -> Fit:
        """Compares every tensor with what the base needs. Raises `PatternError` where a pattern costs too much."""
        layout, there = self.layout, self.header.tensors
        kind: Kind = self.kind
        manifest = shapes.for_labels(layout.labels)
        wanted: dict[str, Shape] = expected(self.config, kind, manifest, layout.rows)
        missing = wanted.keys() - there.keys()
        beyond = there.keys() - wanted.keys() - layout.at_home(kind, manifest).keys()
        replaced = [name for name in layout.base if name in beyond]
        wrong = tuple(
            Wrong(name, there[name].shape, shape)
            for name, shape in wanted.items()
            if shape and name in there and there[name].shape != shape
        )
        grown = layout.rows if shapes.vocabulary and layout.rows > shapes.vocabulary else 0
        return Fit(
            len(wanted),
            tuple(sorted(missing)),
            tuple(sorted(beyond - set(replaced))),
            wrong,
            tuple(sorted(replaced)),
            grown,
        )
