"""One adapter on the frozen base, inside the jailed child: loads and runs it, and holds the results for the checks."""

import json
import resource
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from peft import MODEL_TYPE_TO_PEFT_MODEL_MAPPING, PeftConfig, PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer

from dovetail.adapters.formats import tokens
from dovetail.adapters.formats.description import WEIGHTS
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.readers.library import Library
from dovetail.adapters.results.records import MAX_ITEMS
from dovetail.adapters.results.report import Conditions, Cost, Evaluation, Sample
from workers.engine import jail
from workers.engine.evals.choice import BaseOutputs, recall
from workers.engine.evals.codec import CannotWrite, write
from workers.engine.evals.rows import Rows, neutral, with_tokens
from workers.engine.evals.task import Outputs, samples_of
from workers.engine.formats import clean
from workers.engine.models import library
from workers.engine.models.frozen import WITH_LABELS, Frozen
from workers.engine.models.methods import is_explained, ready, switched_off
from workers.engine.models.structure import Place, input_embeddings

NOISE = 1e-6  # relative to the largest output: the effect of the order of additions
SURE = 3  # repetitions of a run that seems slow: another process may have been busy
SEED = 0  # of all random choices: masked words, the ids for a base without a tokenizer


class CannotMerge(Exception):
    """An adapter has no merged form; the message completes the sentence "It cannot be merged …"."""


NAME = "zq_candidate"  # PEFT finds missing keys by looking for the adapter's name in them: no module may contain it
OWN_NAME = "default"  # in the names of a state dict's tensors


@dataclass(frozen=True, slots=True)
class Timed:
    """A model's outputs for each row, in the order of the batches, and the seconds of the first batch."""

    lines: Sequence[torch.Tensor]
    first_s: float

    @property
    def output(self) -> torch.Tensor:
        """All outputs: a matrix with a line for each row if all rows have the same size, else one long vector."""
        flat = [line.flatten() for line in self.lines]
        return torch.stack(flat) if len({len(line) for line in flat}) == 1 else torch.cat(flat)


class Trial:
    """Results of one adapter; each is computed once, when a check first asks for it."""

    loader = "PEFT"

    def __init__(self, folder: Folder, frozen: Frozen, task: str, labels: int, work: Path, rows: Rows) -> None:
        self.folder, self.frozen, self.task, self.labels = folder, frozen, task, labels
        self.work, self.rows = work, rows
        self.base = frozen.model(task, labels)
        self.originals = frozen.originals(self.base)
        self.drawn = _drawn(folder, frozen.drawn(task, labels), self.originals)
        self.began_with = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.evals: list[Evaluation] = []
        self.cost: Cost | None = None
        self.cannot_write = ""

    @cached_property
    def loaded(self) -> tuple[Any, list[str]]:
        """The adapter on the base, and the keys that the loader itself reports as missing or unexpected."""
        loader = self.work / "loader"
        loader.mkdir()
        (loader / "adapter_config.json").write_text(json.dumps(clean(self.folder)))
        with self.folder.files[WEIGHTS]() as source, (loader / WEIGHTS).open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        jail.give_up_writing()  # from here on uploaded bytes are interpreted
        self._grow()
        config = PeftConfig.from_pretrained(str(loader))
        wrap = MODEL_TYPE_TO_PEFT_MODEL_MAPPING.get(config.task_type, PeftModel)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the keys that PEFT warns about are reported here and by the checks of fit
            model = wrap(self.base, config, self.name)
            incompatible = model.load_adapter(str(loader), self.name, is_trainable=False)
        keys = (*incompatible.missing_keys, *incompatible.unexpected_keys)
        return ready(model.eval()), [key for key in keys if not is_explained(key, self.folder)]

    @property
    def name(self) -> str:
        """The name under which the adapter is loaded: the one that its tensors' names hold, if they do."""
        return OWN_NAME if self.folder.named else NAME

    def _grow(self) -> None:
        """Add rows for new tokens to the base's embedding, if the file has them, whole or token by token."""
        rows = max(self.folder.layout.rows, max(tokens.trained(self.folder.config), default=-1) + 1)
        table = input_embeddings(self.base) if rows else None
        if table is not None and rows > table.weight.shape[0]:
            self.base.resize_token_embeddings(rows, mean_resizing=False)

    @property
    def model(self) -> Any:
        return self.loaded[0]

    @cached_property
    def idle(self) -> list[str]:
        """Parts of a composition that do not change the outputs; a single adapter has none."""
        return []

    @cached_property
    def with_adapter(self) -> Timed:
        return self._timed(self.model)

    @cached_property
    def again(self) -> Timed:
        """The outputs of the first batch, run again."""
        return self._timed(self.model, most=1)

    @cached_property
    def once_more(self) -> Timed:
        """The outputs of the first batch, run a third time: some methods project their weights at the first."""
        return self._timed(self.model, most=1)

    @cached_property
    def without_adapter(self) -> Timed:
        """Outputs of the frozen base with the adapter's own head, so that only the adapter makes the difference."""
        if self.base_outputs is not None and self.rows is self.base_outputs.rows:
            return Timed(self.base_outputs.lines, self.base_outputs.first_s)
        with self.switched_off() as model:
            return self._timed(model)

    @cached_property
    def on_trained_tokens(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Outputs with and without the adapter for our rows with the tokens that it trains; None if it trains none."""
        ids = sorted(tokens.trained(self.folder.config)) if self.folder.kind is not None else []
        rows = with_tokens(neutral(self.frozen, self.rows.eval, self.rows.codec), ids) if ids else None
        if rows is None:
            return None
        adapter = self._timed(self.model, rows=rows).output
        with self.switched_off() as model:
            return adapter, self._timed(model, rows=rows).output

    @property
    def base_outputs(self) -> BaseOutputs | None:
        """Stored outputs of the base for our own rows; None for an adapter with a head or embeddings of its own."""
        if self.folder.kind is None:
            return None
        own = self.folder.config.get("modules_to_save") or self.folder.layout.embeddings or self.folder.layout.rows
        return None if own else recall(self.frozen, self.task, self.rows.eval)

    @cached_property
    def outputs(self) -> Outputs:
        """Outputs of base and adapter row by row, and the texts of both if the task generates text."""
        rows = self.rows
        base, adapter = (rows.in_order(timed.lines) for timed in (self.without_adapter, self.with_adapter))
        outputs = Outputs(rows.rows, rows.codec, base, adapter, rows.facts)
        prompts = rows.eval.prompts(outputs) if rows.rows else {}
        return replace(outputs, written=self._written(prompts)) if prompts else outputs

    def _written(self, prompts: Mapping[int, str]) -> Mapping[int, tuple[str, str]]:
        stored = self.base_outputs
        try:
            adapter = write(self.model, self.rows.codec, prompts)
            if stored is not None and self.rows is stored.rows and stored.written:
                base = stored.written
            else:
                with self.switched_off() as model:
                    base = write(model, self.rows.codec, prompts)
        except CannotWrite as problem:
            self.cannot_write = str(problem)
            return {}
        return {at: (base[at], adapter[at]) for at in prompts}

    @cached_property
    def neutral(self) -> Outputs | None:
        """Outputs for our own rows if they measure something: whether the adapter still knows plain sentences."""
        if not self.rows.eval.measures_neutral or self.rows.codec.tokenizer is None:
            return None
        if self.rows.source == "neutral":
            return self.outputs
        stored = self.base_outputs
        rows = stored.rows if stored else neutral(self.frozen, self.rows.eval)
        adapter = self._timed(self.model, rows=rows).lines
        if stored:
            base: Sequence[torch.Tensor] = stored.lines
        else:
            with self.switched_off() as model:
                base = self._timed(model, rows=rows).lines
        return Outputs(rows.rows, rows.codec, rows.in_order(base), rows.in_order(adapter), rows.facts)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """A few rows for people, with the answers of base and adapter, those that it gets wrong among them."""
        if not self.rows.rows:
            return ()
        deciding = next(iter(self.evals), None)
        by_row = deciding.scores if deciding and deciding.better == "higher" else None
        shares = by_row if by_row and len(by_row) == len(self.outputs.rows) else ()
        return samples_of(self.rows.eval, self.outputs, shares)

    @property
    def conditions(self) -> Conditions:
        """The conditions of the numbers: on the same engine, the same conditions give the same numbers."""
        rows, codec = self.rows, self.rows.codec
        with_labels = rows.eval.task in WITH_LABELS and codec.count > 1
        names = codec.names if with_labels and codec.count <= MAX_ITEMS else None
        return Conditions(
            rows.name,
            SEED,
            tuple(batch.rows for batch in rows.batches),
            codec.labels_from if with_labels else None,
            names,
        )

    @contextmanager
    def merged(self) -> Iterator[Any]:
        """Lend the model with the adapter merged into copies of its base's weights; afterwards the weights are back.

        The base's own memory is never written. Raises `CannotMerge`.
        """
        layers = [module for module in self.model.modules() if isinstance(module, BaseTunerLayer)]
        if not layers or self.model.active_peft_config.is_prompt_learning:
            raise CannotMerge("it works beside the weights, not on them")
        weights = {id(p): (p, p.data) for layer in layers for p in layer.get_base_layer().parameters()}
        try:
            for parameter, own in weights.values():
                parameter.data = own.clone()
            try:
                self.model.merge_adapter([self.name])
            except (NotImplementedError, ValueError, TypeError, AttributeError, RuntimeError) as problem:
                raise CannotMerge(" ".join(str(problem).split())[:200]) from problem
            if not any(getattr(layer, "merged", False) for layer in layers):
                raise CannotMerge("none of its layers can")
            yield self.model
        finally:
            for parameter, own in weights.values():
                parameter.data = own
            for layer in layers:
                layer.merged_adapters.clear()

    @cached_property
    def after_merge(self) -> Timed:
        with self.merged() as model:
            return self._timed(model, most=1)

    @cached_property
    def drawn_anew(self) -> Timed:
        """The outputs of the first batch with other values in the weights that neither base nor file has.

        A permutation stands for what another load would draw: weights of one constant stay what they are.
        """
        generator = torch.Generator().manual_seed(SEED)
        tables = {
            full: table[name] for (table, name, full), _ in self.originals if full in self.drawn and name in table
        }
        own = {full: weight.data for full, weight in tables.items()}
        try:
            for weight in tables.values():
                order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
                weight.data = weight.data.flatten()[order].view_as(weight)
            return self._timed(self.model, most=1)
        finally:
            for full, weight in tables.items():
                weight.data = own[full]

    @contextmanager
    def switched_off(self) -> Iterator[Any]:
        with switched_off(self.model) as model:
            yield model

    def slowness(self, enough: float) -> float:
        """Return the time of the first batch divided by the base's; above `enough` it is measured again to be sure."""
        adapter, base = self.again.first_s, self.without_adapter.first_s
        for _ in range(SURE if adapter > enough * base else 0):
            adapter = min(adapter, self._timed(self.model, most=1).first_s)
            with self.switched_off() as model:
                base = max(base, self._timed(model, most=1).first_s)
        return adapter / max(base, 1e-9)

    def _timed(self, model: Any, most: int | None = None, rows: Rows | None = None) -> Timed:
        lines: list[torch.Tensor] = []
        marks = [time.perf_counter()]
        with torch.inference_mode():
            for answers in (rows or self.rows).answers(model, most):
                lines += answers
                marks.append(time.perf_counter())
        return Timed(lines, marks[1] - marks[0])


def _drawn(folder: Folder, names: Set[str], originals: Sequence[tuple[Place, torch.Tensor]]) -> list[str]:
    """Return the full names of weights that a base draws and the file does not replace; not of those that are tied."""
    kept = {id(original) for (_, _, full), original in originals if full.lstrip(".") not in names}
    brought = tuple(f".{name}" for name in folder.tensors)
    return [
        full
        for (_, _, full), original in originals
        if full.lstrip(".") in names
        and id(original) not in kept
        and not any(name.endswith(f".{full.lstrip('.')}") for name in brought)
    ]


class LibraryTrial(Trial):
    """A trial of an adapter of the adapters library, whose model loads adapters itself."""

    loader = "The adapters library"
    folder: Library

    @property
    def base_outputs(self) -> BaseOutputs | None:
        return None if self.folder.head_task else recall(self.frozen, self.task, self.rows.eval)

    @contextmanager
    def merged(self) -> Iterator[Any]:
        raise CannotMerge("the adapters library keeps it beside the weights")
        yield

    @cached_property
    def loaded(self) -> tuple[Any, list[str]]:
        loader = library.write(self.base, self.folder, self.work)
        jail.give_up_writing()
        odd = library.load(self.base, self.folder, loader)
        library.switch(self.base, self.folder, on=True)
        return self.base, odd

    @contextmanager
    def switched_off(self) -> Iterator[Any]:
        library.switch(self.model, self.folder, on=False)
        yield self.model
        library.switch(self.model, self.folder, on=True)
