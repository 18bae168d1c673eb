"""Computes the tensors and shapes that an adapter must have for one base, from names and sizes alone.

The shapes of a base are data that can be stored: an engine measures them once, any process compares adapters.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dovetail.adapters.files import config as configs
from dovetail.adapters.methods.kind import LINEAR, Kind, Numbers, Place, Shape
from dovetail.adapters.methods.prompts import PROMPT
from dovetail.adapters.shapes.selection import WRAPPED, PatternTable, Selection

__all__ = [
    "LINEAR",
    "TOKENS",
    "Manifest",
    "Module",
    "Shape",
    "expected",
    "places",
    "wrapped_parameters",
]

TOKENS = "token_adapter.trainable_tokens_delta"


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the base: linear, conv1d (GPT-2's transposed linear), embedding, conv, experts, or other.

    "experts" holds tables of three sides, [experts, outputs, inputs]; "experts-turned" has inputs before outputs.
    """

    kind: str
    inputs: int = 0
    outputs: int = 0
    parameters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # its own, not those of modules inside


@dataclass(frozen=True, slots=True)
class Manifest:
    """The shapes of one base with the head of one task. `prefix_width` is 0 if the base takes no prefix."""

    modules: Mapping[str, Module]
    width: int = 0  # of a token's embedding
    prefix_width: int = 0  # layers x 2 x width of keys and values
    input: str = ""  # the path of the input embedding
    output: str = ""  # the path of the output embedding, which "all-linear" leaves out


def expected(config: configs.Config, kind: Kind, manifest: Manifest, rows: int = 0) -> dict[str, Shape]:
    """Return each tensor name that PEFT looks for when it loads this config onto this base, with its shape.

    `rows` is the size of a vocabulary that grew; the base is given that many before the adapter is loaded.
    """
    manifest = _grown(manifest, rows)
    shapes = dict(_saved(Selection(config), kind, manifest))
    if kind.is_prompt:
        return shapes | _prompt(config, kind, manifest)
    shapes.update(_tokens(config, kind, manifest))
    every = places(config, kind, manifest)
    alike: dict[int, dict[str, Shape]] = {}  # by the numbers, which places of one size share
    for place in every:
        key = id(place.numbers)
        if key not in alike or not kind.is_regular:
            alike[key] = kind.shapes(place, every)
        for parameter, shape in alike[key].items():
            shapes[f"{kind.prefix}{place.path}.{parameter}"] = shape
    shapes.update(_parameters(config, kind, manifest))
    return shapes | dict(kind.shared(kind.numbers(config), every) if kind.shared and every else {})


def _parameters(config: configs.Config, kind: Kind, manifest: Manifest) -> Iterator[tuple[str, Shape]]:
    """Yield the matrices of single parameters. All experts share one, and the last wrapper has the plain path.

    ParamWrapper in peft/tuners/lora/layer.py treats a two-dimensional parameter as one expert.
    """
    ranks = PatternTable(config.get("rank_pattern"))
    for path, parameters in wrapped_parameters(config, manifest).items():
        module = manifest.modules[path]
        for depth, name in enumerate(reversed(parameters)):
            rank = int(ranks.get(f"{path}.{name}", kind.numbers(config)["r"]))
            shape = module.parameters[name]
            experts, outputs, inputs = shape if len(shape) == 3 else (1, *shape)
            if module.kind == "experts-turned" and len(shape) == 3:
                outputs, inputs = inputs, outputs
            start = f"{kind.prefix}{path}{WRAPPED * depth}"
            yield f"{start}.lora_A.weight", (rank * experts, inputs)
            yield f"{start}.lora_B.weight", (outputs, rank * experts)


def wrapped_parameters(config: configs.Config, manifest: Manifest) -> dict[str, list[str]]:
    """Return the single parameters that the config names, by the module they are in, in the order PEFT wraps them."""
    selection = Selection(config)
    if not selection.parameters:
        return {}
    by_module = {
        path: [
            name
            for name, shape in module.parameters.items()
            if len(shape) in (2, 3) and selection.picks_parameter(f"{path}.{name}")
        ]
        for path, module in manifest.modules.items()
    }
    return {path: names for path, names in by_module.items() if names}


def places(config: configs.Config, kind: Kind, manifest: Manifest) -> list[Place]:
    """Return the modules of the base that the method wraps, in the order of the base."""
    selection, numbers = Selection(config), kind.numbers(config)
    tables = {key: (PatternTable(config.get(key), how), number) for key, (how, number) in kind.tables.items()}
    wrapped = []
    numbers_by_size: dict[object, Numbers] = {}  # a base has a thousand modules, of a few sizes
    for path, module in manifest.modules.items():
        if module.kind in kind.wraps and _picked(selection, path, module, manifest):
            own = {number: table.get(path, math.inf) for table, number in tables.values()}
            if kind.asks_feedforward:
                own["is_feedforward"] = selection.is_feedforward(path)
            kernel = module.parameters["weight"][1:] if module.kind == "conv" else ()
            key = (module.kind, module.inputs, module.outputs, "bias" in module.parameters, kernel, *own.values())
            if key not in numbers_by_size:
                sides = {"in": module.inputs, "out": module.outputs, "width": manifest.width, **_kernel(module, kernel)}
                given_numbers = {number: value for number, value in own.items() if value != math.inf}
                numbers_by_size[key] = {**numbers, **given_numbers, **sides}
            wrapped.append(Place(path, module.kind, numbers_by_size[key], module.parameters))
    return wrapped[-kind.last(numbers) :] if kind.last else wrapped


def _kernel(module: Module, kernel: tuple[int, ...]) -> Numbers:
    """Return the sides of a kernel, given its shape without the outputs: the inputs of one group, then the sides."""
    if not kernel:
        return {}
    inside, *sides = kernel
    return {"sides": len(sides), "groups": module.inputs // inside, **{f"kernel{at}": n for at, n in enumerate(sides)}}


def _grown(manifest: Manifest, rows: int) -> Manifest:
    modules = dict(manifest.modules)
    for path in {manifest.input, manifest.output} & modules.keys():
        module = modules[path]
        shapes = {name: (max(rows, shape[0]), *shape[1:]) for name, shape in module.parameters.items()}
        modules[path] = replace(
            module,
            parameters=shapes,
            inputs=max(rows, module.inputs) if path == manifest.input else module.inputs,
            outputs=max(rows, module.outputs) if path == manifest.output else module.outputs,
        )
    return replace(manifest, modules=modules)


def _tokens(config: configs.Config, kind: Kind, manifest: Manifest) -> Iterator[tuple[str, Shape]]:
    table = config.get("trainable_token_indices") if "trainable_token_indices" in kind.keys else None
    if isinstance(table, list):  # a plain list means the input embedding
        table = {manifest.input: table}
    indices_by_module = table if isinstance(table, dict) else {}
    for path, module in manifest.modules.items():
        for name, indices in indices_by_module.items():
            if path == name or path.endswith(f".{name}"):
                width = module.outputs if module.kind == "embedding" else module.inputs
                yield f"{kind.prefix}{path}.{TOKENS}", (len(indices), width)


def _picked(selection: Selection, path: str, module: Module, manifest: Manifest) -> bool:
    if selection.is_all_linear and (module.kind not in LINEAR or path == manifest.output):
        return False
    return selection.picks(path)


def _prompt(config: configs.Config, kind: Kind, manifest: Manifest) -> dict[str, Shape]:
    token_ids = config.get("cpt_token_ids")  # CPT counts its own tokens
    tokens = len(token_ids) if isinstance(token_ids, list) else configs.whole(config, "num_virtual_tokens") or 0
    if kind.is_prefix:
        return {PROMPT: (tokens, manifest.prefix_width) if manifest.prefix_width else None}
    twice = 2 if config.get("task_type") == "SEQ_2_SEQ_LM" else 1
    length = tokens * (configs.whole(config, "num_transformer_submodules") or twice)
    shapes: dict[str, Shape] = {PROMPT: (length, manifest.width) if manifest.width else None}
    if kind.peft_type == "MULTITASK_PROMPT_TUNING":
        numbers = kind.numbers(config)
        shapes["prefix_task_cols"] = (numbers["num_tasks"], length, numbers["num_ranks"])
        shapes["prefix_task_rows"] = (numbers["num_tasks"], numbers["num_ranks"], manifest.width)
    return shapes


def _saved(selection: Selection, kind: Kind, manifest: Manifest) -> Iterator[tuple[str, Shape]]:
    for path, module in manifest.modules.items():
        if selection.is_saved(path):
            for parameter, shape in module.parameters.items():
                yield f"{kind.prefix}{path}.{parameter}", shape


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
        dict(_modules(document["modules"])),
        int(document["width"]),
        int(document["prefix_width"]),
        str(document["input"]),
        str(document["output"]),
    )
    return Shapes(
        manifest,
        int(document["vocabulary"]),
        int(document["layers"]),
        bool(document["tied"]),
        tuple(map(str, document["architectures"])),
        frozenset(map(str, document["labelled"])),
    )


def _modules(rows: list[Any]) -> Iterator[tuple[str, Module]]:
    for path, kind, inputs, outputs, parameters in rows:
        yield path, Module(kind, inputs, outputs, {name: tuple(shape) for name, shape in parameters.items()})
