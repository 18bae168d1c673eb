"""Two at once: deeds that begin at the same moment, each on a connection to the database of its own."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import close_old_connections, connections

from registry.kernel.errors import RegistryError


def at_once(*deeds: Callable[[], object]) -> list[Any]:
    """Do all of it at the same moment; return what each gave, or how it was refused."""
    start = threading.Barrier(len(deeds))
    results: list[Any] = [None] * len(deeds)

    def run(number: int, deed: Callable[[], object]) -> None:
        close_old_connections()
        start.wait()
        try:
            results[number] = deed()
        except RegistryError as refusal:
            results[number] = refusal
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
