"""The shapes of a base as data that can be stored: an engine measures them once, any process compares adapters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dovetail.adapters.shapes.fit import Manifest, Module


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes of one base with the model of one task, and facts of its config that the comparison needs.

    `labelled` are the modules whose size is the number of labels, so that one measurement serves any number of labels.
    """

    manifest: Manifest
    vocabulary: int = 0  # rows of the input embedding
    layers: int = 0
    tied: bool = False
    architectures: tuple[str, ...] = ()
    labelled: frozenset[str] = field(default_factory=frozenset)

    def for_labels(self, labels: int | None) -> Manifest:
        """Return the manifest of the base with that many labels."""
        if not labels or not self.labelled:
            return self.manifest
        modules = dict(self.manifest.modules)
        for path in self.labelled & modules.keys():
            modules[path] = _relabelled(modules[path], labels)
        return replace(self.manifest, modules=modules)


def _relabelled(module: Module, labels: int) -> Module:
    shapes = {name: (labels, *shape[1:]) for name, shape in module.parameters.items()}
    return replace(module, outputs=labels, parameters=shapes)


def encode(shapes: Shapes) -> dict[str, object]:
    """Return the shapes as plain JSON: a module is [path, kind, inputs, outputs, {parameter: shape}]."""
    manifest = shapes.manifest
    modules = [
        [
            path,
            module.kind,
            module.inputs,
            module.outputs,
            {name: list(shape) for name, shape in module.parameters.items()},
        ]
        for path, module in manifest.modules.items()
    ]
    return {
        "modules": modules,
        "width": manifest.width,
        "prefix_width": manifest.prefix_width,
        "input": manifest.input,
        "output": manifest.output,
        "vocabulary": shapes.vocabulary,
        "layers": shapes.layers,
        "tied": shapes.tied,
        "architectures": list(shapes.architectures),
        "labelled": sorted(shapes.labelled),
    }


def decode(document: Mapping[str, Any]) -> Shapes:
    """Return the shapes that `encode` encoded. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
    manifest = Manifest(
        dict(_modules(document["modules"])), int(document["width"]), int(document["prefix_width"]),
        str(document["input"]), str(document["output"]),
    )  # fmt: skip
    return Shapes(
        manifest, int(document["vocabulary"]), int(document["layers"]), bool(document["tied"]),
        tuple(map(str, document["architectures"])), frozenset(map(str, document["labelled"])),
    )  # fmt: skip


def _modules(rows: list[Any]) -> Iterator[tuple[str, Module]]:
    for path, kind, inputs, outputs, parameters in rows:
        yield path, Module(kind, inputs, outputs, {name: tuple(shape) for name, shape in parameters.items()})
