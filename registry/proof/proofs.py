"""What a proof was made with, why it says no, and how two proofs of the same bytes differ; reads results alone."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

Provenance = dict[str, Any]  # engines: name → library → version; checks, rules: digests of our own code


def digest(with_what: Provenance | None) -> str:
    """Return the digest that a verdict's row keeps, "" for one that does not say what it was proven with."""
    if not with_what:
        return ""
    return hashlib.sha256(json.dumps(with_what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def refusal(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return the id and the message of the check that says no; empty where none does."""
    for check in result.get("checks") or []:
        if check["outcome"] == "failed":
            return str(check["id"]), str(check.get("message", ""))
    return "", ""


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words what two proofs of the same bytes were made with that differs."""
    old, new = before.get("proven_with") or {}, now.get("proven_with") or {}
    for engine, libraries in (new.get("engines") or {}).items():
        known = (old.get("engines") or {}).get(engine) or {}
        for library, version in libraries.items():
            if known.get(library) not in (None, version):
                yield f"{library} {known[library]} → {version}"
    if old.get("checks") not in (None, new.get("checks")):
        yield "other checks"
    if old.get("rules") not in (None, new.get("rules")):
        yield "other rules of serving"
    was, is_now = before.get("base") or {}, now.get("base") or {}
    if was.get("sha256") and is_now.get("sha256") and was["sha256"] != is_now["sha256"]:
        yield f"other files of {is_now.get('id')}"
