"""With what a verdict is proven: libraries of the engines, code of the checks, rules of serving, as digests."""

import ast
import functools
import hashlib
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

from registry.proof.proofs import Provenance, digest
from workers import matrix

ROOT = Path(__file__).resolve().parents[1]
KNOWLEDGE = ROOT / "client" / "src" / "dovetail" / "adapters"
RULES = KNOWLEDGE / "serving"
LIBRARIES = ("torch", "transformers", "peft", "adapters", "tokenizers", "safetensors")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SHOWN = 12  # digits of a digest: enough to tell versions of our own code apart


def of(report: dict[str, Any]) -> Provenance:
    """Return what a report was made with. An adapter that was refused by its files alone owes nothing to an engine."""
    judged = [] if report["depth"] == "static" else [row["name"] for row in report["engines"]]
    return _with({name: libraries(name) for name in judged})


def current() -> frozenset[str]:
    """Return the digests of all that a verdict may be proven with on this machine, as it is now."""
    there = {name: libraries(name) for name in engines()}
    if not there:
        return frozenset()  # nothing can be proven here
    return frozenset(
        digest(_with({name: there[name] for name in names}))
        for count in range(len(there) + 1)
        for names in combinations(there, count)
    )


def engines() -> list[str]:
    """Return the engines of this machine."""
    return [name for name in matrix.built() if matrix.interpreter(name).exists()]


def libraries(engine: str) -> dict[str, str]:
    """Return the versions of an engine's libraries, read from their folders: nothing of them is imported."""
    found = {}
    for folder in (matrix.interpreter(engine).parent.parent / "lib").glob("python*/site-packages/*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        if name.lower() in LIBRARIES:
            found[name.lower()] = version
    return dict(sorted(found.items()))


def _with(engines: dict[str, dict[str, str]]) -> Provenance:
    return {"engines": dict(sorted(engines.items())), "checks": _checks(), "rules": _rules()}


@functools.cache  # code of this process, whatever becomes of the files
def _checks() -> str:
    files = [file for folder in (KNOWLEDGE, ROOT / "workers" / "engine") for file in _sources(folder)]
    return _hash(file for file in files if RULES not in file.parents)


@functools.cache
def _rules() -> str:
    return _hash(_sources(RULES))


def _sources(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in (".py", ".json"))


def _hash(files: Iterable[Path]) -> str:
    hasher = hashlib.sha256()
    for file in files:
        hasher.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(_meaning(file)).digest())
    return hasher.hexdigest()[:SHOWN]


def _meaning(file: Path) -> bytes:
    """Return what a file does. Its comments, docstrings and layout prove nothing: a hub whose words alone were mended
    must not prove everything again. (The tree is Python's own: workers of one hub run one version of it.)"""
    if file.suffix != ".py":
        return file.read_bytes()
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree).encode()
