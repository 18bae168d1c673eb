"""Side by side in one run with nginx, docker-registry and MLflow on the same bytes: downloads, questions and pushes.

    make bench ARGS=speed

Five repeats in turn, medians, and ratios; only those mean something on a machine that does other work as well.
"""

import base64
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.utils.tqdm import disable_progress_bars

from bench import rivals
from bench.hub import BIN, TOKEN, Hub
from bench.line import Line, spread
from bench.rivals import Wire
from ops.sentences import ROOT
from tests.services import answers, free_ports, running

REPEATS, LARGE, ADAPTER, ADAPTERS, SMALL = 5, 100_000_000, 8_000_000, 50, 3_000
CONNECTIONS, WRK_SECONDS, QUESTIONS = 8, 4, 300
BEARER = {"Authorization": f"Bearer {TOKEN}"}
REPO = "bench/speed"
HUB, FRONT, NGINX, REGISTRY, MLFLOW = "Dovetail", "Dovetail behind nginx", "nginx", "docker-registry", "MLflow"


@dataclass
class Side:
    """One server: where it is, what callers send, and by what address it has each of our files."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)

    def wire(self) -> Wire:
        return Wire(self.port, self.headers)


Sides = dict[str, Side]


def lines() -> Iterator[Line]:
    """Start all servers with the same files, then run all measures."""
    disable_progress_bars()
    with tempfile.TemporaryDirectory(prefix="dovetail-speed-") as name, ExitStack() as stack:
        folder = Path(name)
        hub = stack.enter_context(Hub(folder))
        yield from memory(hub)
        sides = stack.enter_context(everybody(folder, hub))
        yield from downloads(sides)
        yield from small_files(sides)
        yield from questions(sides[HUB])
        yield from pushes(folder, sides)
        yield from again(folder, hub)


@contextmanager
def everybody(folder: Path, hub: Hub) -> Iterator[Sides]:
    """Start the others, and give all of them the same files."""
    files = folder / "files"
    files.mkdir()
    contents = {"large.bin": LARGE, "small.json": SMALL, **{f"adapter-{n}.bin": ADAPTER for n in range(ADAPTERS)}}
    for name, size in contents.items():
        (files / name).write_bytes(os.urandom(size) if name.endswith(".bin") else json.dumps("x" * size).encode())
    api = HfApi(endpoint=hub.url, token=TOKEN)
    api.create_repo(REPO)
    api.upload_folder(repo_id=REPO, folder_path=files)
    with ExitStack() as stack:
        own = {name: folder / name for name in (NGINX, REGISTRY, MLFLOW)}
        for one in own.values():
            one.mkdir()
        accel = stack.enter_context(accelerated(folder, hub))
        static, front = stack.enter_context(rivals.nginx(own[NGINX], files, hub.data / "blobs", accel))
        sides = {HUB: Side(hub.port, BEARER), FRONT: Side(front, BEARER), NGINX: Side(static)}
        sides[REGISTRY] = Side(stack.enter_context(rivals.registry(own[REGISTRY])))
        sides[MLFLOW] = Side(stack.enter_context(rivals.mlflow(own[MLFLOW])))
        registry, mlflow = sides[REGISTRY].wire(), sides[MLFLOW].wire()
        for name in contents:
            sides[HUB].at[name] = sides[FRONT].at[name] = f"/{REPO}/resolve/main/{name}"
            sides[NGINX].at[name] = f"/{name}"
            data = (files / name).read_bytes()
            sides[REGISTRY].at[name] = rivals.registry_push(registry, data, rivals.sha256(data))
            sides[MLFLOW].at[name] = f"/api/2.0/mlflow-artifacts/artifacts/{name}"
            mlflow.ask("PUT", sides[MLFLOW].at[name], data)
        yield sides


@contextmanager
def accelerated(folder: Path, hub: Hub) -> Iterator[int]:
    """One more web of the same hub, that names files to an nginx before it instead of sending them."""
    [port] = free_ports()
    own = folder / "accelerated"
    own.mkdir()
    environment = os.environ | {
        "DOVETAIL_DATA": str(hub.data), "DOVETAIL_PUBLIC_URL": hub.url, "DOVETAIL_ACCEL_REDIRECT": "/_blobs",
        "DOVETAIL_TRUSTED_PROXIES": "127.0.0.1", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    command = [str(BIN / "gunicorn"), "-c", str(ROOT / "deploy/gunicorn.conf.py"), "-b", f"127.0.0.1:{port}"]
    command += ["--chdir", str(ROOT)]
    with running(command, own, lambda: answers(port), env=environment):
        yield port


def memory(hub: Hub) -> Iterator[Line]:
    """Measure an idle hub, as `make up` starts it; engines hold bases, and are not counted."""
    time.sleep(10)
    family = [one for one in hub.family() if "/.engines/" not in " ".join(one.cmdline())]
    sizes = {one.pid: one.memory_full_info().pss / (1 << 20) for one in family}
    note = " + ".join(f"{size:.0f}" for size in sorted(sizes.values(), reverse=True))
    yield Line("idle hub (PSS)", sum(sizes.values()), "MiB", most=350, note=note)


def in_turn(steps: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Run each step five times, all in turn, after one round that warms up; return their seconds."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(REPEATS + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if turn:
                taken[name].append(time.perf_counter() - began)
    return taken


def against(what: str, taken: dict[str, list[float]], us: str, them: str, least: float | None, size: int) -> Line:
    """Return our speed divided by theirs."""
    rate = {name: size / statistics.median(times) / 1e6 for name, times in taken.items()}
    promise = {} if least is None else {"least": least}
    note = f"{rate[us]:.0f} and {rate[them]:.0f} MB/s"
    return Line(f"{what}: {us} over {them}", rate[us] / rate[them], "times", **promise, note=note)


def downloads(sides: Sides) -> Iterator[Line]:
    """Measure one large file over one connection, and fifty adapters over four."""
    wires = {name: side.wire() for name, side in sides.items()}
    taken = in_turn({name: partial(wires[name].ask, "GET", side.at["large.bin"]) for name, side in sides.items()})
    what = "one download of 100 MB"
    yield against(what, taken, FRONT, NGINX, 0.9, LARGE)
    yield against(what, taken, HUB, NGINX, 0.8, LARGE)
    yield against(what, taken, REGISTRY, NGINX, None, LARGE)
    yield against(what, taken, MLFLOW, NGINX, None, LARGE)
    taken = in_turn({name: partial(_fifty, side) for name, side in sides.items()})
    what = "fifty adapters of 8 MB"
    yield against(what, taken, HUB, NGINX, 0.5, ADAPTERS * ADAPTER)
    yield against(what, taken, HUB, REGISTRY, 1.0, ADAPTERS * ADAPTER)
    yield against(what, taken, FRONT, NGINX, None, ADAPTERS * ADAPTER)
    yield against(what, taken, HUB, MLFLOW, None, ADAPTERS * ADAPTER)


def _fifty(side: Side) -> None:
    def some(first: int) -> None:
        wire = side.wire()
        for number in range(first, ADAPTERS, 4):
            wire.ask("GET", side.at[f"adapter-{number}.bin"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, range(4)))


def small_files(sides: Sides) -> Iterator[Line]:
    """Files of 3 KB as fast as eight connections get them; wrk asks, because Python would be the limit."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(3):
        for name, side in sides.items():
            rates[name].append(_wrk(side, "small.json"))
    promised = {HUB: 1500.0}
    for name, measured in rates.items():
        promise = {"least": promised[name]} if name in promised else {}
        yield Line(
            f"3 KB files on 8 connections, {name}", statistics.median(measured), "/s", **promise, note=spread(measured)
        )


def _wrk(side: Side, name: str) -> float:
    command = [rivals.program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{WRK_SECONDS}s"]
    command += [word for key, value in side.headers.items() for word in ("-H", f"{key}: {value}")]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{side.port}{side.at[name]}"], check=True, capture_output=True, text=True
    )
    if "Non-2xx" in done.stdout:
        raise SystemExit(done.stdout)
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", done.stdout)[0])


def questions(hub: Side) -> Iterator[Line]:
    """Measure the requests that clients send before they download, over one connection."""
    asked = {
        "HEAD of a file of 8 MB": ("HEAD", hub.at["adapter-0.bin"], 1.1),
        "info": ("GET", f"/api/models/{REPO}", 3),
        "page of 20": ("GET", "/api/models?limit=20", 5),
    }
    wire = hub.wire()
    for number in range(20):
        wire.json("POST", "/api/repos/create", {"name": f"one-of-many-{number}", "type": "model"})
    for what, (method, path, most) in asked.items():
        times = []
        for _ in range(QUESTIONS):
            began = time.perf_counter()
            wire.ask(method, path)
            times.append(1000 * (time.perf_counter() - began))
        times.sort()
        note = f"the fastest {times[0]:.2f}, p95 {times[int(0.95 * len(times))]:.2f}"
        yield Line(f"{what}, p50", statistics.median(times), "ms", most=most, note=note)


# --- pushes ----------------------------------------------------------------------------------------------------------


def pushes(folder: Path, sides: Sides) -> Iterator[Line]:
    """100 MB by LFS, by Xet and to the others; then a whole adapter. Fresh bytes each time."""
    with rivals.swallow(folder / "swallow") as port:
        yield from _large_pushes(folder, sides, port)
    yield from one_adapter(sides[HUB].wire(), sides[REGISTRY].wire())


def _large_pushes(folder: Path, sides: Sides, swallow: int) -> Iterator[Line]:
    hub, registry, mlflow = (sides[name].wire() for name in (HUB, REGISTRY, MLFLOW))
    by_xet, alone = "Dovetail by Xet", "nobody at the other end"
    source = folder / "fresh.bin"

    def xet(port: int) -> None:
        api = HfApi(endpoint=f"http://127.0.0.1:{port}", token=TOKEN)
        api.upload_file(repo_id=REPO, path_or_fileobj=source, path_in_repo="pushed-by-xet.bin")

    taken: dict[str, list[float]] = {}
    for turn in range(REPEATS + 1):
        data = os.urandom(LARGE)
        source.write_bytes(os.urandom(LARGE))  # not the same: whoever is second would find them stored already
        digest = rivals.sha256(data)  # clients have it before they ask; only servers are timed
        steps: dict[str, Callable[[], object]] = {
            HUB: partial(push, hub, {"pushed.bin": data}, digest),
            by_xet: partial(xet, sides[HUB].port),
            alone: partial(xet, swallow),
            REGISTRY: partial(rivals.registry_push, registry, data, digest),
            MLFLOW: partial(mlflow.ask, "PUT", "/api/2.0/mlflow-artifacts/artifacts/pushed", data),
        }
        for name in _rotated(list(steps), turn):
            began = time.perf_counter()
            steps[name]()
            if turn:
                taken.setdefault(name, []).append(time.perf_counter() - began)
        data = b""
    yield against("push of 100 MB by LFS", taken, HUB, REGISTRY, 1.0, LARGE)
    yield against("push of 100 MB, the stock client", taken, by_xet, REGISTRY, 0.8, LARGE)
    yield against("push of 100 MB, the stock client", taken, alone, REGISTRY, None, LARGE)
    yield against("push of 100 MB, the stock client", taken, by_xet, alone, None, LARGE)
    yield against("push of 100 MB by LFS", taken, HUB, MLFLOW, None, LARGE)


def _rotated(names: list[str], turn: int) -> list[str]:
    # A step that follows a push to the hub shares the machine with the hub's validation of that push.
    at = turn % len(names)
    return names[at:] + names[:at]


def one_adapter(hub: Wire, registry: Wire) -> Iterator[Line]:
    """8 MB of weights, JSON and a card in one push, against the same as an image."""
    taken: dict[str, list[float]] = {HUB: [], REGISTRY: []}
    for turn in range(REPEATS * 2 + 1):
        files = {
            "weights.bin": os.urandom(ADAPTER),
            "adapter_config.json": json.dumps({"turn": turn}).encode(),
            "README.md": f"# Turn {turn}\n".encode(),
        }
        digests = {path: rivals.sha256(data) for path, data in files.items()}
        began = time.perf_counter()
        push(hub, files, digests["weights.bin"])
        middle = time.perf_counter()
        pushed = {rivals.registry_push(registry, data, digests[path]): len(data) for path, data in files.items()}
        rivals.registry_manifest(registry, pushed, f"turn-{turn}")
        if turn:
            taken[HUB].append(middle - began)
            taken[REGISTRY].append(time.perf_counter() - middle)
    ours, theirs = (1000 * statistics.median(taken[name]) for name in (HUB, REGISTRY))
    note = f"{ours:.0f} and {theirs:.0f} ms"
    yield Line("push of an adapter: Dovetail over docker-registry", ours / theirs, "times", most=1.2, note=note)


def push(wire: Wire, files: dict[str, bytes], digest: str) -> None:
    """Push files as a client without Xet does: ask what goes how, send the large one (its sha256 given), commit."""
    sample = [
        {"path": path, "size": len(data), "sample": base64.b64encode(data[:512]).decode()}
        for path, data in files.items()
    ]
    asked = wire.json("POST", f"/api/models/{REPO}/preupload/main", {"files": sample})
    modes = {one["path"]: one["uploadMode"] for one in asked["files"]}
    operations: list[dict[str, object]] = [{"key": "header", "value": {"summary": "Push", "description": ""}}]
    for path, data in files.items():
        if modes[path] == "lfs":
            _send(wire, digest, data)
            value = {"path": path, "algo": "sha256", "oid": digest, "size": len(data)}
            operations.append({"key": "lfsFile", "value": value})
        else:
            value = {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}
            operations.append({"key": "file", "value": value})
    body = "\n".join(json.dumps(one) for one in operations).encode()
    wire.json("POST", f"/api/models/{REPO}/commit/main", body, "application/x-ndjson")


def _send(wire: Wire, digest: str, data: bytes) -> None:
    objects = [{"oid": digest, "size": len(data)}]
    asked = {"operation": "upload", "transfers": ["basic"], "objects": objects, "hash_algo": "sha256"}
    [offered] = wire.json("POST", f"/{REPO}.git/info/lfs/objects/batch", asked)["objects"]
    if actions := offered.get("actions"):
        wire.ask("PUT", actions["upload"]["href"], data)
        wire.json("POST", actions["verify"]["href"], objects[0])


def again(folder: Path, hub: Hub) -> Iterator[Line]:
    """Measure the bytes that the stock client sends for known files, and for a large file with a small change."""
    counting = rivals.Counting(hub.port)
    api = HfApi(endpoint=f"http://127.0.0.1:{counting.port}", token=TOKEN)
    file = folder / "again.bin"
    data = bytearray(os.urandom(LARGE))
    sent: list[float] = []
    for name in ("again.bin", "again.bin", "copy.bin", "again.bin"):
        if len(sent) == 3:
            data[50_000_000:51_000_000] = os.urandom(1_000_000)
        file.write_bytes(data)
        before = counting.sent
        api.upload_file(repo_id=REPO, path_or_fileobj=file, path_in_repo=name)
        sent.append((counting.sent - before) / 1e6)
    yield Line("100 MB for the first time, sent", sent[0], "MB")
    yield Line("the same bytes at the same path, sent", sent[1], "MB", most=0.05, note="questions and headers")
    yield Line("the same bytes at another path, sent", sent[2], "MB", most=0.05, note="questions and headers")
    yield Line("1 MB of 100 changed, sent", sent[3], "MB", most=3)
