"""Prints which modules of ours a warm parent has not imported, which each of its children would then read from disk."""

import argparse
import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = (ROOT, ROOT / "client" / "src")
sys.path[:0] = map(str, PLACES)

from workers.engine.processes import serve

SCRIPTS = {"__main__.py", "derive.py"}  # how a parent begins; processes of their own


def imported_somewhere():
    for path in (ROOT / "workers" / "engine").rglob("*.py"):
        if path.name in SCRIPTS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("workers.engine", "dovetail")):
                names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
                yield from (name for name in names if any(_is_file(place, name) for place in PLACES))


def _is_file(place, module):
    return (place / (module.replace(".", "/") + ".py")).exists()


serve._warm(
    argparse.Namespace(base=Path(sys.argv[1]), base_id="tiny/bert", device="cpu", dtype="float32", no_fork=False)
)
print(*sorted(set(imported_somewhere()) - sys.modules.keys()))
