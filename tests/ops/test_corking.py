"""A file leaves in full packets, and its connection is as before once it is sent, or its last packet would wait."""

import http.client
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.corking import corking
from tests.live import ROOT
from tests.services import answers, free_ports, running

FILE = b"0123456789abcdef" * 65_536  # 1 MiB
# Says in the head of the next answer whether the connection was corked at the beginning and at the end of a file.
APPLICATION = """
import socket
from django.conf import settings
settings.configure(FAST_PATHS={fast})
from hub.corking import corking

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
    start_response("200 OK", [("X-Seen", repr(seen)), ("X-Now", str(state(start_response))), ("Content-Length", "2")])
    return [b"ok"]

corked = corking(django)

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


def test_a_connection_that_has_no_packets_is_sent_to_as_well(settings):
    settings.FAST_PATHS = True
    ours, theirs = socket.socketpair()  # Unix sockets, as a proxy on the same machine may use them

    class Response:
        sock = ours

        def start(self, status, headers):
            return None

    class Wrapper(list[bytes]):
        pass

    body: Any = corking(lambda environ, start: Wrapper([b"file"]))({"wsgi.file_wrapper": Wrapper}, Response().start)
    assert list(body) == [b"file"]
    body.close()
    ours.close()
    theirs.close()
