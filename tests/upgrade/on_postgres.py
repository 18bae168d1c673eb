"""`migrate` on tables that are in use, on PostgreSQL; test_postgres.py runs this file there."""

import io
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from psycopg.errors import LockNotAvailable, QueryCanceled

from registry.management import upgrades
from registry.models import Repository, SchemaUpgrade
from registry.sql import schema
from tests.cast import Cast, assemble

PATIENCE = 120  # seconds until the reader ends its transaction, whatever the migration does


@pytest.fixture
def cast(transactional_db) -> Cast:
    return assemble()


def migrate(*target: str) -> str:
    """Run the command as a process does, and return what it printed."""
    out = io.StringIO()
    call_command("migrate", *target, verbosity=1, stdout=out)
    return out.getvalue()


@pytest.fixture
def next_release(transactional_db, settings) -> Iterator[None]:
    """Let the next release be installed, whose one migration has not run; unsafe statements raise."""
    assert connection.vendor == "postgresql", "run it by test_postgres.py"
    settings.MIGRATION_MODULES = {"registry": "tests.upgrade.next_migrations"}
    settings.ZERO_DOWNTIME_MIGRATIONS_RAISE_FOR_UNSAFE = True
    settings.ZERO_DOWNTIME_MIGRATIONS_LOCK_TIMEOUT = "300ms"
    schema.migrations_of_code.cache_clear()
    newest = max(name for name in schema.migrations_of_code() if name != "9999_next")
    yield
    settings.MIGRATION_MODULES = {"registry": "tests.upgrade.next_migrations"}
    migrate("registry", newest)
    SchemaUpgrade.objects.all().delete()
    schema.migrations_of_code.cache_clear()


def in_a_thread(deed: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            deed()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_statements_keep_nobody_away_and_code_of_today_goes_on(next_release, cast, settings):
    for name in ("one", "two", "three"):
        cast.repository(f"alice/{name}")
    with CaptureQueriesContext(connection) as queries:
        migrate()
    statements = [query["sql"] for query in queries]
    assert any("CREATE INDEX CONCURRENTLY" in sql and "repository_by_audience" in sql for sql in statements)
    assert any("FOREIGN KEY" in sql and sql.endswith("NOT VALID") for sql in statements)
    added = next(number for number, sql in enumerate(statements) if "ADD COLUMN" in sql)
    assert {"SET statement_timeout TO '10s'", "SET lock_timeout TO '300ms'"} == set(statements[added - 2 : added])

    cast.repository("alice/four")  # an INSERT that does not name the new column
    with connection.cursor() as cursor:
        cursor.execute("SELECT audience, count(*) FROM registry_repository GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [("", 1), ("everybody", 3)]

    settings.MIGRATION_MODULES = {}  # code of today, on tables of the next release
    schema.migrations_of_code.cache_clear()
    assert schema.mismatch() == ""
    call_command("migrate", "--check", verbosity=0)


def test_an_attempt_that_got_no_lock_gives_way_and_the_next_one_goes_on(next_release, cast, monkeypatch):
    cast.repository("alice/one")
    monkeypatch.setattr(upgrades, "PAUSES", (0.1,) * 20)
    is_held, out = threading.Event(), io.StringIO()

    def hold() -> None:
        with transaction.atomic():
            assert Repository.objects.count() == 1  # a reader's lock, which a change of the table waits for
            is_held.set()
            deadline = time.monotonic() + PATIENCE
            while "A table is in use" not in out.getvalue() and time.monotonic() < deadline:
                time.sleep(0.05)

    reader = in_a_thread(hold)
    is_held.wait()
    migration = in_a_thread(lambda: call_command("migrate", verbosity=1, stdout=out))
    while reader.is_alive():
        assert Repository.objects.filter(name="one").exists()  # no queue forms behind the one who waits
        time.sleep(0.05)
    migration.join()
    assert "A table is in use" in out.getvalue()
    assert schema.applied() >= {"9999_next"}


def test_two_at_once_run_one_after_the_other(next_release):
    printed: list[str] = []
    both = [in_a_thread(lambda: printed.append(migrate())) for _ in range(2)]
    for thread in both:
        thread.join()
    assert sorted("9999_next" in text for text in printed) == [False, True]
    assert sum("Another `migrate` runs" in text for text in printed) == 1


@pytest.mark.parametrize(
    ("cause", "sentence"), [(LockNotAvailable(), "keeps a table in use"), (QueryCanceled(), "was cancelled")]
)
def test_it_says_what_to_do_when_it_gives_up(transactional_db, monkeypatch, cause, sentence):
    monkeypatch.setattr(upgrades, "PAUSES", (0, 0))

    def fail() -> None:
        raise OperationalError from cause

    with pytest.raises(CommandError, match=sentence):
        upgrades.giving_way(fail, connection, lambda text: None)


def test_any_other_problem_of_the_database_is_raised_at_once(transactional_db):
    def fail() -> None:
        raise OperationalError("the disk is full")

    with pytest.raises(OperationalError, match="disk"):
        upgrades.giving_way(fail, connection, lambda text: None)
