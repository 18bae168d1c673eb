"""Compares two versions: by their manifests and verdicts here, and their weights on the hub. No weights travel.

Its answer is that of `dovetail diff`: the files, keys of the config and scores that differ.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from dovetail.adapters.results.records import JsonObject
from dovetail.answers.adapters import Comparison
from dovetail.answers.record import MappedAnswer, read
from dovetail.answers.versions import Manifest
from dovetail.problems import FORBIDDEN, MISSING, Problem
from dovetail.verdicts import Verdict

if TYPE_CHECKING:
    from dovetail.api.queries import Queries


class Side(MappedAnswer):
    """One of two versions that are compared, and the checks that it fails."""

    adapter: str
    revision: str
    state: str | None
    failed: tuple[str, ...]
    size: int | None


class FileChange(MappedAnswer):
    """A file that is added, removed or changed; `a` and `b` are its sizes."""

    path: str
    change: str
    a: int | None
    b: int | None


class KeyChange(MappedAnswer):
    """A key of the config whose values differ."""

    key: str
    a: object
    b: object


class ScoreChange(MappedAnswer):
    """A metric that one or both versions were measured by."""

    name: str
    metric: str
    a: float | None
    b: float | None


class Difference(MappedAnswer):
    """The differences between two versions."""

    a: Side
    b: Side
    files: tuple[FileChange, ...]
    config: tuple[KeyChange, ...]
    evaluations: tuple[ScoreChange, ...]
    weights: tuple[Mapping[str, object], ...] | None  # as the hub compared them; None where it could not


PATIENCE_SECONDS, PAUSE_SECONDS = 60.0, 2.0  # for a hub that compares large weights
Row = JsonObject


def compare(caller: "Queries", first: tuple[str, str], second: tuple[str, str]) -> Difference:
    """Return what differs between two versions, each an adapter and a revision. Raises Problem."""
    a, b = caller.manifest(*first), caller.manifest(*second)
    verdict_a, verdict_b = _verdict(caller, first[0], a), _verdict(caller, second[0], b)
    compared = {
        "a": _side(first[0], a, verdict_a),
        "b": _side(second[0], b, verdict_b),
        "files": _files(a, b),
        "config": _keys(a.get("config") or {}, b.get("config") or {}),
        "evaluations": _evaluations(verdict_a, verdict_b),
        "weights": _weights(caller, first[0], a, b) if first[0] == second[0] else None,
    }
    return read(Difference, compared)


def _weights(caller: "Queries", adapter: str, a: Manifest, b: Manifest) -> list[Row] | None:
    """Return what the hub says of the weights, which it may compare for a while; None where it cannot say."""
    path = f"/adapters/{quote(adapter)}/compare/{a.revision}...{b.revision}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            weights: list[Row] = caller.transport.get(path, Comparison)["weights"]
        except Problem as problem:
            if problem.exit_status not in {FORBIDDEN, MISSING}:
                raise
            return None  # a hub without this route, or a gate
        if not any(item["state"] == "waiting" for item in weights) or time.monotonic() > deadline:
            return weights
        time.sleep(PAUSE_SECONDS)


def _verdict(caller: "Queries", adapter: str, manifest: Manifest) -> Verdict | None:
    try:
        return caller.verdict(adapter, manifest.revision)
    except Problem as problem:
        if problem.exit_status != MISSING:
            raise
        return None  # nothing in it is an adapter


def _side(adapter: str, manifest: Manifest, verdict: Verdict | None) -> Row:
    failed = [check.id for check in verdict.failed_checks] if verdict else []
    return {
        "adapter": adapter,
        "revision": manifest.revision,
        "state": verdict.state if verdict else None,
        "failed": failed,
        "size": manifest.get("size"),
    }


def _files(a: Manifest, b: Manifest) -> list[Row]:
    ours, theirs = ({file["path"]: file for file in side["files"]} for side in (a, b))
    differences = []
    for path in sorted({*ours, *theirs}):
        old, new = ours.get(path), theirs.get(path)
        if old and new and old["sha256"] == new["sha256"]:
            continue
        change = "changed" if old and new else "added" if new else "removed"
        differences.append(
            {"path": path, "change": change, "a": old["size"] if old else None, "b": new["size"] if new else None}
        )
    return differences


def _keys(a: Mapping[str, object], b: Mapping[str, object]) -> list[Row]:
    return [{"key": key, "a": a.get(key), "b": b.get(key)} for key in sorted({*a, *b}) if a.get(key) != b.get(key)]


def _evaluations(a: Verdict | None, b: Verdict | None) -> list[Row]:
    """Return each metric that one or both of them measured, with the adapter's score."""
    ours, theirs = _scores(a), _scores(b)
    return [
        {"name": name, "metric": metric, "a": ours.get((name, metric)), "b": theirs.get((name, metric))}
        for name, metric in {**ours, **theirs}
    ]


def _scores(verdict: Verdict | None) -> dict[tuple[str, str], float | None]:
    return {(score.name, score.metric): score.adapter for score in verdict.evals} if verdict else {}
