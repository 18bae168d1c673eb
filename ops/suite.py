"""`make test`: builds what the tests need, runs the tests of a tier, and ends with a line of counts."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ops import environments, services
from ops.sentences import ROOT, Stop, say

# Tests that wait for servers, engines and browsers leave 45 % of two cores idle to two processes, so there is a third;
# conftest.py distributes the tests.
WHOLE = ("-n", "3")

# Tier → the tests of it, by their marks: each tier holds the one before. A test without a mark belongs to the first.
TIERS = {"change": "not merge and not night", "merge": "not night", "night": ""}


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
    """Run the tests of TIER, or those that pytest's `arguments` select; the last line printed is the count.

    What is selected runs whatever its tier, unless TIER is given too. Exits with 1 when a test failed, or was skipped
    in CI.
    """
    chosen = ["-m", marks(arguments), *(arguments or WHOLE)]
    if services.missing() and (in_ci() or services.can_install()):
        services.install()
    python = environments.ensure_dev()
    environments.ensure_engines()
    if absent := services.missing():
        say(f"Not installed: {', '.join(absent)}. The tests that need them are skipped, and listed at the end.")
    # Hubs, workers and engines start some hundred times: each would compile its imports again.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code, count = run_once(python, chosen, environment)
    reason = complaint(code, count)
    if reason:
        say(reason)
    say(str(count))
    if reason:
        raise SystemExit(1)


def marks(arguments: Sequence[str]) -> str:
    """Return pytest's expression (`-m`) for the tests that a run takes; a Stop where TIER is none."""
    tier = os.environ.get("TIER") or ("night" if arguments else "change")
    if tier not in TIERS:
        raise Stop(f"There is no tier {tier!r}. Fix: TIER=change, TIER=merge or TIER=night.")
    return TIERS[tier]


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
