"""The page for a fault, where the database itself is the fault."""

import re
from collections.abc import Iterator

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from hub.about import VERSION
from hub.monitoring import health
from hub.site import status
from registry.kernel import site_settings


def _forget() -> None:
    health._latest._at = float("-inf")
    status._numbers.forget()


@pytest.fixture
def _outage(cast) -> Iterator[None]:
    def gone(*_: object, **__: object) -> None:
        raise OperationalError("connection to server at 10.0.0.7 failed")

    site_settings.clear_cache()
    _forget()  # what a test before this one was told
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseDatabaseWrapper, "cursor", gone)
        yield


@pytest.mark.usefixtures("_outage")
@pytest.mark.parametrize("cookie", ["", "a" * 32])
def test_every_page_says_that_the_hub_is_at_fault(cookie: str, settings) -> None:
    client = Client(raise_request_exception=False)
    if cookie:
        client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    for page in (
        "/",
        "/adapters",
        "/login",
        "/join",
        "/alice",
        "/alice/thing",
        "/settings",
        "/notifications",
        "/admin/",
    ):
        answer = client.get(page)
        assert (answer.status_code, answer["Retry-After"]) == (503, "5"), page
        assert b"Something went wrong on our side" in answer.content, page
        assert b"10.0.0.7" not in answer.content, page
    answer = client.get("/status")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert b"The hub is not working right now" in answer.content
    assert b"10.0.0.7" not in answer.content


def test_the_status_page_says_what_works_and_nothing_of_how_the_hub_is_run(visit, reviews) -> None:
    _forget()
    answer = visit().get("/status")
    words = " ".join(re.sub("<[^>]+>", " ", answer.content.decode()).split())
    assert answer.status_code == 200
    assert ("Database works Accounts, versions and verdicts. Files works Pushing and pulling. Messages") in words
    assert (
        "Checking down Loads each version and reports its verdict. Pushes are accepted, but their verdicts are delayed."
        in words
    )
    assert re.search(r"Waiting \d+ ", words)
    assert "Workers 0 Last verdict just now" in words
    assert f"Dovetail {VERSION}," in words
    assert "DOVETAIL_" not in words
