"""The facts that trainers state, for the page of a verdict, with the line of the losses."""

from typing import Any

from hub.site.repository.repository_header import RepositoryHeader
from registry.repos import pull
from registry.repos.contents import trained_on, training

WIDTH, HEIGHT = 100.0, 24.0


def shown(header: RepositoryHeader) -> dict[str, Any]:
    """Return what the page shows; nothing to visitors who may not have the files."""
    if not pull.may_have_files(header.revision, header.by):
        return {}
    stated = training.training_of(header.entries)
    checkpoint = trained_on.checkpoint_of(header.entries, stated, header.by)
    return {"training": stated, "loss_line": _line(stated.losses), "checkpoint": checkpoint}


def _line(losses: tuple[tuple[float, float], ...]) -> str:
    """Return the points of a polyline from the first step to the last, the largest loss at the top."""
    values = [loss for _, loss in losses]
    low, high = min(values, default=0.0), max(values, default=0.0)
    span, last = (high - low) or 1.0, max(len(losses) - 1, 1)
    return " ".join(
        f"{WIDTH * place / last:.2f},{1 + (HEIGHT - 2) * (high - loss) / span:.2f}" for place, loss in enumerate(values)
    )
