"""Compositions of the adapters library, in an engine that holds it: built of names of our own, run, and taken apart.

What a stranger wrote reaches the library as little as with a single adapter: blocks come from an allow-list, each
adapter and fusion is written anew, and the files' own names are left behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from dovetail.adapters.fit import Shape
from dovetail.adapters.library.composed import FUSION_KEYS
from dovetail.adapters.library.composition import FUSION_WEIGHTS, Block, Composition, Fusion
from dovetail.adapters.library.contents import FUSION_CONFIG
from workers.engine import jail, library
from workers.engine.evals.desk import Batch
from workers.engine.evals.feature_extraction import FeatureExtraction
from workers.engine.evals.rows import Rows, neutral
from workers.engine.evals.task import Seen
from workers.engine.frozen import Frozen
from workers.engine.trial import NOISE, LibraryTrial, Timed

LAYER = "adapter_fusion_layer"
MIXED_NAME = "zq_fusion"


def expected(model: Any, folder: Composition) -> dict[str, Shape]:
    """Every tensor that the parts need on this model, by the folder of the part and the name in its file."""
    found: dict[str, Shape] = {}
    names = calls(folder)
    for place, member in folder.members.items():
        wanted = library.expected(model, member, names[place])
        found.update({f"{place}/{name}": shape for name, shape in wanted.items()})
    for place, fusion in folder.fusions.items():
        called = names[f"{fusion.name}/"]
        model.add_adapter_fusion(_fused(folder, fusion), _config(fusion), name=called)
        start = "" if any(name.startswith(f"{model.base_model_prefix}.") for name in fusion.tensors) else _prefix(model)
        for name, tensor in _layers(model, called).items():
            shown = name.replace(f"{LAYER}.{called}.", f"{LAYER}.{fusion.name}.").removeprefix(start)
            found[f"{place}/{shown}"] = tuple(tensor.shape)
    return found


def calls(folder: Composition) -> dict[str, str]:
    """The names of our own, by the files' names; those of fusions by a name with a slash, which no adapter has.

    No name begins another one: the library finds what belongs to a fusion by the beginning of its name.
    """
    names = {name: f"{library.NAME}_{at:02}" for at, name in enumerate(folder.members)}
    return names | {f"{name}/": f"{MIXED_NAME}_{at:02}" for at, name in enumerate(folder.setup.fusions())}


def write(model: Any, folder: Composition, work: Path) -> dict[str, Path]:
    """Writes what the library is to load, each part in a folder of its own, and returns the folders."""
    names = calls(folder)
    found = {place: library.write(model, part, work, names[place]) for place, part in folder.members.items()}
    return found | {f"{f.name}/": _write(model, folder, f, work, names) for f in folder.fusions.values()}


def _write(model: Any, folder: Composition, fusion: Fusion, work: Path, names: dict[str, str]) -> Path:
    called = names[f"{fusion.name}/"]
    loader = work / f"loader-{called}"
    loader.mkdir()
    said = {"config": _config(fusion), "adapter_names": _fused(folder, fusion), "version": library.VERSION}
    library.write_config(loader / FUSION_CONFIG, model, called, said)
    own = re.compile(rf"((?:^|\.){LAYER}\.){re.escape(fusion.name)}\.")
    is_whole = any(name.startswith(_prefix(model)) for name in fusion.tensors)

    def rename(name: str) -> str:
        return ("" if is_whole else _prefix(model)) + own.sub(rf"\g<1>{called}.", name)

    library.rewrite(fusion, FUSION_WEIGHTS, fusion.header, loader, rename)
    return loader


def load(model: Any, folder: Composition, loaders: dict[str, Path]) -> list[str]:
    """Loads every part as the library does; returns what it says is missing or left over, by the parts' own names."""
    names, odd = calls(folder), []
    for place, member in folder.members.items():
        odd += [f"{place}: {name}" for name in library.load(model, member, loaders[place], names[place])]
    for fusion in folder.fusions.values():
        odd += [f"{fusion.name}: {name}" for name in _load(model, loaders[f"{fusion.name}/"])]
    model.eval()
    return odd


def _load(model: Any, loader: Path) -> list[str]:
    """By the loader that load_adapter_fusion() uses, which does not hand on what is missing or left over."""
    from adapters.loading import AdapterFusionLoader

    said: dict[str, list[str]] = {}
    AdapterFusionLoader(model, use_safetensors=True).load(str(loader), loading_info=said, set_active=False)
    return sorted(said.get("missing_keys", [])) + sorted(said.get("unexpected_keys", []))


def switch(model: Any, folder: Composition, setup: Block | None) -> None:
    """Makes this set-up active, or none, and leaves the head in place that the whole one has."""
    names = calls(folder)
    model.set_active_adapters(_built(setup, names) if setup else None)
    member = folder.head_member
    head = next((names[place] for place, part in folder.members.items() if part is member), None)
    model.active_head = head


def _built(block: Block, names: dict[str, str]) -> Any:
    from adapters import composition

    children = [names[c] if isinstance(c, str) else _built(c, names) for c in block.children]
    numbers = list(block.numbers)
    make: dict[str, Callable[[], Any]] = {
        "Stack": lambda: composition.Stack(*children),
        "Parallel": lambda: composition.Parallel(*children),
        "Fuse": lambda: composition.Fuse(*children, name=names[f"{block.name}/"]),
        "Average": lambda: composition.Average(*children, weights=numbers),
        "Split": lambda: composition.Split(*children, splits=numbers),
        "BatchSplit": lambda: composition.BatchSplit(*children, batch_sizes=numbers),
    }
    return make[block.kind]()


def _fused(folder: Composition, fusion: Fusion) -> list[str]:
    names = calls(folder)
    return [names[name] for name in folder.setup.fusions()[fusion.name]]


def _config(fusion: Fusion) -> Any:
    """The config of a fusion, written anew; "static" and "dynamic" are the library's own."""
    said = fusion.method
    if isinstance(said, str):
        return said
    return {**{key: said[key] for key in FUSION_KEYS if said.get(key) is not None}, "dropout_prob": None}


def _prefix(model: Any) -> str:
    return f"{model.base_model_prefix}."


def _layers(model: Any, called: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if f".{LAYER}.{called}." in name}


# --- rows ------------------------------------------------------------------------------------------------------------
def shaped(rows: Rows, setup: Block) -> Rows:
    """Rows for a set-up that deals them out: batches of one size, texts of one length, answers side by side."""
    count, length = _total(setup, "BatchSplit"), _total(setup, "Split")
    batch = _shape(rows.batches[0], count, length)
    return replace(rows, rows=(), batches=[batch], order=range(len(batch.weights)), eval=SIDE_BY_SIDE)


def _total(setup: Block, kind: str) -> int:
    """How many rows a BatchSplit deals out, or tokens a Split; 0 without one."""
    return next((int(sum(block.numbers)) for block in setup.blocks() if block.kind == kind), 0)


def _shape(batch: Batch, count: int, length: int) -> Batch:
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    full = int(mask.sum(1).min())  # so many columns of every row are text
    rows = torch.arange(count or len(ids)) % len(ids)
    columns = torch.arange(length) % full if length else torch.arange(ids.shape[1])
    found = {key: tensor[rows][:, columns] for key, tensor in batch.inputs.items()}
    return Batch(found | ({"attention_mask": torch.ones_like(found["input_ids"])} if length else {}))


class SideBySide(FeatureExtraction):
    """The pooled answers of every channel of a Parallel, one after the other in the line of its row."""

    def read(self, answer: Any, batch: Batch) -> list[torch.Tensor]:
        rows = len(batch.weights)
        mask = batch.weights.repeat(answer.last_hidden_state.shape[0] // rows, 1)
        pooled = torch.cat(super().read(answer, Batch({"attention_mask": mask})))
        channels = len(pooled) // rows
        return list(pooled.view(channels, -1, pooled.shape[-1]).transpose(0, 1).flatten(1))

    def degenerate(self, seen: Seen) -> str:
        return ""


SIDE_BY_SIDE = SideBySide()


def idle_parts(folder: Composition, changed: torch.Tensor) -> list[str]:
    """The parts of a set-up that deals out whose share of the outputs stayed what it was; `changed` is by row."""
    for block in folder.setup.blocks():
        parts = len(block.children)
        if block.kind == "Parallel":
            shares = changed.chunk(parts, dim=1)
        elif block.kind == "BatchSplit":
            shares = changed.split([int(number) for number in block.numbers])
        else:
            continue
        return [str(child) for child, share in zip(block.children, shares, strict=True) if not share.any()]
    return []


# --- on trial ---------------------------------------------------------------------------------------------------------
class ComposedTrial(LibraryTrial):
    """Several adapters of the library that work together, with the whole of them on or off."""

    folder: Composition

    def __init__(self, folder: Composition, frozen: Frozen, task: str, labels: int, work: Path, rows: Rows) -> None:
        own = shaped(neutral(frozen, rows.eval), folder.setup) if folder.is_spread else rows
        super().__init__(folder, frozen, task, labels, work, own)

    @cached_property
    def loaded(self) -> tuple[Any, list[str]]:
        loaders = write(self.base, self.folder, self.work)
        jail.give_up_writing()
        odd = load(self.base, self.folder, loaders)
        switch(self.base, self.folder, self.folder.setup)
        if not odd:
            self._compute_once()
        return self.base, odd

    def _compute_once(self) -> None:
        """Whether a set-up can be computed, the library says only when it is."""
        try:
            self._timed(self.base, most=1)
        except NotImplementedError as problem:
            raise NotImplementedError(f"the library cannot compute {self.folder.setup} with these methods") from problem

    @contextmanager
    def _switched_off(self) -> Iterator[Any]:
        with self._set_up(None) as model:
            yield model

    @contextmanager
    def _set_up(self, setup: Block | None) -> Iterator[Any]:
        """The model under another set-up of the same adapters."""
        switch(self.model, self.folder, setup)
        yield self.model
        switch(self.model, self.folder, self.folder.setup)

    @cached_property
    def without_adapter(self) -> Timed:
        alone = super().without_adapter
        times = self.with_adapter.output.shape[-1] // alone.output.shape[-1]
        return Timed(list(alone.output.repeat(1, times)), alone.first_s) if self.folder.is_spread else alone

    @cached_property
    def idle(self) -> list[str]:
        if self.folder.is_spread:
            delta = (self.with_adapter.output - self.without_adapter.output).abs()
            return idle_parts(self.folder, delta > NOISE * max(1.0, float(delta.max())))
        return [str(member) for member in self.folder.setup.members() if self._is_idle(member)]

    def _is_idle(self, member: Block | str) -> bool:
        whole = self.again.output
        with self._set_up(self.folder.setup.without(member)) as model:
            less = self._timed(model, most=1).output
        return bool((whole - less).abs().max() <= NOISE * max(1.0, float(whole.abs().max())))
