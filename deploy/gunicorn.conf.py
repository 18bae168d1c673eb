"""Configuration of gunicorn behind nginx; only the address (-b) is given on the command line."""

import gc
import importlib
import os
import socket
import struct
from typing import Any

from gunicorn.glogging import Logger
from prometheus_client import multiprocess

from hub import environment
from hub.environment import Environment

env = Environment()
wsgi_app = "hub.wsgi:application"
# A thread that waits for a slow client costs little memory; nginx handles more than 128 slow clients. Never use ASGI:
# it would read whole files into memory for clients that stop reading.
worker_class = "hub.server.worker.LeavingWorker"
workers = env.int("WEB_PROCESSES", default=0) or environment.web_processes()
preload_app = True  # the workers share the memory of all imported modules
threads = 64
keepalive = (
    75  # longer than the keep-alive of the proxy or client in front (nginx 60 s, httpx 5 s), which must close first
)
timeout = 60  # without a sign of a process' main thread, which then hangs: it is ended. Requests may take longer.
graceful_timeout = 60
max_requests = 100_000 if workers > 1 else 0  # the next one begins when it has answered the last of them
max_requests_jitter = 10_000
# hub/server/proxies.py says which proxies are believed. On a Unix socket gunicorn would believe any.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
limit_request_line = 8190
# The heartbeat file of a worker lies in memory, so that it never waits for a disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108  # only looked for
# The default path is the same for all hubs of a user.
control_socket_disable = True

SILENCE_SECONDS = 60


def when_ready(server: Any) -> None:
    """Set the timeouts of connections, and tune Python's garbage collector for forked workers.

    Connections inherit SO_RCVTIMEO and TCP_USER_TIMEOUT (tcp(7)) from the listening socket. Without them a client that
    falls silent, such as a laptop that goes to sleep during an upload, or one that does not read what it asked for,
    would keep its thread for ever. Frozen objects are never written to by the collector, so the workers go on sharing
    their pages. The higher threshold saves a twentieth of the request time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE_SECONDS, 0))
        if listener.sock.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * SILENCE_SECONDS)


def pre_fork(server: Any, worker: Any) -> None:
    """Give the new process the first free place of this gunicorn; another one may share the files."""
    taken = {living.place for living in server.WORKERS.values()}
    places = (f"{os.getpid()}-{number}" for number in range(1, len(taken) + 2))  # one more than are taken
    worker.place = next(place for place in places if place not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """Let the new process measure itself; here, because what hub.monitoring.metrics imports wants Django's settings."""
    importlib.import_module("hub.monitoring.metrics").measure(worker.place, threads)


def child_exit(server: Any, worker: Any) -> None:
    """Take a process that has ended out of the sums over those that live."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.place)


class Log(Logger):
    """A logger without access log: monitoring.logs logs requests, and logconfig_dict would turn gunicorn's own on."""

    access_log_enabled = False


logger_class = Log
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "hub.monitoring.logs.JsonLine"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "gunicorn.error": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "gunicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
    },
}
