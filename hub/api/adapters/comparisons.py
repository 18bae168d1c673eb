"""Differences of two revisions of an adapter: files, config, weights and measurements."""

from collections.abc import Iterator

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.adapters import comparisons as shapes
from hub.api.versions.revisions import resolved
from registry.kernel.policy import Permission
from registry.models import Revision, Verdict
from registry.proof import comparisons, verdicts
from registry.proof.comparisons import WeightsChange
from registry.repos import pull
from registry.repos.manifest import Entry

MAX_FILES, MAX_NAMES, MAX_MODULES = 1000, 1000, 2000
RETRY_SECONDS = 5
Entries = dict[str, Entry]


class Compare(View):
    @extend_schema(
        operation_id="compare", summary="How two revisions differ",
        description="202 with Retry-After while a worker compares large weights; what is known by then is there.",
        responses={200: shapes.Comparison, 202: shapes.Comparison},
    )  # fmt: skip
    def get(self, request: Request, ns: str, name: str, a: str, b: str) -> Response:
        pages.parameters(request, pages.Nothing)
        before, after = (resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD) for rev in (a, b))
        for revision in (before, after):
            pull.require_served(revision, self.caller)
        old, new = pull.served_entries(before), pull.served_entries(after)
        weights = list(map(_weights, comparisons.weights_changes(old, new)))
        verdict_before, verdict_after = verdicts.in_force(before), verdicts.in_force(after)
        document = {
            "adapter": before.repository.full_name,
            "before": _side(before, verdict_before, old),
            "after": _side(after, verdict_after, new),
            "files": list(_files(old, new))[:MAX_FILES],
            "config": list(_keys(old, new))[:MAX_NAMES],
            "weights": weights,
            "evals": list(_evals(verdict_before, verdict_after)),
        }
        if any(item["state"] == "waiting" for item in weights):
            headers = {"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"}
            return Response(document, status.HTTP_202_ACCEPTED, headers=headers)
        return Response(document)


def _side(revision: Revision, verdict: Verdict | None, entries: Entries) -> Data:
    return {
        "revision": revision.oid,
        "state": verdict.state if verdict else None,
        "size": sum(entry.size for entry in entries.values()),
    }


def _files(old: Entries, new: Entries) -> Iterator[Data]:
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path), new.get(path)
        if before and after and before.sha256 == after.sha256:
            continue
        yield {
            "path": path,
            "change": "changed" if before and after else "removed" if before else "added",
            "size_before": before.size if before else None,
            "size_after": after.size if after else None,
        }


def _keys(old: Entries, new: Entries) -> Iterator[Data]:
    for one in comparisons.config_changes(old, new):
        yield {"path": one.path, "key": one.key, "change": one.change, "before": one.before, "after": one.after}


def _weights(change: WeightsChange) -> Data:
    names, changes = change.compared.names, change.changes
    return {
        "path": change.path,
        "state": change.state,
        "reason": change.compared.problem or None,
        "added": list(names.added[:MAX_NAMES]) if names else [],
        "removed": list(names.removed[:MAX_NAMES]) if names else [],
        "reshaped": [_pair(*row) for row in names.reshaped[:MAX_NAMES]] if names else [],
        "retyped": [_pair(*row) for row in names.retyped[:MAX_NAMES]] if names else [],
        "modules": [
            {"module": one.module, "relative_change": one.relative, "cosine": one.cosine}
            for one in changes[:MAX_MODULES]
        ],
        "modules_left_out": max(0, len(changes) - MAX_MODULES),
    }


def _pair(tensor: str, before: object, after: object) -> Data:
    return {"tensor": tensor, "before": before, "after": after}


def _evals(before: Verdict | None, after: Verdict | None) -> Iterator[Data]:
    """Yield each metric of either verdict, with its values on both sides."""
    reports = [verdict.report if verdict else None for verdict in (before, after)]
    for one in comparisons.evaluation_changes(*reports):
        yield {
            "name": one.row.name, "metric": one.row.metric, "better": one.row.better,
            "before": one.before.evaluation.adapter if one.before else None,
            "after": one.after.evaluation.adapter if one.after else None,
            "change": one.change,
            "outcome": one.outcome or None,
            "p": one.p,
        }  # fmt: skip
