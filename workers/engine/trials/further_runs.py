"""Further runs of an adapter: as a composition, on the rows of earlier versions, and at other strengths.

A composition of the adapters library runs as one adapter, and the parts of it that change nothing are found. On the
rows of earlier versions an adapter is compared on rows that it did not bring itself. The strength curve has its effect,
score and drift at scales from 0 to 1.25, and the recommended one; it is a fact and never a verdict, so everything that
keeps it from being measured is a reason and no fault.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from peft.helpers import rescale_adapter_scale
from peft.tuners.lora import LoraLayer

from dovetail.adapters.readers.composition import Composition
from dovetail.adapters.readers.library import Block
from dovetail.adapters.results import paired
from dovetail.adapters.results.records import MAX_ITEMS
from dovetail.adapters.results.report import EarlierRows, Evaluation, ScalePoint, Strength
from workers.engine import jail
from workers.engine.evals.choice import labels_of
from workers.engine.evals.codec import Batch
from workers.engine.evals.feature_extraction import FeatureExtraction
from workers.engine.evals.measures import Metric
from workers.engine.evals.rows import Rows, RowsError, digest, neutral, written
from workers.engine.evals.task import Line, Outputs
from workers.engine.job import Job
from workers.engine.models.composition import load, switch, write
from workers.engine.models.frozen import Frozen
from workers.engine.trials.trial import NOISE, LibraryTrial, Timed, Trial


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


MAX_SETS = 2
EARLIER_SHARE = 0.2  # of the processor time that a validation may take
LATEST = 0.8  # of that time: the adapter must never fail by its limit because of rows of others
MAX_REASON = 300
# Of libraries that get rows of others: they must not end the adapter's own stage.
FAULTS = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    MemoryError,
)


def on_earlier_rows(trial: Trial, job: Job, began: float) -> Iterator[EarlierRows]:
    """Yield the adapter's numbers on each set of the job's earlier rows, which are no part of what it is judged by.

    `began` is the processor time at which the adapter's stage began. Rows that raise are left out, with the reason.
    """
    room = min(EARLIER_SHARE * job.seconds, LATEST * job.seconds - (time.process_time() - began))
    deadline = time.process_time() + room
    for given in job.earlier[:MAX_SETS]:
        revision = str(given["revision"])
        try:
            rows = _prepared(trial, given)
            if trial.rows.rows and digest(rows.rows) == digest(trial.rows.rows):
                continue  # they are its own
            yield EarlierRows(revision, _evaluation(rows, _measure(trial, rows, deadline)))
        except RowsError as problem:
            yield EarlierRows(revision, left_out=str(problem)[:MAX_REASON])
        except FAULTS as problem:
            yield EarlierRows(revision, left_out=f"running them failed with {type(problem).__name__}")


def _prepared(trial: Trial, given: Mapping[str, Any]) -> Rows:
    """Return the rows for the task of this adapter. Raises `RowsError` where they are no rows for it."""
    evaluation, card = trial.rows.eval, trial.folder.card or {}
    if evaluation is SIDE_BY_SIDE:
        raise RowsError("its set-up splits its input")
    names = card.get("label_names")
    card = {**card, "label_names": names if isinstance(names, list) else given.get("label_names")}
    rows = written(str(given["rows"]).encode(), card, trial.frozen, evaluation, labels_of(trial.folder, trial.labels))
    if rows is None:
        raise RowsError("the base has no tokenizer")
    if rows.guessed or rows.unused:
        is_named = isinstance(names, list)
        raise RowsError(
            "their labels are not in the label_names of its card" if is_named else "no card numbers their labels"
        )
    return rows


def _measure(trial: Trial, rows: Rows, deadline: float) -> Metric:
    """Return the number that decides. Raises `RowsError` without one, and if the time is up."""
    lines: list[torch.Tensor] = []
    with torch.inference_mode():
        for answers in rows.answers(trial.model):
            lines += answers
            if time.process_time() > deadline and len(lines) < len(rows.rows):
                raise RowsError("they take longer than their share of a validation's time")
    adapter = rows.in_order(lines)
    # The base is not run on them: only the adapter's numbers are compared, row by row.
    metrics = rows.eval.measure(Outputs(rows.rows, rows.codec, adapter, adapter, rows.facts))
    if not metrics or not 0 < len(metrics[0].scores) <= MAX_ITEMS:
        raise RowsError("they give no number per row")
    return metrics[0]


def _evaluation(rows: Rows, metric: Metric) -> Evaluation:
    return Evaluation(
        "earlier",
        metric.rows,
        metric.name,
        adapter=metric.adapter,
        better="higher" if metric.higher_is_better else "lower",
        scores=tuple(metric.scores),
        weights=tuple(metric.weights) if metric.weights else None,
        rows_sha256=digest(rows.rows),
        task=rows.eval.task,
    )


SCALES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
CURVE_SHARE = 0.1  # of the time that a validation may take
WORSE_CHANCE = 0.05  # one-sided: below it a score is worse than the best one beyond chance


def curve(trial: Trial, seconds: float) -> Strength | None:
    """Return the curve; None for an adapter without rows that measure it. `seconds` is the limit of the validation."""
    if trial.rows.source == "neutral" or trial.rows.guessed or not trial.rows.eval.measure(trial.outputs):
        return None
    if reason := _why_not(trial):
        return Strength(left_out=reason)
    deadline = time.monotonic() + CURVE_SHARE * seconds
    plain = neutral(trial.frozen, trial.rows.eval, trial.rows.codec)
    base_plain = at_scale(trial, 0.0, plain)
    points: list[ScalePoint] = []
    metrics: list[Metric] = []
    for scale in SCALES:
        began = time.monotonic()
        lines = _known(trial, scale) or at_scale(trial, scale, trial.rows)
        metric = _metric(trial, lines)
        effect = _distance(lines, trial.without_adapter.lines)
        drift = _distance(at_scale(trial, scale, plain), base_plain) if scale else 0.0
        points.append(ScalePoint(scale, effect, metric.adapter, drift))
        metrics.append(metric)
        took = time.monotonic() - began
        if scale != SCALES[-1] and time.monotonic() + took > deadline:
            return Strength(
                left_out=f"Six scales take more than {CURVE_SHARE * seconds:.0f} s, their share of a validation."
            )
    first = metrics[0]
    better: Literal["higher", "lower"] = "higher" if first.higher_is_better else "lower"
    return Strength(first.name, better, first.rows, tuple(points), recommended(metrics))


def at_scale(trial: Trial, scale: float, rows: Rows, most: int | None = None) -> Sequence[Line]:
    """Return the outputs with every LoRA layer scaled by this factor (peft.helpers.rescale_adapter_scale)."""
    with torch.inference_mode(), rescale_adapter_scale(trial.model, scale):
        return [line for answers in rows.answers(trial.model, most) for line in answers]


def recommended(metrics: Sequence[Metric]) -> float | None:
    """Return the smallest scale above 0 whose score is not worse than the best one beyond chance.

    None without numbers row by row, and where no scale is worse beyond chance: then these rows tell none apart.
    """
    pairs = list(zip(SCALES, metrics, strict=True))[1:]
    if not all(metric.scores for _, metric in pairs):
        return None
    sign = 1 if pairs[0][1].higher_is_better else -1
    best = max((metric for _, metric in pairs), key=lambda metric: sign * metric.adapter)
    compared = [paired.compare(metric.scores, best.scores, metric.weights) for _, metric in pairs]
    as_good = [(pair.lower if sign > 0 else pair.higher) >= WORSE_CHANCE for pair in compared]
    if all(as_good):
        return None
    return next(scale for (scale, _), is_as_good in zip(pairs, as_good, strict=True) if is_as_good)


def _why_not(trial: Trial) -> str:
    """Return why a scale means nothing for this adapter, "" if it does.

    The first batch is asked: at scale 0 it must be the base's to the last bit, and at 1 the adapter's. The magnitudes
    of DoRA and trained tokens, for example, do not follow the scale.
    """
    if not any(isinstance(module, LoraLayer) for module in trial.model.modules()):
        return "Only methods of the LoRA family have a scale."
    for scale, known in ((0.0, trial.without_adapter), (1.0, trial.with_adapter)):
        lines = at_scale(trial, scale, trial.rows, most=1)
        if not all(torch.equal(line, other) for line, other in zip(lines, known.lines, strict=False)):
            return "A part of it ignores the scale: at 0 it differs from the base."
    return ""


def _known(trial: Trial, scale: float) -> Sequence[Line] | None:
    return {0.0: trial.without_adapter.lines, 1.0: trial.with_adapter.lines}.get(scale)


def _metric(trial: Trial, lines: Sequence[Line]) -> Metric:
    outputs = replace(trial.outputs, adapter=trial.rows.in_order(lines), written={})
    return trial.rows.eval.measure(outputs)[0]


def _distance(lines: Sequence[Line], base: Sequence[Line]) -> float:
    """Return how far the outputs are from the base's, as a share of their length: the mean over the rows."""
    shares = [
        float((line - other).norm() / other.norm().clamp(min=1e-9)) for line, other in zip(lines, base, strict=True)
    ]
    return round(min(sum(shares) / max(1, len(shares)), 1e6), 6)
