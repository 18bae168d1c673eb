"""A client that falls silent in the middle of a request gives its thread back, with no proxy in front."""

import runpy
import socket
from types import SimpleNamespace

import pytest

from tests.live import ROOT


def test_a_client_that_says_nothing_more_is_let_go():
    conf = runpy.run_path(str(ROOT / "deploy" / "gunicorn.conf.py"))
    assert conf["SILENCE_SECONDS"] >= 30, "uploads may pause for a while"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        conf["when_ready"].__globals__["SILENCE_SECONDS"] = 1
        conf["when_ready"](SimpleNamespace(LISTENERS=[SimpleNamespace(sock=listener)]))
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(b"GET /li")
            served, _ = listener.accept()
            with served:
                served.setblocking(True)  # as gunicorn does
                assert served.recv(100) == b"GET /li"
                with pytest.raises(BlockingIOError):
                    served.recv(100)
