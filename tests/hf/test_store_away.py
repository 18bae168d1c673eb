"""What a hub answers of rows alone, in a process that has just started, while its S3 hangs or is gone."""

import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests import live
from tests.adapters import MINILM, card, lora
from tests.hf.wire import file, header, lfs_file
from tests.live import TOKENS, Hub
from tests.services import free_ports, seaweedfs

pytestmark = [pytest.mark.merge, pytest.mark.s3]
NAME = "alice/reviews"
SECONDS = 1.5  # less than a call of S3 may take that nobody answers; the machine runs other tests beside
TRIES = 5  # requests of a kind; the fastest counts, and none may be refused


@dataclass
class OnS3:
    """A hub, its S3, and the newest commit of a public adapter."""

    hub: Hub
    weed: psutil.Process
    oid: str


def ask(url: str, method: str = "GET", body: bytes = b"", **headers: str) -> bytes:
    """Speak to a hub or to its store as alice, past every client. Raises HTTPError for a refusal."""
    told = headers or {"Authorization": f"Bearer {TOKENS['alice']}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body or None, told, method=method), timeout=60) as answer:
        content: bytes = answer.read()
        return content


def push(hub: Hub, files: dict[str, bytes]) -> str:
    """Create the adapter and push files, weights by LFS; return the commit."""
    ask(f"{hub.url}/api/repos/create", "POST", json.dumps({"name": NAME.partition("/")[2]}).encode())
    lines = [header()]
    for path, data in files.items():
        entry = lfs_file(path, data) if path.endswith(".safetensors") else file(path, data)
        lines.append(entry)
        if path.endswith(".safetensors"):
            deliver(hub, entry["value"]["oid"], data)
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    made = json.loads(ask(f"{hub.url}/api/models/{NAME}/commit/main", "POST", body))
    return str(made["commitOid"])


def deliver(hub: Hub, sha256: str, data: bytes) -> None:
    """Send a file by LFS to the store itself, and have it verified."""
    batch = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": sha256, "size": len(data)}]}
    answer = json.loads(ask(f"{hub.url}/{NAME}.git/info/lfs/objects/batch", "POST", json.dumps(batch).encode()))
    actions = answer["objects"][0]["actions"]
    ask(actions["upload"]["href"], "PUT", data, **{"Content-Type": "application/octet-stream"})
    ask(actions["verify"]["href"], "POST", json.dumps({"oid": sha256, "size": len(data)}).encode())


@pytest.fixture
def on_s3(tmp_path: Path, s3_server) -> Iterator[OnS3]:
    """A hub on an S3 of its own; `s3_server` gives it the keys."""
    with seaweedfs() as server:
        store = f"s3://away-{random.randrange(1 << 40)}?endpoint={server.endpoint}"
        with live.hub(tmp_path / "data", BLOBS=store) as hub:
            [weed] = [one for one in psutil.Process().children() if f"-s3.port={server.endpoint[-5:]}" in _line(one)]
            yield OnS3(hub, weed, push(hub, {**lora(MINILM), "README.md": card(MINILM.id)}))


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # another test ended it
        return []


def cold(hub: Hub, name: str) -> str:
    """Start another web process of the hub, and return its address."""
    [port] = free_ports()
    hub.start(name, str(live.BIN / "gunicorn"), "-c", "deploy/gunicorn.conf.py", "-b", f"127.0.0.1:{port}")
    live.wait_until(lambda: live.answers(f"http://127.0.0.1:{port}/livez"), hub)
    return f"http://127.0.0.1:{port}"


ANSWERS = (
    "GET /{name}",
    "GET /{name}/tree/main",
    "GET /{name}/commits/main",
    "GET /{name}/use",
    "GET /adapters",
    "GET /",
    "GET /alice",
    "GET /api/models",
    "GET /api/models?full=true",
    "GET /api/models/{name}",
    "GET /api/models/{name}/tree/main?recursive=true&expand=true",
    "GET /api/v1/adapters",
    "GET /api/v1/adapters/{name}",
    "GET /api/v1/adapters/{name}/revisions/{oid}",
    "HEAD /{name}/resolve/{oid}/adapter_config.json",
    "HEAD /{name}/resolve/main/adapter_model.safetensors",
)


@pytest.mark.parametrize("how", ["hangs", "is killed"])
def test_pages_and_metadata_need_no_store(on_s3: OnS3, how: str):
    if how == "hangs":
        on_s3.weed.suspend()
    else:
        on_s3.weed.kill()
    try:
        url, took = cold(on_s3.hub, "cold"), dict[str, float]()
        for line in ANSWERS:
            method, _, path = line.format(name=NAME, oid=on_s3.oid).partition(" ")
            seconds = []
            for _ in range(TRIES):
                began = time.monotonic()
                try:
                    ask(url + path, method, Accept="*/*")
                except urllib.error.HTTPError as refused:
                    pytest.fail(f"{line}: {refused.code} {refused.read()[:500]!r}")
                seconds.append(time.monotonic() - began)
            took[line] = min(seconds)
        assert b"base_model" in ask(f"{url}/api/models/{NAME}", Accept="*/*")
        assert b"was not read" not in ask(f"{url}/{NAME}", Accept="*/*")
    finally:
        if how == "hangs":
            on_s3.weed.resume()
    assert max(took.values()) < SECONDS, took
