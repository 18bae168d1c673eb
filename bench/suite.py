"""The client's own tests, twice in a row over one hub, on both databases and both stores: how many pass."""

from collections.abc import Iterator

from bench.line import Line
from tests.hub_suite import __main__ as suite
from tests.hub_suite import judged


def lines() -> Iterator[Line]:
    """Run them on each database and store; the limit is that all pass."""
    count = len(judged.ids())
    for name in suite.COMBINATIONS:
        for number, verdict in enumerate(suite.verdicts(name), 1):
            passed, took = float(verdict.count("passed")), f"{verdict.seconds:.0f} s"
            yield Line(f"{name}, run {number}", passed, f"of {count}", least=count, note=took)
