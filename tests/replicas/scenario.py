"""Ask a hub in this process that reads from a replica, and print what was seen as JSON, as test_replicas.py wants it.

The environment names both servers. The tables are made from the models: no migration has to be run.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from threading import Thread
from typing import Any

import psycopg
from django.conf import settings
from django.core.cache import caches
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hub.replica import router, watch
from registry.kernel import log_positions
from registry.moderation import quarantine
from registry.people import organizations
from tests.cast import Cast, assemble
from tests.services import replica_of

LISTED = "/api/v1/adapters"
PATIENCE = 120  # seconds; a machine that runs tests is slow at times


def seen(client: Client, path: str = LISTED, **headers: str) -> dict[str, Any]:
    """Return the status of an answer, what it lists, and which server was asked for repositories."""
    with (
        CaptureQueriesContext(connections["default"]) as primary,
        CaptureQueriesContext(connections["replica-1"]) as copy,
    ):
        answer = client.get(path, headers=headers)
    asked = {
        name: sum('FROM "registry_repository"' in query["sql"] for query in queries)
        for name, queries in (("primary", primary), ("replica", copy))
    }
    items = answer.json().get("items", []) if answer.status_code == 200 and path == LISTED else []
    likes = {item["id"]: item["likes"] for item in items}
    return {"status": answer.status_code, "likes": likes, "from": [name for name, number in asked.items() if number]}


def until(happened: Callable[[], bool]) -> None:
    """Wait for something; `test_replicas.py` sees from the missing facts what never happened."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def is_used() -> bool:
    return any(replica.is_used for replica in watch.replicas())


@contextmanager
def paused(replica: str) -> Any:
    """Let the replica receive and not replay."""
    with psycopg.connect(replica, autocommit=True) as server:
        server.execute("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            server.execute("SELECT pg_wal_replay_resume()")


def lagging(cast: Cast, replica: str, facts: dict[str, Any]) -> None:
    """Write while nothing is replayed, and ask as who wrote and as others."""
    token = {"Authorization": f"Bearer {cast.token('alice')}"}
    browser = Client()
    browser.force_login(cast["bob"])
    held = cast.repository("alice/held")
    until(lambda: router.choose(cast["alice"].pk) == "replica-1")
    facts["before"] = seen(Client(), **token)
    with paused(replica):
        Client().post("/api/models/alice/reviews/like", headers=token)
        facts["writer"] = seen(Client(), **token)
        facts["other"] = seen(Client())
        facts["session"] = seen(browser)
        facts["page"] = seen(Client(), "/alice/reviews")
        facts["shown"] = seen(Client(), "/alice/held")
        facts["private"] = seen(Client(), "/api/models/alice/reviews")
        organizations.remove_member("acme", "erin", cast.session("alice"))
        facts["after a privileged act"] = seen(Client())
        quarantine.quarantine(held, cast.session("mona"), reason="It phones home.")
        facts["held"] = seen(Client(), "/alice/held")
    until(lambda: router.choose(cast["alice"].pk) == "replica-1")
    facts["later"] = seen(Client(), **token)
    with paused(replica):
        settings.DATABASE_REPLICA_LAG = 0
        cast.repository("alice/newer")
        until(lambda: not is_used())
        facts["too late"] = seen(Client())
        facts["readyz"] = Client().get("/readyz").json()["replicas"]
        settings.DATABASE_REPLICA_LAG = 600
    until(lambda: router.choose(None) == "replica-1")


def positions(*written: int) -> list[int]:
    """Return what other processes read after each of these was remembered."""
    cache: Any = caches["default"]  # hub.shared_cache
    read: list[int] = []
    for position in written:
        cache.raise_to("a-position", position, 60)
        read += cache.recall(["a-position"])
    return read


def ask_and_leave_a_connection() -> None:
    """Read from the replica by a connection that goes back into the pool."""
    seen(Client())
    connections.close_all()


def main() -> None:
    """Print the facts."""
    facts: dict[str, Any] = {}
    call_command("migrate", run_syncdb=True, verbosity=0)
    cast = assemble()
    cast.repository("alice/reviews")
    facts["positions"] = positions(2**53, 2**53 + 1, 2**53, 17)
    with replica_of(os.environ["DOVETAIL_DATABASE_URL"], int(os.environ["REPLICA_PORT"])) as start:
        with start() as copy:
            until(is_used)
            lagging(cast, os.environ["DOVETAIL_DATABASE_REPLICA_URL"], facts)
            facts["in use"] = seen(Client())
            other = Thread(target=ask_and_leave_a_connection)
            other.start()
            other.join()
            os.kill(copy.pid, signal.SIGQUIT)  # at once, as a machine that dies
            copy.wait()
            facts["dead"] = [seen(Client()) for _ in range(3)]
            facts["is used"] = is_used()
            facts["metrics"] = [
                line for line in Client().get("/metrics").content.decode().splitlines() if "replica" in line
            ]
        cast.repository("alice/meanwhile")
        log_positions.remember(log_positions.OF_ALL)
        connections["replica-1"].close()  # as each request does at its end
        with start():
            until(lambda: router.choose(None) == "replica-1")
            facts["back"] = seen(Client())
    print(json.dumps(facts))
