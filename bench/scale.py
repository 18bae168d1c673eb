"""A hub of 1,000 repositories against one of 100,000 with 1,000,000 files: what must cost the same, and searches.

    make bench ARGS=scale

Both hubs run at once and are asked in turn, so that other work on the machine meets both; the ratio is what counts.
"""

import base64
import http.client
import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.line import Line
from bench.seeded import COLLECTOR, SHOWN, WORDS, name_of
from tests import live, services
from tests.live import TOKENS

SMALL, LARGE = 1_000, int(os.environ.get("DOVETAIL_BENCH_SCALE", "100000"))
WARMING, ROUNDS, PUSHES, SEARCHES, TRIES = 10, 150, 40, 120, 3
MOST, SEARCH_MS = 1.3, 50
OF_ALICE = "alice/scale"  # what is pushed to

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
    "/api/v1/changes": _list("/api/v1/changes?limit=100"),
    "the page of an adapter": lambda number: ("GET", f"/{name_of(number)}"),
    "the page /adapters": _list("/adapters"),
    "the front page": _list("/"),
    "/metrics": _list("/metrics"),
}
# The same of somebody with 5,000 adapters, 10,000 likes and 5,000 followers, against one with 50, 100 and 50.
OF_MUCH = {
    "person page": _list(f"/{COLLECTOR}"),
    "person adapters": _list(f"/api/models?limit=20&author={COLLECTOR}"),
    "person likes": _list(f"/api/users/{COLLECTOR}/likes?limit=20"),
    "person overview": _list(f"/api/users/{COLLECTOR}/overview"),
}


class Client:
    """One connection to a hub, kept open."""

    def __init__(self, url: str, count: int) -> None:
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        self.count = count

    def ms(self, method: str, path: str, *, token: str | None, body: str | None = None) -> float:
        """Send one request; return how long the answer took."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Content-Type": "application/x-ndjson"} if body and body.count("\n") else {}
        began = time.perf_counter()
        self.connection.request(method, path, body=body, headers=headers)
        answer = self.connection.getresponse()
        payload = answer.read()
        taken = 1000 * (time.perf_counter() - began)
        if answer.status != 200:
            raise SystemExit(f"{method} {path} was answered with {answer.status}: {payload[:300]!r}")
        return taken

    def number(self, dice: random.Random) -> int:
        """Return an adapter whose bytes are here."""
        return dice.choice([dice.randrange(SHOWN), self.count - 1 - dice.randrange(SHOWN)])

    def push(self, turn: int) -> float:
        """Commit a README to a repository of alice's."""
        content = base64.b64encode(f"# Turn {turn}\n".encode()).decode()
        header = {"key": "header", "value": {"summary": f"Turn {turn}"}}
        file = {"key": "file", "value": {"path": "README.md", "content": content, "encoding": "base64"}}
        body = f"{json.dumps(header)}\n{json.dumps(file)}\n"
        return self.ms("POST", f"/api/models/{OF_ALICE}/commit/main", token=TOKENS["alice"], body=body)


def lines() -> Iterator[Line]:
    """Measure both databases, one after the other."""
    yield from measure("SQLite")
    with services.postgres() as server:
        yield from measure("PostgreSQL", server)


def measure(database: str, server: str = "") -> Iterator[Line]:
    """Run two hubs on this database, seed and measure them; delete what they wrote."""
    with tempfile.TemporaryDirectory(prefix="dovetail-scale-") as folder, ExitStack() as stack:
        clients = []
        for count in (SMALL, LARGE):
            more: dict[str, Any] = {"DATABASE_URL": services.new_database(server)} if server else {}
            hub = stack.enter_context(live.hub(Path(folder) / str(count), **more))
            began = time.monotonic()
            command = [str(live.BIN / "python"), "-m", "bench.seeded", str(count)]
            subprocess.run(command, env=hub.environment, cwd=live.ROOT, check=True)
            yield Line(f"{database}: seeding {count:,}", time.monotonic() - began, "s")
            clients.append(Client(hub.url, count))
        yield from compared(database, *clients)
        yield from searches(database, clients[1])


def compared(database: str, small: Client, large: Client) -> Iterator[Line]:
    """Measure everything that must not grow, and a push; for the owner of many adapters without a limit."""
    for what, ask in CONSTANT.items():
        yield compare(f"{database}: {what}", ask, small, large)
    for what, ask in OF_MUCH.items():
        yield compare(f"{database}: {what}, with a hundred times as much", ask, small, large, most=float("inf"))
    new = json.dumps({"name": "scale"})
    for client in (small, large):
        client.ms("POST", "/api/repos/create", token=TOKENS["alice"], body=new)
    pushed = [(small.push(turn), large.push(turn)) for turn in range(PUSHES)]
    yield _line(f"{database}: one push", pushed, MOST)


def compare(what: str, ask: Ask, small: Client, large: Client, most: float = MOST) -> Line:
    """Ask both hubs in turn, anonymously and signed in."""
    dice = random.Random(what)
    milliseconds: list[tuple[float, float]] = []
    for turn in range(WARMING + ROUNDS):  # the first fill caches
        token = TOKENS["carol"] if turn % 2 else None
        order = (small, large) if turn % 4 < 2 else (large, small)
        taken = {client.count: client.ms(*ask(client.number(dice)), token=token) for client in order}
        milliseconds.append((taken[small.count], taken[large.count]))
    return _line(what, milliseconds[WARMING:], most)


def _line(what: str, turns: Sequence[tuple[float, float]], most: float) -> Line:
    """Return how many times as long the large hub took, in the median of the turns: in each both met one machine."""
    ratio = statistics.median(many / few for few, many in turns)
    quickest = ", ".join(f"{statistics.quantiles(times, n=10)[0]:.1f}" for times in zip(*turns, strict=True))
    return Line(
        f"{what}, {LARGE:,} over {SMALL:,}", ratio, "times", most=most, note=f"{quickest} ms at the quickest tenth"
    )


def searches(database: str, large: Client) -> Iterator[Line]:
    """Words that are common, rare, in parts, two at once, in nothing; by name as clients search, and in everything.

    Each is asked some times, and its quickest answer counts: the slowest would be what else the machine did.
    """
    promise = {"most": SEARCH_MS} if database == "PostgreSQL" else {}
    for kind, path in (("by name", "/api/models?limit=20&search="), ("of all words", "/api/v1/adapters?limit=20&q=")):
        texts = list(_wanted(random.Random(kind)))
        times = sorted(min(large.ms("GET", path + quote(text), token=None) for _ in range(TRIES)) for text in texts)
        middle, late = statistics.median(times), times[int(len(times) * 0.95)]
        yield Line(f"{database}: search {kind} among {LARGE:,}, p50", middle, "ms")
        note = f"{times[-1]:.0f} at most"
        yield Line(f"{database}: search {kind} among {LARGE:,}, p95", late, "ms", **promise, note=note)


def _wanted(dice: random.Random) -> Iterator[str]:
    for _ in range(SEARCHES // 6):
        term = dice.choice(WORDS)
        yield from (WORDS[dice.randrange(5)], term, term[1:5], f"{WORDS[dice.randrange(50)]} {term}")
        yield from (f"{term}-{dice.choice(WORDS)}", f"nothing{term}")
