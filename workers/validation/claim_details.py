"""The fields that every log line about the work on a verdict has."""

from typing import Any

from registry.models import Verdict


def of(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict, its adapter, revision and base, and how many milliseconds it waited for its worker."""
    waited = verdict.started_at - verdict.queued_at if verdict.started_at else None
    return {
        "verdict": verdict.pk,
        "adapter": verdict.revision.repository.full_name,
        "revision": verdict.revision.oid,
        "base": verdict.base,
        "wait_ms": round(waited.total_seconds() * 1000) if waited is not None else None,
    }
