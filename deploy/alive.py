"""Health checks of containers: `alive.py web URL`, `worker`, `beating`, `beat FILE`; status 0 is alive."""

import os
import re
import socket
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

SILENT_SECONDS = 600  # beat writes its schedule every three minutes, a worker its folder every ten seconds
HEARTBEAT_SECONDS = 60
FRESH = """
SELECT 1 FROM registry_workerheartbeat
WHERE worker LIKE %s AND beat_at > now() - make_interval(secs => %s) LIMIT 1
"""


def web(url: str) -> bool:
    """Return whether the web process answers."""
    with urllib.request.urlopen(url, timeout=4) as response:  # noqa: S310  # our own address, from the compose file
        return bool(response.status == 200)


def worker() -> bool:
    """Return whether the worker of this host has shown a sign of life lately; it does so as a row."""
    import psycopg  # noqa: PLC0415  # the other checks run every few seconds and need no database

    address = re.sub(r"\bpool_size=\d+&?", "", os.environ["DOVETAIL_DATABASE_URL"])  # the hub's own: libpq refuses it
    with psycopg.connect(address, connect_timeout=5) as connection:
        return connection.execute(FRESH, [f"{socket.gethostname()}:%", HEARTBEAT_SECONDS]).fetchone() is not None


def beat(schedule: str) -> bool:
    """Return whether beat still writes its schedule."""
    return _is_fresh(schedule)


def beating() -> bool:
    """Return whether the worker's main process goes on, also while the database is away."""
    return _is_fresh(str(Path(tempfile.gettempdir(), "dovetail-heartbeat-")))


def _is_fresh(path: str) -> bool:
    found = Path(path).parent.glob(Path(path).name + "*")
    return any(time.time() - file.stat().st_mtime < SILENT_SECONDS for file in found)


if __name__ == "__main__":
    sys.exit(0 if {"web": web, "worker": worker, "beating": beating, "beat": beat}[sys.argv[1]](*sys.argv[2:]) else 1)
