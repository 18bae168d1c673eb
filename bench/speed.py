"""Side by side in one run with nginx and docker-registry on the same bytes: downloads, answers and pushes.

Both shapes of a hub: what `docker-compose.yml` describes, and `make up`; the limits are those of `make up`.

    make bench ARGS=speed

Five repeats in turn, medians, and ratios; only those mean something on a machine that does other work as well, and
processor time does (speed_routes.py). Pushes are in speed_pushes.py.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.utils.tqdm import disable_progress_bars

from bench import rivals, speed_pushes, speed_routes
from bench.hub import TOKEN, Hub, Production, Served
from bench.line import Line, spread
from bench.sides import ADAPTER, BEARER, LARGE, REPO, Side, Sides, against, in_turn, weights, wrk
from tests.ops.production import run_deployment

ADAPTERS, SMALL = 50, 3_000
CONNECTIONS, WRK_SECONDS = 8, 4
IDLE_SECONDS = 20  # after which an engine without a job ends
HUB, NGINX, REGISTRY = "Dovetail", "nginx", "docker-registry"


def lines() -> Iterator[Line]:
    """Start all servers with the same files, then run all measures; production first."""
    disable_progress_bars()
    yield from production()
    with tempfile.TemporaryDirectory(prefix="dovetail-speed-") as name, ExitStack() as stack:
        folder = Path(name)
        hub = stack.enter_context(Hub(folder, DOVETAIL_ENGINE_IDLE_SECONDS=str(IDLE_SECONDS)))
        speed_routes.prove(hub)
        yield memory(hub, "idle hub after its first validation (PSS)", most=500)
        sides = stack.enter_context(everybody(folder, hub))
        yield from downloads(sides)
        yield from small_files(sides)
        yield from speed_routes.lines(folder, hub, sides[HUB])
        yield from speed_pushes.lines(folder, hub, sides[HUB].wire(), sides[REGISTRY].wire())
        yield memory(hub, "idle hub after all of the above (PSS)")


def production() -> Iterator[Line]:
    """Measure what docker-compose.yml describes."""
    with tempfile.TemporaryDirectory(prefix="dovetail-speed-") as name, ExitStack() as stack:
        folder = Path(name)
        hub = Production(stack.enter_context(run_deployment(webs=1, workers=1)))
        speed_routes.prove(hub)
        sides = stack.enter_context(everybody(folder, hub))
        yield from map(_in_production, downloads(sides))
        yield from map(_in_production, small_files(sides))
        yield from map(_in_production, speed_routes.lines(folder, hub, sides[HUB]))
        with rivals.swallow(folder / "swallow") as port:
            pushes = speed_pushes.adapters(folder, hub, sides[HUB].wire(), sides[REGISTRY].wire(), port)
            yield from map(_in_production, pushes)


def _in_production(line: Line) -> Line:
    return Line(f"production: {line.what}", line.value, line.unit, note=line.note)


@contextmanager
def everybody(folder: Path, hub: Served) -> Iterator[Sides]:
    """Start the others, and give all of them the same files."""
    files = folder / "files"
    files.mkdir()
    names = {f"adapter-{number}.safetensors": ADAPTER for number in range(ADAPTERS)} | {"large.safetensors": LARGE}
    for name, size in names.items():
        (files / name).write_bytes(weights(size))
    (files / "small.json").write_text(json.dumps("x" * SMALL))
    api = HfApi(endpoint=hub.url, token=TOKEN)
    api.create_repo(REPO)
    api.upload_folder(repo_id=REPO, folder_path=files)
    with ExitStack() as stack:
        own = {name: folder / name for name in (NGINX, REGISTRY)}
        for one in own.values():
            one.mkdir()
        static = stack.enter_context(rivals.nginx(own[NGINX], files))
        sides = {HUB: Side(hub.port, BEARER), NGINX: Side(static)}
        sides[REGISTRY] = Side(stack.enter_context(rivals.registry(own[REGISTRY])))
        registry = sides[REGISTRY].wire()
        for name in (*names, "small.json"):
            sides[HUB].at[name] = f"/{REPO}/resolve/main/{name}"
            sides[NGINX].at[name] = f"/{name}"
            data = (files / name).read_bytes()
            sides[REGISTRY].at[name] = rivals.registry_push(registry, data, rivals.sha256(data))
        yield sides


def memory(hub: Hub, what: str, **promise: float) -> Line:
    """Measure the hub once its engines, which have proven what was pushed, have had nothing to do and ended."""
    while any(hub.is_engine(one) for one in hub.family()):
        time.sleep(1)
    sizes = {one.pid: one.memory_full_info().pss / (1 << 20) for one in hub.family()}
    note = " + ".join(f"{size:.0f}" for size in sorted(sizes.values(), reverse=True))
    return Line(what, sum(sizes.values()), "MiB", **promise, note=note)


def downloads(sides: Sides) -> Iterator[Line]:
    """Measure one large file over one connection, and fifty adapters over four."""
    wires = {name: side.wire() for name, side in sides.items()}
    taken = in_turn(
        {name: partial(wires[name].ask, "GET", side.at["large.safetensors"]) for name, side in sides.items()}
    )
    what = "one download of 100 MB"
    yield against(what, taken, HUB, NGINX, 0.9, LARGE)
    yield against(what, taken, REGISTRY, NGINX, None, LARGE)
    taken = in_turn({name: partial(_fifty, side) for name, side in sides.items()})
    what = "fifty adapters of 8 MB"
    yield against(what, taken, HUB, NGINX, 0.8, ADAPTERS * ADAPTER)
    yield against(what, taken, HUB, REGISTRY, 1.0, ADAPTERS * ADAPTER)


def _fifty(side: Side) -> None:
    def some(first: int) -> None:
        wire = side.wire()
        for number in range(first, ADAPTERS, 4):
            wire.ask("GET", side.at[f"adapter-{number}.safetensors"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, range(4)))


def small_files(sides: Sides) -> Iterator[Line]:
    """Files of 3 KB as fast as eight connections get them; wrk asks, because Python would be the limit."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(3):
        for name, side in sides.items():
            asked = wrk(CONNECTIONS, WRK_SECONDS, f"http://127.0.0.1:{side.port}{side.at['small.json']}", side.headers)
            rates[name].append(asked.rate)
    promised = {HUB: 900.0}
    for name, measured in rates.items():
        promise = {"least": promised[name]} if name in promised else {}
        yield Line(
            f"3 KB files on 8 connections, {name}", statistics.median(measured), "/s", **promise, note=spread(measured)
        )
