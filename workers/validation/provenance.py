"""Knows what a report is made with: the libraries of the engines, and digests of the checks and the serving rules."""

import ast
import functools
import hashlib
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from dovetail.adapters.results.report import Provenance
from registry.proof.reports import provenance_digest
from workers.engines import engine_matrix

ROOT = Path(__file__).resolve().parents[2]
KNOWLEDGE = ROOT / "client" / "src" / "dovetail" / "adapters"
RULES = KNOWLEDGE / "serving"
LIBRARIES = ("torch", "transformers", "peft", "adapters", "tokenizers", "safetensors")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SHOWN = 12  # digits of a digest: enough to tell versions of our own code apart


def of(depth: str | None, engines: Iterable[str]) -> Provenance:
    """Return what a report was made with. An adapter that was refused by its files alone depends on no engine."""
    return _with({} if depth == "static" else {name: libraries(name) for name in engines})


def current() -> frozenset[str]:
    """Return the digests of every provenance that a report made on this machine can have now."""
    installed = {name: libraries(name) for name in engines()}
    if not installed:
        return frozenset()  # nothing can be proven here
    return frozenset(
        provenance_digest(_with({name: installed[name] for name in names}))
        for count in range(len(installed) + 1)
        for names in combinations(installed, count)
    )


def engines() -> list[str]:
    """Return the engines of this machine."""
    return [name for name in engine_matrix.built() if engine_matrix.interpreter(name).exists()]


def libraries(engine: str) -> dict[str, str]:
    """Return the versions of an engine's libraries, read from their folders: nothing of them is imported."""
    versions = {}
    for folder in (engine_matrix.interpreter(engine).parent.parent / "lib").glob("python*/site-packages/*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        if name.lower() in LIBRARIES:
            versions[name.lower()] = version
    return dict(sorted(versions.items()))


def _with(engines: dict[str, dict[str, str]]) -> Provenance:
    return Provenance(dict(sorted(engines.items())), _checks(), _rules())


@functools.cache  # the code of this process, even if the files change meanwhile
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
    """Return the code of a file without comments, docstrings and layout.

    A change of words alone must not make a hub prove everything again. The syntax tree depends on the version of
    Python, and the workers of one hub run the same version.
    """
    if file.suffix != ".py":
        return file.read_bytes()
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree).encode()
