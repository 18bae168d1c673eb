"""Git LFS in full: parts, their completion and what it refuses, and download batches; stock clients on both stores."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.bytes import blobs, garbage
from registry.bytes.blobs import Keys
from registry.models import Repository, Upload
from registry.publish import uploads
from tests import live
from tests.clients import Client
from tests.hf.wire import Wire, header, lfs_file, sha256
from tests.live import TOKENS, Hub

NAME = "acme/adapter"
MIB = 1 << 20
DATA = random.Random(4).randbytes(12 * MIB + 7)


@pytest.fixture
def repo(cast, store, settings) -> str:
    """An empty repository, on a hub where 5 MiB are one part."""
    settings.LFS_PART_BYTES = 5 * MIB
    cast.repository(NAME)
    return NAME


def offered(wire: Wire, content: bytes = DATA) -> tuple[str, list[str], str]:
    """Return where the completion goes, where each part goes, and where to verify."""
    answer = wire.offer(NAME, content, transfers=["basic", "multipart"]).json()
    assert answer["transfer"] == "multipart"
    actions = answer["objects"][0]["actions"]
    numbered = dict(actions["upload"]["header"])
    assert int(numbered.pop("chunk_size")) == 5 * MIB
    assert list(numbered) == [f"{number:05}" for number in range(1, len(numbered) + 1)]
    return actions["upload"]["href"], list(numbered.values()), actions["verify"]["href"]


def cut(content: bytes = DATA) -> list[bytes]:
    return [content[at : at + 5 * MIB] for at in range(0, len(content), 5 * MIB)]


def send(wire: Wire, urls: list[str], content: bytes = DATA) -> list[dict]:
    """Send all parts and return what the completion names."""
    answers = [wire.put(url, part) for url, part in zip(urls, cut(content), strict=True)]
    assert [answer.status_code for answer in answers] == [200] * len(answers), answers[0].content
    return [{"partNumber": number, "etag": answer["ETag"]} for number, answer in enumerate(answers, 1)]


def complete(wire: Wire, href: str, named: list[dict], oid: str = sha256(DATA)):
    path = "/" + href.split("/", 3)[3]
    return wire.ask("POST", path, {"oid": oid, "parts": named}, who="nobody")


def staged(store) -> list[str]:
    return [entry.key for entry in store.list(Keys.INCOMING)]


def test_a_file_that_is_sent_whole_to_the_hub_needs_no_second_question(wire: Wire, repo: str):
    [offer] = wire.offer(NAME, DATA).json()["objects"]
    assert list(offer["actions"]) == ["upload"]
    assert wire.put(offer["actions"]["upload"]["href"], DATA).status_code == 200
    assert wire.commit(NAME, header(), lfs_file("w.bin", DATA)).status_code == 200


def test_a_file_that_is_sent_whole_to_the_store_is_there_once_it_is_verified(wire: Wire, repo: str, store, monkeypatch):
    monkeypatch.setattr(type(store), "presigned_put", lambda self, key, seconds: f"https://store.example.org/{key}")
    [offer] = wire.offer(NAME, DATA).json()["objects"]
    actions = offer["actions"]
    store.put(actions["upload"]["href"].removeprefix("https://store.example.org/"), [DATA])
    assert wire.commit(NAME, header(), lfs_file("w.bin", DATA)).json()["code"] == "blob-unknown"
    verify = "/" + actions["verify"]["href"].split("/", 3)[3]
    assert wire.ask("POST", verify, {"oid": sha256(DATA), "size": len(DATA)}).status_code == 200
    assert wire.commit(NAME, header(), lfs_file("w.bin", DATA)).status_code == 200


def test_a_large_file_comes_in_parts_and_becomes_one(wire: Wire, repo: str, store):
    href, urls, verify = offered(wire)
    assert complete(wire, href, send(wire, urls)).status_code == 200
    assert staged(store) == []
    assert wire.ask("POST", "/" + verify.split("/", 3)[3], {"oid": sha256(DATA), "size": len(DATA)}).status_code == 200
    assert wire.commit(NAME, header(), lfs_file("w.bin", DATA)).status_code == 200
    assert wire.get(f"/{NAME}/resolve/main/w.bin").content_of() == DATA


def test_a_file_of_one_part_and_a_client_that_knows_no_parts_go_whole(wire: Wire, repo: str):
    assert wire.offer(NAME, DATA[: 5 * MIB], transfers=["basic", "multipart"]).json()["transfer"] == "basic"
    for said in ({"transfers": ["basic"]}, {"transfers": None}, {"transfers": ["basic", "xet"]}):
        answer = wire.offer(NAME, DATA, **said).json()
        assert answer["transfer"] == "basic"
        assert answer["objects"][0]["actions"]["upload"]["header"] == {}
    assert wire.deliver(NAME, DATA).status_code == 200


def test_a_part_that_broke_off_is_sent_again_and_the_others_stay(wire: Wire, repo: str, store):
    href, urls, _ = offered(wire)
    first = wire.put(urls[0], cut()[0])["ETag"]
    assert wire.put(urls[1], cut()[1][:-1]).status_code == 400
    assert len(staged(store)) == 1
    assert wire.put(urls[0], cut()[0])["ETag"] == first
    assert complete(wire, href, send(wire, urls)).status_code == 200


def test_parts_of_other_bytes_are_all_dropped(wire: Wire, repo: str, store):
    href, urls, _ = offered(wire)
    named = send(wire, urls, DATA[:-1] + b"?" if DATA[-1:] != b"?" else DATA[:-1] + b"!")
    answer = complete(wire, href, named)
    assert (answer.status_code, answer.json()["code"]) == (400, "digest-mismatch")
    assert staged(store) == []
    assert wire.commit(NAME, header(), lfs_file("w.bin", DATA)).status_code == 400
    assert not blobs.object_exists(Keys.blob(sha256(DATA)))


def test_a_completion_must_name_each_part_once_with_its_etag(wire: Wire, repo: str, store):
    href, urls, _ = offered(wire)
    named = send(wire, urls)
    wrong = {
        "none": [],
        "one missing": named[:-1],
        "one twice": [*named, named[0]],
        "one too many": [*named, {"partNumber": 4, "etag": '"x"'}],
        "the number 0": [{"partNumber": 0, "etag": named[0]["etag"]}, *named[1:]],
        "another etag": [*named[:-1], {"partNumber": 3, "etag": named[0]["etag"]}],
    }
    for why, parts_named in wrong.items():
        assert complete(wire, href, parts_named).status_code == 400, why
    assert complete(wire, href, named, oid=sha256(b"other")).status_code == 400
    assert len(staged(store)) == 3  # nothing of it did harm
    assert complete(wire, href, named).status_code == 200


def test_a_part_that_has_not_arrived_is_named(wire: Wire, repo: str):
    href, urls, _ = offered(wire)
    etag = wire.put(urls[0], cut()[0])["ETag"]
    answer = complete(wire, href, [{"partNumber": number, "etag": etag} for number in (1, 2, 3)])
    assert (answer.status_code, answer.json()["detail"]) == (400, "Part 2 of 3 has not arrived.")


def test_a_completion_works_once(wire: Wire, repo: str):
    href, urls, _ = offered(wire)
    named = send(wire, urls)
    assert complete(wire, href, named).status_code == 200
    assert complete(wire, href, named).json()["code"] == "upload-expired"
    assert wire.put(urls[0], cut()[0]).json()["code"] == "upload-expired"


def test_the_address_of_a_part_completes_nothing_and_made_up_ones_do_nothing(wire: Wire, repo: str, store):
    href, urls, _ = offered(wire)
    named = send(wire, urls)
    of_a_part = urls[0].partition("?ticket=")[2]
    for ticket in (of_a_part, href.partition("?ticket=")[2][:-1] + "-", ""):
        assert complete(wire, f"{href.partition('?')[0]}?ticket={ticket}", named).status_code == 403
    assert wire.put(urls[0].partition("?")[0] + "?" + href.partition("?")[2], cut()[0]).status_code == 403
    assert wire.put(urls[0].replace("/parts/1?", "/parts/4?"), b"x").status_code == 400
    assert wire.put(urls[0].replace("/parts/1?", "/parts/0?"), b"x").status_code == 400


def test_who_lost_the_right_to_push_completes_nothing(wire: Wire, cast, repo: str):
    href, urls, _ = offered(wire)
    named = send(wire, urls)
    cast.people["alice"].tokens.all().delete()
    assert complete(wire, href, named).status_code == 401


def test_an_upload_that_was_to_come_whole_has_no_parts(wire: Wire, repo: str):
    href = wire.offer(NAME, b"small").json()["objects"][0]["actions"]["upload"]["href"]
    answer = complete(wire, href.replace("/uploads?", "/uploads/complete?"), [], oid=sha256(b"small"))
    assert answer.status_code == 400


def test_abandoned_parts_are_swept(wire: Wire, repo: str, store):
    _, urls, _ = offered(wire)
    wire.put(urls[0], cut()[0])
    time.sleep(0.01)
    assert garbage.sweep(grace_seconds=0).uploads == 0  # the ticket still holds
    Upload.objects.all().delete()
    assert garbage.sweep(grace_seconds=0).uploads == 1
    assert staged(store) == []


def test_parts_are_never_smaller_or_more_than_s3_takes(settings):
    settings.LFS_PART_BYTES = 1
    assert uploads.plan_parts(Upload(id=None, size=5 * MIB)) is None
    assert uploads.plan_parts(Upload(id=None, size=11 * MIB)).part == 5 * MIB
    assert uploads.plan_parts(Upload(id=None, size=100 << 30)).count <= uploads.MOST


# --- downloads -------------------------------------------------------------------------------------------------------
def wanted(wire: Wire, name: str, *contents: bytes, who: str = "alice"):
    body = {"operation": "download", "objects": [{"oid": sha256(one), "size": len(one)} for one in contents]}
    return wire.ask("POST", f"/{name}.git/info/lfs/objects/batch", body, who=who)


def address(answer, at: int = 0) -> str:
    return "/" + answer.json()["objects"][at]["actions"]["download"]["href"].split("/", 3)[3]


@pytest.fixture
def pushed(wire: Wire, repo: str) -> bytes:
    """An LFS file in the repository."""
    wire.deliver(NAME, b"weights")
    assert wire.commit(NAME, header(), lfs_file("w.onnx", b"weights")).status_code == 200
    return b"weights"


def test_a_download_batch_answers_addresses_that_work(wire: Wire, pushed: bytes):
    answer = wanted(wire, NAME, pushed, b"never", who="nobody")
    assert answer.json()["transfer"] == "basic"
    assert answer.json()["objects"][1]["error"]["code"] == 404
    got = wire.get(address(answer), who="nobody")
    assert (got.status_code, got.content_of()) == (200, pushed)
    some = wire.get(address(answer), who="nobody", Range="bytes=1-3")
    assert (some.status_code, some.content_of(), some["Content-Range"]) == (206, b"eig", "bytes 1-3/7")
    assert wire.get(address(answer)[:-1] + "-", who="nobody").json()["code"] == "download-expired"


def test_objects_are_asked_for_where_they_are(wire: Wire, cast, pushed: bytes):
    cast.repository("carol/other", by="carol")
    assert "error" in wanted(wire, "carol/other", pushed, who="carol").json()["objects"][0]
    wire.deliver(NAME, b"delivered and never committed")
    assert "error" in wanted(wire, NAME, b"delivered and never committed").json()["objects"][0]


def test_a_private_repository_answers_a_download_batch_like_one_that_never_was(wire: Wire, cast, pushed: bytes):
    address_of_alice = address(wanted(wire, NAME, pushed))
    by_nobody = address(wanted(wire, NAME, pushed, who="nobody"))
    Repository.objects.filter(name="adapter").update(private=True)
    for who in ("nobody", "carol"):
        hidden, never = wanted(wire, NAME, pushed, who=who), wanted(wire, "acme/never", pushed, who=who)
        assert (hidden.status_code, hidden.content) == (never.status_code, never.content.replace(b"never", b"adapter"))
    assert wire.get(by_nobody, who="nobody").status_code in {401, 404}  # the address is worth what its asker may have
    assert wire.get(address_of_alice, who="nobody").content_of() == pushed


# --- stock clients ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def on_files(tmp_path_factory) -> Iterator[Hub]:
    """A hub on files where 5 MiB are one part."""
    with live.hub(tmp_path_factory.mktemp("parts") / "data", LFS_PART_BYTES=str(5 * MIB)) as hub:
        yield hub


@pytest.fixture(scope="module")
def on_s3(tmp_path_factory, s3_server) -> Iterator[Hub]:
    """The same on S3."""
    store = s3_server.url(f"parts-{random.randrange(1 << 40)}")
    with live.hub(tmp_path_factory.mktemp("parts-s3") / "data", BLOBS=store, LFS_PART_BYTES=str(5 * MIB)) as hub:
        yield hub


PUSH_AND_PULL = """
import os, sys
from huggingface_hub import HfApi
api, repo = HfApi(), sys.argv[1]
api.create_repo(repo)
data = os.urandom((12 << 20) + 7)
open(sys.argv[2], "wb").write(data)
api.upload_file(repo_id=repo, path_or_fileobj=sys.argv[2], path_in_repo="x.bin")
assert open(api.hf_hub_download(repo, "x.bin"), "rb").read() == data
"""


@pytest.mark.parametrize(
    ("store", "release"),
    [
        ("on_files", "0.36.2"),
        pytest.param("on_s3", "2.4.0", marks=pytest.mark.s3),
        pytest.param("on_files", "2.4.0", marks=pytest.mark.merge),
        pytest.param("on_s3", "0.36.2", marks=[pytest.mark.s3, pytest.mark.merge]),
    ],
)
def test_stock_clients_send_parts(request, tmp_path: Path, release: str, store: str):
    hub: Hub = request.getfixturevalue(store)
    before = hub.log("web").count("PUT /api/lfs/uploads/parts/")
    client = Client(release, hub.url, TOKENS["alice"], tmp_path / "home", {"HF_HUB_DISABLE_XET": "1"})
    client.python(PUSH_AND_PULL, f"alice/parts{random.randrange(1 << 40)}", tmp_path / "x.bin")
    through_us = hub.log("web").count("PUT /api/lfs/uploads/parts/") - before
    assert through_us == (3 if store == "on_files" else 0)
    assert hub.log("web").count('"message": "POST /api/lfs/uploads/complete 200') >= 1
