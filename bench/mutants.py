"""Small defects, drawn by a seed, in the code that must not have any: how many of them do its tests notice?

python -m bench.mutants [--count 30] [--seed 1] [--marks EXPRESSION] [--tests CHECKOUT] [--area WORD], in a copy of the
checkout. CHECKOUT's tests are run instead of this one's, so that two ways to test the same code are compared by the
same defects.

One process of pytest collects the tests of an area and runs them once, to learn which lines each of them executes.
Then each defect gets a fork of that process, in which the functions of its file have the code with the defect, and
the tests that execute its line run until one fails. It is written into the copy too, for engines, which import it in
processes of their own. Code outside of functions, such as a default, is imported again by a new process.
"""

import argparse
import ast
import gc
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FrameType, FunctionType

import pytest

from ops.sentences import ROOT
from ops.suite import TIERS


@dataclass(frozen=True)
class Area:
    """Where defects are put, and the tests that guard it."""

    place: str  # a file, or a folder without those below it
    tests: tuple[str, ...]
    runs_in_engines: bool = False  # then no line tells which tests execute it: all of them run

    @property
    def files(self) -> list[Path]:
        """The files of code, relative to the checkout."""
        found = ROOT / self.place
        return [file.relative_to(ROOT) for file in ([found] if found.is_file() else sorted(found.glob("*.py")))]


AREAS = [
    Area(
        "registry/kernel/policy.py",
        (
            "registry/test_policy.py",
            "registry/test_policy_conditions.py",
            "registry/test_team_policy.py",
            "registry/test_required_second_factor.py",
            "registry/test_machines.py",
            "registry/test_organizations.py",
            "registry/test_lifecycle.py",
        ),
    ),
    Area(
        "registry/publish/push",
        (
            "hf/test_push.py",
            "hf/test_refusals.py",
            "hf/test_copies.py",
            "hf/test_receiving.py",
            "hf/test_moves.py",
            "registry/test_pushes.py",
            "registry/test_races.py",
        ),
    ),
    Area(
        "registry/proof/verified/withdrawals.py",
        (
            "registry/test_withdrawals.py",
            "registry/test_held_revisions.py",
            "registry/test_quarantine_roads.py",
            "registry/test_aliases.py",
            "api/test_states.py",
            "api/test_revisions.py",
            "hf/test_copies.py",
        ),
    ),
    Area(
        "registry/proof/verdicts/queue.py",
        (
            "workers/test_queue.py",
            "workers/test_order.py",
            "workers/test_verdicts.py",
            "workers/test_renewal.py",
            "workers/test_races.py",
        ),
    ),
    Area(
        "client/src/dovetail/adapters/checks",
        (
            "engine/test_every_check.py",
            "engine/test_edges.py",
            "engine/test_files.py",
            "engine/test_saboteurs.py",
            "engine/test_configs.py",
            "engine/test_fields.py",
            "engine/test_foreign.py",
            "engine/test_library.py",
            "engine/test_warnings.py",
            "client/test_privacy.py",
            "client/test_findings.py",
            "pickles/test_carriers.py",
            "pickles/test_trainers.py",
        ),
        runs_in_engines=True,
    ),
]
OPPOSITES: list[tuple[type[ast.cmpop], type[ast.cmpop]]] = [
    (ast.Eq, ast.NotEq),
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.In, ast.NotIn),
    (ast.Is, ast.IsNot),
]
TURNED = {one: other for pair in OPPOSITES for one, other in (pair, pair[::-1])}
FAILED, NOT_SWAPPED = 1, 3  # how a fork ends, but for 0: every test passed


@dataclass(frozen=True)
class Mutant:
    """One expression of a file, by its place in UTF-8 bytes, and what is written there instead."""

    file: Path
    lines: range  # those of the expression, from the start of its statement
    start: int
    end: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.lines[-1]}  {self.before}  →  {self.after}"

    @property
    def text(self) -> bytes:
        """The file with the defect."""
        text = source(self.file)
        return text[: self.start] + self.after.encode() + text[self.end :]

    def swap(self) -> bool:
        """Give every function of this process that the defect changes its new code; return False for other code."""
        was, now = (_functions(text, self.file) for text in (source(self.file), self.text))
        changed = {code: now[key] for key, code in was.items() if key in now and now[key] != code}
        gc.unfreeze()  # what is frozen is not listed
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and thing.__code__ in changed:
                thing.__code__ = changed[thing.__code__]
        return bool(changed)


@cache
def source(file: Path) -> bytes:
    """Return a file as it is without defects: as it was when it was first asked for."""
    return (ROOT / file).read_bytes()


def mutants(file: Path) -> Iterator[Mutant]:
    """Yield every defect that a file may get: a turned comparison, another constant, a condition or answer undone."""
    text = source(file)
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    nodes = list(ast.walk(ast.parse(text)))
    statements = sorted({node.lineno for node in nodes if isinstance(node, ast.stmt)})
    for node in nodes:
        place, after = (node.value, "None") if isinstance(node, ast.Return) else (node, _spoilt(node))
        if (
            isinstance(place, ast.expr)
            and after is not None
            and not (after == "None" and isinstance(place, ast.Constant))
        ):
            last = place.end_lineno or place.lineno
            lines = range(max(line for line in statements if line <= place.lineno), last + 1)
            start = starts[place.lineno - 1] + place.col_offset
            end = starts[last - 1] + (place.end_col_offset or 0)
            yield Mutant(file, lines, start, end, ast.unparse(node), f"({after})")


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


def _functions(text: bytes, file: Path) -> dict[tuple[str, int], CodeType]:
    """Return the code of each function in a file, by its name and its place among those with the same name."""
    found, seen, waiting = {}, Counter[str](), [compile(text, str(file), "exec")]
    while waiting:
        inside = [code for code in waiting.pop().co_consts if isinstance(code, CodeType)]
        for code in inside:
            if code.co_flags & 2:  # CO_NEWLOCALS: the body of a class has none
                found[code.co_qualname, seen[code.co_qualname]] = code
                seen[code.co_qualname] += 1
        waiting += inside
    return found


class Trials:
    """A plugin of pytest: in place of running the tests once, it tries each defect on those that may notice it."""

    def __init__(self, area: Area, drawn: list[Mutant]) -> None:
        self.area, self.drawn = area, drawn
        self.failed = False  # whether a test of this process did
        self.killed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Print each defect and whether it was noticed."""
        session.config.pluginmanager.unregister(name="terminalreporter")  # a fork would print its dots
        lines, seconds = self._learn(session.items)
        whole = [item for item in session.items if item.nodeid in seconds]
        broken = len(session.items) - len(whole)
        failing = f", and {broken} that fail without a defect" if broken else ""
        print(f"{self.area.place}: {len(whole)} tests, {sum(seconds.values()):.0f} s{failing}", flush=True)
        for number, mutant in enumerate(self.drawn, 1):
            began = time.monotonic()
            places = {(mutant.file, line) for line in mutant.lines}
            chosen = whole if self.area.runs_in_engines else [item for item in whole if lines[item.nodeid] & places]
            by_file = Counter[Path]()
            for item in chosen:
                by_file[item.path] += seconds[item.nodeid]  # type: ignore[assignment]  # a counter of seconds
            chosen = sorted(chosen, key=lambda item: (by_file[item.path], item.path))
            patience = 30 + 5 * by_file.total()
            (ROOT / mutant.file).write_bytes(mutant.text)
            ended = forked(partial(self._try, mutant, chosen), patience)
            if ended == NOT_SWAPPED:
                ended = self._again(whole, seconds)
            (ROOT / mutant.file).write_bytes(source(mutant.file))
            self.killed += ended != 0
            word = "noticed" if ended else "MISSED " if chosen else "NO TEST"
            print(f"{number:3} {time.monotonic() - began:4.0f} s  {word}  {mutant}", flush=True)
        return True

    def _learn(self, items: list[pytest.Item]) -> tuple[dict[str, set[tuple[Path, int]]], dict[str, float]]:
        """Run all tests once; return the lines of the area that each executes, and the seconds of those that pass."""
        kept = ROOT / "learned"

        def learn() -> int:
            lines: dict[str, set[tuple[Path, int]]] = defaultdict(set)
            seconds: dict[str, float] = {}
            files = {str(ROOT / file): file for file in self.area.files}

            def trace(frame: FrameType, event: str, _: object) -> object:
                file = files.get(frame.f_code.co_filename)
                if file is None:
                    return None
                here.add((file, frame.f_lineno))
                return trace

            threading.settrace(trace)  # type: ignore[arg-type]  # a function that returns itself
            for item, following in zip_longest(items, items[1:]):
                here, self.failed, began = lines[item.nodeid], False, time.monotonic()
                sys.settrace(trace)  # type: ignore[arg-type]  # a function that returns itself
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
                sys.settrace(None)
                if not self.failed:
                    seconds[item.nodeid] = time.monotonic() - began
            kept.write_bytes(pickle.dumps((lines, seconds)))
            return 0

        assert forked(learn, 3600) == 0, "the tests did not end"
        lines, seconds = pickle.loads(kept.read_bytes())  # a fork of this process wrote it a moment ago
        return lines, seconds

    def _try(self, mutant: Mutant, chosen: list[pytest.Item]) -> int:
        try:
            if not mutant.swap() and not self.area.runs_in_engines:
                return NOT_SWAPPED
        except ValueError:  # a function that would lose a variable of the one around it
            return NOT_SWAPPED
        for item, following in zip_longest(chosen, chosen[1:]):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return FAILED
        return 0

    def _again(self, whole: list[pytest.Item], seconds: dict[str, float]) -> int:
        """Run the tests in a new process, which imports the code as it is in the copy now."""
        names = [item.nodeid for item in whole]
        (ROOT / "names").write_text("\n".join(names))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"@{ROOT / 'names'}"]
        with suppress(subprocess.TimeoutExpired):
            patience = 60 + 5 * sum(seconds.values())
            return subprocess.run(command, timeout=patience, check=False, capture_output=True).returncode
        return FAILED


def forked(work: Callable[[], int], seconds: float) -> int:
    """Return what the work returns in a fork of this process; FAILED where it raises or does not end.

    Processes that it started end with it, and its database is its own.
    """
    from django.conf import settings

    for file in Path(settings.DATA).glob("test.sqlite3*"):
        file.unlink()
    child = os.fork()
    if not child:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        code = FAILED
        with suppress(BaseException):
            code = work()
        os._exit(code)
    deadline = time.monotonic() + seconds
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if ended[0] == 0:
        os.waitpid(child, 0)
        return FAILED
    return os.waitstatus_to_exitcode(ended[1])


def draw(area: Area, count: int, seed: int) -> list[Mutant]:
    """Return defects of an area, drawn by the seed."""
    every = [mutant for file in area.files for mutant in mutants(file)]
    return random.Random(seed).sample(every, min(count, len(every)))


def main() -> None:
    """Print each defect and whether it was noticed, and the sum of each area."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--marks", default=TIERS["change"])
    parser.add_argument("--tests", type=Path, default=ROOT)
    parser.add_argument("--area", default="", help="only the areas whose place has this in it")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # this is the copy, and for one area
    chosen = parser.parse_args()
    areas = {number: area for number, area in enumerate(AREAS) if chosen.area in area.place}
    if chosen.here:
        for number, area in areas.items():
            drawn = draw(area, (chosen.count + number) // len(AREAS), chosen.seed)
            trials = Trials(area, drawn)
            files = [f"tests/{name}" for name in area.tests]
            pytest.main(["-q", "-p", "no:cacheprovider", "-m", chosen.marks, *files], plugins=[trials])
            print(f"{trials.killed} of {len(drawn)} noticed in {area.place}", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        subprocess.run(["git", "checkout-index", "-a", f"--prefix={copy}/"], cwd=ROOT, check=True)
        shutil.rmtree(copy / "tests")
        shutil.copytree(chosen.tests / "tests", copy / "tests")
        for name in (".venv", ".engines"):
            (copy / name).symlink_to((ROOT / name).resolve())
        for area in areas.values():
            command = [sys.executable, "-m", "bench.mutants", *sys.argv[1:], "--here", "--area", area.place]
            environment = os.environ | {"PYTHONPATH": f"{copy}:{copy / 'client/src'}"}
            subprocess.run(command, cwd=copy, env=environment, check=True)


if __name__ == "__main__":
    main()
