"""Feature extraction: mean-pooled embeddings; triplets by the nearer one, scored pairs by rank correlation."""

from collections.abc import Sequence
from typing import Any

import torch

from workers.engine.evals import measures
from workers.engine.evals.codec import Batch, Codec, Row, is_real
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Outputs, numbers_agree

TRIPLET = ("anchor", "positive", "negative")
PAIR = ("text", "text_pair")
COLLAPSED = 0.98  # mean cosine between different texts: no search tells them apart


class FeatureExtraction(Eval):
    task = "FEATURE_EXTRACTION"

    def is_row(self, row: Row) -> bool:
        scored = all(isinstance(row.get(key), str) for key in PAIR)
        return is_triplet(row) or (scored and is_real(row.get("score")))

    def size(self, row: Row) -> int:
        return max(len(text) for text in _texts(row))

    def batch(self, codec: Codec, rows: Sequence[Row]) -> Batch:
        texts = [_texts(row) for row in rows]
        encoded = codec.tokens([text for row_texts in texts for text in row_texts])
        return Batch(codec.inputs(encoded), {"counts": [len(row_texts) for row_texts in texts]})

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        """Return one vector a text; virtual tokens come first and are left out."""
        if batch.is_of_pictures:  # points of a grid, with or without a token for the whole picture
            hidden = answer.last_hidden_state
            hidden = hidden.flatten(2).transpose(1, 2) if hidden.dim() == 4 else hidden
            return list(hidden.mean(1, keepdim=True))
        if batch.is_of_senses:
            return _heard(answer)
        weights = batch.weights[..., None]
        hidden = answer.last_hidden_state[:, -weights.shape[1] :]
        vectors = (hidden * weights.to(hidden.dtype)).sum(1) / weights.sum(1).clamp(min=1)
        return list(vectors.split(batch.facts.get("counts") or [1] * len(vectors)))

    def measure(self, outputs: Outputs) -> list[Metric]:
        rows = outputs.rows
        if all(is_triplet(row) for row in rows):
            return [_triplets(outputs)] if rows else []
        if len(rows) < 3 or not all("score" in row for row in rows):
            return []
        scores = torch.tensor([float(row["score"]) for row in rows])
        base, adapter = (measures.spearman(_cosines(lines), scores) for lines in (outputs.base, outputs.adapter))
        return [Metric("spearman", base, adapter, len(rows))]

    def degenerate(self, outputs: Outputs) -> str:
        base, adapter = (_crowding(lines) for lines in (outputs.base, outputs.adapter))
        if adapter < COLLAPSED or base >= COLLAPSED:
            return ""
        return f"Nearly all texts get the same vector: their mean cosine is {adapter:.3f}, that of the base {base:.3f}."

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        row = outputs.rows[at]
        expected = "the first nearer" if is_triplet(row) else f"score {row['score']:g}" if "score" in row else ""
        return " | ".join(_texts(row)), expected, _answer_text(outputs.base[at]), _answer_text(outputs.adapter[at])

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        return numbers_agree(outputs.rows[at]["expected"], outputs.adapter[at])


def _heard(answer: Any) -> list[Line]:
    """Return a vector for each row of sound; of two towers those of both, one behind the other."""
    towers = [getattr(answer, f"{name}_embeds", None) for name in ("text", "image")]
    if all(isinstance(tower, torch.Tensor) for tower in towers):
        return list(torch.cat(towers, -1)[:, None])
    return list(answer.last_hidden_state.mean(1, keepdim=True))


def is_triplet(row: Row) -> bool:
    return all(isinstance(row.get(key), str) for key in TRIPLET)


def _texts(row: Row) -> list[str]:
    keys = TRIPLET if is_triplet(row) else PAIR if "text_pair" in row else PAIR[:1]
    return [row[key] for key in keys]


def _cosines(lines: Sequence[Line]) -> torch.Tensor:
    """Return the cosine of the first two texts of each row."""
    return torch.stack([torch.cosine_similarity(line[0], line[1], dim=0) for line in lines])


def _triplets(outputs: Outputs) -> Metric:
    base, adapter = _nearer(outputs.base), _nearer(outputs.adapter)
    bounds = measures.interval([(int(sum(adapter)), len(adapter))])
    return Metric(
        "triplet-accuracy", measures.mean(base), measures.mean(adapter), len(adapter), interval=bounds, scores=adapter
    )


def _nearer(lines: Sequence[Line]) -> list[float]:
    """Return 1 for each row whose positive is nearer than its negative, else 0."""
    against = torch.stack([torch.cosine_similarity(line[0], line[2], dim=0) for line in lines])
    return [float(nearer) for nearer in _cosines(lines) > against]


def _crowding(lines: Sequence[Line]) -> float:
    """Return the mean cosine of all pairs of different texts."""
    vectors = torch.nn.functional.normalize(torch.cat(list(lines)).float(), dim=-1)
    count = len(vectors)
    return float(((vectors.sum(0) ** 2).sum() - count) / max(1, count * (count - 1)))


def _answer_text(line: Line) -> str:
    if len(line) == 1:
        return f"a vector of {line.shape[-1]} numbers, length {line.norm().item():.2f}"
    return "cosine " + " and ".join(
        f"{torch.cosine_similarity(line[0], other, dim=0).item():.3f}" for other in line[1:]
    )


EVAL = FeatureExtraction()
