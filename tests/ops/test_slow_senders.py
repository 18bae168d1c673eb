"""Who sends a request slowly holds no thread of the web, with no proxy in front."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hub.server import arriving
from hub.server.arriving import HEAD_BYTES, SMALL_BODY, Has
from tests.live import ROOT
from tests.services import answers, free_ports, running

pytestmark = pytest.mark.merge

APPLICATION = """
from django.conf import settings
settings.configure()
from hub.server import lingering
from hub.server.receiving import announcing_close
lingering.MOST_SECONDS = 2  # in place of 60

def echo(environ, start_response):
    if environ["PATH_INFO"] == "/unread":
        start_response("200 OK", [("Content-Length", "6")])
        return [b"unread"]
    body = environ["REQUEST_METHOD"].encode() + b" " + environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

application = announcing_close(echo)
"""
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(params=["Leaving", "Lingering"])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """A web process of two threads."""
    (tmp_path / "echo.py").write_text(APPLICATION)
    [port] = free_ports()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "echo:application",
        "-k",
        f"hub.server.lingering.{request.param}Worker",
    ]
    command += ["--threads", "2", "-b", f"127.0.0.1:{port}", "--no-control-socket", "--keep-alive", "75"]
    with running(command, tmp_path, lambda: answers(port), env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}):
        yield port


@pytest.fixture
def connect(port: int) -> Iterator[object]:
    """Return a function that opens a connection, and another that sends bytes at once."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))


def said(wire: socket.socket, text: bytes) -> None:
    """Wait for an answer that ends so."""
    come = b""
    while not come.endswith(text):
        piece = wire.recv(1 << 16)
        assert piece, come
        come += piece


@pytest.mark.parametrize(
    "part", [b"", GET[:1], GET[:-1], POST[:-5], POST[:-1]], ids=["", "G", "head", "no body", "body"]
)
def test_many_who_send_a_part_hold_no_thread(connect, part):
    slow = [connect() for _ in range(10)]
    for wire in slow:
        wire.sendall(part)
    time.sleep(0.2)
    quick = connect()
    for request, answer in ((GET, b"\r\n\r\nGET "), (POST, b"\r\n\r\nPOST hello")):
        quick.sendall(request)
        said(quick, answer)
    whole, answer = (POST, b"POST hello") if part.startswith(b"P") else (GET, b"GET ")
    for wire in slow:
        wire.sendall(whole[len(part) :])
        said(wire, answer)
        wire.sendall(POST[:30])  # the next one of the same connection
    quick.sendall(GET)
    said(quick, b"GET ")
    for wire in slow:
        wire.sendall(POST[30:])
        said(wire, b"POST hello")


@pytest.mark.parametrize("part", [GET[:20], POST[:30], POST[:-1]])
def test_a_part_that_came_with_the_request_before_holds_no_thread(connect, part):
    slow = [connect() for _ in range(10)]
    for wire in slow:
        wire.sendall(GET + part)
        said(wire, b"GET ")
    quick = connect()
    quick.sendall(POST)
    said(quick, b"POST hello")
    for wire in slow:
        wire.sendall((GET if part == GET[:20] else POST)[len(part) :])
        said(wire, b"GET " if part == GET[:20] else b"POST hello")


def test_a_request_comes_byte_by_byte(connect):
    wire = connect()
    for byte in POST + GET:
        wire.sendall(bytes([byte]))
        time.sleep(0.002)
    said(wire, b"GET ")


def test_two_requests_come_at_once(connect):
    wire = connect()
    wire.sendall(POST + GET)
    said(wire, b"GET ")
    wire.sendall(GET + POST[:-1])
    said(wire, b"GET ")
    wire.sendall(POST[-1:])
    said(wire, b"POST hello")


def test_a_body_that_waits_for_an_answer_is_asked_for(connect):
    wire = connect()
    wire.sendall(POST[:-5].replace(b"Content", b"Expect: 100-continue\r\nContent"))
    said(wire, b"100 Continue\r\n\r\n")
    wire.sendall(b"hello")
    said(wire, b"POST hello")


@pytest.mark.parametrize("size", [SMALL_BODY, SMALL_BODY + 1, 1 << 20])
def test_a_large_body_comes_through_too(connect, size):
    wire = connect()
    body = bytes(size - 1) + b"!"
    wire.sendall(POST[:-5].replace(b"5", str(size).encode()))
    time.sleep(0.1)
    for start in range(0, size, 50_000):
        wire.sendall(body[start : start + 50_000])
    said(wire, b"!")


def test_a_head_without_end_is_refused(connect):
    wire = connect()
    wire.sendall(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (HEAD_BYTES // 6))
    assert wire.recv(100).startswith(b"HTTP/1.1 431 ")


def test_who_takes_longer_than_a_minute_is_let_go(connect):
    wire = connect()
    began = time.monotonic()

    def send() -> None:
        while time.monotonic() - began < 30:
            wire.sendall(b"G")
            time.sleep(0.1)

    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        send()
    assert time.monotonic() - began > 1


def test_who_does_not_close_after_the_last_answer_keeps_nobody_waiting(connect):
    for _ in range(20):  # for each of them gunicorn's own worker stands still for two seconds
        wire = connect()
        wire.sendall(GET.replace(b"here", b"here\r\nConnection: close"))
        said(wire, b"GET ")
        assert wire.recv(1) == b""
    quick = connect()
    quick.sendall(GET)
    said(quick, b"GET ")


@pytest.mark.parametrize("how", [b"Transfer-Encoding: chunked", b"Expect: 100-continue\r\nContent-Length: 5"])
def test_a_body_that_comes_later_and_that_nobody_reads_ends_its_connection(connect, how):
    wire = connect()
    wire.sendall(b"POST /unread HTTP/1.1\r\nHost: here\r\n" + how + b"\r\n\r\n5\r\n"[: 4 if b"Expect" in how else 7])
    said(wire, b"unread")
    assert wire.recv(1) == b""


def test_who_goes_in_the_middle_is_forgotten(connect):
    for _ in range(4):
        wire = connect()
        wire.sendall(POST[:-1])
        wire.close()
    quick = connect()
    quick.sendall(POST)
    said(quick, b"POST hello")


@pytest.mark.parametrize(
    ("come", "has", "needed"),
    [
        (b"", Has.NOTHING, 1),
        (GET[:5], Has.PART, 6),
        (GET, Has.ENOUGH, 1),
        (GET + GET[:3], Has.ENOUGH, 1),
        (POST[:-2], Has.PART, len(POST)),
        (POST[:-2].replace(b"Content-Length: ", b"content-length:\t"), Has.PART, len(POST)),
        (POST[:-2].replace(b": 5\r", b": " + b"0" * 30 + b"5\r"), Has.PART, len(POST) + 30),
        (POST[:-2].replace(b": 5\r", b": 65537\r"), Has.ENOUGH, 1),
        (POST[:-2].replace(b": 5\r", b": many\r"), Has.ENOUGH, 1),  # the parser judges it
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (HEAD_BYTES // 6), Has.TOO_MUCH, 1),
    ],
)
def test_a_look_says_how_much_must_come(come, has, needed):
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        served, _ = listener.accept()
        with served:
            client.sendall(come)
            time.sleep(0.05)
            assert arriving.look(served) == (has, needed)
            assert served.recv(len(come) or 1, socket.MSG_DONTWAIT) == come if come else True


@pytest.mark.parametrize("come", [b"", GET[:5], POST[:-1]])
def test_a_sender_who_has_gone_is_left_to_a_thread(come):
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        served, _ = listener.accept()
        with served:
            client.sendall(come)
            client.shutdown(socket.SHUT_WR)
            time.sleep(0.05)
            assert arriving.look(served) == (Has.ENOUGH, 1)
