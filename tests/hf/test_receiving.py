"""Bodies as they come over a real connection: in packets, the next request behind them, cut off, or of other bytes."""

import hashlib
import json
import random
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from registry.bytes.blobs import Keys
from tests import live
from tests.live import TOKENS, Hub
from tests.sweep import at_merge, sweep

MIB = 1 << 20
THREADS = 32  # of a hub of tests/live.py
OFFERS = "/alice/notes.git/info/lfs/objects/batch"


class Connection:
    """One connection and what is answered on it, byte for byte."""

    def __init__(self, hub: Hub) -> None:
        self.at = urlsplit(hub.url)
        self.socket = socket.create_connection((self.at.hostname, self.at.port), timeout=30)
        self.file = self.socket.makefile("rb")

    def head(self, method: str, path: str, **headers: object) -> bytes:
        told = {"Host": self.at.netloc, "Authorization": f"Bearer {TOKENS['alice']}"} | headers
        lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {told[name]}" for name in told)]
        return "\r\n".join([*lines, "", ""]).encode()

    def put(self, href: str, length: int, **headers: object) -> bytes:
        parts = urlsplit(href)
        return self.head("PUT", f"{parts.path}?{parts.query}", Content_Length=length, **headers)

    def answer(self) -> tuple[int, dict]:
        """Return status and body of the next answer."""
        status = int(self.file.readline().split()[1])
        length = 0
        while line := self.file.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return status, json.loads(self.file.read(length) or b"{}")

    def ask(self, method: str, path: str, body: object) -> dict:
        data = json.dumps(body).encode()
        self.socket.sendall(self.head(method, path, Content_Length=len(data), Content_Type="application/json") + data)
        status, answer = self.answer()
        assert status == 200, answer
        return answer

    def offered(self, content: bytes) -> str:
        objects = [{"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}]
        [offer] = self.ask("POST", OFFERS, {"operation": "upload", "objects": objects})["objects"]
        return offer["actions"]["upload"]["href"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that reads bodies from the socket itself."""
    with live.hub(tmp_path_factory.mktemp("receiving") / "data") as running:
        Connection(running).ask("POST", "/api/repos/create", {"name": "notes", "type": "model"})
        yield running


@pytest.fixture
def connection(hub: Hub) -> Iterator[Connection]:
    made = Connection(hub)
    yield made
    made.file.close()
    made.socket.close()


def fresh(size: int) -> bytes:
    return random.randbytes(size)


def kept(hub: Hub, content: bytes) -> bool:
    """Return whether exactly these bytes are stored."""
    path = hub.data / "blobs" / Keys.blob(hashlib.sha256(content).hexdigest())
    return path.exists() and path.read_bytes() == content


def nothing_half_written(hub: Hub) -> bool:
    return not any((hub.data / "blobs/unfinished").iterdir())


@pytest.mark.merge
@sweep("size", [1, 5_000, MIB - 1, MIB, MIB + 1, 9 * MIB + 17])
def test_a_body_is_stored_however_it_is_cut_into_packets(hub, connection, size: int) -> None:
    content = fresh(size)
    whole = connection.put(connection.offered(content), size) + content
    first, dice = random.randint(1, 3000), random.Random(size)
    connection.socket.sendall(whole[:first])
    while first < len(whole):
        step = dice.randint(1, 700_000)
        connection.socket.sendall(whole[first : first + step])
        first += step
    assert connection.answer()[0] == 200
    assert kept(hub, content)


def test_the_request_behind_a_body_is_the_next_one_and_no_part_of_it(hub, connection) -> None:
    for size in (10, 3 * MIB):
        content = fresh(size)
        put = connection.put(connection.offered(content), size)
        connection.socket.sendall(put + content + connection.head("GET", "/api/whoami-v2"))
        assert connection.answer()[0] == 200
        assert connection.answer()[1]["name"] == "alice"
        assert kept(hub, content)


def test_other_bytes_than_promised_are_refused_and_the_connection_goes_on(hub, connection) -> None:
    content, other = fresh(3 * MIB), fresh(3 * MIB)
    href = connection.offered(content)
    connection.socket.sendall(connection.put(href, len(other)) + other)
    assert connection.answer()[1]["code"] == "digest-mismatch"
    assert nothing_half_written(hub)
    assert not kept(hub, content)
    connection.socket.sendall(connection.put(href, len(content)) + content)
    assert connection.answer()[0] == 200
    assert kept(hub, content)


@pytest.mark.parametrize("difference", [-1, 1, MIB])
def test_another_length_than_promised_is_refused_and_the_connection_goes_on(connection, difference: int) -> None:
    content = fresh(2 * MIB)
    href = connection.offered(content)
    sent = (content * 2)[: len(content) + difference]
    connection.socket.sendall(connection.put(href, len(sent)) + sent)
    status, answer = connection.answer()
    assert (status, answer["code"]) == (400, "digest-mismatch")
    connection.socket.sendall(connection.put(href, len(content)) + content)
    assert connection.answer()[0] == 200


def test_a_body_without_a_good_ticket_is_read_away_and_the_connection_goes_on(connection) -> None:
    for length in (100, 5 * MIB):
        connection.socket.sendall(connection.put("/api/lfs/uploads?ticket=x", length) + bytes(length))
        assert connection.answer()[1]["code"] == "upload-expired"
    assert connection.offered(fresh(10))


@pytest.mark.parametrize("hub", ["on"], indirect=True)
@pytest.mark.parametrize("framing", ["Content-Length: 900000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    "path", ["/api/lfs/uploads?ticket=x", *at_merge("/v1/telemetry", "/xet/v1/xorbs/default/x", "/xet/nothing")]
)
def test_who_sends_what_nobody_wants_at_his_leisure_holds_no_thread(hub, path: str, framing: str) -> None:
    method = "PUT" if "lfs" in path else "POST"
    slow = [socket.create_connection(urlsplit(hub.url).netloc.split(":"), timeout=30) for _ in range(THREADS + 8)]
    try:
        for one in slow:
            one.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n1\r\nx\r\n".encode())
        time.sleep(2)  # until they have the threads
        until, answered = time.monotonic() + 120, False  # without a limit they would hold them for ever
        while not answered and time.monotonic() < until:
            for one in slow:
                with suppress(OSError):
                    one.sendall(b"1\r\nx\r\n")
            answered = live.answers(f"{hub.url}/livez")
        assert answered
    finally:
        for one in slow:
            one.close()


@pytest.mark.merge
def test_a_body_that_stops_leaves_nothing_and_its_ticket_stays_good(hub, connection) -> None:
    content = fresh(4 * MIB)
    href = connection.offered(content)
    stopping = Connection(hub)
    stopping.socket.sendall(stopping.put(href, len(content)) + content[: 3 * MIB + 5])
    stopping.socket.shutdown(socket.SHUT_WR)
    status, answer = stopping.answer()
    assert (status, answer["code"]) == (400, "digest-mismatch")
    gone = Connection(hub)
    gone.socket.sendall(gone.put(href, len(content)) + content[:MIB])
    time.sleep(0.2)
    gone.file.close()
    gone.socket.close()
    live.wait_until(lambda: nothing_half_written(hub), hub)
    assert not kept(hub, content)
    connection.socket.sendall(connection.put(href, len(content)) + content)
    assert connection.answer()[0] == 200
    assert kept(hub, content)


@pytest.mark.merge
def test_a_client_may_wait_to_be_told_to_go_on(hub, connection) -> None:
    content = fresh(2 * MIB)
    connection.socket.sendall(connection.put(connection.offered(content), len(content), Expect="100-continue"))
    assert connection.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert connection.file.readline() == b"\r\n"
    connection.socket.sendall(content)
    assert connection.answer()[0] == 200
    assert kept(hub, content)
