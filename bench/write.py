"""The row changes and the WAL of a push with its verdict on PostgreSQL, to the end of all that follows.

The stock client makes a new repository and pushes by Xet to a hub with a worker. Rows of heartbeats are left out.
`DOVETAIL_BENCH_PUSHES` says how many pushes are counted (3), after as many that are not. Each begins with a checkpoint,
after which PostgreSQL writes each page once whole: these bytes are told apart. The statements that changed rows are
printed with their rows, those of triggers too.
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
STATEMENT = 110  # characters that are printed
SECONDS, QUIET_SECONDS = 240, 4
HEARTBEATS = frozenset({"registry_workerheartbeat", "registry_clocklease", "registry_processreport"})
CHANGES: LiteralString = "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables"
POSITION: LiteralString = "SELECT pg_current_wal_insert_lsn()"
WAL: LiteralString = "SELECT sum(record_size), sum(fpi_size) FROM pg_get_wal_stats(%s, %s)"
STATEMENTS: LiteralString = """
SELECT query, sum(calls), sum(rows) FROM pg_stat_statements
WHERE rows > 0 AND query ~* '^\\s*(insert|update|delete|with)' GROUP BY query ORDER BY 3 DESC, 1
"""
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
        counted = ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=all")
        server = stack.enter_context(services.postgres(*counted))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dovetail-write-")))
        hub = stack.enter_context(live.hub(folder / "hub", worker=True, DATABASE_URL=server))
        database = stack.enter_context(psycopg.connect(server, autocommit=True))
        for extension in ("pg_stat_statements", "pg_walinspect"):
            database.execute(f"CREATE EXTENSION {extension}")
        rows, written, whole, tables = list[int](), list[float](), list[float](), Counter[str]()
        for number in range(2 * PUSHES):
            if number == PUSHES:
                database.execute("SELECT pg_stat_statements_reset()")
            before = changes(database)
            database.execute("CHECKPOINT")
            [began] = one(database, POSITION)
            push(hub, folder, number)
            wait(database)
            if number >= PUSHES:
                records, pages = one(database, WAL, began, *one(database, POSITION))
                more = changes(database) - before
                tables += more
                rows.append(more.total())
                written.append(float(str(records)) / 1000)
                whole.append(float(str(pages)) / 1000)
        for query, calls, number_of_rows in database.execute(STATEMENTS).fetchall():
            text = " ".join(str(query).split())[:STATEMENT]
            print(f"    {int(str(number_of_rows)) / PUSHES:6.1f} rows {int(str(calls)) / PUSHES:6.1f} calls  {text}")
    told = ", ".join(f"{name.removeprefix('registry_')} {n / PUSHES:.1f}" for name, n in tables.most_common(TOLD))
    note = f"{spread(rows)}: {told}"
    yield Line("row changes of a push with its verdict", statistics.median(rows), "rows", most=MOST_ROWS, note=note)
    yield Line("WAL of it", statistics.median(written), "KB", most=MOST_KB, note=spread(written))
    yield Line("whole pages after the checkpoint, beside it", statistics.median(whole), "KB", note=spread(whole))


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
    while one(database, WAITING) != (0,):
        if time.monotonic() > deadline:
            raise SystemExit("The jobs of a push did not end.")
        time.sleep(1)


def one(database: Database, statement: LiteralString, *values: object) -> tuple[object, ...]:
    row = database.execute(statement, values).fetchone()
    assert row is not None
    return row
