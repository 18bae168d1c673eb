"""The backend of SQLite, which uses a private part of Django: it answers as the plain one does."""

import pytest
from django.db.backends.sqlite3 import base as plain

from hub.server.sqlite import base as fast


@pytest.fixture
def connections(db):
    """A connection of each backend, both in memory."""
    settings = {"NAME": ":memory:", "ENGINE": "", "OPTIONS": {}, "TIME_ZONE": None, "CONN_HEALTH_CHECKS": False}
    settings |= {"CONN_MAX_AGE": 0, "AUTOCOMMIT": True, "ATOMIC_REQUESTS": False, "TEST": {}}
    opened = [backend.DatabaseWrapper(dict(settings), "alone") for backend in (plain, fast)]
    yield opened
    for connection in opened:
        connection.close()


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("SELECT %s, %s", ["a", 2]),
        ("SELECT %s LIKE 'a%%'", ["abc"]),
        ("SELECT '100%%', %s", ["%s"]),
        ("SELECT %(one)s, %(two)s", {"one": 1, "two": "b"}),
        ("SELECT 1", None),
        ("SELECT '%s'", None),
    ],
)
def test_both_backends_of_sqlite_answer_alike(connections, query, values):
    def answer(connection):
        with connection.cursor() as cursor:
            return [cursor.execute(query, values).fetchall() for _ in range(2)]

    of_django, ours = map(answer, connections)
    assert ours == of_django


def test_the_texts_that_are_remembered_are_bounded(connections):
    with connections[1].cursor() as cursor:
        for number in range(3 * fast.MAX_TEXTS):
            assert cursor.execute(f"SELECT {number}, %s", ["x"]).fetchone() == (number, "x")
    assert len(fast._texts) <= fast.MAX_TEXTS
