"""Attacks by Xet: reading bytes beside one's own file, slowing down other readers, using up resources."""

import io
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.cache import caches
from django.test import Client as Browser
from django.utils import timezone

from features.xet import tickets, transfers, xet_files, xorbs
from features.xet.models import XetFile, Xorb
from features.xet.tests import build
from features.xet.tests.test_reading import asked
from features.xet.tickets import Scope
from features.xet.xorbs import chunks
from features.xet.xorbs.chunks import XorbUnknown
from registry.bytes import blobs
from registry.bytes.blobs import Hasher
from registry.kernel.errors import DigestMismatch, PushTooLarge
from registry.models import Repository
from registry.people.tokens import tokens
from tests.hf.wire import Wire, header, lfs_file, notify, sha256

PUBLIC, PRIVATE, CAROLS = "acme/adapter", "acme/secret", "carol/own"
OPEN, HIDDEN = build.noise(100_000, 31), build.noise(90_000, 32)


@pytest.fixture
def beside(cast, store, settings) -> build.Xorb:
    """One push to a private adapter packed two files into one xorb; then one of them went to a public adapter."""
    settings.DOORBELL = f"{notify.__module__}.{notify.__name__}"
    public, private, alice = cast.repository(PUBLIC), cast.repository(PRIVATE, private=True), cast.session("alice")
    xorb = build.Xorb([*build.split(OPEN), *build.split(HIDDEN)])
    both = [build.file_record(OPEN, [xorb.term(0, 2)]), build.file_record(HIDDEN, [xorb.term(2)])]
    deliver(private, alice, xorb, *both)
    send(public, alice, both[0])
    for name, content in ((PUBLIC, OPEN), (PRIVATE, HIDDEN), (PRIVATE, OPEN)):
        line = lfs_file(f"{sha256(content)[:4]}.onnx", content)
        assert Wire(cast).commit(name, header(), line).status_code == 200
    return xorb


def deliver(repository: Repository, by, xorb: build.Xorb, *records: bytes) -> None:
    transfers.receive_xorb(repository, xorb.name, io.BytesIO(xorb.data), by=by)
    send(repository, by, *records)


def send(repository: Repository, by, *records: bytes) -> None:
    transfers.receive_shard(repository, io.BytesIO(build.shard(list(records))), by=by)


def about(cast, chunk: bytes, name: str = PUBLIC):
    return asked(cast, f"/xet/v1/chunks/default/{chunks.to_text(chunk)}", name=name)


def test_the_answer_about_a_chunk_tells_nothing_of_what_else_lies_in_its_xorb(cast, beside):
    answer = about(cast, beside.leaves[0][0])
    assert answer.status_code == 200
    assert all(digest in answer.content for digest, _ in beside.leaves[:2])
    assert not any(digest in answer.content for digest, _ in beside.leaves[2:])
    assert about(cast, beside.leaves[2][0]).status_code == 404


def test_a_shard_tells_nobody_whether_bytes_are_in_a_private_repository(cast, beside):
    own, nobodys = cast.repository(CAROLS, by="carol"), build.Xorb(build.split(build.noise(90_000, 99)))
    refusals = []
    for xorb, term in ((beside, beside.term(2)), (nobodys, nobodys.term())):
        with pytest.raises(XorbUnknown) as refusal:
            send(own, cast.session("carol"), build.file_record(HIDDEN, [term]))
        refusals.append(refusal.value.detail.replace(xorb.name, "NAME"))
    assert refusals[0] == refusals[1]


def test_who_was_told_of_a_xorb_may_name_it(cast, beside):
    """The answer about a chunk of a public file lets its reader propose a change without sending the rest again."""
    public, carol = Repository.objects.get(name="adapter"), cast.session("carol")
    record = build.file_record(OPEN, [beside.term(0, 2)])
    with pytest.raises(XorbUnknown):
        send(public, carol, record)
    assert asked(cast, f"/xet/v1/chunks/default/{chunks.to_text(beside.leaves[0][0])}", name=PUBLIC, who="carol")
    send(public, carol, record)


def test_who_knows_the_chunks_of_a_file_is_not_told_its_digest(cast, beside):
    own = cast.repository(CAROLS, by="carol")
    xet_files.make_known([beside.name], cast.session("carol"))
    mine = build.file_record(b"whatever", [beside.term(2)])
    with pytest.raises(DigestMismatch) as refusal:
        send(own, cast.session("carol"), mine)
    assert sha256(HIDDEN) not in f"{refusal.value.detail} {refusal.value.fix}"


def other_way(content: bytes, size: int, apart: bool = False) -> tuple[list[build.Xorb], bytes]:
    """The same content in chunks of another size, in one xorb, or each in a xorb of its own."""
    pieces = build.split(content, size)
    made = [build.Xorb([piece]) for piece in pieces] if apart else [build.Xorb(pieces)]
    return made, build.file_record(content, [xorb.term() for xorb in made])


def push_another_way(cast, size: int, *, apart: bool = False) -> str:
    """Carol, who reads the file, brings it to a repository of hers in pieces of her choice; returns its new id."""
    carol = cast.session("carol")
    own = Repository.objects.filter(name="own").first() or cast.repository(CAROLS, by="carol")
    made, record = other_way(OPEN, size, apart)
    for xorb in made:
        transfers.receive_xorb(own, xorb.name, io.BytesIO(xorb.data), by=carol)
    send(own, carol, record)
    return chunks.to_text(record[:32])


@pytest.mark.parametrize(("size", "apart"), [(50_000, True), (9_000, True), (2_000, False)])
def test_nobody_makes_others_read_a_file_in_more_pieces(cast, beside, size: int, apart: bool):
    before = XetFile.objects.get(sha256=sha256(OPEN))
    push_another_way(cast, size, apart=apart)
    assert xet_files.readable_file_ids([sha256(OPEN)]) == {sha256(OPEN): before.pk}
    assert XetFile.objects.get(pk=before.pk).terms == before.terms


def test_a_file_is_known_in_few_ways_and_a_good_one_comes_in_for_one_that_is_gone(cast, beside, monkeypatch):
    monkeypatch.setattr(xet_files, "MOST_WAYS", 3)
    ids = [push_another_way(cast, size, apart=True) for size in (40_000, 30_000, 20_000, 10_000)]
    assert XetFile.objects.filter(sha256=sha256(OPEN)).count() == 3
    assert not XetFile.objects.filter(pk=ids[-1]).exists()
    Xorb.objects.all().delete()
    last = push_another_way(cast, 10_000, apart=True)
    assert xet_files.readable_file_ids([sha256(OPEN)]) == {sha256(OPEN): last}


def test_saying_how_a_file_is_read_keeps_no_other_way_alive(cast, beside):
    push_another_way(cast, 20_000, apart=True)
    long_ago = timezone.now() - timedelta(days=20)
    Xorb.objects.update(last_used_at=long_ago)
    assert xet_files.readable_file_ids([sha256(OPEN)])
    assert [row.pk for row in Xorb.objects.exclude(last_used_at=long_ago)] == [beside.name]


def test_a_question_about_a_chunk_looks_into_so_many_xorbs_and_no_more(cast, beside, monkeypatch):
    push_another_way(cast, 10_000, apart=True)
    Wire(cast).commit(CAROLS, header(), lfs_file("w.onnx", OPEN), who="carol")
    looked: list[str] = []
    look = xorbs.xorb_index
    monkeypatch.setattr(xorbs, "xorb_index", lambda name, size: looked.append(name) or look(name, size))
    XetFile.objects.filter(terms__0__0=beside.name).delete()
    nowhere = chunks.hash_chunk(b"nowhere")
    assert about(cast, nowhere, CAROLS).status_code == 404
    assert len(looked) == 10
    looked.clear()
    monkeypatch.setattr(transfers, "MOST_LOOKED", 4 * transfers.WORTH)
    assert about(cast, nowhere, CAROLS).status_code == 404
    assert len(looked) <= 4


def test_what_shards_unpack_to_counts_as_bytes_that_somebody_sent(cast, store, settings):
    caches["counters"].clear()
    settings.QUOTA_BYTES, settings.BROKER_URL = 155_000, "memory://"
    repository, alice = cast.repository("alice/notes"), tokens.caller_of(cast.token("alice"))
    first, second = (build.Xorb([build.noise(50_000, seed)]) for seed in (33, 34))
    for xorb in (first, second):
        transfers.receive_xorb(repository, xorb.name, io.BytesIO(xorb.data), by=alice)
    ticket, _ = tickets.issue(repository, Scope.WRITE, alice)

    def unpacked(times: int, xorb: build.Xorb = first):
        record = build.file_record(xorb.raws[0] * times, [xorb.term()] * times)
        answer = Browser().post(
            "/xet/v1/shards",
            build.shard([record]),
            "application/octet-stream",
            headers={"Authorization": f"Bearer {ticket}"},
        )
        return SimpleNamespace(status=answer.status_code, said=answer.json())

    assert [unpacked(times).status for times in (2, 3)] == [200, 200]
    refused, full = unpacked(2, second), unpacked(4, second)
    assert refused.status == full.status == 403, refused.said
    assert refused.said["code"] == full.said["code"] == "quota-exceeded"
    assert "bytes today" in refused.said["detail"]
    assert "of 155,000 bytes; this needs 200,000 more" in full.said["detail"]
    assert not XetFile.objects.filter(sha256__in=[sha256(second.raws[0] * times) for times in (2, 4)]).exists()


def test_few_bytes_cannot_be_very_many_chunks(cast, store):
    repository, alice = cast.repository("alice/notes"), cast.session("alice")
    xorb = build.Xorb([b"x"] * 100)
    transfers.receive_xorb(repository, xorb.name, io.BytesIO(xorb.data), by=alice)
    with pytest.raises(PushTooLarge):
        send(repository, alice, build.file_record(b"x" * 10_000, [xorb.term()] * 100))
    assert not XetFile.objects.exists()


def test_a_file_of_tiny_chunks_takes_no_longer_than_they_are_many(store):
    def seconds(count: int) -> float:
        began, hasher = time.monotonic(), Hasher()
        assert sum(map(len, blobs.hash_through([b"x"] * count, hasher))) == count
        assert hasher.digest() == blobs.digest_of(b"x" * count)
        return time.monotonic() - began

    few, many = (min(seconds(count) for _ in range(3)) for count in (5_000, 40_000))
    assert many < 20 * max(few, 0.05)  # eight times as long, and no 64 times
