"""Runs a composition of the adapters library as one adapter, and finds the parts of it that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from dovetail.adapters.readers.library.composition import Composition
from dovetail.adapters.readers.library.contents import Block
from workers.engine import jail
from workers.engine.evals.codec import Batch
from workers.engine.evals.feature_extraction import FeatureExtraction
from workers.engine.evals.rows.rows import Rows, neutral
from workers.engine.evals.task import Outputs
from workers.engine.models.composition import load, switch, write
from workers.engine.models.frozen import Frozen
from workers.engine.trials.trial import NOISE, LibraryTrial, Timed


def shaped(rows: Rows, setup: Block) -> Rows:
    """Return rows for a set-up that splits its input: batches of one size, texts of one length."""
    count, length = _total(setup, "BatchSplit"), _total(setup, "Split")
    batch = _shape(rows.batches[0], count, length)
    return replace(rows, rows=(), batches=[batch], order=range(len(batch.weights)), eval=SIDE_BY_SIDE)


def _total(setup: Block, kind: str) -> int:
    """Return how many rows a BatchSplit divides, or tokens a Split; 0 without such a block."""
    return next((int(sum(block.numbers)) for block in setup.blocks() if block.kind == kind), 0)


def _shape(batch: Batch, count: int, length: int) -> Batch:
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    full = int(mask.sum(1).min())  # the number of columns that are text in every row
    rows = torch.arange(count or len(ids)) % len(ids)
    columns = torch.arange(length) % full if length else torch.arange(ids.shape[1])
    inputs = {key: tensor[rows][:, columns] for key, tensor in batch.inputs.items()}
    if length:
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    return Batch(inputs)


class SideBySide(FeatureExtraction):
    """Pools the answer of each channel of a Parallel and joins them in one line for each row."""

    def read(self, answer: Any, batch: Batch) -> list[torch.Tensor]:
        rows = len(batch.weights)
        mask = batch.weights.repeat(answer.last_hidden_state.shape[0] // rows, 1)
        pooled = torch.cat(super().read(answer, Batch({"attention_mask": mask})))
        channels = len(pooled) // rows
        return list(pooled.view(channels, -1, pooled.shape[-1]).transpose(0, 1).flatten(1))

    def degenerate(self, outputs: Outputs) -> str:
        return ""


SIDE_BY_SIDE = SideBySide()


def idle_parts(folder: Composition, changed: torch.Tensor) -> list[str]:
    """Return the children of a Parallel or BatchSplit whose outputs did not change; `changed` is by row."""
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


class ComposedTrial(LibraryTrial):
    """A trial of several adapters that work together; all of them are switched on or off at once."""

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
        """Run the first rows: the library raises only then if it cannot compute a set-up."""
        try:
            self._timed(self.base, most=1)
        except NotImplementedError as problem:
            raise NotImplementedError(f"the library cannot compute {self.folder.setup} with these methods") from problem

    @contextmanager
    def switched_off(self) -> Iterator[Any]:
        with self._set_up(None) as model:
            yield model

    @contextmanager
    def _set_up(self, setup: Block | None) -> Iterator[Any]:
        """Activate another set-up of the same adapters, or none."""
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
