"""Visitors of the website, and adapters with versions and verdicts to look at."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from hub.monitoring import health
from registry.kernel import site_settings
from registry.models import Repository, Revision, User
from registry.repos.contents import card
from tests.api.conftest import FILES, judged, pushed
from tests.cast import Cast, signed_in

CHECKS = [
    {"id": "file.header", "outcome": "passed", "message": "24 tensors with 73,728 values.", "duration_ms": 0.4},
    {"id": "base.unpinned", "outcome": "warned", "message": "No revision.", "fix": "Name it.", "duration_ms": 0.1},
    {"id": "run.no-effect", "outcome": "passed", "message": "Changes outputs by up to 4.31.", "duration_ms": 88.0},
]
EVALS = [{"name": "smoke", "rows": 24, "metric": "accuracy", "base": 0.5, "adapter": 1.0, "claimed": 0.98}]


@pytest.fixture
def cast(everybody: Callable[[], Cast], db: None, settings: Any, tmp_path: Any) -> Cast:
    """Everybody, with a blob store of their own and no broker."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    return everybody()


@pytest.fixture
def visit(cast: Cast) -> Callable[[str], Client]:
    """Return the browser of somebody who has just entered the password; `anonymous` is not signed in."""

    def browser(who: str = "anonymous", **options: Any) -> Client:
        client = Client(**options)
        return client if who == "anonymous" else signed_in(client, User.objects.get(username=who))

    return browser


@pytest.fixture
def outage(cast: Cast) -> Iterator[None]:
    """The database is gone, and nothing remembers what it said before."""

    def gone(*_: object, **__: object) -> None:
        raise OperationalError("connection to server at 10.0.0.7 failed")

    site_settings.clear_cache()
    health._latest._at = float("-inf")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseDatabaseWrapper, "cursor", gone)
        yield


@pytest.fixture
def reviews(cast: Cast) -> Repository:
    """alice/reviews, public, whose second revision passed with a note."""
    made = cast.repository("alice/reviews")
    judged(pushed(cast, made), checks=CHECKS, evals=EVALS, depth="evaluated")
    made.refresh_from_db()
    return made


@pytest.fixture
def secret(cast: Cast) -> Repository:
    """acme/secret, private, passed."""
    made = cast.repository("acme/secret", private=True)
    judged(pushed(cast, made), checks=CHECKS, evals=EVALS)
    made.refresh_from_db()
    return made


def push_more(cast: Cast, repository: Repository, **files: bytes) -> Revision:
    """Push the usual files with some of them changed."""
    return pushed(cast, repository, files={**FILES, **files})


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page wait for its own processes as long as a busy machine needs."""
    monkeypatch.setattr(card, "RENDER_SECONDS", 300.0)


def leads_back(visit, form, own):
    """Assert that a form in the head of alice/reviews leads back to the page that sent it, from elsewhere to its own.

    So does the sign-in of who is not signed in yet.
    """
    here = "/alice/reviews/commits/main?before=main"
    for sent, page in ((f"http://testserver{here}", here), ("https://elsewhere.example/", own)):
        assert visit("carol").post(form, {"level": "all"}, headers={"Referer": sent}).url == page
    asked = visit().post(form, headers={"Referer": f"http://testserver{here}"})
    assert asked.url == f"/login?{urlencode({'next': here})}"
