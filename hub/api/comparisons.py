"""Differences of two revisions of an adapter: files, config, weights and measurements."""

from collections.abc import Iterator

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters import config as configs
from dovetail.adapters import weight_changes
from dovetail.adapters.factors import Scales
from dovetail.adapters.weight_changes import Change
from hub.api import pages
from hub.api.asking import View
from hub.api.revisions import resolved
from hub.api.shapes import Data
from hub.api.shapes import comparisons as shapes
from registry.kernel.policy import Permission
from registry.models import Revision, Verdict
from registry.proof import verdicts
from registry.repos import facts, pull, weight_comparisons
from registry.repos.manifest import Entry
from registry.repos.weight_comparisons import Compared

MAX_FILES, MAX_WEIGHTS, MAX_NAMES, MAX_MODULES = 1000, 8, 1000, 2000
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
        weights = list(_weights(old, new))
        verdict_before, verdict_after = verdicts.latest(before), verdicts.latest(after)
        document = {
            "adapter": before.repository.full_name,
            "before": _side(before, verdict_before, old),
            "after": _side(after, verdict_after, new),
            "files": list(_files(old, new))[:MAX_FILES],
            "config": list(_config(old, new))[:MAX_NAMES],
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


# --- config
def _config(old: Entries, new: Entries) -> Iterator[Data]:
    """Yield each key of an adapter_config.json that differs; a file that cannot be read has none."""
    for path in sorted(old.keys() | new.keys()):
        if path.rpartition("/")[2] != configs.NAME or old.get(path) == new.get(path):
            continue
        before, after = facts.config_of(old.get(path)), facts.config_of(new.get(path))
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key) or (key in before) != (key in after):
                change = "changed" if key in before and key in after else "removed" if key in before else "added"
                values = {"before": before.get(key), "after": after.get(key)}
                yield {"path": path, "key": key, "change": change, **values}


# --- weights
def _weights(old: Entries, new: Entries) -> Iterator[Data]:
    """Yield the differences of each safetensors file that both revisions have, the first MAX_WEIGHTS of them."""
    paths = [path for path in sorted(old.keys() & new.keys()) if path.endswith(".safetensors")]
    for path in paths[:MAX_WEIGHTS]:
        scales = facts.config_beside(old, path), facts.config_beside(new, path)
        if old[path].sha256 == new[path].sha256 and scales[0] == scales[1]:
            yield _described(path, "same", Compared(), [])
            continue
        compared = weight_comparisons.compare(old[path], new[path])
        state = "waiting" if compared.is_waiting else "unknown" if compared.problem else "compared"
        yield _described(path, state, compared, _changes(compared, *scales))


def _changes(compared: Compared, before: configs.Config, after: configs.Config) -> list[Change]:
    """Return the change of each module, the largest first."""
    found = []
    old, new = Scales(before), Scales(after)
    for one in compared.products:
        scales = old.of(one.module, one.rank_before), new.of(one.module, one.rank_after)
        found.append(weight_changes.changes(one, *scales))
    return sorted(found, key=lambda change: (change.relative is not None, -(change.relative or 0.0), change.module))


def _described(path: str, state: str, compared: Compared, changes: list[Change]) -> Data:
    names = compared.names
    return {
        "path": path,
        "state": state,
        "reason": compared.problem or None,
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


# --- evaluations
def _evals(before: Verdict | None, after: Verdict | None) -> Iterator[Data]:
    """Yield each metric of either verdict, with its values on both sides."""
    sides = [
        {(one.name, one.metric): one for one in verdict.report.evals} if verdict else {} for verdict in (before, after)
    ]
    for name, metric in dict.fromkeys((*sides[0], *sides[1])):
        values = [side[name, metric].adapter if (name, metric) in side else None for side in sides]
        row = sides[1].get((name, metric)) or sides[0][name, metric]
        delta = values[1] - values[0] if values[0] is not None and values[1] is not None else None
        yield {
            "name": name, "metric": metric, "better": row.better, "before": values[0], "after": values[1],
            "change": delta,
        }  # fmt: skip
