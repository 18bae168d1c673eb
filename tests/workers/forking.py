"""Prints what a thread of a parent reads after a child was forked and has closed its connections, as Celery's do."""

import os
import threading
from importlib import import_module
from typing import Any

import django
from django.db import connections

django.setup()
import_module("workers.lifecycle")  # the part that is tried: children forget what is not theirs
forked, is_idle = threading.Event(), threading.Event()


def read() -> int:
    connection: Any = connections["default"]  # of this thread
    with connection.cursor() as cursor:
        cursor.execute("SELECT 42")
        value: int = cursor.fetchone()[0]
    connection.close()  # into the pool
    return value


def close_all() -> None:
    for connection in connections.all():
        connection.close()
        getattr(connection, "close_pool")()  # noqa: B009  # of PostgreSQL alone, so its type is not known


def heartbeat() -> None:
    read()
    is_idle.set()
    forked.wait()
    print("parent", read(), flush=True)


thread = threading.Thread(target=heartbeat)
thread.start()
is_idle.wait()
child = os.fork()
if child == 0:
    close_all()
    print("child", read(), flush=True)
    close_all()
    os._exit(0)
os.waitpid(child, 0)
forked.set()
thread.join()
close_all()
