"""Greedy answers of a small base, alone and with its adapter by PEFT; and the one that an engine's answers equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
from peft import PeftModel

from dovetail.adapters.results.report import Measured
from workers.engine.measurers import Unmeasurable
from workers.engine.measurers.small import Small

TOKENS = 8
TOLERANCE = 0.02  # of a log probability: float32 in two programs differs by less, another scale by more
STARTS = (7, 60, 113)  # the first ids of the prompts


@dataclass(frozen=True)
class Answer:
    """The tokens that a model chose after one prompt, and their log probabilities."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]

    def equals(self, other: Answer) -> bool:
        """Compare up to the first token that differs: where both are as likely, either may be chosen."""
        pairs = zip(self.tokens, other.tokens, self.logprobs, other.logprobs, strict=True)
        for mine, theirs, my_logprob, their_logprob in pairs:
            if not abs(my_logprob - their_logprob) <= TOLERANCE:  # true of NaN too
                return False
            if mine != theirs:
                return True
        return True


class Comparable(Protocol):
    """An answer of any kind: of a model of texts, or of pictures."""

    def equals(self, other: Any) -> bool:
        """Return whether both are the same but for the order of additions."""


Answers = Sequence[Comparable]


@dataclass(frozen=True)
class Expected:
    """The right answers, of the base and of the base with the adapter, and the prompts if they are answers to some."""

    base: Answers
    adapter: Answers
    prompts: Sequence[list[int]] = ()

    def require_base(self, answers: Answers) -> None:
        """Raise Unmeasurable where an engine computes the small base itself otherwise than transformers does."""
        if not _equal(answers, self.base):
            raise Unmeasurable("The engine answers otherwise for the small base itself, without the adapter.")

    def judged(self, measured: Measured, answers: Answers) -> Measured:
        """Return what was measured with the model that the engine's answers are those of."""
        which: Literal["adapter", "base", "neither"] = "neither"
        if _equal(answers, self.adapter):
            which = "adapter"
        elif _equal(answers, self.base):
            which = "base"
        return replace(measured, depth="run", answer=which)


def expected(small: Small) -> Expected:
    """Return the right answers. Raises Unmeasurable where PEFT cannot give them, or the adapter changes nothing."""
    reference = small.write_reference()
    prompts = [[*range(start, start + 5), *small.invocation, start + 9, start + 11] for start in STARTS]
    base = [answer(small.model, prompt) for prompt in prompts]
    try:
        tuned = PeftModel.from_pretrained(small.model, str(reference)).eval()
        adapter = [answer(tuned, prompt) for prompt in prompts]
    except (ValueError, TypeError, RuntimeError, AttributeError, LookupError) as problem:
        raise Unmeasurable(f"PEFT does not run the adapter when it is small: {problem}") from problem
    return expecting(base, adapter, prompts)


def expecting(base: Answers, adapter: Answers, prompts: Sequence[list[int]] = ()) -> Expected:
    """Return right answers that can be told from each other. Raises Unmeasurable where the adapter changes nothing."""
    if not _equal(base, base):
        raise Unmeasurable("The small base gives no numbers.")
    if _equal(base, adapter):
        raise Unmeasurable("Made small, the adapter changes no answer.")
    return Expected(base, adapter, prompts)


def answer(model: Any, prompt: list[int]) -> Answer:
    """Return the greedy answer of a model of torch."""
    ids, logprobs = list(prompt), []
    with torch.inference_mode():
        for _ in range(TOKENS):
            logits = model(
                input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)
            ).logits
            value, token = torch.log_softmax(logits[0, -1].float(), -1).max(-1)
            ids.append(int(token))
            logprobs.append(float(value))
    return Answer(tuple(ids[len(prompt) :]), tuple(logprobs))


def _equal(one: Answers, other: Answers) -> bool:
    return all(mine.equals(theirs) for mine, theirs in zip(one, other, strict=True))
