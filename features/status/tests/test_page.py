"""The page of the state of the hub."""

import re

import pytest
from django.test import Client

from features.status import pages
from hub.about import VERSION
from hub.monitoring import health


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    health._latest._at = float("-inf")
    pages._numbers.forget()


@pytest.mark.usefixtures("outage")
@pytest.mark.parametrize("cookie", ["", "a" * 32])
def test_while_the_database_is_down_the_page_says_so_and_not_why(cookie: str, settings) -> None:
    client = Client(raise_request_exception=False)
    if cookie:
        client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    answer = client.get("/status")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert b"The hub is not working right now" in answer.content
    assert b"10.0.0.7" not in answer.content


def test_the_status_page_says_what_works_and_nothing_of_how_the_hub_is_run(visit, reviews) -> None:
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


def test_every_page_leads_to_it(visit) -> None:
    assert '<a href="/status">Status</a>' in visit().get("/").content.decode()
    assert visit().get("/stats")["Location"] == "/status"
