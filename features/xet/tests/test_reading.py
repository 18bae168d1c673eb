"""Reading by Xet: what a reconstruction says, who may have it, and the real hf_xet reading through it."""

import io
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core import signing
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from features.xet import tickets, transfers, xet_files
from features.xet.models import XetFile, Xorb
from features.xet.tests import build
from features.xet.tests.test_live import received
from features.xet.tickets import Scope
from features.xet.xorbs import chunks
from features.xet.xorbs.shards import HEADER, TAG
from registry.models import Repository
from registry.people.tokens import tokens
from tests import live
from tests.clients import Client
from tests.hf.wire import Wire, header, lfs_file, sha256
from tests.live import TOKENS, Hub

NAME = "acme/adapter"
CONTENT = build.noise(180_000, 9)


@pytest.fixture
def pushed(cast, store, settings) -> str:
    """A file of four chunks of 50,000 bytes, delivered by Xet and committed; returns its file id."""
    settings.DOORBELL = "tests.hf.wire.notify"
    repository, alice = cast.repository(NAME), cast.session("alice")
    xorb, shard = build.whole(CONTENT)
    transfers.receive_xorb(repository, xorb.name, io.BytesIO(xorb.data), by=alice)
    transfers.receive_shard(repository, io.BytesIO(shard), by=alice)
    assert Wire(cast).commit(NAME, header(), lfs_file("w.onnx", CONTENT)).status_code == 200
    return XetFile.objects.get(sha256=sha256(CONTENT)).pk


def ask(cast, file_id: str, who: str = "carol", name: str = NAME, version: int = 2, **headers: str):
    return asked(cast, f"/xet/v{version}/reconstructions/{file_id}", who, name, **headers)


def asked(cast, path: str, who: str = "carol", name: str = NAME, **headers: str):
    ticket, _ = tickets.issue(cast_adapter(name), Scope.READ, tokens.caller_of(cast.token(who)))
    return Browser().get(path, headers={"Authorization": f"Bearer {ticket}", **headers})


def cast_adapter(full_name: str) -> Repository:
    return Repository.objects.get(name=full_name.partition("/")[2])


def fetched(answer) -> bytes:
    """Put the answer's terms together as a client does."""
    told, data = answer.json(), b""
    for term in told["terms"]:
        [place] = [one for one in places(told, term["hash"]) if one["range"] == term["range"]]
        span = place["url_range"]
        got = Browser().get(
            "/" + place["url"].split("/", 3)[3], headers={"Range": f"bytes={span['start']}-{span['end']}"}
        )
        assert got.status_code == 206
        packed, raw = b"".join(got), b""
        assert len(packed) == span["end"] - span["start"] + 1
        while packed:
            size = int.from_bytes(packed[1:4], "little")
            raw, packed = raw + packed[8 : 8 + size], packed[8 + size :]
        assert len(raw) == term["unpacked_length"]
        data += raw
    return data[told["offset_into_first_range"] :]


def places(told, xorb: str) -> list[dict]:
    """Where the pieces of a xorb are, whichever version of the answer says it."""
    if "fetch_info" in told:
        return told["fetch_info"][xorb]
    return [
        {"url": one["url"], "range": part["chunks"], "url_range": part["bytes"]}
        for one in told["xorbs"][xorb]
        for part in one["ranges"]
    ]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("start", "end"), [(0, 180_000), (0, 1), (49_999, 50_001), (60_000, 70_000), (179_999, 180_000)]
)
def test_any_range_of_a_file_is_put_together_from_as_few_chunks_as_hold_it(cast, pushed, start: int, end: int, version):
    answer = ask(cast, pushed, version=version, Range=f"bytes={start}-{end - 1}")
    assert answer.status_code == 200
    assert fetched(answer)[: end - start] == CONTENT[start:end]
    [term] = answer.json()["terms"]
    assert term["range"] == {"start": start // 50_000, "end": (end - 1) // 50_000 + 1}


def test_the_whole_file_and_what_lies_behind_it(cast, pushed):
    assert fetched(ask(cast, pushed)) == CONTENT
    assert ask(cast, pushed, Range="bytes=180000-").status_code == 416


def test_a_file_is_read_where_a_revision_names_it_and_by_who_may_download(cast, pushed):
    cast.repository("carol/other", by="carol")
    assert ask(cast, pushed, name="carol/other").status_code == 404
    assert ask(cast, "0" * 64).status_code == 404
    assert Browser().get(f"/xet/v1/reconstructions/{pushed}").status_code == 401
    repository = cast_adapter(NAME)
    repository.private = True
    repository.save()
    assert ask(cast, pushed).status_code in {401, 404}
    assert fetched(ask(cast, pushed, who="erin")) == CONTENT


def test_the_address_of_a_piece_gives_that_piece_alone(cast, pushed):
    [[place]] = ask(cast, pushed, version=1, Range="bytes=60000-70000").json()["fetch_info"].values()
    path = "/" + place["url"].split("/", 3)[3]
    first, last = place["url_range"]["start"], place["url_range"]["end"]
    assert len(b"".join(Browser().get(path))) == last - first + 1
    for outside in (f"bytes=0-{last}", f"bytes={last + 1}-{last + 9}", "bytes=-1000000"):
        assert Browser().get(path, headers={"Range": outside}).status_code == 416
    assert Browser().get(path[:-1] + "-").status_code == 403


def test_the_address_of_an_earlier_release_is_asked_for_again(db):
    ticket = signing.dumps(["a" * 64, 0, 1, 9, 0, 17], salt="dovetail.xet.range")
    assert Browser().get(reverse("xet:ranges"), {"ticket": ticket}).status_code == 403


def test_the_hash_is_said_while_every_xorb_is_there_and_saying_it_keeps_them(cast, pushed, settings):
    def said() -> tuple[str, str]:
        head = Wire(cast).ask("HEAD", f"/{NAME}/resolve/main/w.onnx")
        tree = {one["path"]: one for one in Wire(cast).get(f"/api/models/{NAME}/tree/main").json()}
        return head.headers.get("X-Xet-Hash", ""), tree["w.onnx"].get("xetHash", "")

    long_ago = timezone.now() - timedelta(days=30)
    Xorb.objects.update(last_used_at=long_ago)
    assert said() == (pushed, pushed)
    assert not Xorb.objects.filter(last_used_at=long_ago).exists()
    settings.XET_READ = False
    assert said() == ("", "")
    settings.XET_READ = True
    Xorb.objects.all().delete()
    assert said() == ("", "")
    assert ask(cast, pushed).status_code == 404


def test_a_chunk_is_known_to_who_may_download_a_file_of_the_repository_with_it(cast, pushed):
    def about(chunk: bytes, **of: str):
        return asked(cast, f"/xet/v1/chunks/default-merkledb/{chunks.to_text(chunks.hash_chunk(chunk))}", **of)

    answer = about(CONTENT[50_000:100_000])
    assert answer.status_code == 200
    tag, version, footer = HEADER.unpack_from(answer.content)
    assert (tag, version, footer) == (TAG, 2, 200)
    assert chunks.hash_chunk(CONTENT[:50_000]) in answer.content
    cast.repository("carol/other", by="carol")
    assert about(CONTENT[50_000:100_000], name="carol/other").status_code == 404
    assert about(b"never seen").status_code == 404
    assert asked(cast, "/xet/v1/chunks/default/nonsense").status_code == 400
    Xorb.objects.all().delete()
    assert about(CONTENT[50_000:100_000]).status_code == 404


def test_a_file_in_too_many_pieces_is_not_offered(cast, pushed, monkeypatch):
    monkeypatch.setattr(xet_files, "MOST_TERMS", 0)
    XetFile.objects.all().delete()
    xorb, shard = build.whole(CONTENT)
    transfers.receive_xorb(cast_adapter(NAME), xorb.name, io.BytesIO(xorb.data), by=cast.session("alice"))
    transfers.receive_shard(cast_adapter(NAME), io.BytesIO(shard), by=cast.session("alice"))
    assert not XetFile.objects.exists()


@pytest.fixture(scope="module")
def on_files(tmp_path_factory) -> Iterator[Hub]:
    """A hub that offers reading by Xet, on files."""
    with live.hub(tmp_path_factory.mktemp("reads") / "data") as hub:
        yield hub


@pytest.fixture(scope="module")
def on_s3(tmp_path_factory, s3_server) -> Iterator[Hub]:
    """The same on S3."""
    store = s3_server.url(f"reads-{random.randrange(1 << 40)}")
    with live.hub(tmp_path_factory.mktemp("reads-s3") / "data", BLOBS=store) as hub:
        yield hub


READS = """
import os, shutil, sys
from huggingface_hub import HfApi, constants
api, repo = HfApi(), sys.argv[1]
api.create_repo(repo)
data = os.urandom(3 << 20) * 2 + os.urandom(1 << 20)
open(sys.argv[2], "wb").write(data)
api.upload_file(repo_id=repo, path_or_fileobj=sys.argv[2], path_in_repo="x.bin")
shutil.rmtree(constants.HF_XET_CACHE if hasattr(constants, "HF_XET_CACHE") else "/nonexistent", ignore_errors=True)
assert open(api.hf_hub_download(repo, "x.bin"), "rb").read() == data
assert open(api.snapshot_download(repo) + "/x.bin", "rb").read() == data
"""


@pytest.mark.parametrize(
    ("store", "release"),
    [
        pytest.param("on_files", "0.36.2", marks=pytest.mark.merge),
        pytest.param("on_s3", "2.4.0", marks=pytest.mark.s3),
        pytest.param("on_files", "2.4.0", marks=pytest.mark.merge),
        pytest.param("on_s3", "0.36.2", marks=[pytest.mark.s3, pytest.mark.merge]),
    ],
)
def test_stock_clients_read_by_xet(request, tmp_path: Path, release: str, store: str):
    hub: Hub = request.getfixturevalue(store)
    before = hub.log("web").count("/reconstructions/")
    if release == "0.36.2":
        Client("2.4.0", hub.url, TOKENS["alice"], tmp_path / "first").python(
            READS.split("shutil.rmtree")[0], (repo := f"alice/read{random.randrange(1 << 40)}"), tmp_path / "x.bin"
        )
        program = "import sys; from huggingface_hub import hf_hub_download as get\n"
        program += "assert open(get(sys.argv[1], 'x.bin'), 'rb').read() == open(sys.argv[2], 'rb').read()"
        client = Client(release, hub.url, TOKENS["alice"], tmp_path / "home")
        client.python(program, repo, tmp_path / "x.bin")
    else:
        client = Client(release, hub.url, TOKENS["alice"], tmp_path / "home")
        client.python(READS, f"alice/read{random.randrange(1 << 40)}", tmp_path / "x.bin")
    assert hub.log("web").count("/reconstructions/") > before


NEW_VERSION = """
import hashlib, sys
from huggingface_hub import HfApi
HfApi().create_repo(sys.argv[1], exist_ok=True)
HfApi().upload_file(repo_id=sys.argv[1], path_or_fileobj=sys.argv[2], path_in_repo="x.bin")
"""


@pytest.mark.merge
def test_another_machine_sends_of_a_new_version_what_is_new(on_files, tmp_path: Path):
    repo, file = f"alice/again{random.randrange(1 << 40)}", tmp_path / "x.bin"
    content = bytearray(build.noise(24 << 20, 3))

    def push(machine: str) -> tuple[int, int]:
        file.write_bytes(content)
        before = received(on_files), kept(on_files)
        Client("2.4.0", on_files.url, TOKENS["alice"], tmp_path / machine).python(NEW_VERSION, repo, file)
        return received(on_files) - before[0], kept(on_files) - before[1]

    sent, stored = push("one")
    assert sent > 24 << 20
    assert stored < 1.01 * len(content), "its bytes are on the disk once"
    content[12 << 20 : 13 << 20] = build.noise(1 << 20, 4)
    sent, stored = push("another")
    assert sent < 2 << 20
    assert stored < 1.01 * len(content)
    sent, stored = push("a third")
    assert sent == 0
    assert stored < 64 << 10


def kept(hub: Hub) -> int:
    """How many bytes of files and xorbs the hub keeps."""
    return sum(path.stat().st_size for path in (hub.data / "blobs").rglob("*") if path.is_file())


PUSH_BY_LFS = """
import os, sys
from huggingface_hub import HfApi
open(sys.argv[2], "wb").write(os.urandom(9 << 20))
HfApi().create_repo(sys.argv[1])
HfApi().upload_file(repo_id=sys.argv[1], path_or_fileobj=sys.argv[2], path_in_repo="x.bin")
"""
PULL = """
import sys
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
repo, file = sys.argv[1:]
print(get_hf_file_metadata(hf_hub_url(repo, "x.bin")).xet_file_data is not None)
assert open(HfApi().hf_hub_download(repo, "x.bin"), "rb").read() == open(file, "rb").read()
"""
COPY_AND_SEND_AGAIN = """
import sys
from huggingface_hub import HfApi
api, repo, file = HfApi(), *sys.argv[1:]
data = open(file, "rb").read()
api.create_repo(repo + "-copy")
api.copy_files(f"hf://{repo}/x.bin", f"hf://{repo}-copy/y.bin")
assert open(api.hf_hub_download(repo + "-copy", "y.bin"), "rb").read() == data
open(file, "wb").write(data + b"and a little more")
api.upload_file(repo_id=repo, path_or_fileobj=file, path_in_repo="x.bin")
"""


@pytest.mark.parametrize("store", ["on_files", pytest.param("on_s3", marks=pytest.mark.s3)])
@pytest.mark.merge
def test_what_one_client_pushed_by_lfs_others_read_copy_and_add_to_by_xet(request, tmp_path: Path, store: str):
    hub: Hub = request.getfixturevalue(store)
    repo, file = f"alice/landed{random.randrange(1 << 40)}", tmp_path / "x.bin"

    def at_another_computer(program: str, release: str = "2.4.0", **settings: str) -> str:
        home = tmp_path / f"home{random.randrange(1 << 40)}"
        return Client(release, hub.url, TOKENS["alice"], home, settings).python(program, repo, file).strip()

    before = hub.log("web").count("/reconstructions/")
    at_another_computer(PUSH_BY_LFS, "0.36.2", HF_HUB_DISABLE_XET="1")
    assert at_another_computer(PULL) == "False"
    assert hub.log("web").count("/reconstructions/") == before
    hub.manage("shell", "-c", "from workers.tasks import land; land()")
    assert at_another_computer(PULL) == "True"
    assert hub.log("web").count("/reconstructions/") > before
    at_another_computer(COPY_AND_SEND_AGAIN)
    sizes = "from features.xet.models import *; names = XetFile.objects.latest('created_at').xorbs; "
    sizes += "print(*Xorb.objects.filter(pk__in=names).values_list('size', flat=True))"
    assert min(map(int, hub.manage("shell", "-v", "0", "-c", sizes).split())) < 1 << 20, "all of it was sent again"
    assert at_another_computer(PULL)
