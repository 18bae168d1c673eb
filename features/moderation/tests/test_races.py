"""Two at once: appeals that are approved at the same moment."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from features.moderation import appeals
from features.moderation.appeals import AppealClosed
from registry.models import Appeal, Repository
from registry.moderation import quarantine
from tests.together import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_appeals_against_one_hold_are_approved_at_once(cast, monkeypatch):
    """Neither waits for the other's appeal while it holds its own."""
    both_hold_one, grant = threading.Barrier(2), appeals._grant

    def grant_together(*facts: Any) -> None:
        with suppress(threading.BrokenBarrierError):
            both_hold_one.wait(timeout=1)  # in vain: the second one waits for the repository
        grant(*facts)

    monkeypatch.setattr(appeals, "_grant", grant_together)
    bad = cast.repository("acme/bad")
    quarantine.quarantine(bad, cast.session("mona"), reason="It steals.")
    held = Repository.objects.select_related("namespace").get(pk=bad.pk)
    rows = [appeals.open_appeal(held, cast.session(who), "Please.") for who in ("alice", "bob")]

    def approve(row: Appeal, who: str) -> Callable[[], Appeal]:
        by = cast.session(who)
        return lambda: appeals.decide(row, by, approve=True, reason="Sorry.")

    results = at_once(approve(rows[0], "mona"), approve(rows[1], "ada"))
    assert all(isinstance(result, Appeal | AppealClosed) for result in results), results
    assert not Appeal.objects.exclude(state=Appeal.State.APPROVED).exists()
    assert not Repository.objects.get(pk=bad.pk).is_quarantined
