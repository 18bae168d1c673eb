"""A database that is full or away: every face says so, as it does of a store, and nothing is half-written."""

from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection
from django.test import Client

from features.xet import transfers
from registry.repos.lists import catalog
from tests.hf.wire import Wire, file, header, world

NAME = "alice/reviews-lora"
SAID = (503, "store-unavailable")


@pytest.fixture
def full(cast) -> Iterator[None]:
    """SQLite without a free page; what is deleted frees none."""
    cast.repository(NAME)
    with connection.cursor() as database:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        yield
        database.execute("PRAGMA max_page_count = 1073741823")


@pytest.mark.django_db(transaction=True)  # a full SQLite rolls everything back, also what a test has around itself
def test_a_push_into_a_full_database_is_refused_whole(wire: Wire, full):
    before, many = world(), [file(f"{number}/{'long' * 40}", b"%d" % number) for number in range(200)]
    answer = wire.commit(NAME, header(), *many)
    assert (answer.status_code, answer.json()["code"]) == SAID
    assert "disk" not in answer.json()["error"], "what the database says is for the log"
    assert world() == before
    with connection.cursor() as database:
        database.execute("PRAGMA max_page_count = 1073741823")
    assert wire.commit(NAME, header(), *many).status_code == 200


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that went away, as the first question to it says."""

    def gone(*_: object, **__: object) -> None:
        raise OperationalError("connection to server at 10.0.0.7 failed: password for user dovetail")

    monkeypatch.setattr(catalog, "search", gone)
    monkeypatch.setattr(transfers, "receive_xorb", gone)


def test_rest_xet_and_the_website_say_it_too(wire: Wire, cast, broken):
    cast.repository(NAME)
    ticket = wire.get(f"/api/models/{NAME}/xet-write-token/main").json()["accessToken"]
    bearer = {"authorization": f"Bearer {ticket}"}
    kind = "application/octet-stream"
    answers = [
        wire.get("/api/models"),
        wire.get("/api/v1/adapters"),
        Client().post(f"/xet/v1/xorbs/default/{'0' * 64}", b"x", content_type=kind, headers=bearer),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [SAID] * 3
    page = Client().get("/adapters")
    assert page.status_code == 503
    for answer in (*answers, page):
        assert b"10.0.0.7" not in answer.content
