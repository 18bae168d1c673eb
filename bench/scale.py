"""A hub of 1,000 repositories against one of 100,000 with 1,000,000 files: what must cost the same, and searches.

    make bench ARGS=scale

Both hubs run at once and are asked in turn, so that other work on the machine meets both; the ratio is what counts.
"""

import http.client
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from bench.line import Line
from bench.seeded import SHOWN, WORDS, name_of
from tests import live, services
from tests.live import TOKENS

SMALL, LARGE = 1_000, int(os.environ.get("DOVETAIL_BENCH_SCALE", "100000"))
ROUNDS, SEARCHES = 60, 120
MOST, SEARCH_MS = 1.3, 50

Ask = Callable[[int], tuple[str, str]]  # the number of an adapter → method and address


def _list(path: str) -> Ask:
    return lambda number: ("GET", path)


# What a client or a person does most; each must cost the same on both hubs.
CONSTANT: dict[str, Ask] = {
    "info": lambda number: ("GET", f"/api/models/{name_of(number)}"),
    "HEAD of weights": lambda number: ("HEAD", f"/{name_of(number)}/resolve/main/adapter_model.safetensors"),
    "tree": lambda number: ("GET", f"/api/models/{name_of(number)}/tree/main?recursive=true"),
    "commits": lambda number: ("GET", f"/api/models/{name_of(number)}/commits/main"),
    **{
        f"/api/models by {sort}": _list(f"/api/models?limit=20&sort={sort}")
        for sort in ("lastModified", "createdAt", "downloads", "likes", "trendingScore")
    },
    **{
        f"/api/v1/adapters by {sort}": _list(f"/api/v1/adapters?limit=20&sort={sort}")
        for sort in ("updated", "created", "downloads", "likes", "trending")
    },
    "/api/v1/adapters of a base": _list("/api/v1/adapters?limit=20&base=acme/bert-7b"),
    "/api/v1/adapters that passed, by likes": _list("/api/v1/adapters?limit=20&verdict=passed&sort=likes"),
    "/api/v1/adapters with facets": _list("/api/v1/adapters?limit=20&facets=true"),
    "the page /adapters": _list("/adapters"),
    "the front page": _list("/"),
}


class Client:
    """One connection to a hub, kept open."""

    def __init__(self, hub: live.Hub, count: int) -> None:
        self.connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=60)
        self.count = count

    def ms(self, method: str, path: str, *, token: str | None) -> float:
        """Ask once; return how long the answer took."""
        began = time.perf_counter()
        self.connection.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = self.connection.getresponse()
        answer.read()
        taken = 1000 * (time.perf_counter() - began)
        if answer.status != 200:
            raise SystemExit(f"{method} {path} was answered with {answer.status}.")
        return taken

    def number(self, dice: random.Random) -> int:
        """Return an adapter whose bytes are here."""
        return dice.choice([dice.randrange(SHOWN), self.count - 1 - dice.randrange(SHOWN)])


def lines() -> Iterator[Line]:
    """Both databases, one after the other."""
    yield from measure("SQLite")
    with services.postgres() as server:
        yield from measure("PostgreSQL", server)


def measure(database: str, server: str = "") -> Iterator[Line]:
    """Two hubs on this database, seeded and asked."""
    with tempfile.TemporaryDirectory(prefix="dovetail-scale-") as folder, ExitStack() as stack:
        clients = []
        for count in (SMALL, LARGE):
            more = {"DATABASE_URL": services.new_database(server)} if server else {}
            hub = stack.enter_context(live.hub(Path(folder) / str(count), **more))
            began = time.monotonic()
            command = [str(live.BIN / "python"), "-m", "bench.seeded", str(count)]
            subprocess.run(command, env=hub.environment, cwd=live.ROOT, check=True)
            hub.manage("shell", "-c", "from django.db import connection as c; c.cursor().execute('ANALYZE')")
            yield Line(f"{database}: seeding {count:,}", time.monotonic() - began, "s")
            clients.append(Client(hub, count))
        for what, ask in CONSTANT.items():
            yield compare(f"{database}: {what}", ask, *clients)
        yield from searches(database, *clients)


def compare(what: str, ask: Ask, small: Client, large: Client) -> Line:
    """Ask both in turn, nobody and somebody signed in; return the ratio of the fastest tenths.

    That of medians would be how busy the machine was.
    """
    dice, found = random.Random(what), ([], [])  # type: ignore[var-annotated]  # two lists of milliseconds
    for turn in range(ROUNDS + 10):
        for client, times in zip((small, large), found, strict=True):
            token = TOKENS["carol"] if turn % 2 else None
            taken = client.ms(*ask(client.number(dice)), token=token if "/api" in what or turn % 2 else None)
            if turn >= 10:  # the first fill caches
                times.append(taken)
    few, many = (statistics.quantiles(times, n=10)[0] for times in found)
    said = f"{few:.1f} and {many:.1f} ms; medians {', '.join(f'{statistics.median(times):.1f}' for times in found)}"
    return Line(f"{what}, {LARGE:,} over {SMALL:,}", many / few, "times", most=MOST, note=said)


def searches(database: str, small: Client, large: Client) -> Iterator[Line]:
    """Words that are common, rare, in parts, two at once, in nothing; by name as clients search, and in everything."""
    promise = {"most": SEARCH_MS} if database == "PostgreSQL" else {}
    for kind, path in (("by name", "/api/models?limit=20&search="), ("of all words", "/api/v1/adapters?limit=20&q=")):
        dice = random.Random(kind)
        times = sorted(large.ms("GET", path + quote(text), token=None) for text in _wanted(dice))
        middle, late = statistics.median(times), times[int(len(times) * 0.95)]
        yield Line(f"{database}: search {kind} among {LARGE:,}, p50", middle, "ms")
        yield Line(f"{database}: search {kind} among {LARGE:,}, p95", late, "ms", **promise, note=f"{times[-1]:.0f} at most")  # fmt: skip # noqa: E501


def _wanted(dice: random.Random) -> Iterator[str]:
    for _ in range(SEARCHES // 6):
        some = dice.choice(WORDS)
        yield from (WORDS[dice.randrange(5)], some, some[1:5], f"{WORDS[dice.randrange(50)]} {some}")
        yield from (f"{some}-{dice.choice(WORDS)}", f"nothing{some}")
