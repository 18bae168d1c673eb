"""Fixtures that every part of the test suite may use."""

import gc
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test import TransactionTestCase
from pytest_django.plugin import DjangoDbBlocker
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # xdist has no types

from features import FEATURES
from registry.kernel import site_settings
from registry.models import CatalogueCount
from registry.models.extensions import AppendOnlyModel, lifted
from registry.people import name_rules
from registry.repos import download_counts
from tests import live
from tests.cast import Cast, assemble
from tests.receivers import Receiver, receiver
from tests.services import new_database, postgres_server, s3_server, valkey_server
from tests.sweep import forget
from workers.engines import sessions

__all__ = ["postgres_server", "s3_server", "valkey_server"]

# Engines that play a part lie in this folder, and a test may start them by a script of its own.
sessions.PLACE.also = (Path(__file__).parent, Path(tempfile.gettempdir()))

# Tests that share what is slow to start, by how their addresses begin: a whole hub and a browser, or warm engines.
TOGETHER = {
    "tests/engine/": "engines",
    "tests/browser/": "hub",
    "tests/client/test_push.py": "hub",
    "tests/client/test_verdicts.py": "hub",
}


# Tests that wait for servers, engines and browsers. Their files come first: the quick ones then fill the end of a run,
# when a process would wait for the last slow file of the other one.
SLOW_MARKS = {"browser", "engine", "nginx", "postgres", "redis", "s3", "slow"}
SLOW_FIXTURES = {"live_hub", "working_hub"}


class ByFile(LoadScopeScheduling):
    """Give a process whole files, and all files whose tests share a fixture of the session."""

    def _split_scope(self, nodeid: str) -> str:
        return next((what for start, what in TOGETHER.items() if nodeid.startswith(start)), nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """Say how `-n` deals out the tests: by file, in the order of pytest_collection_modifyitems."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what one process takes whole first, and then the files with slow tests."""
    slow = {item.path for item in items if _is_slow(item)}
    items.sort(key=lambda item: (not item.nodeid.startswith(tuple(TOGETHER)), item.path not in slow))


def pytest_collection_finish() -> None:
    """Collect garbage as the web processes do (deploy/gunicorn.conf.py): what tests are made of is none."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)


def _is_slow(item: pytest.Item) -> bool:
    marks = {mark.name for mark in item.iter_markers()}
    return bool(marks & SLOW_MARKS) or bool(SLOW_FIXTURES & set(getattr(item, "fixturenames", ())))


@pytest.fixture(autouse=True, scope="session")
def _append_only_tables_are_emptied_between_tests() -> Iterator[None]:
    """Tests that commit are followed by a flush of all tables, which the triggers of the audit log refuse."""
    teardown = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]  # of Django, and stable

    kept = [table for table in apps.get_models() if issubclass(table, AppendOnlyModel)]

    def lifting(self: TransactionTestCase) -> None:
        with lifted(*kept):
            teardown(self)
            CatalogueCount.objects.all().delete()  # what triggers counted out while SQLite emptied the repositories

    TransactionTestCase._fixture_teardown = lifting  # type: ignore[attr-defined]  # as above
    yield
    TransactionTestCase._fixture_teardown = teardown  # type: ignore[attr-defined]  # as above


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Keep the tables that the next fixture brought; the migrations have nothing left to do then."""
    return True


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Begin with a copy of tables that one process of the run made: the migrations take half a minute."""
    if connection.vendor == "sqlite":
        shutil.copyfile(live.migrated() / "db.sqlite3", connection.settings_dict["TEST"]["NAME"])
    else:
        chosen = connection.settings_dict
        name = chosen["TEST"]["NAME"] or f"test_{chosen['NAME']}"
        live.make_tables(new_database(os.environ["DOVETAIL_DATABASE_URL"], name))


@pytest.fixture(scope="module")
def everybody(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[[], Cast]]:
    """Return what gives a test the cast, which is made once for a file and is as new for each of its tests.

    It costs as much as a short test. Tests that commit would meet the open transaction of the file, and those that
    close the connection would end it (`own_cast`): they make their own.
    """
    own = request.node.get_closest_marker("own_cast") is not None
    if own or any(_commits(item) for item in request.session.items if item.getparent(pytest.Module) is request.node):
        yield assemble
        return
    file = transaction.atomic()
    file._from_testcase = True  # type: ignore[attr-defined]  # as in TestCase: code may ask for the outermost one
    with django_db_blocker.unblock(), file:
        yield assemble().again
        transaction.set_rollback(True)


def _commits(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("django_db")
    is_marked = mark is not None and bool(mark.kwargs.get("transaction"))
    return is_marked or bool({"transactional_db", "live_server"} & set(getattr(item, "fixturenames", ())))


@pytest.fixture(autouse=True)
def _nothing_that_other_tests_kept() -> None:
    """No test meets the counters and caches of another. Site settings and rules for names are read once in a test.

    So it is also where a machine is so slow that they grow old: read again between two counts of queries, they
    were one query more.
    """
    site_settings.FOLLOW_SECONDS = name_rules.FOLLOW_SECONDS = float("inf")
    forget()


@pytest.fixture(autouse=True)
def _no_counts_of_other_tests() -> Iterator[None]:
    """Let no test meet the counts of another; here only `flush` writes them."""
    download_counts.FLUSH_SECONDS = threading.TIMEOUT_MAX
    yield
    download_counts._waiting.clear()


@pytest.fixture(scope="session")
def live_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Hub]:
    """A hub without a worker: the wire, the website and REST, on SQLite and files."""
    with live.hub(tmp_path_factory.mktemp("live") / "data") as hub:
        yield hub


@pytest.fixture(scope="session")
def collector() -> Iterator[Receiver]:
    """A collector of traces, which gets those of `working_hub`."""
    with receiver() as received:
        yield received


@pytest.fixture(scope="session")
def working_hub(tmp_path_factory: pytest.TempPathFactory, collector: Receiver) -> Iterator[live.Hub]:
    """A whole hub: web, worker, beat and broker, with the demo base on its shelf, which traces what it does."""
    assert (Path(live.ROOT) / ".engines" / "e5").exists(), "build the engine first: make engines"
    traced = {"OTLP_ENDPOINT": collector.url} if "telemetry" in FEATURES else {}
    with live.hub(tmp_path_factory.mktemp("working") / "data", worker=True, **traced) as hub:
        yield hub


@pytest.fixture
def without_bin(settings):
    """Repositories skip the bin: a deletion is final."""
    settings.FIRST_BIN_DAYS = "0"
    site_settings.clear_cache()
    yield
    site_settings.clear_cache()
