"""Language models: causal ones, masked ones, and those from text to text; by their loss and by what they write.

Causal: the loss of each next token, and sixteen tokens written greedily from the start of a text. Masked: the loss of
every seventh word, masked by a fixed seed; a try fills the marked ones. The model of the adapters library keeps the
base's own head under the name "default"; that of PEFT has no other head. Text to text: the loss of the target, and
ROUGE-L of sixteen tokens written greedily.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from workers.engine.evals import measures
from workers.engine.evals.codec import Batch, Codec, Row, is_text
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Outputs, numbers_agree, spread

REPEATS = 0.2  # distinct pairs of words below which a text is a loop


class Causal(Eval):
    """A line is the logits of the last token, then the mean loss of the text."""

    task = "CAUSAL_LM"
    most = 32
    measures_neutral = True

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("text"))

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        """Cut virtual tokens and read row by row: a second copy of all logits would take the most memory."""
        ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
        logits = answer.logits[:, -mask.shape[1] :]
        return [_next_tokens(logits[at, :count], ids[at, :count]) for at, count in enumerate(mask.sum(1).tolist())]

    def measure(self, outputs: Outputs) -> list[Metric]:
        base, adapter = (
            measures.bounded(float(torch.stack([line[-1] for line in lines]).mean()))
            for lines in (outputs.base, outputs.adapter)
        )
        rows, scores = len(outputs.base), last_numbers(outputs.adapter)
        bounds = measures.mean_interval(scores)
        of_perplexity = (_perplexity(bounds[0]), _perplexity(bounds[1])) if bounds else None
        return [
            Metric("loss", base, adapter, rows, higher_is_better=False, scores=scores, interval=bounds),
            Metric(
                "perplexity",
                _perplexity(base),
                _perplexity(adapter),
                rows,
                higher_is_better=False,
                rough=True,
                interval=of_perplexity,
            ),
        ]

    def prompts(self, outputs: Outputs) -> Mapping[int, str]:
        """Return the first half of each text's words, or all of them if the row has `expected`."""
        return {at: _prompt(outputs.rows[at]) for at in spread(len(outputs.rows))}

    def degenerate(self, outputs: Outputs) -> str:
        return looping(outputs)

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        base, adapter = outputs.written.get(at, ("", ""))
        return _prompt(outputs.rows[at]), _rest(outputs.rows[at]), base, adapter

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        return _agrees(outputs, at)


def _agrees(outputs: Outputs, at: int) -> bool | None:
    expected = outputs.rows[at]["expected"]
    if not isinstance(expected, str):
        return numbers_agree(expected, outputs.adapter[at][:-1])
    return same_start(outputs.written[at][1], expected) if at in outputs.written else None


def _next_tokens(logits: torch.Tensor, ids: torch.Tensor) -> Line:
    loss = torch.nn.functional.cross_entropy(logits[:-1].float(), ids[1:]) if len(ids) > 1 else logits.new_zeros(())
    return torch.cat([logits[-1].float(), loss[None]])


def last_numbers(lines: Sequence[Line]) -> list[float]:
    """Return the loss of each row, which is the last number of its line."""
    return [measures.bounded(float(line[-1])) for line in lines]


def _perplexity(loss: float) -> float:
    return measures.bounded(math.exp(min(loss, 30.0)))


def _prompt(row: Row) -> str:
    text: str = row["text"]
    words = text.split()
    return text if "expected" in row or len(words) < 2 else " ".join(words[: (len(words) + 1) // 2])


def _rest(row: Row) -> str:
    if "expected" in row:
        return row["expected"] if isinstance(row["expected"], str) else ""
    return str(row["text"])[len(_prompt(row)) :].strip()


def looping(outputs: Outputs) -> str:
    """Return a sentence if the adapter repeats itself where the base does not, else ""."""
    looped = [base for base, adapter in outputs.written.values() if measures.distinct_pairs(adapter) <= REPEATS]
    if looped and 2 * len(looped) > len(outputs.written) and all(measures.distinct_pairs(t) > REPEATS for t in looped):
        return f"It repeats itself endlessly in {len(looped)} of {len(outputs.written)} texts; the base does not."
    return ""


def same_start(text: str, expected: str) -> bool:
    """Compare word for word, up to the end of the shorter text, whose last word may be cut off."""
    text_words, expected_words = text.split(), expected.split()
    length = min(len(text_words), len(expected_words))
    return bool(length) and text_words[: max(1, length - 1)] == expected_words[: max(1, length - 1)]


CAUSAL = Causal()


MASKED_SHARE = 0.15
HEAD = "default"


class Masked(Eval):
    """A line is [masked tokens, 2]: the loss of each, and the id of the likeliest token."""

    task = "MASKED_LM"
    most = 32
    measures_neutral = True

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("text"))

    def batch(self, codec: Codec, rows: Sequence[Row]) -> Batch:
        encoded = codec.tokens([row["text"] for row in rows], return_special_tokens_mask=True)
        ids, special = encoded["input_ids"], encoded["special_tokens_mask"].bool()
        hidden, mask = self.hidden(codec, ids, special, rows), codec.tokenizer.mask_token_id
        encoded["input_ids"] = ids if mask is None else ids.masked_fill(hidden, mask)
        originals = [line[mask] for line, mask in zip(ids, hidden, strict=True)]
        return Batch(codec.inputs(encoded), {"hidden": hidden, "wanted": originals}, originals)

    def hidden(self, codec: Codec, ids: torch.Tensor, special: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        """Return which of the tokens are masked: booleans in the shape of `ids`, rows × tokens."""
        return torch.stack([_chosen(~line, row) for line, row in zip(special, rows, strict=True)])

    def ask(self, model: Any, batch: Batch) -> Any:
        return model(**batch.inputs, **({"head": HEAD} if HEAD in getattr(model, "heads", ()) else {}))

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        if "hidden" not in batch.facts:  # the base has no tokenizer
            return super().read(answer, batch)
        hidden = batch.facts["hidden"]
        logits = answer.logits[:, -hidden.shape[1] :]
        return [
            _masked_words(line[mask], originals)
            for line, mask, originals in zip(logits, hidden, batch.facts["wanted"], strict=True)
        ]

    def measure(self, outputs: Outputs) -> list[Metric]:
        base, adapter = (
            measures.bounded(float(torch.cat([line[:, 0] for line in lines]).mean()))
            for lines in (outputs.base, outputs.adapter)
        )
        scores = [measures.bounded(float(line[:, 0].mean())) if len(line) else 0.0 for line in outputs.adapter]
        bounds = measures.mean_interval(scores, [float(len(line)) for line in outputs.adapter])
        return [Metric("loss", base, adapter, len(scores), higher_is_better=False, scores=scores, interval=bounds)]

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        base, adapter = (_words(outputs, line[:, 1].long()) for line in (outputs.base[at], outputs.adapter[at]))
        return outputs.rows[at]["text"], _words(outputs, outputs.facts[at]), base, adapter

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        return numbers_agree(outputs.rows[at]["expected"], outputs.adapter[at][:, 0])


def can_fill(model: Any, tokenizer: Any) -> bool:
    """Return whether the base came with a head that fills in masked words, and its tokenizer has a mask token."""
    heads = getattr(model, "heads", {})
    has_head = HEAD in heads and heads[HEAD].config.get("head_type") == "masked_lm"
    return has_head and getattr(tokenizer, "mask_token_id", None) is not None


def _chosen(allowed: torch.Tensor, row: Row) -> torch.Tensor:
    """Choose the tokens of a row to mask: 15 % of them and at least one, the same at each run."""
    places = allowed.nonzero().flatten()
    generator = torch.Generator().manual_seed(sum(row["text"].encode()))
    count = max(1, round(MASKED_SHARE * len(places))) if len(places) else 0
    chosen = torch.zeros_like(allowed)
    chosen[places[torch.randperm(len(places), generator=generator)[:count]]] = True
    return chosen


def _masked_words(logits: torch.Tensor, originals: torch.Tensor) -> Line:
    losses = torch.nn.functional.cross_entropy(logits.float(), originals, reduction="none")
    return torch.stack([losses, logits.argmax(-1).float()], -1)


def _words(outputs: Outputs, ids: torch.Tensor) -> str:
    return ", ".join(outputs.codec.decode([number]) for number in ids.tolist())


class Marked(Masked):
    """The model as a person tries it: their text says which tokens are masked, which rows of an author may not do."""

    def hidden(self, codec: Codec, ids: torch.Tensor, special: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        return ids == codec.tokenizer.mask_token_id


MASKED, TRIED = Masked(), Marked()


TARGET_TOKENS = 64  # tokens of a target
WRITTEN_ROWS = 8  # rows for which text is generated


class SequenceToSequence(Eval):
    """A line is the logits of the last token of the target, then the mean loss of the target."""

    task = "SEQ_2_SEQ_LM"
    most = 32

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("text")) and is_text(row.get("target"))

    def size(self, row: Row) -> int:
        return len(row["text"]) + len(row.get("target", ""))

    def batch(self, codec: Codec, rows: Sequence[Row]) -> Batch:
        plain = super().batch(codec, rows)
        if not all("target" in row for row in rows):
            return plain
        encoded = codec.tokens(text_target=[row["target"] for row in rows], limit=min(codec.limit, TARGET_TOKENS))
        targets, mask = encoded["input_ids"], encoded["attention_mask"]
        start = codec.config.decoder_start_token_id
        first = torch.full_like(targets[:, :1], 0 if start is None else start)
        decoder_ids = torch.cat([first, targets[:, :-1]], 1)
        return Batch({**plain.inputs, "decoder_input_ids": decoder_ids}, {"wanted": targets, "mask": mask})

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        if "wanted" not in batch.facts:
            return super().read(answer, batch)
        targets, mask = batch.facts["wanted"], batch.facts["mask"]
        logits = answer.logits[:, -targets.shape[1] :]
        return [
            _target_tokens(logits[at, :count], targets[at, :count]) for at, count in enumerate(mask.sum(1).tolist())
        ]

    def measure(self, outputs: Outputs) -> list[Metric]:
        if not any("target" in row for row in outputs.rows):
            return []
        base, adapter = (
            measures.bounded(float(torch.stack([line[-1] for line in lines]).mean()))
            for lines in (outputs.base, outputs.adapter)
        )
        scores = last_numbers(outputs.adapter)
        bounds = measures.mean_interval(scores)
        metrics = [Metric("loss", base, adapter, len(scores), higher_is_better=False, scores=scores, interval=bounds)]
        if outputs.written:
            scored = [
                [measures.rouge_l(text, _start(outputs, at)) for text in both] for at, both in outputs.written.items()
            ]
            base, adapter = (measures.mean(scores) for scores in zip(*scored, strict=True))
            metrics.append(Metric("rouge-l", base, adapter, len(scored), rough=True))
        return metrics

    def prompts(self, outputs: Outputs) -> Mapping[int, str]:
        return {at: outputs.rows[at]["text"] for at in spread(len(outputs.rows), WRITTEN_ROWS)}

    def degenerate(self, outputs: Outputs) -> str:
        texts = [(outputs.rows[at], base, adapter) for at, (base, adapter) in outputs.written.items()]
        empty = sum(not adapter and bool(base) for _, base, adapter in texts)
        if 2 * empty > len(texts):
            return f"It gives an empty answer to {empty} of {len(texts)} texts that the base answers."
        copied = sum(
            bool(adapter) and row["text"].startswith(adapter) and not str(row.get("target", "")).startswith(adapter)
            for row, _, adapter in texts
        )
        if 2 * copied > len(texts):
            return f"It copies the beginning of its input in {copied} of {len(texts)} texts."
        return looping(outputs)

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        row = outputs.rows[at]
        base, adapter = outputs.written.get(at, ("", ""))
        return row["text"], row.get("target", ""), base, adapter

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        return _agrees(outputs, at)


def _target_tokens(logits: torch.Tensor, target: torch.Tensor) -> Line:
    loss = torch.nn.functional.cross_entropy(logits.float(), target)
    return torch.cat([logits[-1].float(), loss[None]])


def _start(outputs: Outputs, at: int) -> str:
    """Return the beginning of the target, as long as a generated text."""
    ids = outputs.codec.tokens(text_target=[outputs.rows[at]["target"]], limit=16)["input_ids"][0]
    return outputs.codec.decode(ids.tolist())


SEQUENCE_TO_SEQUENCE = SequenceToSequence()
