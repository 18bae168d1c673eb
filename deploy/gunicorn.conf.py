"""How the web runs, on a laptop and behind nginx alike; only the address (-b) is given on the command line."""

import gc
import os
import socket
import struct
from typing import Any

from gunicorn.glogging import Logger

from hub.environment import Environment

wsgi_app = "hub.wsgi:application"
# Threads wait for slow clients at a megabyte for all of them; more than 128 slow clients are nginx's job. Never ASGI:
# it would read whole files into memory for clients that stop reading.
worker_class = "hub.lingering.LingeringWorker" if Environment().bool("FAST_PATHS", default=True) else "gthread"
workers = 2
preload_app = True  # both share the memory of what was imported before they began
threads = 64
keepalive = 75  # longer than whoever is before us keeps a connection for another request: nginx 60 s, httpx 5 s
graceful_timeout = 60
max_requests = 20_000
max_requests_jitter = 2_000
forwarded_allow_ips = "127.0.0.1"
limit_request_line = 8190
# The heartbeat file of a worker must not wait for a disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108  # only looked for
# Its default is one path for all hubs of a user.
control_socket_disable = True

SILENCE_SECONDS = 60


def when_ready(server: Any) -> None:
    """Let the kernel end a read that brings nothing for a minute; connections inherit it from the socket they came by.

    Without it a client that falls silent, such as a laptop that goes to sleep in an upload, keeps its thread for ever.
    And keep the collector of garbage away from what the workers share: it would write to every page of it. Requests
    leave it little; to look after every tenth of them, as is the default, takes a twentieth of their time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE_SECONDS, 0))


class Log(Logger):
    """Takes no part in the log of requests, which is hub.logs'; with logconfig_dict it would write lines for nobody."""

    access_log_enabled = False


logger_class = Log
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "hub.logs.JsonLine"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "gunicorn.error": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "gunicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
    },
}
