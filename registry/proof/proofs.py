"""Reads reports: the digest of their provenance, why they say no, and how two of the same bytes differ."""

import hashlib
import json
from collections.abc import Iterator

from dovetail.adapters.results.report import BasePin, Provenance, Report


def digest(provenance: Provenance | None) -> str:
    """Return the digest that a verdict's row keeps, "" for one that does not say what it was proven with."""
    if provenance is None:
        return ""
    document = json.dumps(provenance.as_json(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()


def refusal(report: Report) -> tuple[str, str]:
    """Return the id and the message of the check that says no; empty where none does."""
    check = report.refusal
    return (check.id, check.message) if check else ("", "")


def differences(before: Report, now: Report) -> Iterator[str]:
    """Yield in words how two proofs of the same bytes differ in what they were made with."""
    old, new = before.proven_with or Provenance(), now.proven_with or Provenance()
    for engine, libraries in new.engines.items():
        earlier = old.engines.get(engine) or {}
        for library, version in libraries.items():
            if earlier.get(library) not in (None, version):
                yield f"{library} {earlier[library]} → {version}"
    if old.checks not in (None, new.checks):
        yield "other checks"
    if old.rules not in (None, new.rules):
        yield "other rules of serving"
    base_before, base_now = before.base or BasePin(), now.base or BasePin()
    if base_before.sha256 and base_now.sha256 and base_before.sha256 != base_now.sha256:
        yield f"other files of {base_now.id}"
