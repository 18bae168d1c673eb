"""Small defects, drawn by a seed, in the code that must not have any: how many of them do its tests notice?

python -m bench.mutants [--count 30] [--seed 1] [--marks EXPRESSION] [--tests CHECKOUT], in a copy of the checkout.
CHECKOUT's tests are run instead of this one's, so that two ways to test the same code are compared by the same defects.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.sentences import ROOT, Stop
from ops.suite import TIERS

# Where defects are put → the tests that guard it.
AREAS = {
    "registry/kernel/policy.py": ["registry/test_policy.py", "registry/test_policy_conditions.py"],
    "registry/publish/push": ["hf/test_push.py", "hf/test_refusals.py"],
    "registry/proof/verified/withdrawals.py": ["registry/test_held_revisions.py", "registry/test_quarantine_roads.py"],
    "registry/proof/verdicts/queue.py": ["workers/test_queue.py", "workers/test_order.py"],
    "client/src/dovetail/adapters/checks": [
        "engine/test_every_check.py",
        "engine/test_edges.py",
        "engine/test_files.py",
        "pickles/test_carriers.py",
    ],
}
OPPOSITES: list[tuple[type[ast.cmpop], type[ast.cmpop]]] = [
    (ast.Eq, ast.NotEq),
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.In, ast.NotIn),
    (ast.Is, ast.IsNot),
]
TURNED = {one: other for pair in OPPOSITES for one, other in (pair, pair[::-1])}
SECONDS = 900  # for the tests of one defect; a loop without end is noticed too


@dataclass(frozen=True)
class Mutant:
    """One expression of a file, by its place in UTF-8 bytes, and what is written there instead."""

    file: Path
    line: int
    start: int
    end: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {self.before}  →  {self.after}"

    def write(self, folder: Path) -> None:
        """Put it into a copy of the checkout."""
        text = (ROOT / self.file).read_bytes()
        (folder / self.file).write_bytes(text[: self.start] + self.after.encode() + text[self.end :])


def mutants(file: Path) -> Iterator[Mutant]:
    """Yield every defect that a file may get: a turned comparison, another constant, a condition or answer undone."""
    text = (ROOT / file).read_bytes()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in ast.walk(ast.parse(text)):
        place, after = (node.value, "None") if isinstance(node, ast.Return) else (node, _spoilt(node))
        if (
            isinstance(place, ast.expr)
            and after is not None
            and not (after == "None" and isinstance(place, ast.Constant))
        ):
            start = starts[place.lineno - 1] + place.col_offset
            end = starts[(place.end_lineno or place.lineno) - 1] + (place.end_col_offset or 0)
            yield Mutant(file, place.lineno, start, end, ast.unparse(node), f"({after})")


def _spoilt(node: ast.AST) -> str | None:
    """Return what stands in the place of an expression; None where it is left alone."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in TURNED:
            return ast.unparse(ast.Compare(node.left, [TURNED[type(op)]()], node.comparators))
        case ast.BoolOp():
            return ast.unparse(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
        case ast.UnaryOp(op=ast.Not()):
            return ast.unparse(node.operand)
        case ast.Constant(value=bool(value)):
            return str(not value)
        case ast.Constant(value=int(value)):
            return str(value + 1)
    return None


def fails(tests: list[str], copy: Path, marks: str) -> bool:
    """Return whether a test of the copy fails, or does not end."""
    files = [f"tests/{name}" for name in tests]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", marks, *files]
    environment = os.environ | {"PYTHONPATH": f"{copy}:{copy / 'client/src'}"}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, timeout=SECONDS, check=False, capture_output=True)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main() -> None:
    """Print each defect and whether it was noticed, and the sum of each area."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--marks", default=TIERS["change"])
    parser.add_argument("--tests", type=Path, default=ROOT)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        subprocess.run(["git", "checkout-index", "-a", f"--prefix={copy}/"], cwd=ROOT, check=True)
        shutil.rmtree(copy / "tests")
        shutil.copytree(chosen.tests / "tests", copy / "tests")
        for name in (".venv", ".engines"):
            (copy / name).symlink_to((ROOT / name).resolve())
        for number, (place, tests) in enumerate(AREAS.items()):
            count = (chosen.count + number) // len(AREAS)
            files = (
                [Path(place)]
                if place.endswith(".py")
                else [path.relative_to(ROOT) for path in sorted((ROOT / place).glob("*.py"))]
            )
            every = [mutant for file in files for mutant in mutants(file)]
            drawn = random.Random(chosen.seed).sample(every, min(count, len(every)))
            if fails(tests, copy, chosen.marks):
                raise Stop(f"The tests of {place} fail without any defect. Fix: mend them first.")
            killed = 0
            for mutant in drawn:
                mutant.write(copy)
                seen = fails(tests, copy, chosen.marks)
                shutil.copyfile(ROOT / mutant.file, copy / mutant.file)
                killed += seen
                print("noticed " if seen else "MISSED  ", mutant, flush=True)
            print(f"{killed} of {len(drawn)} noticed (of {len(every)} possible) in {place}", flush=True)


if __name__ == "__main__":
    main()
