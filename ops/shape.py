"""`make shape`: the numbers by which the shape of the product's code is judged; none of them may rise.

The product is what its folders hold of Python, but migrations and tests. `ops/shape.json` keeps what each number may
be at most.
"""

import ast
import json
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ops.sentences import ROOT, Stop, say

LIMITS = ROOT / "ops/shape.json"
FOLDERS = ("hub", "registry", "workers", "features", "client/src")
# Words for which there is a plain one, or the field's own.
UNWANTED = re.compile(r"\b(?:shelf|doors?|doorbell|crew|ring|joint|teeth|lingering|arriving|anew|whoever)\b")
PARTICIPLE = re.compile(r"(^|_)\w+ing(_|$)")


@dataclass(frozen=True)
class Module:
    """A Python file of the product by its dotted name."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        """What stands in it."""
        return self.path.read_text()

    @cached_property
    def lines(self) -> int:
        """The number of its lines that are not empty."""
        return sum(1 for line in self.text.splitlines() if line.strip())

    @cached_property
    def imports(self) -> list[ast.Import | ast.ImportFrom]:
        """Every import in it, at whatever depth."""
        return [node for node in ast.walk(ast.parse(self.text)) if isinstance(node, ast.Import | ast.ImportFrom)]

    @property
    def feature(self) -> str:
        """The feature that it belongs to; an empty string for the core."""
        parts = self.name.split(".")
        return parts[1] if parts[0] == "features" and len(parts) > 2 else ""

    def uses(self, known: "dict[str, Module]") -> list[str]:
        """Return the names of the known modules that it imports, sorted."""
        found = set()
        for node in self.imports:
            for alias in node.names:
                full = alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
                found.add(full if full in known else full.rpartition(".")[0])
        return sorted(found & known.keys() - {self.name})


def modules(root: Path) -> dict[str, Module]:
    """Return the modules that git knows below `root`, by name."""
    listed = subprocess.run(["git", "ls-files", *FOLDERS], cwd=root, check=True, capture_output=True, text=True).stdout
    found = {}
    for file in map(Path, listed.split()):
        if file.suffix == ".py" and not {"migrations", "tests"} & set(file.parts):
            name = ".".join(file.with_suffix("").parts).removeprefix("client.src.").removesuffix(".__init__")
            found[name] = Module(name, root / file)
    return found


def measure(root: Path) -> dict[str, int]:
    """Return every number of the code below `root`, by what it counts."""
    known = modules(root)
    every = list(known.values())
    uses = {name: module.uses(known) for name, module in known.items()}
    importers = Counter(target for targets in uses.values() for target in targets)
    lines = sum(module.lines for module in every)
    spent = sum((node.end_lineno or node.lineno) - node.lineno + 1 for module in every for node in module.imports)
    across = [
        (known[name].feature, known[target].feature, name) for name, targets in uses.items() for target in targets
    ]
    return {
        "lines": lines,
        "core lines": sum(m.lines for m in every if not m.feature and not m.name.startswith("dovetail")),
        "modules": len(every),
        "modules with one caller": sum(importers[name] == 1 for name in known),
        "modules under 30 lines": sum(m.lines < 30 and not m.path.name.startswith("__") for m in every),
        "longest import chain": _longest(uses),
        "import lines, per mille": round(1000 * spent / max(lines, 1)),
        "most files in one folder": max(Counter(m.path.parent for m in every).values(), default=0),
        "core imports of features": sum(
            bool(target) and not own and name != "features" for own, target, name in across
        ),
        "feature imports of another feature": sum(bool(own) and target not in ("", own) for own, target, _ in across),
        "modules named by a participle": sum(bool(PARTICIPLE.search(name.rpartition(".")[2])) for name in known),
        "fmt: skip": sum(m.text.count("fmt: skip") for m in every),
        "dict[str, Any]": sum(m.text.count("dict[str, Any]") for m in every),
        "Prepared outside its room": sum(
            len(re.findall(r"Prepared(?:Update)?\(", m.text)) for m in every if "prepared" not in m.name
        ),
        "unwanted words": sum(len(UNWANTED.findall(m.text)) for m in every),
    }


def _longest(uses: dict[str, list[str]]) -> int:
    """Return the number of modules in the longest chain of imports; a circle is walked once."""
    depth: dict[str, int] = {}

    def chain(name: str, above: tuple[str, ...]) -> int:
        if name not in depth:
            below = (chain(target, (*above, name)) for target in uses[name] if target not in above)
            depth[name] = 1 + max(below, default=0)
        return depth[name]

    return max((chain(name, ()) for name in uses), default=0)


def risen(now: dict[str, int], limits: dict[str, int]) -> list[str]:
    """Return a line for each number above its limit; a number without one has the limit 0."""
    return [
        f"{name}: {value}, at most {limits.get(name, 0)}" for name, value in now.items() if value > limits.get(name, 0)
    ]


def run(arguments: Sequence[str]) -> None:
    """Print the numbers beside their limits; with `--write`, lower the limits to the numbers. A Stop where one rose."""
    limits: dict[str, int] = json.loads(LIMITS.read_text()) if LIMITS.exists() else {}
    now = measure(ROOT)
    for name, value in now.items():
        say(f"{value:8} of {limits.get(name, value):6}  {name}")
    if "--write" in arguments:
        lowest = {name: min(value, limits.get(name, value)) for name, value in now.items()}
        LIMITS.write_text(json.dumps(lowest, indent=2) + "\n")
    elif any(value < limits.get(name, value) for name, value in now.items()):
        say("What fell stays low by `make shape ARGS=--write`, which writes it into ops/shape.json.")
    if rose := risen(now, limits or now):
        raise Stop(f"{'; '.join(rose)}. Fix: merge, move or delete until it is not more than before.")
