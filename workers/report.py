"""What an engine may say: its JSON is checked and rebuilt here, as a stranger's weights may have had a hand in it."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from workers.engine.job import CRASHED

MAX_TEXT = 4000
MAX_ITEMS = 200
CHECK_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.[a-z0-9]+(-[a-z0-9]+)*")
OUTCOMES = ("passed", "warned", "failed", "skipped")
STATES = ("passed", "failed", "errored")
SERVED = ("serves", "refuses", "wrong")
DEPTHS = ("static", "fit", "run", "evaluated")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

Report = dict[str, Any]  # the keys of a verdict that an engine may fill: see `verdict`
Field = Callable[[Any], Any]


class NotAReport(ValueError):
    """An engine said something that no honest engine says; the message is for operators."""


def parse(line: bytes) -> dict[str, Any]:
    """Return the JSON object of one line. Raises `NotAReport`; NaN and infinity are refused, whoever wrote them."""
    try:
        said = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        raise NotAReport(f"not JSON: {line[:80]!r}") from problem
    if not isinstance(said, dict):
        raise NotAReport(f"not an object: {line[:80]!r}")
    return said


def check(said: object) -> Report:
    """Return one check, rebuilt from the keys it may have (docs/checks.md)."""
    return _rebuild(said, CHECK)


def verdict(said: object) -> Report:
    """Return a verdict, rebuilt. Raises `NotAReport` also when its state and its checks do not agree."""
    report = _rebuild(said, VERDICT)
    failed = [item["id"] for item in report["checks"] if item["outcome"] == "failed"]
    crashed = CRASHED in failed
    expected = "errored" if crashed else "failed" if failed else "passed"
    if report["state"] != expected or not report["checks"]:
        raise NotAReport(f"state {report['state']} with {len(report['checks'])} checks, of which failed: {failed}")
    if report["state"] != "passed":
        report["serving"] = []  # an engine may take the files; what it would serve is not what the author trained
    return report


def _rebuild(said: object, fields: Mapping[str, tuple[Field, Any]]) -> Report:
    if not isinstance(said, dict):
        raise NotAReport(f"expected an object, got {type(said).__name__}")
    rebuilt = {}
    for name, (field, default) in fields.items():
        value = said.get(name)
        if value is None and default is REQUIRED:
            raise NotAReport(f"{name} is missing")
        rebuilt[name] = default if value is None else field(value)
    return rebuilt


# --- fields ----------------------------------------------------------------------------------------------------------
REQUIRED = object()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise NotAReport(f"expected text, got {type(value).__name__}")
    clean = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value[:MAX_TEXT])  # databases refuse NUL and lone surrogates
    return clean if len(value) <= MAX_TEXT else clean[:-1] + "…"


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or not math.isfinite(value):
        raise NotAReport(f"expected a finite number, got {str(value)[:40]}")
    return value


def _one_of(choices: tuple[str, ...]) -> Field:
    def field(value: Any) -> str:
        if value not in choices:
            raise NotAReport(f"expected one of {', '.join(choices)}, got {str(value)[:40]!r}")
        return str(value)

    return field


def _check_id(value: Any) -> str:
    if not CHECK_ID.fullmatch(_text(value)) or len(value) > 64:
        raise NotAReport(f"no check id: {value[:40]!r}")
    return str(value)


def _list_of(field: Field) -> Field:
    def fields(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise NotAReport(f"expected a list of at most {MAX_ITEMS}")
        return [field(item) for item in value]

    return fields


def _object(fields: Mapping[str, tuple[Field, Any]]) -> Field:
    return lambda value: _rebuild(value, fields)


def _plain(value: Any, depth: int = 3) -> Any:
    """Facts about the place of a problem: plain JSON, shallow and small."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return _number(value)
    if depth and len(value) <= MAX_ITEMS:
        if isinstance(value, list):
            return [_plain(item, depth - 1) for item in value]
        return {_text(key): _plain(item, depth - 1) for key, item in value.items()}
    raise NotAReport("facts that are too deep or too many")


CHECK: Mapping[str, tuple[Field, Any]] = {
    "id": (_check_id, REQUIRED),
    "outcome": (_one_of(OUTCOMES), REQUIRED),
    "message": (_text, ""),
    "fix": (_text, ""),
    "where": (_plain, {}),
    "duration_ms": (_number, 0),
}
EVALUATION: Mapping[str, tuple[Field, Any]] = {
    "name": (_text, REQUIRED),
    "rows": (_number, 0),
    "metric": (_text, ""),
    "base": (_number, None),
    "adapter": (_number, None),
    "claimed": (_number, None),
    "better": (_one_of(("higher", "lower")), "higher"),
    "head_alone": (_number, None),
}
COST: Mapping[str, tuple[Field, Any]] = {
    "latency_ratio": (_number, None),
    "memory_mb": (_number, None),
    "adapter_mb": (_number, None),
}
SAMPLE: Mapping[str, tuple[Field, Any]] = {
    "input": (_text, REQUIRED),
    "expected": (_text, None),
    "base": (_text, ""),
    "adapter": (_text, ""),
}
CONDITIONS: Mapping[str, tuple[Field, Any]] = {
    "rows": (_text, ""),
    "seed": (_number, 0),
    "batches": (_list_of(_number), []),
}
ENGINE: Mapping[str, tuple[Field, Any]] = {
    "name": (_text, ""),
    "torch": (_text, ""),
    "transformers": (_text, ""),
    "peft": (_text, ""),
    "adapters": (_text, None),
    "attention": (_text, ""),
    "device": (_text, ""),
    "dtype": (_text, ""),
    "threads": (_number, None),
    "batch": (_number, None),
}
BASE: Mapping[str, tuple[Field, Any]] = {"id": (_text, ""), "revision": (_text, ""), "sha256": (_text, "")}
SERVING: Mapping[str, tuple[Field, Any]] = {
    "engine": (_text, REQUIRED),
    "version": (_text, ""),
    "outcome": (_one_of(SERVED), REQUIRED),
    "reason": (_text, ""),
    "flags": (_list_of(_text), []),
}
VERDICT: Mapping[str, tuple[Field, Any]] = {
    "state": (_one_of(STATES), REQUIRED),
    "kind": (_text, ""),
    "format": (_text, ""),
    "base": (_object(BASE), None),
    "depth": (_one_of(DEPTHS), "static"),
    "engine": (_object(ENGINE), None),
    "checks": (_list_of(check), REQUIRED),
    "evals": (_list_of(_object(EVALUATION)), []),
    "cost": (_object(COST), None),
    "samples": (_list_of(_object(SAMPLE)), []),
    "conditions": (_object(CONDITIONS), None),
    "serving": (_list_of(_object(SERVING)), []),
}
