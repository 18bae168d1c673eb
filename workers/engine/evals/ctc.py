"""Speech to letters by CTC, on built-in sound: the answer for each moment is compared; smoke.jsonl holds no sound."""

from __future__ import annotations

from typing import Any

from workers.engine.evals.codec import Batch, Row
from workers.engine.evals.task import Eval, Line


class Ctc(Eval):
    task = "CTC"

    def is_row(self, row: Row) -> bool:
        return False

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        return list(answer.logits)


EVAL = Ctc()
