"""Converts an adapter into mlx-lm's format, as the hub does, and lets mlx-lm load it and answer with it.

mlx starts a thread when it is imported, so that is left to the child. Its arrays are computed when they are read: of a
model of the base's real size, nothing is read, and it takes no memory.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dovetail.adapters.convert import Unconvertible, convert
from dovetail.adapters.convert.mlx import FILE
from dovetail.adapters.readers.folder import files_in
from dovetail.adapters.results.report import Measured
from features.measured.engine import Trial, Unmeasurable
from features.measured.engine.small import TOKENS, Answer, Small, expected, refused, words

ENGINE = f"mlx {version('mlx-lm')}"
# Raised where mlx-lm refuses a model or an adapter; anything else is our fault.
REFUSALS = (ValueError, TypeError, RuntimeError, AssertionError, LookupError, AttributeError)
MAX_MISSED = 5


def rehearse() -> None:
    """Import nothing of mlx-lm."""


def measure(trial: Trial) -> Measured:
    """Return what mlx-lm reaches of a converted adapter, or how it refuses it. Raises Unmeasurable."""
    resource.setrlimit = lambda *_: None  # mlx-lm raises a limit when it is imported, which the jail forbids
    try:
        converted = _converted(trial.adapter, trial.work / "converted")
    except Unconvertible as problem:
        raise Unmeasurable(f"It cannot be converted for mlx-lm: {problem}") from problem
    try:
        model = _unfilled(trial.config)
    except (*REFUSALS, SystemExit) as problem:  # the file of a model may end the program where a package is missing
        raise Unmeasurable(words(problem)) from problem
    try:
        mapped = _mapped(model, converted)
    except REFUSALS as problem:
        return refused(ENGINE, trial, problem)
    return _run(trial, mapped) if trial.runs and mapped.modules else mapped


def _converted(adapter: Path, folder: Path) -> Path:
    """Return the folder of an adapter in mlx-lm's format. Raises Unconvertible."""
    files = files_in(adapter)
    if FILE in files:
        return adapter
    conversion = convert(files, "mlx")
    folder.mkdir()
    conversion.write(folder)
    return folder


def _unfilled(config: Any) -> Any:
    """Return mlx-lm's model of a config, of which no weight is computed."""
    from mlx_lm.utils import _get_classes

    model_class, arguments_class = _get_classes(config=dict(config))
    return model_class(arguments_class.from_dict(dict(config)))


def _mapped(model: Any, adapter: Path) -> Measured:
    """Load an adapter into a model, and return which of its modules have a place there."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.utils import load_adapters

    names = {name.rpartition(".")[0] for name in mx.load(str(adapter / FILE))}
    load_adapters(model, str(adapter))
    reached = {name.rpartition(".")[0] for name, _ in tree_flatten(model.parameters())}
    missed = sorted(names - reached)
    of = len(names)
    return Measured(engine=ENGINE, modules=of - len(missed), of=of, missed=tuple(missed[:MAX_MISSED]))


def _run(trial: Trial, mapped: Measured) -> Measured:
    """Let mlx-lm answer with the adapter on a small base; where that cannot be, what was mapped stays."""
    try:
        small = Small(trial)
        base, adapter = small.write_base(), small.write_adapter()
        right = expected(small)
        converted = _converted(adapter, trial.work / "small-converted")
        right.require_base(_answers(base, right.prompts))
    except (Unmeasurable, Unconvertible, *REFUSALS) as problem:
        return replace(mapped, not_run=words(problem))
    try:
        return right.judged(mapped, _answers(base, right.prompts, converted))
    except REFUSALS as problem:
        return replace(refused(ENGINE, trial, problem), depth="run")


def _answers(base: Path, prompts: Sequence[list[int]], adapter: Path | None = None) -> list[Answer]:
    """Return mlx-lm's answers. Raises what it raises where it refuses a file."""
    from mlx_lm.tuner.utils import load_adapters
    from mlx_lm.utils import load_model

    model = load_model(base)[0]
    if adapter is not None:
        load_adapters(model, str(adapter))
    model.eval()
    return [_answer(model, prompt) for prompt in prompts]


def _answer(model: Any, prompt: list[int]) -> Answer:
    import mlx.core as mx

    ids, logprobs = list(prompt), []
    for _ in range(TOKENS):
        logits = model(mx.array([ids]))[0, -1].astype(mx.float32)
        token = int(mx.argmax(logits))
        logprobs.append(float(logits[token] - mx.logsumexp(logits)))
        ids.append(token)
    return Answer(tuple(ids[len(prompt) :]), tuple(logprobs))
