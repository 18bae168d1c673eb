"""`make test`: builds what the tests need, runs pytest, and ends with a line of counts."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ops import environments, services
from ops.sentences import ROOT, say

# Tests that wait for servers, engines and browsers leave 45 % of two cores idle to two processes, so there is a third;
# tests/conftest.py distributes the tests.
WHOLE = ("-n", "3")

# A whole run with so few failures runs them again alone, as CPython's runner does: real servers and browsers wait for
# each other's processes on shared cores. More failures, or the same one again, are a defect.
FEW = 3


@dataclass(frozen=True)
class Count:
    """The number of tests by outcome."""

    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def in_ci() -> bool:
    """Return whether this is CI, where no test may be skipped."""
    return os.environ.get("CI") == "true"


def run(arguments: Sequence[str]) -> None:
    """Run the tests that pytest's `arguments` select, all of them by default; the last line printed is the count.

    Exits with 1 when one failed, or was skipped in CI.
    """
    if services.missing() and (in_ci() or services.can_install()):
        services.install()
    python = environments.ensure_dev()
    environments.ensure_engines()
    if absent := services.missing():
        say(f"Not installed: {', '.join(absent)}. The tests that need them are skipped, and listed at the end.")
    # Hubs, workers and engines start some hundred times: each would compile what it imports anew.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code, count = run_once(python, arguments, environment) if arguments else run_whole(python, environment)
    reason = complaint(code, count)
    if reason:
        say(reason)
    say(str(count))
    if reason:
        raise SystemExit(1)


def run_whole(python: Path, environment: Mapping[str, str]) -> tuple[int, Count]:
    """Run all tests, and a few failures once more alone; return pytest's exit status, and the count."""
    code, count = run_once(python, WHOLE, environment)
    if code == 1 and count.failed <= FEW:
        say("Running what failed once more, alone …")
        code, alone = run_once(python, ("--last-failed", "--last-failed-no-failures=none"), environment)
        if code == 0 and not (alone.failed or alone.skipped):
            say("It passed alone. It depends on the load of the machine, as no test should: mend what failed above.")
            count = Count(count.passed + count.failed, 0, count.skipped)
    return code, count


def run_once(python: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, Count]:
    """Return pytest's exit status, and the count: one failure where it did not come to its report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        code = subprocess.run(
            [python, "-m", "pytest", f"--junitxml={report}", *arguments], cwd=ROOT, env=environment, check=False
        ).returncode
        return code, count_of(report) if report.exists() else Count(0, 1, 0)


def complaint(code: int, count: Count) -> str:
    """Return why this run failed, or an empty string."""
    if code != 0 or count.failed:
        return f"pytest ended with status {code}."
    if in_ci() and count.skipped:
        return "Under CI=true every test must run, and some were skipped."
    return ""


def count_of(report: Path) -> Count:
    """Read pytest's JUnit report."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))  # noqa: S314  # pytest wrote it a moment ago
    total, failed, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites for name in names)
        for names in (("tests",), ("failures", "errors"), ("skipped",))
    )
    return Count(total - failed - skipped, failed, skipped)
