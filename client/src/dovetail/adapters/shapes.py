"""The shapes of a base as data that can be kept: an engine measures them once, any process fits adapters to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dovetail.adapters.fit import Manifest, Module


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes of one base with the model of one task, and what else its config says that fitting needs.

    `labelled` are the modules whose size is the number of labels, so that one measurement serves any number of them.
    """

    manifest: Manifest
    vocabulary: int = 0  # rows of the input embedding
    layers: int = 0
    tied: bool = False
    architectures: tuple[str, ...] = ()
    labelled: frozenset[str] = field(default_factory=frozenset)

    def for_labels(self, labels: int | None) -> Manifest:
        """The manifest as the base would be built with that many labels."""
        if not labels or not self.labelled:
            return self.manifest
        modules = dict(self.manifest.modules)
        for path in self.labelled & modules.keys():
            modules[path] = _relabelled(modules[path], labels)
        return replace(self.manifest, modules=modules)


def _relabelled(module: Module, labels: int) -> Module:
    shapes = {name: (labels, *shape[1:]) for name, shape in module.parameters.items()}
    return replace(module, outputs=labels, parameters=shapes)


def encode(shapes: Shapes) -> dict[str, Any]:
    """As plain JSON: a module is [path, kind, inputs, outputs, {parameter: shape}]."""
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


def decode(said: Mapping[str, Any]) -> Shapes:
    """From what `encode` made. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
    manifest = Manifest(
        dict(_modules(said["modules"])), int(said["width"]), int(said["prefix_width"]), str(said["input"]),
        str(said["output"]),
    )  # fmt: skip
    return Shapes(
        manifest, int(said["vocabulary"]), int(said["layers"]), bool(said["tied"]),
        tuple(map(str, said["architectures"])), frozenset(map(str, said["labelled"])),
    )  # fmt: skip


def _modules(said: list[Any]) -> Iterator[tuple[str, Module]]:
    for path, kind, inputs, outputs, parameters in said:
        yield path, Module(kind, inputs, outputs, {name: tuple(shape) for name, shape in parameters.items()})
