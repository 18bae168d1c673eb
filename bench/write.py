"""The row changes and the WAL of a push with its verdict on PostgreSQL, to the end of all that follows.

The stock client makes a new repository and pushes by Xet to a hub with a worker. Rows of heartbeats are left out.
`DOVETAIL_BENCH_PUSHES` says how many pushes are counted (3), after as many that are not.
"""

import os
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import LiteralString

import psycopg

from bench.line import Line, spread
from tests import adapters, live, services

PUSHES = int(os.environ.pop("DOVETAIL_BENCH_PUSHES", "3"))  # popped: the hub refuses names that it does not know
MOST_ROWS, MOST_KB = 60, 90  # the goals
TOLD = 12  # tables that are named
SECONDS, QUIET_SECONDS = 240, 4
HEARTBEATS = frozenset({"registry_workerheartbeat", "registry_clocklease", "registry_processreport"})
CHANGES: LiteralString = "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables"
WAL: LiteralString = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
WAITING: LiteralString = """
SELECT (SELECT count(*) FROM registry_comparison) + (SELECT count(*) FROM registry_outboxevent)
+ (SELECT count(*) FROM registry_picklescan) + (SELECT count(*) FROM registry_tensordigest WHERE sha256 IS NULL)
+ (SELECT count(*) FROM registry_verdict WHERE finished_at IS NULL)
+ (SELECT count(*) FROM registry_cataloguecount WHERE NOT is_folded)
"""
Database = psycopg.Connection[tuple[object, ...]]


def lines() -> Iterator[Line]:
    """Run a hub with a worker on a new database, push, and count."""
    with ExitStack() as stack:
        server = stack.enter_context(services.postgres())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dovetail-write-")))
        hub = stack.enter_context(live.hub(folder / "hub", worker=True, DATABASE_URL=server))
        database = stack.enter_context(psycopg.connect(server, autocommit=True))
        rows, written, tables = list[int](), list[float](), Counter[str]()
        for number in range(2 * PUSHES):
            before, began = changes(database), one(database, WAL)
            push(hub, folder, number)
            wait(database)
            if number >= PUSHES:
                more = changes(database) - before
                tables += more
                rows.append(more.total())
                written.append((one(database, WAL) - began) / 1000)
    told = ", ".join(f"{name.removeprefix('registry_')} {n / PUSHES:.1f}" for name, n in tables.most_common(TOLD))
    note = f"{spread(rows)}: {told}"
    yield Line("row changes of a push with its verdict", statistics.median(rows), "rows", most=MOST_ROWS, note=note)
    yield Line("WAL of it", statistics.median(written), "KB", most=MOST_KB, note=spread(written))


def changes(database: Database) -> Counter[str]:
    """Return for each table how many rows were inserted, updated and deleted."""
    time.sleep(QUIET_SECONDS)  # a process tells of its statements a second later
    database.execute("SELECT pg_stat_clear_snapshot()")
    rows = database.execute(CHANGES).fetchall()
    return Counter({str(name): int(str(number)) for name, number in rows if name not in HEARTBEATS})


def push(hub: live.Hub, folder: Path, number: int) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = kept | {"HF_ENDPOINT": hub.url, "HF_TOKEN": live.TOKENS["alice"], "HF_HOME": str(folder / "hf")}
    source = adapters.write(adapters.lora(adapters.MINILM, seed=number), folder / f"a{number}")
    command = [str(live.BIN / "hf"), "upload", f"alice/pushed-{number}", str(source)]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def wait(database: Database) -> None:
    """Wait until everything that follows is done."""
    deadline = time.monotonic() + SECONDS
    while one(database, WAITING):
        if time.monotonic() > deadline:
            raise SystemExit("The jobs of a push did not end.")
        time.sleep(1)


def one(database: Database, statement: LiteralString) -> int:
    row = database.execute(statement).fetchone()
    assert row is not None
    return int(str(row[0]))
