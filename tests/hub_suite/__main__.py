"""Runs the suite twice over one hub on each database and store, and prints a table: python -m tests.hub_suite [part …].

Parts are names of COMBINATIONS; none means all. `census` runs every test that is not out of scope by a stated reason
instead, and prints those that asked the hub and are not in ids.txt.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import live
from tests.hub_suite import gallery, judged, upstream
from tests.hub_suite.judge import Verdict, collect, judge
from tests.services import new_database, postgres, seaweedfs

COMBINATIONS = {
    "sqlite-files": (False, False),
    "sqlite-s3": (False, True),
    "postgres-files": (True, False),
    "postgres-s3": (True, True),
}
TIMES = 2


@contextmanager
def hub_on(folder: Path, is_postgres: bool, is_s3: bool) -> Iterator[live.Hub]:
    """A hub with everybody the suite needs and a worker, on that database and that store."""
    with ExitStack() as stack:
        settings = {}
        if is_postgres:
            settings["DATABASE_URL"] = new_database(stack.enter_context(postgres()))
        if is_s3:
            server = stack.enter_context(seaweedfs())
            os.environ.update(server.environment)
            settings["BLOBS"] = server.url("suite")
        yield stack.enter_context(live.hub(folder, worker=True, people=gallery.PEOPLE, **settings))


def verdicts(name: str) -> Iterator[Verdict]:
    """Run everything in scope TIMES over on one hub, and yield what came of it each time."""
    with tempfile.TemporaryDirectory(prefix="dovetail-suite-") as place:
        folder = Path(place)
        with hub_on(folder / "data", *COMBINATIONS[name]) as hub:
            for time in range(1, TIMES + 1):
                yield judge(hub.url, folder / f"report-{time}", judged.ids())


def run(name: str) -> bool:
    """Print a line for each run, and what did not pass; return whether everything did."""
    is_whole = True
    for number, verdict in enumerate(verdicts(name), 1):
        print(f"{name:16} {number}  {verdict.sentence()}", flush=True)
        is_whole &= _tell(verdict)
    return is_whole


def _tell(verdict: Verdict) -> bool:
    bad = [one for one in verdict.outcomes if one.what != "passed"]
    for one in bad:
        print(f"    {one.what} {one.id}: {one.why}", flush=True)
    return not bad and len(verdict.outcomes) == len(judged.ids())


def census() -> bool:
    """Print which tests ask a hub and pass, and are not on the list: whether it is whole."""
    tests = (upstream.build() / "suite" / "tests").glob("test_*.py")
    everything = collect(f"tests/{file.name}" for file in sorted(tests))
    # Without their parameters, which may hold the names of people: those are others when nobody is asked.
    wanted = list(dict.fromkeys(id.partition("[")[0] for id in everything if not judged.reason(id)))
    with tempfile.TemporaryDirectory(prefix="dovetail-suite-") as place:
        folder, asked = Path(place), Path(place) / "asked"
        asked.mkdir()
        with hub_on(folder / "data", False, False) as hub:
            verdict = judge(hub.url, folder / "report", wanted, asked=asked)
        noted = {json.loads(line)[0] for file in asked.iterdir() for line in file.read_text().splitlines()}
    known = set(judged.ids())
    forgotten = [one for one in verdict.outcomes if one.id in noted - known and not judged.reason(one.id)]
    print(f"{len(everything)} tests, {len(wanted)} with no reason against them, {len(noted)} asked the hub.")
    for one in sorted(forgotten, key=lambda one: one.id):
        print(f"    not on the list: {one.id} ({one.what}) {one.why}")
    return not forgotten and noted >= known


if __name__ == "__main__":
    parts = sys.argv[1:] or list(COMBINATIONS)
    whole = [census() if part == "census" else run(part) for part in parts]  # every one runs, whatever the others say
    sys.exit(not all(whole))
