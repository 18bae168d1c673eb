"""The threads of the web wait a moment for the next request of a connection, unless another connection waits."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import timeit
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.server.lingering import YIELD_SECONDS, LingeringWorker
from tests.live import ROOT
from tests.services import answers as is_up
from tests.services import free_ports, running

pytestmark = pytest.mark.merge

# Each answer names the thread that gave it.
APPLICATION = """
import os, pathlib, threading, time
from hub.server.lingering import is_stopping

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
        "hub.server.lingering.LingeringWorker",
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


def test_one_thread_answers_a_client_that_asks_again_at_once(port):
    wire, other = (http.client.HTTPConnection("127.0.0.1", port) for _ in range(2))
    ask(other)  # there are two threads, which would take turns
    # On a busy machine a question may come later than a thread waits for it, so one whole row of twenty is enough.
    assert any(len({ask(wire) for _ in range(20)}) == 1 for _ in range(50))


def test_a_client_that_asks_later_is_answered_too(port):
    wire = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(3):
        assert ask(wire).startswith(b"thread")
        time.sleep(0.1)


def test_those_who_wait_get_the_thread_of_a_client_that_never_stops_asking(port):
    over = threading.Event()

    def hog() -> None:
        wire = http.client.HTTPConnection("127.0.0.1", port)
        while not over.is_set():
            ask(wire, 0.02)

    with ThreadPoolExecutor(2) as pool:
        hogs = [pool.submit(hog) for _ in range(2)]
        try:
            time.sleep(0.5)
            for _ in range(5):
                assert ask(http.client.HTTPConnection("127.0.0.1", port, timeout=60)).startswith(b"thread")
        finally:
            over.set()
        assert [one.result() for one in hogs] == [None, None]


def test_requests_sent_together_are_answered_in_order(port):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            b"GET /?0.1 HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /? HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answers = b"".join(iter(lambda: client.recv(4096), b""))
    assert len(re.findall(rb"thread \d+", answers)) == 2
    assert answers.index(b"keep-alive") < answers.index(b"close")


def test_a_process_that_has_much_to_do_leaves_a_new_connection_to_others_for_a_moment():
    worker = LingeringWorker.__new__(LingeringWorker)
    worker.keepalived_conns = deque([object()])
    worker.pending_conns, worker._closing = deque(), deque()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)  # nobody comes: the others were faster

        def quickest(connections: int) -> float:
            worker.nr_conns = connections
            return min(timeit.repeat(lambda: worker.accept(listener), number=1, repeat=20))

        assert quickest(1) < YIELD_SECONDS, "it waits for a connection that nobody asks by"
        assert quickest(4) >= 3 * YIELD_SECONDS
        assert quickest(1000) < 20 * YIELD_SECONDS, "new clients wait for long where all have much to do"


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


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_that_have_answered_enough_leave_one_after_the_other(tmp_path, processes):
    """A process that leaves is replaced once its last reader has gone: all of them at once would answer nobody."""
    more = ["-w", str(processes), "--threads", "16", "--max-requests", "10", "--graceful-timeout", "60"]
    with web(tmp_path, *more) as (_, port):
        slow: list[http.client.HTTPConnection] = []
        while len(list(tmp_path.glob("begun-*"))) < processes:  # each of them has a slow reader
            slow.append(http.client.HTTPConnection("127.0.0.1", port, timeout=60))
            slow[-1].request("GET", "/until-told")
            time.sleep(0.1)
        for _ in range(100):
            assert ask(http.client.HTTPConnection("127.0.0.1", port, timeout=10)).startswith(b"thread")
        (tmp_path / "told").touch()
        assert all(wire.getresponse().read().startswith(b"thread") for wire in slow)
