"""Repositories of another hub, read through this one: a second hub, and a proxy that breaks what comes from it."""

import fcntl
import hashlib
import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

import dovetail
from features.upstream import fetching
from tests import adapters, live
from tests.clients import Client, build
from tests.fault_proxy import Faults, proxy

pytestmark = pytest.mark.merge

PROGRAMS = Path(live.ROOT) / "tests/hf/programs"
TOKEN = {name: f"hf_reading_{name}_token" for name in ("ada", "zoe")}
NUMBERS = count()
SECRET = "hf_live_alice_token"
STREAMS = 8


def person(name: str, role: str = "user") -> dict:
    tokens = [{"name": "live", "role": "write", "value": TOKEN[name]}]
    return {
        "name": name,
        "email": f"{name}@example.org",
        "password": live.PASSWORD,
        "role": role,
        "tokens": tokens,
    }


@dataclass
class Hubs:
    """The hub that reads, the one that it reads from, and the proxy between them."""

    near: live.Hub
    far: live.Hub
    faults: Faults
    writer: HfApi

    def push(self, files: dict[str, bytes], name: str = "", **options: object) -> str:
        """Push a new repository to the far hub, and return its id."""
        name = name or f"alice/far-{next(NUMBERS)}"
        self.writer.create_repo(name, **options)
        kind = {"repo_type": options["repo_type"]} if "repo_type" in options else {}
        for path, content in files.items():
            self.writer.upload_file(repo_id=name, path_or_fileobj=content, path_in_repo=path, **kind)
        return name

    def record(self) -> None:
        """Do what a worker of the near hub does with adapters that were read."""
        self.near.manage("shell", "-c", "from features.upstream import records; records.work(); records.work()")

    def get(self, path: str, method: str = "GET", token: str = "", body: object = None, **headers: str) -> "Answer":
        """Ask the near hub."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        if data:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.near.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)


@pytest.fixture(scope="module")
def pair(live_hub: live.Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hubs]:
    people = {
        "users": [person("ada", "admin"), person("zoe")],
        "organizations": [{"name": "ours", "members": {"zoe": "admin"}}],
        "site": {"throttle": "off"},
    }
    chosen = {"UPSTREAM_TOKEN": SECRET, "UPSTREAM_DENY": "acme/*", "UPSTREAM_SIZE": str(40 << 20)}
    chosen |= {"UPSTREAM_REFS_TTL": "1", "UPSTREAM_MISSING_TTL": "60", "UPSTREAM_STREAMS": str(STREAMS)}
    folder = tmp_path_factory.mktemp("near") / "data"
    with proxy(live_hub.url) as faults, live.hub(folder, people=people, UPSTREAM=faults.url, **chosen) as near:
        yield Hubs(near, live_hub, faults, HfApi(endpoint=live_hub.url, token=live.TOKENS["alice"]))


@pytest.fixture
def hubs(pair: Hubs) -> Iterator[Hubs]:
    pair.faults.heal()
    yield pair
    pair.faults.heal()


def large(size: int = 3 << 20) -> bytes:
    return os.urandom(size)


def test_spools_of_killed_processes_go_with_the_next_download(hubs: Hubs) -> None:
    name, spools = hubs.push({"notes.txt": b"a small file\n"}), hubs.near.data / "run" / "upstream"
    spools.mkdir(parents=True, exist_ok=True)
    old = time.time() - 2 * fetching.ABANDONED_SECONDS
    for spool in ("0-abandoned", "0-locked"):
        (spools / spool).write_bytes(b"a part")
        os.utime(spools / spool, (old, old))
    (spools / "0-new").write_bytes(b"a part")
    with (spools / "0-locked").open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert hubs.get(f"/{name}/resolve/main/notes.txt").body == b"a small file\n"
    assert {path.name for path in spools.glob("0-*")} == {"0-locked", "0-new"}


def test_stock_clients_see_what_the_other_hub_says(hubs: Hubs, tmp_path: Path) -> None:
    weights = large()
    name = hubs.push({"w.safetensors": weights, "sub/notes.txt": b"a small file\n"})
    hubs.writer.create_tag(name, tag="v1")
    far, near = (HfApi(endpoint=hub.url, token=False) for hub in (hubs.far, hubs.near))
    info = near.model_info(name, files_metadata=True)
    assert info.sha == far.model_info(name).sha
    assert info.siblings == far.model_info(name, files_metadata=True).siblings
    listed = [list(hub.list_repo_tree(name, recursive=True)) for hub in (far, near)]
    for entry in (*listed[0], *listed[1]):
        vars(entry).pop("xet_hash", None)
    assert listed[0] == listed[1]
    assert near.list_repo_refs(name) == far.list_repo_refs(name)
    assert near.list_repo_commits(name) == far.list_repo_commits(name)
    assert [file.path for file in near.get_paths_info(name, ["w.safetensors", "none"])] == ["w.safetensors"]
    folder = Path(near.snapshot_download(name, revision="v1", cache_dir=tmp_path))
    assert (folder / "w.safetensors").read_bytes() == weights
    assert folder.name == info.sha


def test_a_file_is_fetched_once_and_served_with_its_own_headers(hubs: Hubs) -> None:
    weights = large()
    name = hubs.push({"w.safetensors": weights, "words.md": b"# words\n"})
    digest = hashlib.sha256(weights).hexdigest()
    at = f"/{name}/resolve/main/w.safetensors"
    head = hubs.get(at, "HEAD")
    assert not hubs.faults.paths("/resolve/"), "HEAD fetches nothing"
    hubs.faults.path, hubs.faults.pause = "/resolve/", 0.02
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: hubs.get(at), range(8)))
    assert [answer.body == weights for answer in answers] == [True] * 8
    assert len(hubs.faults.paths("/resolve/")) == 1, "one download for all"
    for answer in (head, answers[0], hubs.get(at)):
        assert answer.headers["ETag"] == answer.headers["X-Linked-Etag"] == f'"{digest}"'
        assert answer.headers["X-Linked-Size"] == answer.headers["Content-Length"] == str(len(weights))
        assert answer.headers["X-Dovetail-Source"] == "upstream"
        assert answer.headers["X-Repo-Commit"] == hubs.writer.model_info(name).sha
        assert "X-Xet-Hash" not in answer.headers
    part = hubs.get(at, Range="bytes=10-19")
    assert (part.status, part.body, part.headers["Content-Range"]) == (
        206,
        weights[10:20],
        f"bytes 10-19/{len(weights)}",
    )
    assert hubs.get(at, Range=f"bytes={len(weights)}-").status == 416
    assert hubs.get(at, **{"If-None-Match": f'"{digest}"'}).status == 304
    assert hubs.get(f"/{name}/raw/main/words.md").body == b"# words\n"
    assert hubs.get(f"/{name}/resolve/main/none").headers["X-Error-Code"] == "EntryNotFound"
    assert hubs.get(f"/{name}/resolve/none/x").headers["X-Error-Code"] == "RevisionNotFound"
    assert len(hubs.faults.paths("/resolve/")) == 2


def slow_reader(url: str, path: str) -> socket.socket:
    """Ask for a file, and take nothing of the answer but what the system's buffers hold."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    where = urlsplit(url)
    slow.connect((where.hostname, where.port))
    slow.sendall(f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n".encode())
    return slow


def test_clients_that_read_slowly_keep_no_place_from_others(hubs: Hubs) -> None:
    weights, light = large(12 << 20), hubs.push({"w.safetensors": large()})
    heavy = hubs.push({"w.safetensors": weights})
    spools = hubs.near.data / "run" / "upstream"
    hubs.faults.path, hubs.faults.stop = f"{heavy}/resolve/", 8 << 20  # more than buffers of connections hold
    with ExitStack() as ends:
        for group in range(5):  # all together more than may wait, in both web processes
            readers = [slow_reader(hubs.near.url, f"/{heavy}/resolve/main/w.safetensors") for _ in range(STREAMS // 2)]
            for reader in map(ends.enter_context, readers):
                assert reader.recv(12) == b"HTTP/1.1 200", f"group {group}"
            live.wait_until(lambda: sum(path.stat().st_size for path in spools.iterdir()) >= 8 << 20, hubs.near, 15)
        assert len(hubs.get(f"/{light}/resolve/main/w.safetensors").body) == 3 << 20, "other files are fetched"
        hubs.faults.stop = -1
        assert hubs.get(f"/{heavy}/resolve/main/w.safetensors").body == weights, "who reads fast has it all"


def test_a_range_of_a_file_that_is_not_here_yet_is_proven_too(hubs: Hubs) -> None:
    weights = large()
    name = hubs.push({"w.safetensors": weights})
    answer = hubs.get(f"/{name}/resolve/main/w.safetensors", Range="bytes=100-200000")
    assert (answer.status, answer.body) == (206, weights[100:200001])
    assert "Range" not in hubs.faults.seen[-1][1], "the range of one client is not what is stored"
    other = hubs.push({"w.safetensors": weights[::-1]})
    hubs.faults.path, hubs.faults.lie = f"{other}/resolve/", True
    try:
        answer = hubs.get(f"/{other}/resolve/main/w.safetensors", Range="bytes=100-200000")
    except (OSError, HTTPException):
        pass  # it broke off before its last byte
    else:  # the lie was known before the first one
        assert (answer.status, answer.json["code"]) == (502, "upstream-wrong")


@pytest.mark.parametrize("size", [3 << 20, 1000], ids=["streamed", "small"])
def test_a_lying_hub_is_never_served_as_good(hubs: Hubs, size: int) -> None:
    content = large(size)
    name = hubs.push({"w.safetensors": content, "a.txt": b"hello\n"})
    hubs.faults.path, hubs.faults.lie = "/resolve/", True
    for path in ("w.safetensors", "a.txt"):
        at = f"/{name}/resolve/main/{path}"
        try:
            answer = hubs.get(at)
        except (OSError, HTTPException):
            assert size > 1 << 20
        else:
            assert (answer.status, answer.json["code"]) == (502, "upstream-wrong")
        hubs.faults.lie = False
        assert hubs.get(at).body == (content if path == "w.safetensors" else b"hello\n"), "nothing of the lie was kept"
        hubs.faults.lie = True
    assert "exited with code" not in hubs.near.log("web"), "a broken answer ends no web process"
    stored = [path for path in (hubs.near.data / "blobs" / "blobs").rglob("*") if path.is_file()]
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in stored)


def test_a_cut_goes_on_where_it_stopped_or_stores_nothing(hubs: Hubs) -> None:
    weights = large()
    name = hubs.push({"w.safetensors": weights})
    at = f"/{name}/resolve/main/w.safetensors"
    hubs.faults.path, hubs.faults.cut = "/resolve/", 1 << 20
    assert hubs.get(at).body == weights
    asked = [headers.get("Range") for path, headers in hubs.faults.seen if "/resolve/" in path]
    assert asked == [None, f"bytes={1 << 20}-", f"bytes={2 << 20}-"]
    name = hubs.push({"w.safetensors": weights[::-1]})
    at = f"/{name}/resolve/main/w.safetensors"
    hubs.faults.cut = 100 << 10
    with pytest.raises((OSError, HTTPException)):
        hubs.get(at)
    hubs.faults.heal()
    assert hubs.get(at).body == weights[::-1]


def test_what_was_read_stays_readable_while_the_other_hub_fails(hubs: Hubs, tmp_path: Path) -> None:
    weights = large()
    name = hubs.push({"w.safetensors": weights})
    near = HfApi(endpoint=hubs.near.url, token=False)
    near.snapshot_download(name, cache_dir=tmp_path / "before")
    near.list_repo_refs(name)
    threading.Event().wait(1.1)  # past the TTL of refs
    for number, (status, headers) in enumerate([(500, {}), (429, {"Retry-After": "1"}), (503, {})]):
        hubs.faults.path, hubs.faults.status, hubs.faults.headers = ".", status, headers
        folder = Path(near.snapshot_download(name, cache_dir=tmp_path / str(number)))
        assert (folder / "w.safetensors").read_bytes() == weights
        assert near.list_repo_refs(name).branches
        unknown = hubs.get(f"/api/models/alice/never-{number}")
        assert (unknown.status, unknown.json["code"]) == (503, "upstream-unavailable")
        assert unknown.headers["Retry-After"]
        threading.Event().wait(1.1)
    hubs.faults.heal()
    live.wait_until(lambda: hubs.get("/api/models/alice/never").status == 401, hubs.near, 30)  # it rests for seconds


def read_everything(hub: live.Hub, name: str, table: str, folder: Path) -> dict[str, object]:
    """Read a model and a dataset in every way that huggingface_hub knows, with nothing in its cache."""
    near = HfApi(endpoint=hub.url, token=False)
    answers: dict[str, object] = {"table": near.dataset_info(table).sha, "refs": near.list_repo_refs(name)}
    commit = near.model_info(name).sha
    for revision in ("main", "v1", commit):
        info = near.model_info(name, revision=revision, files_metadata=True)
        entries = list(near.list_repo_tree(name, revision=revision, recursive=True, expand=True))
        assert all(entry.last_commit for entry in entries)
        file = Path(near.hf_hub_download(name, "w.safetensors", revision=revision, cache_dir=folder / revision))
        whole = Path(near.snapshot_download(name, revision=revision, cache_dir=folder / "whole" / revision))
        files = [file, *(path for path in whole.rglob("*") if path.is_file())]
        digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        head = near.get_hf_file_metadata(url=f"{hub.url}/{name}/resolve/{revision}/w.safetensors")
        assert not near.file_exists(name, "none.txt", revision=revision)
        answers[revision] = info.sha, info.siblings, entries, digests, head.etag, head.size, head.commit_hash
    rows = near.hf_hub_download(table, "rows.csv", repo_type="dataset", cache_dir=folder)
    return answers | {"rows": Path(rows).read_bytes(), "commits": near.list_repo_commits(name)}


def an_hour_passes(hub: live.Hub) -> None:
    """Make everything that a hub keeps of others older by an hour."""
    program = "from datetime import timedelta as t; from django.db.models import F; from registry.models import *;"
    program += "UpstreamDocument.objects.update(asked_at=F('asked_at') - t(hours=1));"
    for model in ("UpstreamDocument", "UpstreamRepository", "UpstreamFile"):
        program += f"{model}.objects.update(read_at=F('read_at') - t(hours=1));"
    hub.manage("shell", "-c", program)


@pytest.mark.engine
def test_every_client_reads_for_an_hour_without_the_other_hub_what_it_read_before(hubs: Hubs, tmp_path: Path) -> None:
    name = hubs.push({"w.safetensors": large(), "sub/notes.txt": b"a small file\n"})
    hubs.writer.create_tag(name, tag="v1")
    table, model = hubs.push({"rows.csv": b"a,b\n1,2\n"}, repo_type="dataset"), f"alice/far-{next(NUMBERS)}"
    reader = Client("e5", hubs.near.url, "", tmp_path / "home", {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"})
    given = [hubs.far.url, live.TOKENS["alice"], model, str(tmp_path / "models")]
    command = [str(build("e5") / "python"), str(PROGRAMS / "through_another_hub.py"), *given]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=reader.environment(), **pipes) as loading:
        assert loading.stdout.readline() == "loaded\n"
        assert hubs.faults.paths(f"/{model}/resolve/"), "its files came from there"
        before = read_everything(hubs.near, name, table, tmp_path / "before")
        hubs.faults.is_away = True
        an_hour_passes(hubs.near)
        assert read_everything(hubs.near, name, table, tmp_path / "after") == before
        assert loading.communicate("\n", timeout=180)[0] == "fine\n"
        assert loading.returncode == 0
    hubs.faults.heal()
    with ThreadPoolExecutor(8) as pool:  # at once, so that both web processes ask, until neither leaves the hub alone

        def answers() -> list[int]:
            return list(pool.map(lambda _: hubs.get(f"/api/models/alice/never-{next(NUMBERS)}").status, range(8)))

        live.wait_until(lambda: set(answers()) == {401}, hubs.near, 60)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://127.0.0.1:1/x",
        "file:///etc/passwd",
        "http://[::1",
        "//10.0.0.1/",
    ],
)
def test_a_redirect_leads_nowhere_inside(hubs: Hubs, location: str) -> None:
    name = hubs.push({"a.txt": os.urandom(8)})
    hubs.faults.path, hubs.faults.status, hubs.faults.headers = "/resolve/", 302, {"Location": location}
    answer = hubs.get(f"/{name}/resolve/main/a.txt")
    assert answer.status in (502, 503)
    assert "a moment ago" not in answer.json["detail"], "it was asked"


def test_names_of_this_hub_are_never_asked_for(hubs: Hubs) -> None:
    """Dependency confusion, one way: nobody puts something in the place of what is, was or may be here."""
    zoe = HfApi(endpoint=hubs.near.url, token=TOKEN["zoe"])
    zoe.create_repo("ours/secret", private=True, exist_ok=True)
    zoe.create_repo("ours/gone", exist_ok=True)
    zoe.delete_repo("ours/gone")
    hubs.faults.seen.clear()
    for name in ("ours/secret", "OURS/Secret", "ours/gone", "ours/never-was", "zoe/anything", "docs/x"):
        for path in (f"/api/models/{name}", f"/api/datasets/{name}", f"/{name}/resolve/main/config.json"):
            answer = hubs.get(path)
            assert answer.status == 401, path
            assert "X-Dovetail-Source" not in answer.headers
    assert hubs.faults.seen == [], "the other hub learns no name of ours"
    denied = hubs.get("/api/models/acme/anything")
    assert (denied.status, hubs.faults.seen) == (401, [])
    missing = hubs.get("/api/models/alice/not-there", token=TOKEN["zoe"])
    assert (missing.status, missing.headers["X-Error-Code"]) == (404, "RepoNotFound")
    assert [hubs.get("/api/models/alice/not-there").status for _ in range(6)] == [401] * 6
    assert len(hubs.faults.seen) <= 2, "what no hub has is remembered; without Redis by each web process"


def test_names_that_are_read_from_elsewhere_cannot_be_taken(hubs: Hubs) -> None:
    """Dependency confusion, the other way: nobody here puts something in the place of what people load from there."""
    bob = HfApi(endpoint=hubs.far.url, token=live.TOKENS["bob"])
    name = f"bob/far-{next(NUMBERS)}"
    bob.create_repo(name)
    for path, content in adapters.lora().items():
        bob.upload_file(repo_id=name, path_or_fileobj=content, path_in_repo=path)
    assert hubs.get(f"/{name}/resolve/main/adapter_config.json").status == 200
    hubs.record()
    assert hubs.get(f"/api/v1/adapters/{name}").status == 200
    for who, status in (("zoe", 403), ("ada", 201)):
        made = hubs.get("/api/v1/organizations", "POST", TOKEN[who], body={"name": "Bob"})
        assert made.status == status
        if who == "zoe":
            assert made.json["code"] == "name-reserved"
            assert f"are mirrored from {hubs.faults.url}" in made.json["detail"]
    hubs.faults.seen.clear()
    for path in (f"/{name}/resolve/main/adapter_config.json", f"/api/models/{name}"):
        assert hubs.get(path).status == 401, "the name is ours from now on"
    assert hubs.get(f"/api/v1/adapters/{name}").status == 404
    assert hubs.faults.seen == []


def test_nothing_is_written_there(hubs: Hubs) -> None:
    name = hubs.push({"a.txt": b"theirs\n"})
    zoe = HfApi(endpoint=hubs.near.url, token=TOKEN["zoe"])
    with pytest.raises(HfHubHTTPError, match="is mirrored from"):
        zoe.upload_file(repo_id=name, path_or_fileobj=b"x", path_in_repo="x.txt")
    for path, method in (("branch/x", "POST"), ("tag/main", "POST"), ("settings", "PUT"), ("commit/main", "POST")):
        refused = hubs.get(f"/api/models/{name}/{path}", method, TOKEN["zoe"])
        assert (refused.status, refused.json["code"]) == (403, "upstream-read-only"), path


def test_the_token_of_this_hub_and_headers_of_clients_stay_where_they_belong(hubs: Hubs) -> None:
    name = hubs.push({"a.txt": os.urandom(16)})
    private = hubs.push({"a.txt": b"secret\n"}, private=True)
    hubs.faults.seen.clear()
    headers = {"Cookie": "session=1", "X-Forwarded-For": "10.1.1.1", "User-Agent": "someone"}
    answer = hubs.get(f"/{name}/resolve/main/a.txt?download=1&x=../..", token=TOKEN["zoe"], **headers)
    assert answer.status == 200
    for path, sent in hubs.faults.seen:
        assert sent["Authorization"] == f"Bearer {SECRET}"
        assert not {"Cookie", "X-Forwarded-For"} & set(sent)
        assert sent["User-Agent"] == "dovetail"
        assert "download" not in path
    gated = hubs.push({"a.txt": b"for some\n"})
    hubs.writer.update_repo_settings(gated, gated="auto")
    assert hubs.get(f"/api/models/{gated}").json["gated"] == "auto"
    refused = hubs.get(f"/{gated}/resolve/main/a.txt", token=TOKEN["zoe"])
    assert (refused.status, refused.json["code"]) == (403, "upstream-gated")
    assert refused.headers["X-Error-Code"] == "GatedRepo"
    for path in (f"/api/models/{private}", f"/{private}/resolve/main/a.txt"):
        for token in ("", TOKEN["zoe"]):
            refused = hubs.get(path, token=token)
            assert refused.status == (404 if token else 401), "what only our token opens does not exist for others"
            assert SECRET.encode() not in refused.body
    assert SECRET not in hubs.near.log("web")


def test_datasets_and_spaces_are_read_too(hubs: Hubs) -> None:
    for kind in ("dataset", "space"):
        options = {"repo_type": kind} | ({"space_sdk": "static"} if kind == "space" else {})
        name = hubs.push({"rows.csv": b"a,b\n1,2\n"}, **options)
        near = HfApi(endpoint=hubs.near.url, token=False)
        assert near.repo_info(name, repo_type=kind).sha == hubs.writer.repo_info(name, repo_type=kind).sha
        assert hubs.get(f"/{kind}s/{name}/resolve/main/rows.csv").body == b"a,b\n1,2\n"


def test_paths_that_cannot_be_are_refused(hubs: Hubs) -> None:
    name = hubs.push({"a.txt": os.urandom(8)})
    hubs.faults.path, hubs.faults.edit = "/tree/", ("a.txt", "../../a.txt")
    answer = hubs.get(f"/{name}/resolve/main/a.txt")
    assert (answer.status, answer.json["code"]) == (502, "upstream-wrong")
    hubs.faults.heal()
    for path in ("../../../etc/passwd", "..%2f..%2fx", "a.txt/../../x"):
        assert hubs.get(f"/{name}/resolve/main/{path}").status in (401, 404)
    assert all(".." not in path for path in hubs.faults.paths("/resolve/"))


def test_a_fetched_adapter_is_proven_and_can_be_held(hubs: Hubs, tmp_path: Path) -> None:
    name = hubs.push(adapters.lora())
    commit, short = hubs.writer.model_info(name).sha, name.partition("/")[2]
    arriving = hubs.get(f"/api/v1/adapters/{name}/revisions/main")
    assert (arriving.status, arriving.json["code"], arriving.headers["Retry-After"]) == (503, "upstream-arriving", "5")
    assert hubs.get("/api/v1/adapters/alice/nowhere/revisions/main").status == 404
    hubs.record()
    pulled = dovetail.Client(hubs.near.url).pull(name, tmp_path / "pulled")
    assert (pulled / "adapter_config.json").read_bytes() == adapters.lora()["adapter_config.json"]
    assert hubs.get(f"/{name}/resolve/main/adapter_config.json").status == 200
    verdict = hubs.get(f"/api/v1/adapters/{name}/revisions/main/verdict").json
    assert (verdict["state"], verdict["revision"], verdict["base"]["id"]) == ("queued", commit, adapters.TINY_BERT.id)
    for lists in (f"/api/models?search={short}", f"/api/v1/adapters?q={short}", "/api/models?author=alice"):
        assert short.encode() not in hubs.get(lists).body, "it is never listed as ours"
    assert name.encode() in hubs.get("/api/v1/adapters?source=upstream").body
    assert b"read from " in hubs.get(f"/{name}").body
    assert hubs.get("/alice").status == 404
    waiting = hubs.get(f"/verified/{name}/resolve/main/adapter_config.json")
    assert (waiting.status, waiting.headers["X-Error-Code"]) == (404, "RevisionNotFound")
    hubs.writer.upload_file(repo_id=name, path_or_fileobj=b"more\n", path_in_repo="more.txt")
    threading.Event().wait(1.1)
    assert hubs.get(f"/{name}/resolve/main/more.txt").body == b"more\n", "main moves with the other hub's"
    hold = "from django.utils import timezone; from registry.models import Repository; Repository.objects"
    hubs.near.manage("shell", "-c", f"{hold}.filter(name={short!r}).update(quarantined_at=timezone.now())")
    hubs.faults.seen.clear()
    for path in (f"/{name}/resolve/main/adapter_config.json", f"/api/models/{name}", f"/{name}/resolve/{commit}/a"):
        assert hubs.get(path).status == 401
    assert hubs.faults.seen == []


def test_the_cache_drops_what_nobody_read_for_longest(hubs: Hubs) -> None:
    names = [hubs.push({"w.safetensors": large(15 << 20)}) for _ in range(3)]
    for name in names:
        assert len(hubs.get(f"/{name}/resolve/main/w.safetensors").body) == 15 << 20
    hubs.faults.seen.clear()
    hubs.get(f"/{names[2]}/resolve/main/w.safetensors")
    assert not hubs.faults.paths("/resolve/")
    hubs.get(f"/{names[0]}/resolve/main/w.safetensors")
    assert len(hubs.faults.paths("/resolve/")) == 1
    big = hubs.push({"w.safetensors": large(41 << 20)})
    refused = hubs.get(f"/{big}/resolve/main/w.safetensors")
    assert (refused.status, refused.json["code"]) == (403, "upstream-refused")
