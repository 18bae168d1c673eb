"""A client that falls silent in the middle of a request gives its thread back, with no proxy in front."""

import runpy
import socket
import struct
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader

from hub.server import request_bodies
from tests.live import ROOT

pytestmark = pytest.mark.merge


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket of a web process, with one second in place of a minute."""
    conf = runpy.run_path(str(ROOT / "deploy" / "gunicorn.conf.py"))
    assert conf["SILENCE_SECONDS"] >= 30, "uploads may pause for a while"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        conf["when_ready"].__globals__["SILENCE_SECONDS"] = 1
        conf["when_ready"](SimpleNamespace(LISTENERS=[SimpleNamespace(sock=listener)]))
        yield listener


def test_a_client_that_says_nothing_more_is_let_go(listener):
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(b"GET /li")
        served, _ = listener.accept()
        with served:
            served.setblocking(True)  # as gunicorn does
            assert served.recv(100) == b"GET /li"
            with pytest.raises(BlockingIOError):
                served.recv(100)


@pytest.mark.parametrize("drip", [0, 1], ids=["nothing", "a byte at a time"])
def test_a_client_that_does_not_read_is_let_go(listener, drip, tmp_path):
    (tmp_path / "file").write_bytes(bytes(30 << 20))
    over = threading.Event()
    with socket.create_connection(listener.getsockname()) as client, (tmp_path / "file").open("rb") as file:

        def read() -> None:
            while not over.wait(0.05):
                client.recv(drip)

        reading = threading.Thread(target=read)
        reading.start()
        served, _ = listener.accept()
        served.setblocking(True)
        try:
            with served, pytest.raises(OSError, match=r"Broken pipe|timed out"):
                served.sendfile(file)
        finally:
            over.set()
            reading.join()


def test_a_client_that_drips_is_let_go_too():
    served, client = socket.socketpair()
    wait = struct.pack("ll", 0, 300_000)
    served.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
    reader = LengthReader(SocketUnreader(served), 1 << 20)
    request = SimpleNamespace(META={"wsgi.input": Body(reader)})
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.05):
            client.sendall(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        with pytest.raises(TimeoutError, match="slowly"):
            request_bodies.read(request, request_bodies.PIECE)
    finally:
        over.set()
        dripping.join()
        served.close()
        client.close()
