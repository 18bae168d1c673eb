"""Tasks that pick words: token classification, and extractive question answering.

Token classification: F1 over the words with a label other than "O"; each word is read at its first token. Question
answering: the best span of the context, by F1 over words and by exact match.
"""

import bisect
import itertools
from collections.abc import Sequence
from typing import Any

import torch

from dovetail.adapters.results import paired
from workers.engine.evals import measures
from workers.engine.evals.codec import Batch, Codec, Row, is_count, is_text
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import QUESTION_ROWS, TOKENS, Eval, Line, Order, Outputs, better_order, numbers_agree

OUTSIDE = "O"


class TokenClassification(Eval):
    task = "TOKEN_CLS"
    most = 128
    builtin = TOKENS

    def is_row(self, row: Row) -> bool:
        tokens, labels = row.get("tokens"), row.get("labels")
        if not isinstance(tokens, list) or not isinstance(labels, list) or not 1 <= len(tokens) == len(labels):
            return False
        return all(isinstance(t, str) and t.strip() for t in tokens) and all(
            isinstance(label, str) or (is_count(label) and label >= 0) for label in labels
        )

    def problem(self, rows: Sequence[Row], codec: Codec) -> str:
        labels = (label for row in rows for label in row["labels"])
        beyond = next((label for label in labels if codec.number(label) not in range(codec.count)), None)
        return "" if beyond is None else f"a row has the label {str(beyond)[:60]!r}, but the head has {codec.count}"

    def size(self, row: Row) -> int:
        return sum(len(token) + 1 for token in row["tokens"])

    def batch(self, codec: Codec, rows: Sequence[Row]) -> Batch:
        """Join the words with spaces: only some tokenizers accept single words.

        If a word's first token differs after a space (GPT-2, RoBERTa), the first word gets a space too.
        """
        start = " " if getattr(codec.tokenizer, "add_prefix_space", None) is False else ""
        texts = [start + " ".join(row["tokens"]) for row in rows]
        if not codec.tokenizer.is_fast:
            return Batch(codec.inputs(codec.tokens(texts)))
        encoded = codec.tokens(texts, return_offsets_mapping=True)
        ends = [_ends(row["tokens"], len(start)) for row in rows]
        first_pieces = [
            _first_pieces(spans.tolist(), words) for spans, words in zip(encoded["offset_mapping"], ends, strict=True)
        ]
        places = [list(pieces.values()) for pieces in first_pieces]
        return Batch(codec.inputs(encoded), {"places": places}, [list(pieces) for pieces in first_pieces])

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        """Return the logits of each word that was not cut off; of every token if the tokenizer gives no offsets."""
        places = batch.facts.get("places")
        if places is None:
            return super().read(answer, batch)
        logits = answer.logits[:, -batch.weights.shape[1] :]
        return [line[at] for line, at in zip(logits, places, strict=True)]

    def measure(self, outputs: Outputs) -> list[Metric]:
        expected = _wanted(outputs)
        if not expected or len(expected) != sum(len(line) for line in outputs.adapter):
            return []
        predicted, head_alone = _flat(outputs.adapter), _flat(outputs.base)
        inside: set[Any] = set(range(outputs.codec.count)) - {outputs.codec.labels.get(OUTSIDE, -1)}
        commonest = measures.commonest(expected)
        guess = [commonest] * len(expected)
        counted = [measures.f1_of(labels, expected, inside) for labels in (guess, predicted, head_alone)]
        right = [measures.accuracy(labels, expected) for labels in (guess, predicted, head_alone)]
        rows, trials = len(outputs.rows), _rows_with(inside, outputs)
        bounds = measures.share_interval(counted[1], trials)
        return [
            Metric(
                "f1",
                counted[0],
                counted[1],
                rows,
                head_alone=counted[2],
                guess=True,
                interval=bounds,
                trials=trials,
                also={"microf1": counted[1]},
                confusion=measures.confusion(predicted, expected, outputs.codec.count),
                **_by_row(outputs, commonest),
            ),
            Metric("accuracy", right[0], right[1], rows, head_alone=right[2], rough=True, guess=True),
        ]

    def better_order(self, outputs: Outputs) -> Order | None:
        expected, predicted = _wanted(outputs), _flat(outputs.adapter)
        return better_order(expected, predicted, outputs.codec) if len(expected) == len(predicted) else None

    def degenerate(self, outputs: Outputs) -> str:
        predicted, expected = set(_flat(outputs.adapter)), set(_wanted(outputs))
        outside = None if outputs.codec.guessed else outputs.codec.labels.get(OUTSIDE)
        if len(predicted) == 1 and len(expected) > 1:
            label = next(iter(predicted))
            suffix = ": it finds nothing" if label == outside else ""
            return f"It labels every word {outputs.codec.name(label)}{suffix}."
        return ""

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        row = outputs.rows[at]
        words = [row["tokens"][word] for word in outputs.facts[at] or ()]
        expected = (
            [outputs.codec.number(row["labels"][word]) for word in outputs.facts[at] or ()] if "labels" in row else []
        )
        base, adapter = (
            _tagged(outputs, words, line.argmax(-1).tolist()) for line in (outputs.base[at], outputs.adapter[at])
        )
        return " ".join(row["tokens"]), _tagged(outputs, words, expected) if expected else "", base, adapter

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        expected = outputs.rows[at]["expected"]
        if (
            isinstance(expected, list)
            and expected
            and all(isinstance(label, str) or is_count(label) for label in expected)
        ):
            predicted = outputs.adapter[at].argmax(-1).tolist()
            words = outputs.facts[at] or range(len(predicted))
            return bool([outputs.codec.number(expected[word]) for word in words if word < len(expected)] == predicted)
        return numbers_agree(expected, outputs.adapter[at])


def _ends(words: Sequence[str], start: int) -> list[int]:
    """Return the end of each word in the joined text."""
    lengths = itertools.accumulate(len(word) + 1 for word in words)
    return [start + length - 1 for length in lengths]


def _first_pieces(spans: Sequence[Sequence[int]], ends: Sequence[int]) -> dict[int, int]:
    """Return the place of each word's first token, without words that were cut off or that the tokenizer drops."""
    piece_of_word: dict[int, int] = {}
    for place, (start, end) in enumerate(spans):
        word = bisect.bisect_left(ends, end)
        if end > start and word < len(ends):
            piece_of_word.setdefault(word, place)
    return piece_of_word


def _wanted(outputs: Outputs) -> list[int]:
    """Return the labels of all words that were read."""
    rows = [(row["labels"], words) for row, words in zip(outputs.rows, outputs.facts, strict=True) if "labels" in row]
    return [outputs.codec.number(labels[word]) for labels, words in rows for word in words or ()]


def _rows_with(labels: set[Any], outputs: Outputs) -> int:
    """Return the number of rows in which one of the labels is expected or found: words of one row are alike."""
    rows = zip(outputs.rows, outputs.facts, outputs.adapter, strict=True)
    wanted = [({outputs.codec.number(row["labels"][word]) for word in words or ()}, line) for row, words, line in rows]
    return max(1, sum(not labels.isdisjoint(expected | set(_flat([line]))) for expected, line in wanted))


def _by_row(outputs: Outputs, guess: int) -> dict[str, Any]:
    """Return the share of right words in each row, with the adapter and with its head alone, and how a guess compares.

    Words of one row are alike, so the test beside the guess is one of rows.
    """
    rows = zip(outputs.rows, outputs.facts, strict=True)
    expected = [[outputs.codec.number(row["labels"][word]) for word in words or ()] for row, words in rows]

    def shares(lines: Sequence[Line]) -> list[float]:
        return [measures.accuracy(labels, _flat([line])) for labels, line in zip(expected, lines, strict=True)]

    scores = shares(outputs.adapter)
    guessed = [measures.accuracy(labels, [guess] * len(labels)) for labels in expected]
    beside = paired.compare(scores, guessed)
    return {"scores": scores, "alone_scores": shares(outputs.base), "guess_p": beside.lower}


def _flat(lines: Sequence[Line]) -> list[int]:
    return [int(label) for line in lines for label in line.argmax(-1)]


def _tagged(outputs: Outputs, words: Sequence[str], labels: Sequence[int]) -> str:
    """Return the words with a label other than "O", each with its label."""
    outside = None if outputs.codec.guessed else outputs.codec.labels.get(OUTSIDE)
    tagged = [
        f"{word}/{outputs.codec.name(label)}" for word, label in zip(words, labels, strict=False) if label != outside
    ]
    return " ".join(tagged) or "nothing"


TOKEN_CLASSIFICATION = TokenClassification()


LONGEST_ANSWER = 30  # tokens of an answer, as in SQuAD's own script


class QuestionAnswering(Eval):
    """A line is [tokens of the context, 2]: start and end logits. A row's facts are the offsets of its tokens."""

    task = "QUESTION_ANS"
    shifts_itself = True
    most = 64
    builtin = QUESTION_ROWS

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("question")) and is_text(row.get("context")) and bool(_answers(row))

    def size(self, row: Row) -> int:
        return len(row["question"]) + len(row["context"])

    def batch(self, codec: Codec, rows: Sequence[Row]) -> Batch:
        texts = [row["question"] for row in rows], [row["context"] for row in rows]
        if not codec.tokenizer.is_fast:
            return Batch(codec.inputs(codec.tokens(*texts)))
        encoded = codec.tokens(*texts, return_offsets_mapping=True)
        inside = torch.tensor([[part == 1 for part in encoded.sequence_ids(at)] for at in range(len(rows))])
        places = [spans[mask] for spans, mask in zip(encoded["offset_mapping"], inside, strict=True)]
        return Batch(codec.inputs(encoded), {"inside": inside}, places)

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        weights = batch.weights.bool()
        width = weights.shape[1]
        logits = torch.stack([answer.start_logits[:, -width:], answer.end_logits[:, -width:]], -1)
        counts = batch.facts.get("inside", weights)
        return [line[mask] for line, mask in zip(logits, counts, strict=True)]

    def measure(self, outputs: Outputs) -> list[Metric]:
        if not any("answers" in row for row in outputs.rows):
            return []
        answers = [
            [row["context"] for row in outputs.rows],  # the best guess without a model: the whole context
            [_answer(outputs, at, outputs.adapter) for at in range(len(outputs.rows))],
            [_answer(outputs, at, outputs.base) for at in range(len(outputs.rows))],
        ]
        rows = len(outputs.rows)
        by_row = [
            [_best(measures.overlap, text, row) for text, row in zip(texts, outputs.rows, strict=True)]
            for texts in answers
        ]
        f1 = [measures.mean(scores) for scores in by_row]
        exact = [
            measures.mean([_best(_exactly, text, row) for text, row in zip(texts, outputs.rows, strict=True)])
            for texts in answers
        ]
        return [
            Metric(
                "f1",
                f1[0],
                f1[1],
                rows,
                head_alone=f1[2],
                guess=True,
                scores=by_row[1],
                alone_scores=by_row[2],
                guess_p=paired.compare(by_row[1], by_row[0]).lower,
                interval=measures.share_interval(f1[1], rows),
            ),
            Metric(
                "exact-match",
                exact[0],
                exact[1],
                rows,
                head_alone=exact[2],
                guess=True,
                interval=measures.share_interval(exact[1], rows),
            ),
        ]

    def degenerate(self, outputs: Outputs) -> str:
        """Report answers whose likeliest end lies before their likeliest start."""
        ends = [line.argmax(0).tolist() for line in outputs.adapter if len(line)]
        backwards = sum(start > end for start, end in ends)
        if 2 * backwards > len(ends):
            return (
                f"In {backwards} of {len(ends)} rows the most likely end of the answer comes before its most "
                "likely start."
            )
        return ""

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        row = outputs.rows[at]
        base, adapter = (_answer(outputs, at, lines) for lines in (outputs.base, outputs.adapter))
        return f"{row['question']} | {row['context']}", next(iter(_answers(row)), ""), base, adapter

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        row = outputs.rows[at]
        if isinstance(row["expected"], str):
            return bool(_exactly(_answer(outputs, at, outputs.adapter), row["expected"]))
        return numbers_agree(row["expected"], outputs.adapter[at])


def _answers(row: Row) -> list[str]:
    """Return the answers of a row: one text, a list of texts, or SQuAD's {"text": [...], "answer_start": [...]}."""
    answers = row.get("answers")
    answers = answers.get("text") if isinstance(answers, dict) else answers
    answers = [answers] if isinstance(answers, str) else answers
    return [text for text in answers if is_text(text)] if isinstance(answers, list) else []


def _answer(outputs: Outputs, at: int, lines: Sequence[Line]) -> str:
    """Return the likeliest span of the context whose end does not lie before its start."""
    line, places = lines[at], outputs.facts[at]
    if places is None or not len(line):
        return ""
    scores = line[:, None, 0] + line[None, :, 1]
    allowed = torch.ones_like(scores, dtype=torch.bool).triu().tril(LONGEST_ANSWER - 1)
    start, end = divmod(int(scores.masked_fill(~allowed, float("-inf")).argmax()), len(line))
    return str(outputs.rows[at]["context"])[int(places[start, 0]) : int(places[end, 1])]


def _best(count: Any, text: str, row: Row) -> float:
    return max(float(count(text, answer)) for answer in _answers(row))


def _exactly(text: str, answer: str) -> bool:
    return measures.answer_words(text) == measures.answer_words(answer)


QUESTION_ANSWERING = QuestionAnswering()
