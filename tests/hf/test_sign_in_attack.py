"""Guesses from a dozen addresses against a hub that runs, while the owner of the account signs in."""

import http.client
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import pytest

from tests import live
from tests.live import PASSWORD, PEOPLE, Hub

ADDRESSES, GUESSES = 12, 17  # of each address
OWNER, STRANGER = "127.0.9.1", "127.0.9.2"


@pytest.fixture(scope="module")
def guarded_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that limits what strangers may ask for."""
    with live.hub(tmp_path_factory.mktemp("guarded") / "data", people=PEOPLE | {"site": {"throttle": "on"}}) as hub:
        yield hub


def sign_in(hub: Hub, address: str, username: str, *passwords: str) -> list[int]:
    """Fill in the sign-in page from an address of this machine, password by password; return the answers' statuses."""
    parts = urlsplit(hub.url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120, source_address=(address, 0))
    try:
        connection.request("GET", "/login")
        page = connection.getresponse()
        cookies = "; ".join(value.partition(";")[0] for value in page.headers.get_all("Set-Cookie") or [])
        token = re.search(r'name="csrfmiddlewaretoken"\s+value="(\w+)"', page.read().decode())
        assert token, page.status
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookies, "Origin": hub.url}
        statuses = []
        for password in passwords:
            form = {"csrfmiddlewaretoken": token[1], "username": username, "password": password}
            connection.request("POST", "/login", urlencode(form), kind)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        return statuses
    finally:
        connection.close()


@pytest.mark.merge
@pytest.mark.timeout(1800)  # each guess is a hash that is slow on purpose
def test_the_owner_signs_in_while_others_guess(guarded_hub: Hub):
    def attack(number: int) -> list[int]:
        guesses = (f"guess {number}" for number in range(GUESSES))
        return sign_in(guarded_hub, f"127.0.8.{number + 1}", "alice", *guesses)

    with ThreadPoolExecutor(6) as pool:
        attackers = [pool.submit(attack, number) for number in range(ADDRESSES)]
        owner = []
        while not all(one.done() for one in attackers):
            owner += sign_in(guarded_hub, OWNER, "alice", PASSWORD)
            time.sleep(0.5)
        answers = [status for one in attackers for status in one.result()]
    assert len(owner) >= 3
    assert set(owner) == {302}, owner
    assert 302 not in answers
    assert answers.count(429) > len(answers) / 2, "guesses are slowed down"
    assert sign_in(guarded_hub, STRANGER, "bob", PASSWORD) == [302], "and nobody else is kept out"
