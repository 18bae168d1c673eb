"""A file leaves in full packets, and through a small buffer where the client is near.

Its connection is not corked any more once it is sent, or its last packet would wait.
"""

import ast
import http.client
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from hub.server.socket_options import KERNEL_BUFFER, NEAR_BUFFER, for_files, is_near
from tests.live import ROOT
from tests.services import answers, free_ports, running

pytestmark = pytest.mark.merge

FILE = b"0123456789abcdef" * 65_536  # 1 MiB
LARGE = KERNEL_BUFFER + 1  # bytes
# Says in the head of the next answer whether the connection was corked, and how large its buffer was, at the beginning
# and at the end of a file.
APPLICATION = """
import socket
from django.conf import settings
settings.configure(FAST_PATHS={fast})
from hub.server.socket_options import for_files

seen, buffers = [], []

def note(when, start_response):
    connection = start_response.__self__.sock
    seen.append((when, connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK)))
    buffers.append(connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))

def django(environ, start_response):
    if environ["PATH_INFO"] in ("/file", "/large"):
        source = open(environ["PATH_INFO"][1:], "rb")
        body = environ["wsgi.file_wrapper"](source)
        close = body.close
        body.close = lambda: (note("closing", start_response), close())
        start_response("200 OK", [("Content-Length", str(source.seek(0, 2)))])
        source.seek(0)
        return body
    note("now", start_response)
    start_response("200 OK", [("X-Seen", repr(seen)), ("X-Buffers", repr(buffers)), ("Content-Length", "2")])
    return [b"ok"]

corked = for_files(django)

def application(environ, start_response):
    body = corked(environ, start_response)
    if environ["PATH_INFO"] != "/":
        note("sending", start_response)
    return body
"""


@pytest.fixture(params=[True, False])
def web(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, bool]]:
    (tmp_path / "file").write_bytes(FILE)
    (tmp_path / "large").write_bytes(bytes(LARGE))
    (tmp_path / "corked.py").write_text(APPLICATION.format(fast=request.param))
    [port] = free_ports()
    command = [sys.executable, "-m", "gunicorn", "corked:application", "-k", "gthread", "--threads", "4"]
    command += ["-b", f"127.0.0.1:{port}", "--no-control-socket"]
    with running(command, tmp_path, lambda: answers(port), env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}):
        yield port, request.param


def test_a_file_is_corked_while_it_is_sent_and_small_answers_never(web):
    port, is_fast = web
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(2):
        wire.request("GET", "/file")
        assert wire.getresponse().read() == FILE
    wire.request("GET", "/")
    answer = wire.getresponse()
    assert answer.read() == b"ok"
    assert answer.headers["X-Seen"] == repr([("sending", int(is_fast)), ("closing", 0)] * 2 + [("now", 0)])


def test_a_large_file_for_a_client_on_the_same_machine_goes_through_a_small_buffer(web):
    port, is_fast = web

    def buffer_for(path: str) -> int:
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        wire.request("GET", path)
        wire.getresponse().read()
        wire.close()
        return int(_said(port, "X-Buffers")[-3])  # sending, closing, now

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NEAR_BUFFER)
        small = other.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)  # as the kernel counts and allows it (socket(7))
    assert buffer_for("/file") > small, "the kernel takes all of it, whoever reads it"
    # A busy machine may take longer than the limit for one round trip, not for each of many.
    assert any(buffer_for("/large") == small for _ in range(50)) == is_fast


def test_a_file_after_a_large_one_does_not_wait_for_its_reader(web):
    port, _ = web
    with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
        for _ in range(2):
            wire.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
            read = b""
            while len(read.partition(b"\r\n\r\n")[2]) < LARGE:
                read += wire.recv(1 << 20)
        wire.sendall(b"GET /file HTTP/1.1\r\nHost: here\r\n\r\n")  # which nobody reads
        deadline = time.monotonic() + 30
        while [when for when, _ in _said(port, "X-Seen") if when != "now"] != ["sending", "closing"] * 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _said(port: int, header: str) -> Any:
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    wire.request("GET", "/")
    answer = wire.getresponse()
    answer.read()
    wire.close()
    return ast.literal_eval(answer.headers[header])


@pytest.mark.parametrize(
    ("microseconds", "near"), [(0, False), (7, True), (99, True), (100, False), (30_000, False), (2**32 - 1, False)]
)
def test_a_client_is_near_by_its_fastest_round_trip(microseconds, near):
    info = bytes(148) + microseconds.to_bytes(4, sys.byteorder)  # Linux has 2**32 - 1 where it measured none, others 0

    class Connection:
        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            return info[:size]

    assert is_near(cast(socket.socket, Connection())) == near


def test_a_kernel_that_tells_less_has_no_near_clients():
    class Connection:
        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            return bytes(104)

    assert not is_near(cast(socket.socket, Connection()))


def test_a_connection_that_has_no_packets_is_sent_to_as_well(settings):
    settings.FAST_PATHS = True
    ours, theirs = socket.socketpair()  # Unix sockets, as a proxy on the same machine may use them

    class Response:
        sock = ours

        def start(self, status, headers):
            return None

    class Wrapper(list[bytes]):
        pass

    body: Any = for_files(lambda environ, start: Wrapper([b"file"]))({"wsgi.file_wrapper": Wrapper}, Response().start)
    assert list(body) == [b"file"]
    body.close()
    ours.close()
    theirs.close()
