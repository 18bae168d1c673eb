"""The lists, filters and facets of a large catalogue on PostgreSQL, each against the plain list of the same turn.

    make bench ARGS=catalogue                                  # 100,000 adapters
    DOVETAIL_BENCH_ADAPTERS=1000000 make bench ARGS=catalogue  # 4 GB of disk

`DOVETAIL_BENCH_SERVER` names a PostgreSQL (postgres://…/NAME, a database that this bench may fill, or has filled).
"""

import http.client
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import psycopg

from bench.line import Line
from bench.seeded import BASES, KINDS, LICENSES, RARE_TAG, TASKS, WORDS
from tests import live, services

ADAPTERS = int(os.environ.get("DOVETAIL_BENCH_ADAPTERS", "100000"))
ROUNDS, WARMING = 40, 3
MOST = 3.0  # times the plain list
RENEWING_SECONDS, RENEWALS = 20, 12.0  # a second, by which 1,000,000 are queued in a day
MEMORY = ("shared_buffers=256MB", "max_wal_size=8GB")  # the first as docker-compose.yml has it
PLAIN = "/api/v1/adapters?limit=20"

Ask = Callable[[random.Random], str]


def _list(**parameters: object) -> Ask:
    return lambda dice: f"{PLAIN}&{urlencode(parameters)}"


def _new_facets(**parameters: object) -> Ask:
    """Return the facets of a query that nobody asked before: a sum of limits that differs each time."""
    return lambda dice: f"{PLAIN}&{urlencode({**parameters, 'facets': 'true', 'rank_max': dice.randrange(100, 10**9)})}"


def _new_choice(dice: random.Random) -> str:
    values = {"kind": dice.choice(KINDS), "task": dice.choice(TASKS), "license": dice.choice(LICENSES)}
    names = dice.sample(sorted(values), 2)
    chosen = {name: values[name] for name in names} | {"verdict": dice.choice(["passed", "failed", "errored"])}
    return f"{PLAIN}&facets=true&{urlencode(chosen)}&base={dice.choice(BASES)}&base={dice.choice(BASES)}"


def _new_broad_choice(dice: random.Random) -> str:
    several = {"task": dice.sample(TASKS, 2), "license": dice.sample(LICENSES, 2), "kind": [dice.choice(KINDS)]}
    return f"{PLAIN}&facets=true&{urlencode(several, doseq=True)}"


ASKED: dict[str, Ask] = {
    **{f"by {sort}": _list(sort=sort) for sort in ("created", "downloads", "likes", "trending", "score")},
    "kind": _list(kind="ia3"),
    "kind that nothing has": _list(kind="nosuch"),
    "task": _list(task="summarization", sort="downloads"),
    "task that nothing has": _list(task="nosuch"),
    "licence": _list(license="openrail", sort="likes"),
    "licence that nothing has": _list(license="nosuch"),
    "verdict": _list(verdict="errored", sort="trending"),
    "verdict that nothing has": _list(verdict="running"),
    "engine": _list(engine="llama.cpp"),
    "engine that nothing has": _list(engine="tgi", kind="nosuch"),
    "base": _list(base=BASES[0], sort="downloads"),
    "base that is rare": _list(base="lab-7/model-7"),
    "base that nothing has": _list(base="nosuch/model"),
    "rank": _list(rank_min=64, sort="downloads"),
    "rank that nothing has": _list(rank_min=100),
    "size": _list(size_max=50_000_000),
    "size that few have": _list(size_max=5_000),
    "size that nothing has": _list(size_max=0),
    "tag": lambda dice: f"{PLAIN}&tag=license:mit&sort=downloads",
    "tag that is rare": _list(tag=RARE_TAG),
    "tag by words": lambda dice: f"{PLAIN}&tag={dice.choice(WORDS[40:])}",
    "tag that nothing has": _list(tag="nosuch"),
    "parameters, for hf": lambda dice: "/api/models?limit=20&num_parameters=min:5M,max:6M",
    "parameters that nothing has, for hf": lambda dice: "/api/models?limit=20&num_parameters=min:1B",
    "filter by rare tag, for hf": lambda dice: f"/api/models?limit=20&filter={RARE_TAG}&sort=downloads",
    "kind, task, licence and engine": _list(kind="ia3", task="summarization", license="mit", engine="sglang"),
    "facets": _list(facets="true"),
    "facets of a new choice of four": _new_choice,
    "facets of a new choice without a base": _new_broad_choice,
    "facets of new numbers": _new_facets(),
    "facets of new numbers and a kind": _new_facets(kind="ia3"),
    "facets of new numbers and a rare tag": _new_facets(tag=RARE_TAG),
    "facets of new numbers that nothing has": _new_facets(rank_min=100),
}
PAGES: dict[str, Ask] = {
    "the page /adapters": lambda dice: "/adapters",
    "the page of a new choice": lambda dice: "/adapters?" + _new_choice(dice).partition("facets=true&")[2],
    "the front page": lambda dice: "/",
    "the page of an owner of a twentieth": lambda dice: "/collector",
}


def lines() -> Iterator[Line]:
    """Seed a database unless it is seeded, run a hub on it, and ask."""
    with ExitStack() as stack:
        server = os.environ.get("DOVETAIL_BENCH_SERVER") or stack.enter_context(services.postgres(*MEMORY))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dovetail-catalogue-"))
        hub = stack.enter_context(live.hub(Path(folder) / "hub", DATABASE_URL=server))
        with psycopg.connect(server) as database:
            row = database.execute("SELECT count(*) FROM registry_repository").fetchone()
        if not row or row[0] < ADAPTERS:
            began = time.monotonic()
            command = [str(live.BIN / "python"), "-m", "bench.seeded", str(ADAPTERS)]
            subprocess.run(command, env=hub.environment, cwd=live.ROOT, check=True)
            yield Line(f"seeding {ADAPTERS:,}", time.monotonic() - began, "s")
        connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=120)
        for what, ask in ASKED.items():
            yield measure(connection, what, ask, MOST)
        for what, ask in PAGES.items():
            yield measure(connection, what, ask, float("inf"))
        yield from renewals(hub.environment)


def renewals(environment: dict[str, str]) -> Iterator[Line]:
    """Let one run renew verdicts, as if a new engine outdated all of them."""
    with services.valkey() as broker:
        command = [str(live.BIN / "python"), "-m", "bench.renewed", str(RENEWING_SECONDS)]
        with_broker = environment | {"DOVETAIL_BROKER_URL": broker}
        output = subprocess.check_output(command, env=with_broker, cwd=live.ROOT, text=True)
    found, each, rate = map(float, output.split())
    yield Line("the oldest outdated verdict is found", found, "s", most=2.0)
    yield Line("renewals that one clock queues", rate, "/s", least=RENEWALS, note=f"{1000 * each:.1f} ms for each")


def measure(connection: http.client.HTTPConnection, what: str, ask: Ask, most: float) -> Line:
    """Ask in turn with the plain list, so that other work on the machine meets both."""
    dice = random.Random(what)
    turns = [(_ms(connection, PLAIN), _ms(connection, ask(dice))) for _ in range(WARMING + ROUNDS)][WARMING:]
    (plain, late_plain), (asked, late) = (_middle_and_late(times) for times in zip(*turns, strict=True))
    note = f"{asked:.1f} ms, p95 {late:.1f}; plain {plain:.1f}, {late_plain:.1f}"
    return Line(f"{what}, over the plain list", asked / plain, "times", most=most, note=note)


def _middle_and_late(times: Sequence[float]) -> tuple[float, float]:
    return statistics.median(times), sorted(times)[int(len(times) * 0.95)]


def _ms(connection: http.client.HTTPConnection, path: str) -> float:
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    payload = answer.read()
    taken = 1000 * (time.perf_counter() - began)
    if answer.status != 200:
        raise SystemExit(f"GET {path} was answered with {answer.status}: {payload[:300]!r}")
    return taken
