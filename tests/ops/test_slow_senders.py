"""Slow clients hold no thread of the web: nginx has their requests until they are whole, and their answers."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ops.hub import Hub
from tests.live import ROOT
from tests.services import answers, free_ports, own_folder, running

pytestmark = pytest.mark.merge

APPLICATION = """
from hub.server.request_bodies import announcing_close

def echo(environ, start_response):
    if environ["PATH_INFO"] == "/unread":
        start_response("200 OK", [("Content-Length", "6")])
        return [b"unread"]
    if environ["PATH_INFO"] == "/file":
        start_response("200 OK", [("X-Accel-Redirect", "/_blobs/file")])
        return []
    body = environ["REQUEST_METHOD"].encode() + b" " + environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

application = announcing_close(echo)
"""
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello"
FILE = 30 << 20


@pytest.fixture
def port() -> Iterator[int]:
    """nginx as `make up` starts it, before a web process of two threads."""
    [port] = free_ports()
    with own_folder() as folder:
        hub = Hub(folder / "da ta", "127.0.0.1", port)  # a path that nginx would take for two
        (hub.data / "blobs").mkdir(parents=True)
        (hub.data / "blobs" / "file").write_bytes(bytes(FILE))
        hub.run.mkdir()
        programs = {program.name: program for program in hub.programs()}
        (folder / "echo.py").write_text(APPLICATION)
        web = [sys.executable, "-m", "gunicorn", "echo:application", "-k", "hub.server.worker.LeavingWorker"]
        web += ["--threads", "2", "--no-control-socket", "--keep-alive", "75", "-b", programs["web"].command[-1]]
        nginx = programs["nginx"]
        front = [str(ROOT / word) if "/" in word else word for word in nginx.command]
        with (
            running(web, folder, hub.web_socket.exists, env={"PYTHONPATH": f"{folder}:{ROOT}"}),
            running(front, folder, lambda: answers(port), env=os.environ | nginx.environment),
        ):
            yield port


def test_a_hub_on_all_addresses_is_there_by_both_kinds():
    [port] = free_ports()
    with own_folder() as folder:
        hub = Hub(folder / "data", "::", port)
        hub.run.mkdir(parents=True)
        [nginx] = [program for program in hub.programs() if program.name == "nginx"]
        front = [str(ROOT / word) if "/" in word else word for word in nginx.command]
        with running(front, folder, lambda: answers(port), env=os.environ | nginx.environment):
            socket.create_connection(("::1", port)).close()


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


@pytest.mark.parametrize("size", [64 << 10, (64 << 10) + 1, 1 << 20])
def test_a_large_body_comes_through_too(connect, size):
    wire = connect()
    body = bytes(size - 1) + b"!"
    wire.sendall(POST[:-5].replace(b"5", str(size).encode()))
    time.sleep(0.1)
    for start in range(0, size, 50_000):
        wire.sendall(body[start : start + 50_000])
    said(wire, b"!")


@pytest.mark.parametrize("path", ["/upload", "/alice/one/upload/main", "/datasets/alice/one/upload/main"])
def test_a_form_with_files_may_be_larger_than_others(connect, path):
    head = b"POST %s HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n"
    body, wire, other = bytes((11 << 20) - 1) + b"!", connect(), connect()
    wire.sendall(head % (path.encode(), len(body)) + body)
    said(wire, b"!")
    other.sendall(head % (b"/alice/one", len(body)))
    assert other.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_head_without_end_is_refused(connect):
    wire = connect()
    wire.sendall(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (20 << 10))
    assert wire.recv(100).startswith(b"HTTP/1.1 400 ")


def test_who_takes_longer_for_a_head_is_let_go(connect):
    wire = connect()
    began = time.monotonic()

    def send() -> None:
        while time.monotonic() - began < 60:
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


def test_who_reads_a_file_slowly_holds_no_thread(connect):
    for _ in range(10):
        slow = connect()
        slow.sendall(GET.replace(b"/ ", b"/file "))
        assert slow.recv(100).startswith(b"HTTP/1.1 200 ")
    quick = connect()
    quick.sendall(GET.replace(b"/ ", b"/file "))
    come = 0
    while come < FILE:
        come += len(quick.recv(1 << 20))
    quick.sendall(POST)
    said(quick, b"POST hello")


def test_who_goes_in_the_middle_is_forgotten(connect):
    for _ in range(4):
        wire = connect()
        wire.sendall(POST[:-1])
        wire.close()
    quick = connect()
    quick.sendall(POST)
    said(quick, b"POST hello")
