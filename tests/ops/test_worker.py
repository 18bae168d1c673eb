"""The worker of the web: it leaves its address at once when it stops, and ends what it has begun."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live import ROOT
from tests.services import answers as is_up
from tests.services import free_ports, running

pytestmark = pytest.mark.merge

# Each answer names the thread that gave it.
APPLICATION = """
import os, pathlib, threading, time
from hub.server.worker import is_stopping

def until_it_stops():
    yield b"first\\n"
    while not is_stopping():
        time.sleep(0.05)
    yield b"last\\n"

def application(environ, start_response):
    if environ["PATH_INFO"] == "/until-it-stops":
        start_response("200 OK", [])
        return until_it_stops()
    if environ["PATH_INFO"] == "/until-told":
        pathlib.Path("begun").touch()
        pathlib.Path(f"begun-{os.getpid()}").touch()
        while not pathlib.Path("told").exists():
            time.sleep(0.05)
    time.sleep(float(environ["QUERY_STRING"] or 0))
    body = b"thread " + str(threading.get_ident()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@contextmanager
def web(folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """Run one process of two threads with the worker class of the web; `more` are further arguments of gunicorn."""
    (folder / "threads.py").write_text(APPLICATION)
    [port] = free_ports()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "threads:application",
        "-k",
        "hub.server.worker.LeavingWorker",
        "-w",
        "1",
    ]
    command += ["--threads", "2", "--keep-alive", "30", "-b", f"127.0.0.1:{port}", "--no-control-socket", *more]
    with running(command, folder, lambda: is_up(port), env={"PYTHONPATH": f"{folder}:{ROOT}"}) as process:
        yield process, port


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with web(tmp_path) as (_, port):
        yield port


def until(condition: Callable[[], bool]) -> None:
    while not condition():  # the limit of the test is the limit of this
        time.sleep(0.05)


def ask(wire: http.client.HTTPConnection, seconds: float = 0) -> bytes:
    wire.request("GET", f"/?{seconds}")
    return wire.getresponse().read()


def test_requests_sent_together_are_answered_in_order(port):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            b"GET /?0.1 HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /? HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answers = b"".join(iter(lambda: client.recv(4096), b""))
    assert len(re.findall(rb"thread \d+", answers)) == 2
    assert answers.index(b"keep-alive") < answers.index(b"close")


def test_an_answer_that_goes_on_knows_that_its_process_stops(tmp_path):
    with web(tmp_path) as (process, port):
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        wire.request("GET", "/until-it-stops")
        answer = wire.getresponse()
        assert answer.readline() == b"first\n"
        process.terminate()
        assert answer.read() == b"last\n"
        assert process.wait(60) == 0


def test_a_web_that_stops_waits_for_no_client(tmp_path):
    with web(tmp_path) as (process, port):
        ask(http.client.HTTPConnection("127.0.0.1", port))
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGKILL])
def test_who_comes_to_a_web_that_stops_is_refused_at_once_and_goes_to_another(tmp_path, way):
    with web(tmp_path) as (process, port):
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        wire.request("GET", "/until-told")
        until((tmp_path / "begun").exists)
        process.send_signal(way)  # to the first process alone, which answers nobody
        until(lambda: not is_up(port))
        (tmp_path / "told").touch()
        assert wire.getresponse().read().startswith(b"thread"), "what had begun is answered"
        assert process.wait(60) == (0 if way == signal.SIGTERM else -way)
