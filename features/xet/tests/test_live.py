"""The real hf_xet against a real gunicorn: what it costs, bodies of every kind, and refusals that arrive."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import numpy as np
import pytest

from features.xet.tests import build
from features.xet.tests.test_intake import CLIENT_SHARD
from features.xet.tests.test_xorbs import CLIENT_NAME, CLIENT_XORB
from tests import live
from tests.services import free_ports

TOKEN = live.TOKENS["alice"]
CONTENT = build.noise(180_000, 5)

UPLOADER = """
import sys, hf_xet
from huggingface_hub.utils._xet import get_xet_session
url, token, *files = sys.argv[1:]
headers = {"authorization": f"Bearer {token}"}
with get_xet_session().new_upload_commit(
    token_refresh_url=url, token_refresh_headers=headers, custom_headers={}
) as commit:
    handles = [commit.start_upload_file(file, sha256=hf_xet.COMPUTE_SHA256) for file in files]
print(*[handle.result().xet_info.sha256 for handle in handles])
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Hub]:
    """A hub of our own, with the adapter alice/notes."""
    with live.hub(tmp_path_factory.mktemp("xet") / "data") as running:
        make_notes(running)
        yield running


def make_notes(running: live.Hub) -> None:
    made = httpx.post(f"{running.url}/api/repos/create", json={"name": "notes", "type": "model"}, headers=bearer(TOKEN))
    assert made.status_code == 200, made.text


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def token_url(hub: live.Hub, kind: str = "write") -> str:
    return f"{hub.url}/api/models/alice/notes/xet-{kind}-token/main"


@pytest.fixture
def ticket(hub: live.Hub) -> dict[str, str]:
    return bearer(httpx.get(token_url(hub), headers=bearer(TOKEN)).json()["accessToken"])


def upload(hub: live.Hub, cache: Path, *files: Path, token: str = TOKEN) -> subprocess.CompletedProcess:
    environment = os.environ | {"HF_XET_CACHE": str(cache), "HF_XET_LOG_LEVEL": "error"}
    command = [sys.executable, "-c", UPLOADER, token_url(hub), token, *map(str, files)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def weights(path: Path, megabytes: int, seed: int) -> Path:
    """Floats that do not compress much, as trained weights do not."""
    with path.open("wb") as file:
        for part in range(megabytes):
            file.write(np.random.default_rng((seed, part)).standard_normal(1 << 18, dtype="float32").tobytes())
    return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored(hub: live.Hub, digest: str) -> Path:
    return hub.data / "blobs" / "blobs" / digest[:2] / digest[2:4] / digest


def received(hub: live.Hub) -> int:
    """Return how many bytes of xorbs the hub ever got: of each the index says how long it was."""
    sizes = "from features.xet.models import Xorb; print(sum(Xorb.objects.values_list('size', flat=True)))"
    return int(hub.manage("shell", "-v", "0", "-c", sizes))


def workers(hub: live.Hub) -> list[int]:
    master = hub.processes["web"].pid
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def peak_megabytes(hub: live.Hub) -> float:
    """The most memory that any web process ever had."""
    status = [Path(f"/proc/{pid}/status").read_text() for pid in workers(hub)]
    return max(int(text.partition("VmHWM:")[2].split()[0]) for text in status) / 1024


def test_the_client_uploads_24_mb(hub, tmp_path) -> None:
    file = weights(tmp_path / "adapter", 24, seed=2)
    done = upload(hub, tmp_path / "cache", file)
    assert done.stdout.strip() == sha256(file), done.stderr
    assert sha256(stored(hub, sha256(file))) == sha256(file)


@pytest.mark.merge
def test_a_client_that_knew_an_earlier_hub_at_the_address_sends_everything_to_the_new_one(tmp_path) -> None:
    port, file = free_ports()[0], weights(tmp_path / "adapter", 1, seed=4)
    for number in range(2):
        with live.hub(tmp_path / f"data{number}", port=port, SECRET_KEY=f"key of hub {number} " * 5) as begun:
            make_notes(begun)
            done = upload(begun, tmp_path / "cache", file)
            assert done.stdout.strip() == sha256(file), done.stderr
            assert sha256(stored(begun, sha256(file))) == sha256(file)


@pytest.mark.merge
def test_memory_does_not_grow_with_the_file(hub, tmp_path) -> None:
    for number in range(4):  # both web processes have seen a whole xorb
        upload(hub, tmp_path / f"warm{number}", weights(tmp_path / "warm", 70, seed=10 + number))
    before = peak_megabytes(hub)
    file = weights(tmp_path / "adapter", 250, seed=3)
    done = upload(hub, tmp_path / "cache", file)
    assert done.stdout.strip() == sha256(file), done.stderr
    assert peak_megabytes(hub) - before < 30


@pytest.mark.merge
def test_a_second_upload_sends_only_what_is_new(hub, tmp_path) -> None:
    file = weights(tmp_path / "adapter", 12, seed=4)
    assert upload(hub, tmp_path / "cache", file).returncode == 0
    with file.open("r+b") as changed:
        changed.seek(6 << 20)
        changed.write(b"another epoch of training")
    before = received(hub)
    done = upload(hub, tmp_path / "cache", file)
    assert done.stdout.strip() == sha256(file), done.stderr
    assert 0 < received(hub) - before < 1 << 20
    assert sha256(stored(hub, sha256(file))) == sha256(file)


LOSE = """
from datetime import timedelta
from django.utils import timezone
from registry.bytes import garbage
from registry.models import Blob, UploadedBlob
from features.xet.models import Xorb
old = timezone.now() - timedelta(days=3)
Xorb.objects.update(last_used_at=old)
garbage.sweep(3600)
UploadedBlob.objects.filter(blob="{lost}").update(created_at=old)
Blob.objects.filter(pk="{lost}").update(created_at=old)
garbage.sweep(3600)
print(Xorb.objects.filter(is_cold=True).exists(), Blob.objects.filter(pk="{lost}").exists())
"""


@pytest.mark.merge
def test_a_client_that_remembers_chunks_which_are_gone_sends_them_again_by_itself(hub, tmp_path) -> None:
    file = weights(tmp_path / "adapter", 3, seed=50)
    assert upload(hub, tmp_path / "cache", file).returncode == 0
    assert "True False" in hub.manage("shell", "-v", "0", "-c", LOSE.format(lost=sha256(file)))
    with file.open("ab") as longer:
        longer.write(b"another epoch of training")
    done = upload(hub, tmp_path / "cache", file)
    assert done.stdout.strip() == sha256(file), done.stderr
    assert sha256(stored(hub, sha256(file))) == sha256(file)


def test_many_files_travel_in_one_shard(hub, tmp_path) -> None:
    files = [weights(tmp_path / f"{number}", 1, seed=20 + number % 5) for number in range(10)]
    done = upload(hub, tmp_path / "cache", *files)
    assert done.stdout.split() == [sha256(file) for file in files], done.stderr


@pytest.mark.parametrize("token", [live.READ_TOKEN, live.TOKENS["carol"], "hf_nobody_has_this_one"])
def test_the_client_is_told_when_it_may_not_write(hub, tmp_path, token: str) -> None:
    done = upload(hub, tmp_path / "cache", weights(tmp_path / "adapter", 1, seed=6), token=token)
    assert done.returncode != 0
    assert "403" in done.stderr or "401" in done.stderr


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", [777, 64 << 10, 10 << 20])
def test_chunked_bodies_without_a_length_arrive_whole(hub, ticket, size: int) -> None:
    xorb, shard = build.whole(build.noise(300_000, size))
    sent = httpx.post(f"{hub.url}/xet/v1/xorbs/default/{xorb.name}", content=in_pieces(xorb.data, size), headers=ticket)
    assert (sent.request.headers.get("Transfer-Encoding"), sent.status_code) == ("chunked", 200), sent.text
    sent = httpx.post(f"{hub.url}/xet/v1/shards", content=in_pieces(shard, size), headers=ticket)
    assert sent.status_code == 200, sent.text


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_refused_upload_of_64_mib_is_drained_and_the_connection_lives(hub, framing: str) -> None:
    body = bytes(64 << 20)
    with httpx.Client() as client:
        for _ in range(3):
            refused = client.post(
                f"{hub.url}/xet/v1/xorbs/default/{CLIENT_NAME}",
                content=body if framing == "length" else in_pieces(body, 1 << 20),
                headers=bearer("wrong"),
            )
            assert (refused.status_code, refused.json()["code"]) == (401, "token-invalid")
            assert client.get(f"{hub.url}/livez").status_code == 200


def test_a_declared_body_over_the_limit_is_refused_unread(hub, ticket) -> None:
    parts = urlsplit(hub.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=120) as connection:
        head = f"POST /xet/v1/xorbs/default/{CLIENT_NAME} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        head += f"Authorization: {ticket['Authorization']}\r\nContent-Length: {1 << 40}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")  # though no byte of the body was sent


def test_an_endless_chunked_body_is_cut_off(hub, ticket) -> None:
    def endless() -> Iterator[bytes]:
        piece = build.chunk(bytes(100_000), 1) * 100
        while True:
            yield piece

    started = time.monotonic()
    # The client may or may not read the answer before its own sending fails.
    with suppress(httpx.TransportError):
        answer = httpx.post(f"{hub.url}/xet/v1/xorbs/default/{CLIENT_NAME}", content=endless(), headers=ticket)
        assert answer.status_code in {400, 413}
    assert time.monotonic() - started < 120
    assert httpx.get(f"{hub.url}/livez").status_code == 200


@pytest.mark.parametrize("broken", [b"zz\r\n", b"10\r\nshort"])
def test_a_client_that_goes_away_or_frames_wrongly_leaves_nothing(hub, ticket, broken: bytes) -> None:
    before = hub.log("web").count("Traceback")
    parts = urlsplit(hub.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=120) as connection:
        head = f"POST /xet/v1/shards HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        head += f"Authorization: {ticket['Authorization']}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode() + broken)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)
    assert httpx.get(f"{hub.url}/livez").status_code == 200
    assert hub.log("web").count("Traceback") == before


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (f"xorbs/default/{CLIENT_NAME}", CLIENT_XORB[:-1], "xorb-invalid"),
        (f"xorbs/default/{CLIENT_NAME}", CLIENT_XORB + b"\0", "xorb-invalid"),
        (f"xorbs/default/{'0' * 64}", CLIENT_XORB, "xorb-invalid"),
        ("shards", CLIENT_SHARD[:-1], "shard-invalid"),
        ("shards", b"", "shard-invalid"),
        ("shards", build.whole(build.noise(50_000, 77))[1], "xorb-unknown"),
    ],
)
def test_forgeries_are_refused_with_a_sentence(hub, ticket, path: str, body: bytes, code: str) -> None:
    answer = httpx.post(f"{hub.url}/xet/v1/{path}", content=body, headers=ticket)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert len(answer.json()["error"]) > 30


@pytest.mark.merge
def test_the_same_upload_on_s3(s3_server, tmp_path) -> None:
    with live.hub(tmp_path / "data", BLOBS=s3_server.url("xet-live")) as hub:
        make_notes(hub)
        file = weights(tmp_path / "adapter", 24, seed=8)
        done = upload(hub, tmp_path / "cache", file)
        assert done.stdout.strip() == sha256(file), done.stderr
        check = (
            f"from registry.bytes import blobs; print(blobs.hash_staged(blobs.Keys.blob('{sha256(file)}'))[0].sha256)"
        )
        assert sha256(file) in hub.manage("shell", "-v", "0", "-c", check)


@pytest.mark.merge
def test_the_same_file_sent_by_many_at_once_is_stored_once(hub, tmp_path) -> None:
    file = weights(tmp_path / "adapter", 6, seed=40)
    with ThreadPoolExecutor(5) as pool:
        done = list(pool.map(lambda number: upload(hub, tmp_path / f"cache{number}", file), range(5)))
    assert [one.stdout.strip() for one in done] == [sha256(file)] * 5, [one.stderr for one in done]
    assert sha256(stored(hub, sha256(file))) == sha256(file)
    assert list((hub.data / "blobs" / "unfinished").iterdir()) == []


@pytest.mark.merge
def test_the_client_gets_through_when_a_web_process_is_killed_under_it(hub, tmp_path) -> None:
    file = weights(tmp_path / "adapter", 100, seed=41)
    unfinished = hub.data / "blobs" / "unfinished"
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(upload, hub, tmp_path / "cache", file)
        live.wait_until(lambda: any(unfinished.iterdir()) or sending.done(), hub)
        assert not sending.done()
        for pid in workers(hub):
            os.kill(pid, signal.SIGKILL)
        done = sending.result()
    assert done.stdout.strip() == sha256(file), done.stderr
    assert sha256(stored(hub, sha256(file))) == sha256(file)
