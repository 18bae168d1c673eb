"""Answers of a hub by route: time over one connection, processor time of the web processes, and fifty mixed clients."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import HfApi

from bench.hub import TOKEN, Served
from bench.line import Line, median_ms
from bench.sides import REPO, Side, wrk
from ops.sentences import ROOT

DEMO, ADAPTER_REPO = ROOT / "demo" / "reviews-lora", "bench/reviews"
WARM_UP, ANSWERS, CLIENTS, MIXED_SECONDS = 20, 300, 50, 10
MIXED = """
local asked, paths = 0, {%s}
function request()
  asked = asked + 1
  return wrk.format("GET", paths[asked %% #paths + 1])
end
"""


def prove(hub: Served) -> None:
    """Push a real adapter, and wait for its verdict."""
    api = HfApi(endpoint=hub.url, token=TOKEN)
    api.create_repo(ADAPTER_REPO)
    api.upload_folder(repo_id=ADAPTER_REPO, folder_path=DEMO)
    while hub.ask(f"/api/v1/adapters/{ADAPTER_REPO}/revisions/main/verdict")["state"] in ("queued", "running"):
        time.sleep(0.1)


def lines(folder: Path, hub: Served, side: Side) -> Iterator[Line]:
    """Measure a hub that has proven an adapter, and that has more repositories than a list shows."""
    for number in range(20):
        side.wire().json("POST", "/api/repos/create", {"name": f"one-of-many-{number}", "type": "model"})
    yield Line("a loop of 100,000 additions in Python, processor", median_ms(_additions), "ms", note="the machine")
    yield from by_route(hub, side)
    yield from mixed(folder, side)


def by_route(hub: Served, side: Side) -> Iterator[Line]:
    """Measure the time of each answer, and the web processes' processor time for one."""
    asked = {  # and the most milliseconds
        "HEAD of a file of 8 MB": ("HEAD", side.at["adapter-0.safetensors"], 2.0),
        "a file of 3 KB": ("GET", side.at["small.json"], 2.0),
        "info": ("GET", f"/api/models/{ADAPTER_REPO}", 2.0),
        "tree": ("GET", f"/api/models/{ADAPTER_REPO}/tree/main", 2.0),
        "list of 20": ("GET", "/api/models?limit=20", 5.0),
        "adapter page": ("GET", f"/{ADAPTER_REPO}", 20.0),
    }
    for what, (method, path, most) in asked.items():
        yield _answers(hub, side, f"{what}, p50", method, path, most=most)


def _answers(hub: Served, side: Side, what: str, method: str, path: str, *, most: float) -> Line:
    """Measure one request over and over."""
    wire, times, before = side.wire(), [], 0.0
    for turn in range(WARM_UP + ANSWERS):
        if turn == WARM_UP:
            before = hub.web_seconds()
        began = time.perf_counter()
        wire.ask(method, path)
        times.append(1000 * (time.perf_counter() - began))
    spent = 1000 * (hub.web_seconds() - before) / ANSWERS
    times = sorted(times[WARM_UP:])
    note = f"the fastest {times[0]:.2f}, p95 {times[int(0.95 * len(times))]:.2f}; processor {spent:.2f} ms"
    return Line(what, statistics.median(times), "ms", most=most, note=note)


def mixed(folder: Path, side: Side) -> Iterator[Line]:
    """Fifty connections that ask for small files, infos and trees in turn."""
    small, info = side.at["small.json"], f"/api/models/{ADAPTER_REPO}"  # wrk waits for a body after HEAD
    paths = [small, info, f"{info}/tree/main", small, f"/api/models/{REPO}/revision/main", info, small]
    script = folder / "mixed.lua"
    script.write_text(MIXED % ", ".join(f'"{path}"' for path in paths))
    url = f"http://127.0.0.1:{side.port}"
    answered = [wrk(CLIENTS, MIXED_SECONDS, url, side.headers, ("-s", str(script))) for _ in range(3)]
    best = max(answered, key=lambda one: one.rate)
    note = f"{min(one.rate for one in answered):.0f} at the least"
    yield Line(f"{CLIENTS} mixed clients, best of 3", best.rate, "/s", least=700, note=note)
    yield Line(f"{CLIENTS} mixed clients, p99 of the same", best.p99, "ms", most=100)


def _additions() -> None:
    total = 0
    for number in range(100_000):
        total += number
