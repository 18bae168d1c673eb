"""Searches of pushed files: fair between authors, bounded, and in a process of their own."""

import gzip
import io
import lzma
import random
import time
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from registry.bytes import search_turns, tensor_digests
from registry.models import ModerationDecision, PickleScan, Repository, Revision, RevisionFile, SearchAccount, Strike
from registry.proof import pickle_scans
from registry.publish import push
from registry.repos import refs
from registry.repos.contents.facts import BlobFile
from tests.cast import Cast
from tests.pickled import new_object
from workers import pushed_files
from workers.pushed_files import SearchError, SearchProcess

BOMB = lzma.compress(b"I0\n0" * (1 << 20))  # some kilobytes that cost a second
WORK = lzma.compress(b"I0\n0" * (1 << 17))


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


def test_digests_of_files_are_computed_in_the_same_turns(cast, repositories):
    first = {"alice": [f"{n}" * 64 for n in range(4)], "bob": ["b" * 64], "carol": ["c" * 64]}
    for name, files in first.items():
        tensor_digests.enqueue_digests(files, cast[name].pk)
    tensor_digests.enqueue_digests(["d" * 64])  # of the hub itself
    files = [row and row.file[0] for row in (tensor_digests.claim() for _ in range(5))]
    assert files == ["0", "b", "c", "d", None]
    pushed(cast, repositories["bob"], {"a.txt": b"x"}, by="bob")
    assert pickle_scans.claim() is None, "a file of bob's is being read"
    search_turns.give_back(cast["alice"].pk, 3.0)
    search_turns.give_back(cast["bob"].pk)
    assert pickle_scans.claim().revision.author == cast["bob"]
    assert tensor_digests.claim().file[0] == "1"


@pytest.mark.merge
def test_a_flood_of_one_author_at_most_doubles_anothers_wait(cast, repositories, monkeypatch):
    ended: list[tuple[str, float]] = []
    finish, scan = pickle_scans.finish, pushed_files._scan

    def finished(row, seconds):
        ended.append((row.revision.author.username, seconds))
        finish(row, seconds)

    def met(row, process):  # bob pushes while the first of the flood is searched
        if row.revision in flood[:1]:
            pushed(cast, repositories["bob"], {"again.xz": WORK, "more.xz": WORK}, by="bob")
        return scan(row, process)

    monkeypatch.setattr(pickle_scans, "finish", finished)
    flood: list[Revision] = []
    monkeypatch.setattr(pushed_files, "_scan", met)
    pushed(cast, repositories["bob"], {"one.xz": WORK, "two.xz": WORK}, by="bob")
    pushed_files.scan_revisions()
    [(_, idle)] = ended
    ended.clear()
    SearchAccount.objects.all().delete()
    flood += [pushed(cast, repositories["alice"], {f"{n}.xz": WORK}, by="alice") for n in range(8)]
    while "bob" not in [name for name, _ in ended]:  # a run begins none after some seconds
        pushed_files.scan_revisions()
    before = ended[: [name for name, _ in ended].index("bob") + 1]
    assert sum(seconds for _, seconds in before) <= 2 * idle, ended


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
    assert "needs more than 1 s of processor time" in decision.reason
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
    assert ModerationDecision.objects.get().reason.startswith("z/model.bin is a pickle that would import")


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


def scattered(members: int, size: int) -> bytes:
    """Return an archive whose directory names its members in another order than they lie."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(members):
            archive.writestr(f"{number}.txt", bytes(f"{number:05}", "ascii") * (size // 5))
        random.Random(1).shuffle(archive.filelist)
    return file.getvalue()


def test_members_of_an_archive_are_read_as_they_lie_whatever_its_directory_says(cast, repositories, monkeypatch):
    read: Any = BlobFile.read
    reads: list[int] = []

    def counted(file, size=-1):
        reads.append(size)
        return read(file, size)

    monkeypatch.setattr(BlobFile, "read", counted)
    archive = scattered(4000, 200)
    pushed(cast, repositories["alice"], {"data.zip": archive}, by="alice")
    pushed_files.scan_revisions()
    assert not PickleScan.objects.exists()
    assert sum(reads) < 4 * len(archive)
    assert len(reads) < 100


def test_a_search_ends_with_its_lease_and_its_reads_are_counted_to_its_author(cast, repositories, monkeypatch):
    read = BlobFile.read

    def slow(file, size=-1):
        time.sleep(0.05)
        return read(file, size)

    monkeypatch.setattr(BlobFile, "read", slow)
    monkeypatch.setattr(pickle_scans, "LEASE", timedelta(seconds=0.5))
    monkeypatch.setattr(pushed_files, "SCANNING_SECONDS", 0.2)  # so that each run begins one
    files = {f"{number}.txt": b"%d" % number for number in range(60)}
    endless = pushed(cast, repositories["alice"], files, by="alice")
    for attempt in range(2):
        assert PickleScan.objects.filter(attempts=attempt).exists()
        PickleScan.objects.update(free_at=timezone.now())
        pushed_files.scan_revisions()
        assert not ModerationDecision.objects.exists()
    assert SearchAccount.objects.get(author=cast["alice"].pk).milliseconds >= 1000, "as long as both lasted"
    monkeypatch.setattr(pickle_scans, "LEASE", timedelta(minutes=10))
    PickleScan.objects.update(free_at=timezone.now())
    pushed_files.scan_revisions()
    endless.refresh_from_db()
    assert not endless.is_quarantined, "it only took long"
    assert not PickleScan.objects.exists()
