"""A file leaves in full packets, and through a small buffer where the client is near.

Its connection is not corked any more once it is sent, or its last packet would wait.
"""

import http.client
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from hub.socket_options import NEAR_BUFFER, for_files, is_near
from tests.live import ROOT
from tests.services import answers, free_ports, running

FILE = b"0123456789abcdef" * 65_536  # 1 MiB
# Says in the head of the next answer whether the connection was corked at the beginning and at the end of a file, and
# how large its buffer is.
APPLICATION = """
import socket
from django.conf import settings
settings.configure(FAST_PATHS={fast})
from hub.socket_options import for_files

seen = []

def state(start_response):
    return start_response.__self__.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK)

def django(environ, start_response):
    if environ["PATH_INFO"] == "/file":
        source = open("file", "rb")
        body = environ["wsgi.file_wrapper"](source)
        close = body.close
        body.close = lambda: (seen.append(("closing", state(start_response))), close())
        start_response("200 OK", [("Content-Length", "{size}")])
        return body
    buffer = start_response.__self__.sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    start_response("200 OK", [("X-Seen", repr(seen)), ("X-Now", str(state(start_response))), ("X-Buffer", str(buffer)),
                              ("Content-Length", "2")])
    return [b"ok"]

corked = for_files(django)

def application(environ, start_response):
    body = corked(environ, start_response)
    if environ["PATH_INFO"] == "/file":
        seen.append(("sending", state(start_response)))
    return body
"""


@pytest.fixture(params=[True, False])
def web(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, bool]]:
    (tmp_path / "file").write_bytes(FILE)
    (tmp_path / "corked.py").write_text(APPLICATION.format(fast=request.param, size=len(FILE)))
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
    assert answer.headers["X-Now"] == "0"
    assert answer.headers["X-Seen"] == repr([("sending", int(is_fast)), ("closing", 0)] * 2)


def test_a_file_for_a_client_on_the_same_machine_goes_through_a_small_buffer(web):
    port, is_fast = web

    def buffer_after(path: str) -> int:
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for asked in (path, "/"):
            wire.request("GET", asked)
            answer = wire.getresponse()
            answer.read()
        wire.close()
        return int(answer.headers["X-Buffer"])

    small = 2 * NEAR_BUFFER  # the kernel doubles it, for what it takes itself (socket(7))
    before = buffer_after("/")
    assert before != small
    # A busy machine may take longer than the limit for one round trip, not for each of many.
    assert any(buffer_after("/file") == small for _ in range(50)) == is_fast


@pytest.mark.parametrize(
    ("microseconds", "near"), [(7, True), (99, True), (100, False), (30_000, False), (2**32 - 1, False)]
)
def test_a_client_is_near_by_its_fastest_round_trip(microseconds, near):
    info = bytes(148) + microseconds.to_bytes(4, sys.byteorder)  # 2**32 - 1: the kernel has measured none

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
