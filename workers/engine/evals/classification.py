"""Classification of texts, of pictures and, by CTC, of moments of sound.

Of texts: accuracy and macro-F1, with one label the correlation; the frozen base can only guess. Built-in pictures are
read like texts, and of built-in sound the answer for each moment is compared: smoke.jsonl holds neither.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from dovetail.adapters.results import paired
from workers.engine.evals import measures
from workers.engine.evals.codec import Batch, Codec, Row, is_count, is_real
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Order, Outputs, better_order, numbers_agree

SKEWED = 1.4  # times the share that each of equally common labels would have
FLAT = 1e-3  # the smallest deviation of a probability over all rows that is not suspicious


class SequenceClassification(Eval):
    task = "SEQ_CLS"
    shifts_itself = True

    def is_row(self, row: Row) -> bool:
        pair, label = row.get("text_pair"), row.get("label")
        labelled = isinstance(label, str) or is_real(label)
        return isinstance(row.get("text"), str) and labelled and isinstance(pair, str | None)

    def problem(self, rows: Sequence[Row], codec: Codec) -> str:
        whole = all(isinstance(row["label"], str) or is_count(row["label"]) for row in rows)
        if codec.count == 1:
            return "" if all(is_real(row["label"]) for row in rows) else "the head has one output: labels are numbers"
        if not whole:
            return f"a label is a fraction, but the head has {codec.count} labels"
        beyond = next((row["label"] for row in rows if codec.number(row["label"]) not in range(codec.count)), None)
        return "" if beyond is None else f"a row has the label {str(beyond)[:60]!r}, but the head has {codec.count}"

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        return list(answer.logits)

    def measure(self, outputs: Outputs) -> list[Metric]:
        if not any("label" in row for row in outputs.rows):
            return []
        if outputs.codec.count == 1:
            return _correlations(outputs)
        expected = [outputs.codec.number(row["label"]) for row in outputs.rows]
        deciding, *others = _shares(expected, _picked(outputs.adapter), _picked(outputs.base))
        counts = measures.confusion(_picked(outputs.adapter), expected, outputs.codec.count)
        return [replace(deciding, confusion=counts), *others]

    def better_order(self, outputs: Outputs) -> Order | None:
        expected = [outputs.codec.number(row["label"]) for row in outputs.rows if "label" in row]
        if outputs.codec.count == 1 or len(expected) < len(outputs.rows):
            return None
        return better_order(expected, _picked(outputs.adapter), outputs.codec)

    def degenerate(self, outputs: Outputs) -> str:
        if len(outputs.rows) < 3 or not any("label" in row for row in outputs.rows):
            return ""  # it may well give one answer to rows that are not made for it
        shares = torch.stack(list(outputs.adapter)).float()
        shares = shares.softmax(-1) if outputs.codec.count > 1 else shares
        if shares.std(0).max() < FLAT:
            rows = len(outputs.rows)
            return f"It gives nearly the same answer to all {rows} rows: the probabilities differ by less than {FLAT}."
        if outputs.codec.count == 1 or outputs.codec.guessed:
            return ""
        expected = {outputs.codec.number(row["label"]) for row in outputs.rows if "label" in row}
        never = sorted(expected - set(_picked(outputs.adapter)) - {-1})
        if len(expected) > 1 and never:
            names = ", ".join(outputs.codec.name(number) for number in never[:5])
            return f"It never answers {names}, which are {len(never)} of {len(expected)} labels in the rows."
        return ""

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        row = outputs.rows[at]
        text = row["text"] if not row.get("text_pair") else f"{row['text']} | {row['text_pair']}"
        label: Any = row.get("label")
        has_name = is_count(label) and outputs.codec.count > 1 and outputs.codec.labels
        label_text = outputs.codec.name(label) if has_name else label
        return (
            text,
            "" if label_text is None else str(label_text),
            _answer_text(outputs, outputs.base[at]),
            _answer_text(outputs, outputs.adapter[at]),
        )

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        expected = outputs.rows[at]["expected"]
        if isinstance(expected, str) or is_count(expected):
            return outputs.codec.number(expected) == int(outputs.adapter[at].argmax())
        return numbers_agree(expected, outputs.adapter[at])


def _picked(lines: Sequence[Line]) -> list[int]:
    return [int(line.argmax()) for line in lines]


def _answer_text(outputs: Outputs, line: Line) -> str:
    if outputs.codec.count == 1:
        return f"{line.item():.3f}"
    share, number = line.float().softmax(-1).max(-1)
    return f"{outputs.codec.name(int(number))} {share.item():.2f}"


def _shares(expected: Sequence[int], predicted: Sequence[int], alone: Sequence[int]) -> list[Metric]:
    """Return accuracy, balanced accuracy and macro-F1; accuracy decides unless one label is much commoner than others.

    With 92 rows of one label and 6 of another a guess that never finds the rare one is right in 94 of 100 rows.
    """
    guess = [measures.commonest(expected)] * len(expected)
    scores, alone_scores = (
        [float(a == b) for a, b in zip(picked, expected, strict=True)] for picked in (predicted, alone)
    )
    by_label, hits = measures.hits_by_label(predicted, expected), [(int(sum(scores)), len(scores))]
    is_skewed = len(by_label) > 1 and max(rows for _, rows in by_label) * len(by_label) > SKEWED * len(expected)

    def metric(name: str, count: Callable[..., float], **more: Any) -> Metric:
        base, adapter, head_alone = (count(picked, expected) for picked in (guess, predicted, alone))
        return Metric(name, base, adapter, len(expected), head_alone=head_alone, guess=True, **more)

    deciding: dict[str, Any] = {"scores": scores, "alone_scores": alone_scores}
    trials = measures.trials_by_label(expected)
    f1 = metric("macro-f1", measures.macro_f1, rough=True, trials=trials, also=_averages(predicted, expected))
    f1 = replace(f1, interval=measures.share_interval(f1.adapter, trials))
    of_all = {"interval": measures.interval(hits), "also": {"microf1": measures.accuracy(predicted, expected)}}
    if not is_skewed:
        deciding["guess_p"] = paired.chance_of_guess(hits, measures.accuracy(guess, expected))
        return [metric("accuracy", measures.accuracy, **of_all, **deciding), f1]
    deciding |= {"interval": measures.interval(by_label), "weights": measures.weights_by_label(expected)}
    deciding["guess_p"] = paired.chance_of_guess(by_label, 1 / len(by_label))
    balanced = metric("balanced-accuracy", measures.balanced_accuracy, trials=trials, **deciding)
    return [balanced, metric("accuracy", measures.accuracy, rough=True, **of_all), f1]


def _averages(predicted: Sequence[int], expected: Sequence[int]) -> dict[str, float]:
    """Return F1 by the names of its averages; where a card does not say which one it means, the highest."""
    averages = {
        "macrof1": measures.macro_f1(predicted, expected),
        "weightedf1": measures.weighted_f1(predicted, expected),
    }
    if set(expected) <= {0, 1}:
        averages["binaryf1"] = measures.f1_of(predicted, expected, {1})
    return averages | {"f1": max(averages.values())}


def _correlations(outputs: Outputs) -> list[Metric]:
    """Return both correlations; a guess without a model gets 0."""
    expected = torch.tensor([float(row["label"]) for row in outputs.rows])
    if len(expected) < 3:
        return []
    adapter, base = (torch.stack(list(lines)).flatten().float() for lines in (outputs.adapter, outputs.base))
    return [
        Metric(
            name,
            0.0,
            count(adapter, expected),
            len(expected),
            head_alone=count(base, expected),
            rough=rough,
            guess=True,
            guess_p=paired.chance_of_correlation(count(adapter, expected), len(expected)),
        )
        for name, count, rough in (("pearson", measures.pearson, False), ("spearman", measures.spearman, True))
    ]


SEQUENCE = SequenceClassification()


class ImageClassification(SequenceClassification):
    task = "IMAGE_CLS"

    def is_row(self, row: Row) -> bool:
        return False


IMAGE = ImageClassification()


class Ctc(Eval):
    task = "CTC"

    def is_row(self, row: Row) -> bool:
        return False

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        return list(answer.logits)


CTC = Ctc()
