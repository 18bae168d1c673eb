"""Runs base and adapter on a visitor's own texts, in the stages and the jail of a validation.

The texts stay in the process of the session and its child: no message of this module, and no fault, quotes them.
`job.more` has the `texts`, one or two, and `new_tokens`, which the adapter writes if its task is to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dovetail.adapters.checks import opened
from dovetail.adapters.readers.composition import Composition
from dovetail.adapters.readers.folder import files_in
from dovetail.adapters.readers.library import Library
from dovetail.adapters.results.records import Limits
from dovetail.adapters.results.report import CheckResult
from dovetail.adapters.results.usage import LABELS, MAX_MARKS, Answer, Mark, Share, Side
from workers.engine.job import Job
from workers.engine.processes import child
from workers.engine.processes.stage import ANSWERED, Frame, Say
from workers.engine.processes.validation import NOT_HERE, Validation, parsed

if TYPE_CHECKING:
    import torch

    from workers.engine.evals.codec import Batch, Codec, Row
    from workers.engine.evals.rows import Rows
    from workers.engine.models.frozen import Frozen
    from workers.engine.processes.resident import Resident
    from workers.engine.trials.trial import Trial

MAX_TOKENS = 512  # of a text that are read; fewer for a base that knows fewer places
WORD = re.compile(r"\w+|[^\w\s]")
OUTSIDE, INSIDE = "O", "I-"
LIMITS = Limits(text=4000)
CANNOT = "load.error"  # the check under which an adapter is refused that cannot be tried


class Untried(Exception):
    """The adapter or its base cannot be tried with a text; the message is a sentence for people."""


def answer(job: Job, frozen: Frozen | None, resident: Resident | None) -> Mapping[str, object]:
    """Return the answer to the texts of a job, or the check and the sentence that say why there is none."""
    return Answering(job, frozen, lambda _: None, resident).answered()


@dataclass(slots=True)
class Answering(Validation):
    """Runs one job: the static checks, then the adapter on the texts."""

    answer: Answer | None = None

    def answered(self) -> Mapping[str, object]:
        report = self.run()
        if self.answer is not None and report.is_passed:
            return {"answer": self.answer.as_json(), "check": "", "reason": ""}
        problem = report.refusal or next((check for check in report.checks if check.id == NOT_HERE), None)
        reason = problem.message if problem else "It was not run."
        return {"answer": None, "check": problem.id if problem else CANNOT, "reason": reason}

    @property
    def _expected_of_run(self) -> list[str]:
        return [ANSWERED]

    def _take(self, frame: Frame) -> None:
        if "crash" in frame:
            return  # what was raised may quote the texts
        if ANSWERED not in frame:
            Validation._take(self, frame)
        elif self.answer is None:
            self.heard.append(ANSWERED)
            self.answer = parsed(Answer, frame[ANSWERED], LIMITS)


def load(job: Job, frozen: Frozen, task: str, labels: int, work: Path, say: Say) -> None:
    """Load the adapter in the jailed child, and run base and adapter on the texts of the job."""
    doing = CANNOT
    with child.blamed(say, lambda: doing):
        try:
            trial = _trial(job, frozen, task, labels, work)
            trial.loaded  # noqa: B018 - a refusal to load is another one than a failure to run
            doing = "run.error"
            say({ANSWERED: _ANSWERS.get(trial.rows.eval.task, _sampled)(trial, job).as_json()})
        except Untried as problem:
            say({"check": CheckResult(CANNOT, "failed", str(problem), child.LOAD_FIX).as_json()})


def _trial(job: Job, frozen: Frozen, task: str, labels: int, work: Path) -> Trial:
    from workers.engine.evals.choice import rows_for

    folder = opened(files_in(job.folder), job.card, place=job.place)
    folder.base = frozen.facts(task, labels)
    if isinstance(folder, Library):
        folder.card = {"label_names": folder.label_names, **(folder.card or {})}
    if isinstance(folder, Composition) and folder.is_spread:
        raise Untried("It splits its input among several adapters, so it cannot be tried on a single text.")
    rows = rows_for(folder, frozen, task, labels, lambda _: None)  # for the names of its labels
    if rows.codec.tokenizer is None or rows.codec.picture is not None or rows.codec.senses:
        raise Untried("Its base does not read text here.")
    return child.trial_class(folder)(folder, frozen, task, labels, work, _rows(rows, job))


def _rows(rows: Rows, job: Job) -> Rows:
    """Return one row made of the texts, in the form of the task, with longer texts than an evaluation reads."""
    from workers.engine.evals import language_modeling

    places = int(getattr(rows.codec.config.get_text_config(), "max_position_embeddings", 0) or 2 * MAX_TOKENS)
    codec = replace(rows.codec, limit=min(MAX_TOKENS, places // 2))
    texts = job.more["texts"]
    row = _FORMS.get(rows.eval.task, _text_row)(*texts, *[""] * (2 - len(texts)))
    evaluation = language_modeling.TRIED if rows.eval is language_modeling.MASKED else rows.eval
    batch = evaluation.batch(codec, [row])
    if evaluation.shifts_itself:
        batch.inputs.pop("decoder_input_ids", None)
    if evaluation is language_modeling.TRIED and not batch.facts["hidden"].any():
        raise Untried(f"It fills in words: write {codec.tokenizer.mask_token} in place of each word.")
    if not batch.weights.sum():
        raise Untried("The base's tokenizer has no token for this text.")
    return replace(rows, name="tried", rows=[row], batches=[batch], order=[0], eval=evaluation, codec=codec)


def _text_row(text: str, other: str) -> Row:
    return {"text": text, **({"text_pair": other} if other else {})}


def _question_row(question: str, context: str) -> Row:
    if not context.strip():
        raise Untried("It answers questions about a text: write the question first, and the text below it.")
    return {"question": question, "context": context}


def _word_row(text: str, _: str) -> Row:
    return {"tokens": WORD.findall(text)}


_FORMS: Mapping[str, Callable[[str, str], Row]] = {
    "QUESTION_ANS": _question_row,
    "TOKEN_CLS": _word_row,
}


# --- answers by task -------------------------------------------------------------------------------------------------
def _lines(trial: Trial) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the outputs for the row, of the base and of the adapter."""
    return trial.without_adapter.lines[0], trial.with_adapter.lines[0]


def _answer(trial: Trial, base: Side, adapter: Side, **more: Any) -> Answer:
    (batch,) = trial.rows.batches
    mask = batch.inputs["attention_mask"]
    task, codec = trial.rows.eval.task, trial.rows.codec
    return Answer(task, base, adapter, int(mask.sum()), _tokens(codec, trial.rows.rows[0], batch), **more)


def _tokens(codec: Codec, row: Row, batch: Batch) -> int:
    """Return how many tokens the row has as a whole; of a pair, how many both texts have."""
    if int(batch.inputs["attention_mask"].sum(1).max()) < codec.limit:
        return int(batch.inputs["attention_mask"].sum())
    values = [" ".join(value) if isinstance(value, list) else value for value in row.values()]
    return sum(len(codec.tokenizer(value)["input_ids"]) for value in values)


def _classified(trial: Trial, _: Job) -> Answer:
    codec = trial.rows.codec
    sides = [Side(labels=_shares(codec, line)) for line in _lines(trial)]
    return _answer(trial, *sides, guessed=_is_guess(trial))


def _shares(codec: Codec, line: torch.Tensor) -> tuple[Share, ...]:
    if codec.count == 1:
        return (Share("score", float(line.flatten()[0])),)
    shares = line.float().flatten().softmax(-1)
    found = shares.topk(min(LABELS, len(shares)))
    pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    return tuple(Share(codec.name(at), round(value, 6)) for at, value in pairs)


def _is_guess(trial: Trial) -> bool:
    """Return whether the labels have no names but those that a config gives to nameless ones."""
    return trial.rows.codec.labels_from in (None, "alphabet")


def _compared(trial: Trial, _: Job) -> Answer:
    from torch import cosine_similarity

    base, adapter = _lines(trial)
    sides = []
    for line in (base, adapter):
        likeness = cosine_similarity(line[0], line[1], dim=0).item() if len(line) > 1 else None
        sides.append(Side(similarity=likeness))
    return _answer(trial, *sides, moved=cosine_similarity(base[0], adapter[0], dim=0).item())


def _continued(trial: Trial, job: Job) -> Answer:
    from workers.engine.evals.codec import CannotWrite, write

    codec, prompts = trial.rows.codec, {0: job.more["texts"][0]}
    try:
        adapter = write(trial.model, codec, prompts, job.more["new_tokens"], codec.limit)[0]
        with trial.switched_off() as model:
            base = write(model, codec, prompts, job.more["new_tokens"], codec.limit)[0]
    except CannotWrite:
        raise Untried("Its base cannot continue a text with this adapter here.") from None
    return _answer(trial, Side(text=base), Side(text=adapter))


def _marked(trial: Trial, job: Job) -> Answer:
    words = [match.span() for match in WORD.finditer(job.more["texts"][0])]
    read = trial.rows.facts[0]
    if read is None:
        raise Untried("The tokenizer of its base does not report the positions of words.")
    spans = [words[at] for at in read]
    sides = [Side(marks=_marks(trial.rows.codec, spans, line)) for line in _lines(trial)]
    return _answer(trial, *sides, guessed=_is_guess(trial))


def _marks(codec: Codec, spans: list[tuple[int, int]], line: torch.Tensor) -> tuple[Mark, ...]:
    """Return the words with a label other than "O"; words of one entity, as B- and I- tell, are one mark."""
    values, labels = line.float().softmax(-1).max(-1)
    marks: list[Mark] = []
    inside = ""  # the entity that the word before belongs to
    for (start, end), number, value in zip(spans, labels.tolist(), values.tolist(), strict=True):
        label = codec.name(number)
        entity = label.partition("-")[2] or label
        if label != OUTSIDE and label.startswith(INSIDE) and entity == inside:
            last = marks.pop()
            marks.append(replace(last, end=end, value=min(last.value, value)))
        elif label != OUTSIDE:
            marks.append(Mark(start, end, entity, value))
        inside = "" if label == OUTSIDE else entity
    return tuple(marks[:MAX_MARKS])


def _sampled(trial: Trial, _: Job) -> Answer:
    """Return the answers as the samples of a report have them."""
    base, adapter = trial.rows.eval.sample(trial.outputs, 0)[2:]
    return _answer(trial, Side(text=base), Side(text=adapter))


_ANSWERS: Mapping[str, Callable[[Trial, Job], Answer]] = {
    "SEQ_CLS": _classified,
    "FEATURE_EXTRACTION": _compared,
    "CAUSAL_LM": _continued,
    "SEQ_2_SEQ_LM": _continued,
    "TOKEN_CLS": _marked,
}
