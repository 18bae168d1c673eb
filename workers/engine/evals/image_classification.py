"""Image classification: reads answers like sequence classification, on built-in pictures; smoke.jsonl holds none."""

from __future__ import annotations

from workers.engine.evals.codec import Row
from workers.engine.evals.sequence_classification import SequenceClassification


class ImageClassification(SequenceClassification):
    task = "IMAGE_CLS"

    def is_row(self, row: Row) -> bool:
        return False


EVAL = ImageClassification()
