"""Computes which tensors in which shapes an adapter must bring for one base, from names and sizes alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from dovetail.adapters import config as configs
from dovetail.adapters.kinds import Kind
from dovetail.adapters.selection import PatternTable, Selection

Shape = tuple[int, ...] | None  # None: any shape
LINEAR = ("linear", "conv1d")
TOKENS = "token_adapter.trainable_tokens_delta"


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the base: linear, conv1d (GPT-2's transposed linear), embedding, conv or other."""

    kind: str
    inputs: int = 0
    outputs: int = 0
    parameters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # its own, not those of modules inside


@dataclass(frozen=True, slots=True)
class Manifest:
    """The shape of one base with the head of one task. `prefix_width` is 0 where no prefix can be given."""

    modules: Mapping[str, Module]
    width: int = 0  # of a token's embedding
    prefix_width: int = 0  # layers x 2 x width of keys and values
    input: str = ""  # the path of the input embedding
    output: str = ""  # the path of the output embedding, which "all-linear" leaves out


def expected(config: configs.Config, kind: Kind, manifest: Manifest, rows: int = 0) -> dict[str, Shape]:
    """Every tensor name PEFT would look for when it loads this config onto this base, with its shape.

    `rows` is the size of a vocabulary that grew; the base is given that many before the adapter is loaded.
    """
    manifest = _grown(manifest, rows)
    selection = Selection(config)
    found = dict(_saved(selection, kind, manifest))
    if kind.is_prompt:
        found["prompt_embeddings"] = _prompt(config, kind, manifest)
        return found
    found.update(_tokens(config, kind, manifest))
    own = _ia3 if kind.peft_type == "IA3" else _lora
    ranks = PatternTable(config.get("rank_pattern"))
    for path, module in manifest.modules.items():
        if module.kind != "other" and _picked(selection, path, module, manifest):
            for parameter, shape in own(config, selection, ranks, path, module):
                found[f"{kind.prefix}{path}.{parameter}"] = shape
    return found


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
    table = config.get("trainable_token_indices")
    named = table if isinstance(table, dict) else {manifest.input: table} if isinstance(table, list) else {}
    for path, module in manifest.modules.items():
        for name, indices in named.items():
            if path == name or path.endswith(f".{name}"):
                width = module.outputs if module.kind == "embedding" else module.inputs
                yield f"{kind.prefix}{path}.{TOKENS}", (len(indices), width)


def _picked(selection: Selection, path: str, module: Module, manifest: Manifest) -> bool:
    if selection.is_all_linear and (module.kind not in LINEAR or path == manifest.output):
        return False
    return selection.picks(path)


def _lora(
    config: configs.Config, _: Selection, ranks: PatternTable, path: str, module: Module
) -> Iterator[tuple[str, Shape]]:
    rank = int(ranks.get(path, configs.whole(config, "r") or 8))
    is_embedding, is_plain = module.kind == "embedding", module.kind in LINEAR
    name = "lora_embedding_{}" if is_embedding else "lora_{}.weight"
    yield name.format("A"), (rank, module.inputs) if is_plain or is_embedding else None
    yield name.format("B"), (module.outputs, rank) if is_plain or is_embedding else None
    if config.get("use_dora"):
        yield "lora_magnitude_vector", (module.outputs,) if is_plain else None
    if config.get("lora_bias") and not is_embedding:
        yield "lora_B.bias", (module.outputs,)


def _ia3(
    _: configs.Config, selection: Selection, __: PatternTable, path: str, module: Module
) -> Iterator[tuple[str, Shape]]:
    shape: Shape = (1, module.inputs) if selection.is_feedforward(path) else (module.outputs, 1)
    yield "ia3_l", shape if module.kind in LINEAR else None


def _prompt(config: configs.Config, kind: Kind, manifest: Manifest) -> Shape:
    tokens = configs.whole(config, "num_virtual_tokens") or 0
    if kind.peft_type == "PREFIX_TUNING":
        return (tokens, manifest.prefix_width) if manifest.prefix_width else None
    twice = 2 if config.get("task_type") == "SEQ_2_SEQ_LM" else 1
    return (tokens * (configs.whole(config, "num_transformer_submodules") or twice), manifest.width)


def _saved(selection: Selection, kind: Kind, manifest: Manifest) -> Iterator[tuple[str, Shape]]:
    for path, module in manifest.modules.items():
        if selection.is_saved(path):
            for parameter, shape in module.parameters.items():
                yield f"{kind.prefix}{path}.{parameter}", shape
