"""One suite for every blob store: what is promised in registry/bytes/blobs/contract.py, and nothing more."""

import hashlib
import random
import threading
import tracemalloc
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2 as httpx
import pytest

from features.buckets.s3 import S3Store
from registry.bytes.blobs import BlobMissing, BlobStore, BytesChanged, Digest, Hasher, Keys, hash_through, pieces
from registry.repos.manifest import git_blob_oid
from tests.sweep import sweep

BIG = bytes(range(256)) * (20 << 12)  # 20 MiB: three parts of 8 MiB


def staged() -> str:
    return Keys.incoming(uuid.uuid4())


def blob_key(data: bytes) -> str:
    return Keys.blob(hashlib.sha256(data).hexdigest())


def content(store: BlobStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    with store.open(key, start, end) as reader:
        return reader.read()


@pytest.mark.parametrize("data", [b"", b"x", b"adapter" * 1000, BIG], ids=["empty", "byte", "small", "big"])
def test_what_was_put_is_what_is_read(blob_store: BlobStore, data: bytes) -> None:
    key = staged()
    assert blob_store.put(key, [data[:3], data[3:]]) is True
    assert content(blob_store, key) == data
    assert blob_store.size(key) == len(data)
    assert b"".join(pieces(blob_store.open(key), 100_000)) == data


@pytest.mark.parametrize("most", [1, 100_000, 3 << 20], ids=["bytes", "chunks", "pieces"])
def test_the_bytes_may_come_in_parts_of_any_size(blob_store: BlobStore, most: int) -> None:
    dice = random.Random(most)
    data = dice.randbytes(5_000 if most == 1 else 7_000_001)
    parts, start = [b""], 0
    while start < len(data):
        size = dice.randint(0, most)
        parts.append(data[start : start + size])
        start += size
    key = staged()
    assert blob_store.put(key, parts)
    assert content(blob_store, key) == data


@pytest.mark.parametrize("data", [b"first", BIG], ids=["small", "big"])
def test_a_taken_key_keeps_its_bytes(blob_store: BlobStore, data: bytes) -> None:
    key = staged()
    assert blob_store.put(key, [data])
    assert blob_store.put(key, [b"other" + data]) is False
    assert content(blob_store, key) == data


@pytest.mark.parametrize("before_failing", [b"", b"some", BIG], ids=["nothing", "little", "parts"])
def test_nothing_appears_when_the_source_raises(blob_store: BlobStore, before_failing: bytes) -> None:
    def source() -> Iterator[bytes]:
        yield before_failing
        raise ValueError("the digest is wrong")

    key = staged()
    with pytest.raises(ValueError, match="digest"):
        blob_store.put(key, source())
    with pytest.raises(BlobMissing):
        blob_store.size(key)
    assert list(blob_store.list(Keys.INCOMING)) == []
    assert blob_store.tidy(datetime.now(UTC) + timedelta(days=1)) == 0
    assert blob_store.put(key, [b"again"]) is True


@pytest.mark.merge
def test_memory_does_not_grow_with_the_object(blob_store: BlobStore) -> None:
    blob_store.put(staged(), [b"what is imported late"])
    tracemalloc.start()
    try:
        blob_store.put(staged(), (bytes([number]) * (64 << 10) for number in range(200) for _ in range(10)))  # 125 MiB
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_an_object_does_not_appear_before_it_is_whole(blob_store: BlobStore) -> None:
    key = staged()

    def source() -> Iterator[bytes]:
        for at in range(0, len(BIG), 1 << 20):
            yield BIG[at : at + (1 << 20)]
            with pytest.raises(BlobMissing):
                blob_store.size(key)

    assert blob_store.put(key, source())
    assert blob_store.size(key) == len(BIG)


def test_of_many_writers_exactly_one_wins(blob_store: BlobStore) -> None:
    key, results, gate = staged(), {}, threading.Barrier(6)

    def write(number: int) -> None:
        gate.wait()
        results[number] = blob_store.put(key, [b"%d" % number * 1000])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for number, won in results.items() if won]
    assert len(results) == 6
    assert len(winners) == 1
    assert content(blob_store, key) == b"%d" % winners[0] * 1000


@sweep("start, end", [(0, 1), (0, 10), (3, 7), (9, None), (9, 10), (5, 5), (10, None), (12, None), (0, 99), (8, 99)])
def test_ranges_are_half_open_and_never_too_long(blob_store: BlobStore, start: int, end: int | None) -> None:
    key = staged()
    blob_store.put(key, [b"0123456789"])
    assert content(blob_store, key, start, end) == b"0123456789"[start:end]


def test_a_range_far_inside_a_big_object_is_right(blob_store: BlobStore) -> None:
    key = staged()
    blob_store.put(key, [BIG])
    assert content(blob_store, key, (9 << 20) + 1, (9 << 20) + 5000) == BIG[(9 << 20) + 1 : (9 << 20) + 5000]


def test_what_is_not_there_is_missing_everywhere(blob_store: BlobStore) -> None:
    key = staged()
    with pytest.raises(BlobMissing):
        blob_store.open(key)
    with pytest.raises(BlobMissing):
        blob_store.open(key, 5, 5)
    with pytest.raises(BlobMissing):
        blob_store.size(key)
    with pytest.raises(BlobMissing):
        blob_store.promote(key, blob_key(b"x"), "any")
    blob_store.delete(key)


@pytest.mark.parametrize("data", [b"weights", BIG], ids=["small", "big"])
def test_promote_moves_the_hashed_bytes(blob_store: BlobStore, data: bytes) -> None:
    key = staged()
    blob_store.put(key, [data])
    with blob_store.open(key) as reader:
        reader.read()
    blob_store.promote(key, blob_key(data), reader.version)
    assert content(blob_store, blob_key(data)) == data
    with pytest.raises(BlobMissing):
        blob_store.size(key)


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 1), (0, 0), (5, 9)])
def test_every_range_names_the_version_of_the_whole(blob_store: BlobStore, start: int, end: int | None) -> None:
    for data in (b"", b"weights"):
        key = staged()
        blob_store.put(key, [data])
        with blob_store.open(key, start, end) as reader:
            reader.read()
        blob_store.promote(key, blob_key(data), reader.version)
        assert content(blob_store, blob_key(data)) == data


def test_promote_refuses_bytes_that_were_swapped_after_hashing(blob_store: BlobStore) -> None:
    key = staged()
    blob_store.put(key, [b"hashed"])
    with blob_store.open(key) as reader:
        reader.read()
    blob_store.delete(key)
    blob_store.put(key, [b"forged"])
    with pytest.raises(BytesChanged):
        blob_store.promote(key, blob_key(b"hashed"), reader.version)
    with pytest.raises(BlobMissing):
        blob_store.size(blob_key(b"hashed"))


def test_promote_leaves_a_believed_object_alone(blob_store: BlobStore) -> None:
    key, believed = staged(), blob_key(b"same")
    blob_store.put(believed, [b"same"])
    blob_store.put(key, [b"different"])
    with blob_store.open(key) as reader:
        blob_store.promote(key, believed, reader.version)
    assert content(blob_store, believed) == b"same"
    assert list(blob_store.list(Keys.INCOMING)) == []


def test_a_list_holds_what_has_the_prefix(blob_store: BlobStore) -> None:
    keys = {staged() for _ in range(5)}
    for key in keys:
        blob_store.put(key, [b"12345"])
    blob_store.put(blob_key(b"x"), [b"x"])
    found = {entry.key: entry for entry in blob_store.list(Keys.INCOMING)}
    assert set(found) == keys
    assert {entry.size for entry in found.values()} == {5}
    assert all(abs(datetime.now(UTC) - entry.modified_at) < timedelta(minutes=5) for entry in found.values())
    assert [entry.key for entry in blob_store.list(min(keys))] == [min(keys)]


def test_a_document_is_replaced_and_shared_bytes_are_the_same(blob_store: BlobStore) -> None:
    for data in (b"one", b"two"):
        blob_store.publish(
            "plane/index/a/b.json", data, kind="application/json", cache="public", facts={"commit": "0" * 40}
        )
        assert content(blob_store, "plane/index/a/b.json") == data
    blob_store.put(blob_key(b"bytes"), [b"bytes"])
    public = Keys.public_blob(hashlib.sha256(b"bytes").hexdigest())
    for _ in range(2):
        blob_store.share(blob_key(b"bytes"), public, "public")
    blob_store.delete(blob_key(b"bytes"))
    assert content(blob_store, public) == b"bytes"
    with pytest.raises(BlobMissing):
        blob_store.share(blob_key(b"absent"), Keys.public_blob("0" * 64), "public")


def test_anybody_reads_below_the_open_prefix_of_a_bucket_and_nowhere_else(s3_server) -> None:
    bucket = f"t-{uuid.uuid4()}"
    store = S3Store(bucket, s3_server.endpoint, seconds=60)
    store.publish("plane/wire/x", b"", kind="application/json", cache="public", facts={"commit": "0" * 40})
    store.put("blobs/x", [b"private"])
    assert store.let_anybody_read("plane/") == store.let_anybody_read("plane/")
    answers = {key: httpx.get(f"{s3_server.endpoint}/{bucket}/{key}") for key in ("plane/wire/x", "blobs/x", "")}
    assert {key: answer.status_code for key, answer in answers.items()} == {
        "plane/wire/x": 200,
        "blobs/x": 403,
        "": 403,
    }
    assert answers["plane/wire/x"].headers["x-amz-meta-commit"] == "0" * 40


def test_deleted_is_gone_and_may_come_again(blob_store: BlobStore) -> None:
    key = staged()
    blob_store.put(key, [b"one"])
    blob_store.delete(key)
    with pytest.raises(BlobMissing):
        blob_store.open(key)
    assert blob_store.put(key, [b"two"]) is True


def test_a_ready_store_says_so(blob_store: BlobStore) -> None:
    blob_store.check()


def test_a_signed_download_is_an_attachment_under_its_name(blob_store: BlobStore) -> None:
    key = staged()
    blob_store.put(key, [b"0123456789"])
    url = blob_store.presigned_get(key, 'a "name" é.safetensors', 60)
    if not isinstance(blob_store, S3Store):
        assert url is None
        assert blob_store.local_path(key).read_bytes() == b"0123456789"
        return
    answer = httpx.get(url, headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20%22name%22%20%C3%A9.safetensors"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert httpx.get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61")).status_code == 403
    assert blob_store.local_path(key) is None


def test_a_signed_upload_takes_the_bytes_and_no_other_key(blob_store: BlobStore) -> None:
    key, other = staged(), staged()
    url = blob_store.presigned_put(key, 60)
    if not isinstance(blob_store, S3Store):
        assert url is None
        return
    assert httpx.put(url, content=b"weights").status_code == 200
    assert content(blob_store, key) == b"weights"
    assert httpx.put(url.replace(key, other), content=b"weights").status_code == 403
    with pytest.raises(BlobMissing):
        blob_store.size(other)


def test_headers_of_an_uploader_do_not_reach_readers(blob_store: BlobStore) -> None:
    key = staged()
    url = blob_store.presigned_put(key, 60)
    if not isinstance(blob_store, S3Store):
        assert url is None
        return
    told = {"Content-Encoding": "gzip", "Content-Type": "text/html", "Cache-Control": "no-store"}
    assert httpx.put(url, content=b"weights", headers=told).status_code == 200
    believed = Keys.blob(hashlib.sha256(b"weights").hexdigest())
    blob_store.promote(key, believed, blob_store.open(key).version)
    answer = httpx.get(blob_store.presigned_get(believed, "w", 60))
    assert answer.content == b"weights"
    assert not {"content-encoding", "cache-control"} & set(answer.headers)


@pytest.mark.parametrize("digest", ["../" + "a" * 61, "A" * 64, "a" * 63, "a" * 64 + "\n", ""])
def test_what_is_no_digest_never_becomes_a_key(digest: str) -> None:
    with pytest.raises(ValueError, match="hex"):
        Keys.blob(digest)
    with pytest.raises(ValueError, match="hex"):
        Keys.xorb(digest)


def test_digests_are_those_of_sha256sum_and_git() -> None:
    hasher = Hasher()
    hasher.update(b"hel")
    hasher.update(b"lo\n")
    assert hasher.digest() == Digest("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", 6)
    assert git_blob_oid(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize("sizes", [[], [0], [7], [1 << 20] * 3, [60_000] * 40, [5, 1 << 20, 9, 700_000, 1]])
def test_bytes_are_hashed_in_order_while_they_go_by(sizes: list[int]) -> None:
    sent = [random.Random(number).randbytes(size) for number, size in enumerate(sizes)]
    hasher = Hasher()
    assert list(hash_through(iter(sent), hasher)) == sent
    assert hasher.digest() == Digest(hashlib.sha256(b"".join(sent)).hexdigest(), sum(sizes))


def test_whoever_stops_reading_leaves_no_thread_behind() -> None:
    going: Any = hash_through(iter([bytes(1 << 20)] * 9), Hasher())
    before = threading.active_count()
    next(going)
    assert threading.active_count() == before + 1
    going.close()
    assert threading.active_count() == before
