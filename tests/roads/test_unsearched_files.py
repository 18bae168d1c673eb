"""A file that looks like a pickle is served to the writers of its repository alone until a worker has searched it."""

import gzip
import io
import json
import pickle
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from dovetail.adapters.files.archives import START_BYTES
from dovetail.adapters.files.pickles import looks_pickled
from features.xet import transfers
from features.xet.models import XetFile
from features.xet.tests import build
from registry.models import PickleScan, Repository, Revision, RevisionFile
from registry.proof import pickle_scans
from registry.proof.verdicts import jobs
from registry.publish import push
from registry.repos import refs
from tests.api.conftest import FILES, weights
from tests.cast import Cast
from tests.hf.wire import header, lfs_file, sha256
from tests.pickled import new_object, torch_file
from workers import pushed_files

NAME = "acme/pickled"
SMALL = pickle.dumps({"steps": [1, 2, 3], "word": "unicorn"}, protocol=0)  # a text, which pages show
LARGE = pickle.dumps(list(range(60_000)), protocol=4)  # of an ending that nobody opens as a pickle
PUSHED = {**FILES, "words.txt": b"ios\nandroid\nweb\n", "state.pkl": SMALL}
LARGE_FILE = "deep/numbers.dat"
BATCH = {"operation": "download", "transfers": ["basic"], "hash_algo": "sha256"}


class World:
    """acme/pickled with two files that look like pickles, and others; a repository of the stranger; and who asks."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.repository, self.own = cast.repository(NAME), cast.repository("carol/own", by="carol")
        alice = cast.session("alice")
        xorb, shard = build.whole(LARGE)
        transfers.receive_xorb(self.repository, xorb.name, io.BytesIO(xorb.data), by=alice)
        transfers.receive_shard(self.repository, io.BytesIO(shard), by=alice)
        self.revision = pushed(cast, self.repository, PUSHED, Stored=LARGE_FILE)
        self.file_id = XetFile.objects.get(sha256=sha256(LARGE)).pk
        names = ("alice", "bob", "carol", "erin", "mona")
        self.programs = {name: Client(headers={"authorization": f"Bearer {cast.token(name)}"}) for name in names}
        self.programs["nobody"] = Client()
        self.browsers = {name: Client() for name in self.programs}
        for name in names:
            self.browsers[name].force_login(cast[name])


def pushed(cast: Cast, repository: Repository, files: dict[str, bytes], *, Stored: str = "") -> Revision:
    operations: list[push.Operation] = [push.Inline(path, content) for path, content in files.items()]
    operations += [push.Stored(Stored, sha256(LARGE))] if Stored else []
    author = cast.session(repository.namespace.name if repository.namespace.name != "acme" else "alice")
    return push.receive(push.Intent(repository, refs.MAIN, author, "Files"), operations).revision


@pytest.fixture
def world(cast: Cast) -> World:
    return World(cast)


Road = Callable[[World, str], list[Any]]


# --- the roads: what a person gets there ------------------------------------------------------------------------------
def _gets(*paths: str) -> Road:
    return lambda world, who: [
        getattr(world.programs[who], method)(path) for path in paths for method in ("get", "head")
    ]


def _pages(*paths: str) -> Road:
    return lambda world, who: [world.browsers[who].get(path) for path in paths]


def _by_lfs(world: World, who: str) -> list[Any]:
    body = BATCH | {"objects": [{"oid": sha256(LARGE), "size": len(LARGE)}]}
    batch = world.programs[who].post(f"/{NAME}.git/info/lfs/objects/batch", body, "application/vnd.git-lfs+json")
    link = urlsplit(batch.json()["objects"][0]["actions"]["download"]["href"])
    return [Client().get(f"{link.path}?{link.query}")]


def _by_xet(world: World, who: str) -> list[Any]:
    token = world.programs[who].get(f"/api/models/{NAME}/xet-read-token/main").json()["accessToken"]
    by_xet = Client(headers={"authorization": f"Bearer {token}"})
    return [by_xet.get(f"/xet/{version}/reconstructions/{world.file_id}") for version in ("v1", "v2")]


def _by_layer(world: World, who: str) -> list[Any]:
    layers = world.programs[who].get(f"/v2/{NAME}/manifests/main").json()["layers"]
    return [world.programs[who].get(f"/v2/{NAME}/blobs/{layer['digest']}") for layer in layers]


def _commit(world: World, who: str, at: str, *operations: dict) -> Any:
    lines = "\n".join(json.dumps(line) for line in (header(), *operations))
    return world.programs[who].post(f"/api/models/{at}", lines, content_type="application/x-ndjson")


def _by_copying(world: World, who: str) -> list[Any]:
    copy = {"path": "mine.dat", "srcPath": LARGE_FILE, "srcRevision": "main"}
    return [_commit(world, who, f"{NAME}/commit/main?create_pr=1", {"key": "copyFile", "value": copy})]


ROADS: dict[str, Road] = {
    "resolve": _gets(f"/{NAME}/resolve/main/state.pkl", f"/{NAME}/resolve/HEAD/{LARGE_FILE}"),
    "raw": _gets(f"/{NAME}/raw/main/state.pkl"),
    "S3": _gets(f"/s3/hub/{NAME}/main/state.pkl", f"/s3/acme/pickled/main/{LARGE_FILE}"),
    "REST": lambda world, who: [
        world.programs[who].get(f"/api/v1/adapters/{NAME}/revisions/main/files/{path}", follow=True)
        for path in ("state.pkl", LARGE_FILE)
    ],
    "pages": _pages(f"/{NAME}/blob/main/state.pkl", f"/{NAME}/blob/main/{LARGE_FILE}"),
    "LFS": _by_lfs,
    "Xet": _by_xet,
    "OCI": _by_layer,
}
PUBLISHING: dict[str, Road] = {
    "a copy in a pull request": _by_copying,
    "the page that edits it": _pages(f"/{NAME}/edit/main/state.pkl"),
    "a duplicate": lambda world, who: [
        world.programs[who].post(f"/api/models/{NAME}/duplicate", {"repository": f"{who}/copy"}, "application/json")
    ],
    "a conversion": lambda world, who: [
        world.programs[who].post(
            f"/api/v1/adapters/{NAME}/revisions/main/derive", {"to": "fp16", "into": f"{who}/own"}, "application/json"
        )
    ],
}


def _wrong(world: World, roads: dict[str, Road], who: str, expected: set[int]) -> list[str]:
    """Return the answers of roads that are not as expected; a refusal tells when to come again, and why."""
    wrong = []
    for name, road in roads.items():
        for answer in road(world, who):
            text = "" if answer.streaming else answer.content.decode(errors="replace")
            is_right = answer.status_code in expected
            if answer.status_code == 503:
                text += answer.get("X-Error-Message", "")
                told = "has not been searched for code yet" in text or answer.request["REQUEST_METHOD"] == "HEAD"
                is_right &= answer.get("Retry-After") == "2" and told
            if not is_right:
                wrong.append(f"{who} by {name}: {answer.status_code} {text[:200]}")
    return wrong


def test_a_file_that_looks_like_a_pickle_waits_on_every_road_but_for_writers(world):
    wrong = []
    for who in ("carol", "erin", "nobody", "mona"):
        wrong += _wrong(world, ROADS, who, {503})
    wrong += _wrong(world, PUBLISHING, "carol", {503})
    for who in ("alice", "bob"):
        wrong += _wrong(world, ROADS, who, {200, 206})
    assert not wrong, "\n".join(wrong)
    shared = {"target": {"type": "model", "name": "carol/own"}, "files": [{"sha256": sha256(LARGE)}]}
    for who, failed in (("carol", [sha256(LARGE)]), ("alice", [])):
        shared["target"] = {"type": "model", "name": f"{who}/own"}
        Repository.objects.filter(name="own", namespace__name=who).exists() or world.cast.repository(f"{who}/own")
        answer = world.programs[who].post(f"/api/models/{NAME}/lfs-files/duplicate", shared, "application/json").json()
        assert [one["sha256"] for one in answer["failed"]] == failed
        assert not failed or "has not been searched" in answer["failed"][0]["error"]
    by_digest = lambda: _commit(world, "carol", "carol/own/commit/main", lfs_file("mine.dat", LARGE))
    assert by_digest().status_code == 400, "whoever knows its digest links it elsewhere"

    pushed_files.scan_revisions()
    assert not PickleScan.objects.exists()
    assert not RevisionFile.objects.filter(is_unsearched=True).exists()
    for who in ("carol", "erin", "nobody", "alice"):
        wrong += _wrong(world, ROADS, who, {200, 206})
    wrong += _wrong(world, PUBLISHING, "carol", {200, 201, 202})
    assert not wrong, "\n".join(wrong)
    assert by_digest().status_code == 200


def test_everything_else_of_its_repository_is_served_meanwhile(world):
    stranger, wrong = world.programs["carol"], []
    for path in ("README.md", "adapter_config.json", "adapter_model.safetensors", "words.txt"):
        statuses = {stranger.get(f"/{NAME}/{at}/main/{path}").status_code for at in ("resolve", "raw")}
        wrong += [path] if statuses != {200} else []
    for path in (
        f"/api/models/{NAME}",
        f"/api/models/{NAME}/tree/main?recursive=1",
        f"/api/v1/adapters/{NAME}",
        f"/api/v1/adapters/{NAME}/revisions/main",
        f"/v2/{NAME}/manifests/main",
        f"/{NAME}",
        f"/{NAME}/tree/main",
        f"/{NAME}/commit/{world.revision.oid}",
    ):
        answer = stranger.get(path)
        wrong += [path] if answer.status_code != 200 else []
        assert b"unicorn" not in answer.content, f"{path} shows lines of the file"
    assert not wrong
    listed = {one["path"] for one in stranger.get(f"/api/models/{NAME}/tree/main?recursive=1").json()}
    assert {"state.pkl", LARGE_FILE} <= listed
    pushed_files.scan_revisions()
    assert b"unicorn" in stranger.get(f"/{NAME}/commit/{world.revision.oid}").content


def test_the_refusal_says_where_no_worker_would_search_it(world):
    asked = f"/{NAME}/resolve/main/state.pkl"
    by_rest = world.programs["carol"].get(f"/api/v1/adapters/{NAME}/revisions/main/files/state.pkl")
    assert (by_rest.status_code, by_rest.json()["code"]) == (503, "file-not-searched")
    refused = world.programs["carol"].head(asked)
    assert "No worker of this hub is running" in refused["X-Error-Message"]
    jobs.sign_of_life("worker-1")
    assert "Try again in a few seconds" in world.programs["carol"].head(asked)["X-Error-Message"]


def _waiting(revision: Revision) -> set[str]:
    return set(revision.files.filter(is_unsearched=True).values_list("path", flat=True))


def test_known_bytes_wait_for_nobody_and_unknown_ones_in_each_version_that_has_them(world, cast):
    second = pushed(cast, world.repository, {"README.md": b"# Two\n"})
    assert _waiting(second) == {"state.pkl", LARGE_FILE}, "as in the version before"
    pushed_files.scan_revisions()
    again = pushed(cast, world.repository, {"README.md": b"# Three\n", "copy/state.pkl": SMALL})
    assert not _waiting(again), "the same bytes under the same name"
    assert _waiting(pushed(cast, world.repository, {"renamed.pt": SMALL})) == {"renamed.pt"}
    assert not _waiting(pushed(cast, world.own, {"state.pkl": SMALL})), "they are public elsewhere"


def test_a_search_that_a_worker_of_the_release_before_ended_counts(world):
    pickle_scans.sweep()
    assert _waiting(world.revision) == {"state.pkl", LARGE_FILE}, "its search waits"
    PickleScan.objects.all().delete()
    pickle_scans.sweep()
    assert not _waiting(world.revision)


def test_who_has_bytes_in_private_is_not_told_by_a_file_that_does_not_wait(cast):
    secret = cast.repository("acme/secret", private=True)
    pushed(cast, secret, {"state.pkl": SMALL})
    pushed_files.scan_revisions()
    assert _waiting(pushed(cast, cast.repository("carol/own", by="carol"), {"state.pkl": SMALL})) == {"state.pkl"}
    assert not _waiting(pushed(cast, secret, {"x.txt": b"x"}))


def test_one_that_runs_code_is_never_served_to_strangers(world, cast):
    held = pushed(cast, world.repository, {"bad.bin": new_object("os", "system")})
    stranger = world.programs["carol"]
    statuses = [stranger.get(f"/{NAME}/resolve/main/bad.bin").status_code]
    pushed_files.scan_revisions()
    statuses.append(stranger.get(f"/{NAME}/resolve/{held.oid}/bad.bin").status_code)
    assert statuses == [503, 404]


LIKE_PICKLES = {
    "weights.bin": b"",
    "W.PT": b"x",
    "a.pth": b"1",
    "b.ckpt": b"",
    "c.pkl": b"words",
    "d.pickle": b"",
    "e.joblib": b"x",
    "no ending": pickle.dumps([1], protocol=2),
    "f.txt": pickle.dumps({}, protocol=5),
    "g.onnx": torch_file(b"N."),
    "h.pkl.gz": b"",
    "i.BIN.xz": b"x",
    "j.pt.tar.gz": b"",
    "k.joblib.z": b"",
    "l.dat": gzip.compress(pickle.dumps([1], protocol=4)),
    "m.dat": zlib.compress(torch_file(b"N.")),
}
UNLIKE = {
    "model.safetensors": weights(),
    "m.safetensors": pickle.dumps([1]),
    "labels.txt": b"iris\nrose\ntulip\n",
    "a.zip": b"PK\x03\x04" + bytes(22) + b"\x05\0\0\0a.txt",
    "b.gguf": b"GGUF\3\0\0\0",
    "README.md": b"# A\n",
    "e": b"",
    "c.npy": b"\x93NUMPY\1\0",
    "d.json": b"{}",
    "h.dat": b"\x80\x02\0\0\0\0\0\0{",
    "i.dat": b"\x80",
    "j.zip": b"PK\x03\x04",
    "k.h5": b"\x89HDF\r\n\x1a\n",
    "l.json.gz": gzip.compress(b"{}"),
    "m.safetensors.xz": b"x",
    "n.tar.gz": gzip.compress(bytes(512)),
    "o.gz": b"\x1f\x8b",
    "bin": b"x",
    "pkl": b"x",
}


def test_names_and_first_bytes_decide():
    wrong = [path for path, content in LIKE_PICKLES.items() if not looks_pickled(path, content[:START_BYTES])]
    wrong += [path for path, content in UNLIKE.items() if looks_pickled(path, content[:START_BYTES])]
    assert not wrong
