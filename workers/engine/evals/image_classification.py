"""Image classification: read as sequences are, on pictures of our own; no row of a smoke.jsonl holds a picture."""

from __future__ import annotations

from workers.engine.evals.desk import Row
from workers.engine.evals.sequence_classification import SequenceClassification


class ImageClassification(SequenceClassification):
    task = "IMAGE_CLS"

    def is_row(self, row: Row) -> bool:
        return False


EVAL = ImageClassification()
