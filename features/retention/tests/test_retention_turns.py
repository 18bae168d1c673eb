"""Rules of retention on much: everything is taken back in bounded steps, and owners take turns."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from features.retention import expiry, verbs
from features.retention.expiry import Restored
from features.retention.tests.test_retention import age, flood, hub, titles, weights
from features.retention.verbs import Limits
from registry.kernel.errors import FileBlocked
from registry.models import BlockedFile, PickleScan
from tests.api.conftest import pushed

__all__ = ["flood", "hub"]  # fixtures


def test_everything_is_taken_back_in_batches_that_go_on_and_pass_blocked_files_by(
    cast, flood, monkeypatch, django_assert_max_num_queries
):
    repository, line = flood
    alice = cast.session("alice")
    assert expiry.expire(repository, Limits(1)) == 8
    blocked = BlockedFile.objects.create(sha256=weights(line[2]).blob_id, reason="It steals.", by=cast["mona"])
    monkeypatch.setattr(expiry, "RESTORED", 2)
    with CaptureQueriesContext(connection) as two:
        assert expiry.restore(repository, alice, seconds=0) == Restored(2, left=6)
    monkeypatch.setattr(expiry, "RESTORED", 4)
    with django_assert_max_num_queries(len(two)):
        assert expiry.restore(repository, alice, seconds=0) == Restored(3, left=2)
    monkeypatch.undo()
    assert expiry.restore(repository, alice) == Restored(2, left=0)
    assert titles(repository) == [f"step {n}" for n in range(8) if n != 2]
    assert PickleScan.objects.filter(revision__in=line[:2]).count() == 2  # the search goes on where it was cancelled
    with pytest.raises(FileBlocked):
        expiry.restore(repository, alice)
    blocked.delete()
    assert expiry.restore(repository, alice) == Restored(1, left=0)


def test_an_owner_of_much_does_not_hold_up_the_next_one(cast, flood, monkeypatch):
    other = cast.repository("alice/run")
    for n in range(3):
        pushed(cast, other, title=f"step {n}", files={"w.onnx": b"%d" % n})
    age(other)
    monkeypatch.setattr(expiry, "SLICE", 1)
    verbs.set_owner_rule("acme", cast.session("alice"), Limits(1))
    verbs.set_owner_rule("alice", cast.session("alice"), Limits(1))
    turns = []
    expire = expiry.expire
    monkeypatch.setattr(expiry, "expire", lambda row, limits: turns.append(row.full_name) or expire(row, limits))
    assert expiry.run() == 8 + 3
    assert turns == ["acme/run", "alice/run"] * 4 + ["acme/run"] * 5
