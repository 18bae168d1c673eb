"""Searches of pushed files: fair between authors, bounded, and in a process of their own."""

import gzip
import lzma
from datetime import timedelta

import pytest
from django.utils import timezone

from registry.models import ModerationDecision, PickleScan, Repository, Revision, RevisionFile, SearchAccount, Strike
from registry.proof import pickle_scans
from registry.publish import push
from registry.repos import refs
from tests.cast import Cast
from tests.pickled import new_object
from workers import pushed_files
from workers.pushed_files import SearchError, SearchProcess

BOMB = lzma.compress(b"I0\n0" * (1 << 20))  # some kilobytes that cost a second


def pushed(cast: Cast, repository: Repository, files: dict[str, bytes], *, by: str) -> Revision:
    operations = [push.Inline(path, content) for path, content in files.items()]
    return push.receive(push.Intent(repository, refs.MAIN, cast.session(by), "Files"), operations).revision


@pytest.fixture
def repositories(cast: Cast) -> dict[str, Repository]:
    made = {name: cast.repository(f"{name}/own", by=name) for name in ("alice", "bob", "carol")}
    PickleScan.objects.all().delete()
    return made


def test_one_search_of_an_author_runs_and_who_used_least_comes_first(cast, repositories):
    flood = [pushed(cast, repositories["alice"], {f"{n}.txt": b"x"}, by="alice") for n in range(12)]
    others = {name: pushed(cast, repositories[name], {"a.txt": b"x"}, by=name) for name in ("bob", "carol")}
    SearchAccount.objects.create(
        author=cast["bob"].pk, day=timezone.now().date(), milliseconds=9, busy_until=flood[0].created_at
    )
    claimed = [pickle_scans.claim() for _ in range(4)]
    assert [row and row.revision for row in claimed] == [flood[0], others["carol"], others["bob"], None]
    pickle_scans.finish(claimed[0], 2.0)
    assert SearchAccount.objects.get(author=cast["alice"].pk).milliseconds == 2000
    second = pickle_scans.claim()
    assert second.revision == flood[1]
    SearchAccount.objects.update(busy_until=timezone.now())  # its worker died, and the lease of the turn ends
    assert pickle_scans.claim().revision == flood[2]


def test_who_has_used_up_the_day_waits_for_the_next_one(cast, repositories, settings):
    settings.SEARCH_SECONDS_A_DAY = 1
    pushed(cast, repositories["alice"], {"a.txt": b"x"}, by="alice")
    pickle_scans.finish(pickle_scans.claim(), 1.0)
    waiting = pushed(cast, repositories["alice"], {"model.bin": new_object("os", "system")}, by="alice")
    assert pickle_scans.claim() is None
    assert pickle_scans.waiting_since() is None
    pickle_scans.sweep()
    assert RevisionFile.objects.filter(is_unsearched=True, revision=waiting).exists(), "strangers get it no sooner"
    SearchAccount.objects.update(day=timezone.now().date() - timedelta(days=1))
    assert pickle_scans.waiting_since() == PickleScan.objects.get().queued_at
    pickle_scans.sweep()
    assert not SearchAccount.objects.exists()
    assert pickle_scans.claim().revision == waiting


def test_a_version_whose_search_takes_too_long_is_held_and_its_author_gets_no_strike(cast, repositories, settings):
    settings.SEARCH_SECONDS = 1
    bombs = {f"{n}.xz": BOMB for n in range(40)} | {f"{n}.gz": gzip.compress(bytes(n + (1 << 22))) for n in range(40)}
    slow = pushed(cast, repositories["alice"], bombs, by="alice")
    fine = pushed(cast, repositories["bob"], {"a.txt": b"x"}, by="bob")
    pushed_files.scan_revisions()
    slow.refresh_from_db()
    fine.refresh_from_db()
    assert (slow.is_quarantined, fine.is_quarantined) == (True, False)
    decision = ModerationDecision.objects.get()
    assert decision.finding == ""
    assert "takes more than 1 s of processor time" in decision.reason
    assert "unpack them" in decision.reason
    assert not PickleScan.objects.exists()
    assert not Strike.objects.exists()
    assert SearchAccount.objects.get(author=cast["alice"].pk).milliseconds == 1000


def test_a_pickle_is_found_before_the_search_runs_out_of_time(cast, repositories, settings):
    settings.SEARCH_SECONDS = 1
    bombs = {f"a/{n}.xz": BOMB for n in range(40)}
    held = pushed(cast, repositories["alice"], {**bombs, "z/model.bin": new_object("os", "system")}, by="alice")
    pushed_files.scan_revisions()
    held.refresh_from_db()
    assert held.is_quarantined
    assert ModerationDecision.objects.get().reason.startswith("z/model.bin is a pickle and would import")


def test_a_search_that_breaks_is_tried_again_and_then_its_version_is_held(cast, repositories, monkeypatch):
    def broken(*_):
        raise SearchError("The search ended with -11.")

    monkeypatch.setattr(SearchProcess, "search", broken)
    revision = pushed(cast, repositories["alice"], {"a.txt": b"x"}, by="alice")
    for attempt in range(3):
        assert PickleScan.objects.filter(attempts=attempt).exists()
        assert not ModerationDecision.objects.exists()
        PickleScan.objects.update(free_at=timezone.now())
        pushed_files.scan_revisions()
    revision.refresh_from_db()
    assert revision.is_quarantined
    assert "The hub failed to search it" in ModerationDecision.objects.get().reason
    assert not Strike.objects.exists()
