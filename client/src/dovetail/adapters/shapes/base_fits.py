"""Tells whether an adapter fits a base, from its config, its header and the base's stored shapes, without weights."""

from dataclasses import dataclass
from functools import cached_property

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.config import said_field, wrong_fields
from dovetail.adapters.files.header import Header
from dovetail.adapters.methods import Kind, kind_of, task_of
from dovetail.adapters.methods.kind import rules_of_peft
from dovetail.adapters.results.findings import some
from dovetail.adapters.shapes.fit import Shape, Shapes, expected
from dovetail.adapters.shapes.layout import Layout, canonical, sort_tensors


class NotComputable(ValueError):
    """The tensors that this adapter needs on a base cannot be computed here; the message says why."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A tensor whose shape differs from the one that the base needs."""

    tensor: str
    found: tuple[int, ...]
    expected: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """The comparison of an adapter with a base. `grown` is the size of a vocabulary that the adapter enlarges, or 0."""

    needed: int
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
        """The reasons in one or more sentences, with numbers, the most important first."""
        sentences = []
        if self.wrong:
            first = self.wrong[0]
            sentences.append(
                f"{len(self.wrong):,} of {self.needed:,} tensors have another shape: {first.tensor} is "
                f"{list(first.found)}, but the base needs {list(first.expected)}."
            )
        if self.replaces:
            sentences.append(f"It would replace weights of the base: {some(self.replaces, 3)}.")
        if self.missing:
            sentences.append(f"{len(self.missing):,} tensors that the base needs are missing: {some(self.missing, 3)}.")
        if self.unexpected:
            sentences.append(f"The base has no place for {len(self.unexpected):,} tensors: {some(self.unexpected, 3)}.")
        if self.fits:
            sentences.append(f"The file has all {self.needed:,} tensors in the shapes that the base needs.")
            if self.grown:
                sentences.append(f"It enlarges the vocabulary to {self.grown:,} rows.")
        return " ".join(sentences)


class Adapter:
    """Config and header of one adapter; facts that do not depend on the base are computed once for all bases."""

    def __init__(self, config: configs.Config, header: Header) -> None:
        """Raise `NotComputable` for a method whose tensors cannot be computed here."""
        kind = kind_of(config)
        if culprits := wrong_fields(config, rules_of_peft(kind)):
            raise NotComputable(f"{said_field(config, culprits[0])}, which is not a value that PEFT accepts.")
        if kind is None:
            method = str(config.get("peft_type") or "")[:40]
            raise NotComputable(
                f"The tensors that {method} needs are not known here." if method else "It is not an adapter of PEFT."
            )
        unproven = [variant.key for variant in kind.unproven if variant.holds(config)]
        if unproven:
            raise NotComputable(f"The tensors that {some(unproven)} needs are not known here.")
        self.config, self.header, self.kind = config, canonical(header), kind

    @property
    def task(self) -> str | None:
        return task_of(self.config)

    @cached_property
    def layout(self) -> Layout:
        return sort_tensors(self.header, self.config, self.kind)

    def on(self, shapes: Shapes) -> Fit:
        """Compare every tensor with those that the base needs. Raises `PatternError` if a pattern costs too much."""
        layout, tensors = self.layout, self.header.tensors
        kind: Kind = self.kind
        manifest = shapes.for_labels(layout.labels)
        needed: dict[str, Shape] = expected(self.config, kind, manifest, layout.rows)
        missing = needed.keys() - tensors.keys()
        beyond = tensors.keys() - needed.keys() - layout.at_home(kind, manifest).keys()
        replaced = [name for name in layout.base if name in beyond]
        wrong = tuple(
            Wrong(name, tensors[name].shape, shape)
            for name, shape in needed.items()
            if shape and name in tensors and tensors[name].shape != shape
        )
        grown = layout.rows if shapes.vocabulary and layout.rows > shapes.vocabulary else 0
        return Fit(
            len(needed),
            tuple(sorted(missing)),
            tuple(sorted(beyond - set(replaced))),
            wrong,
            tuple(sorted(replaced)),
            grown,
        )
