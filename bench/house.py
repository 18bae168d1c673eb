"""A whole hub on real weights: how fast it starts, idles, takes uploads and gives verdicts."""

import json
import random
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import psutil
from huggingface_hub import HfApi

from bench.hub import TOKEN, Hub
from bench.line import Line, spread
from bench.sides import weights
from ops.sentences import ROOT

MIB = 1 << 20
DEMO = ROOT / "demo" / "reviews-lora"
WEIGHTS = "adapter_model.safetensors"


def start(hub: Hub) -> Iterator[Line]:
    """Measure the second start, with everything built."""
    times = []
    for _ in range(3):
        hub.stop()
        times.append(hub.start())
    yield Line("second make up until /readyz, best of 3", min(times), "s", most=5, note=spread(times))


def idle(hub: Hub) -> Iterator[Line]:
    """Measure CPU and memory of an idle hub."""
    time.sleep(15)  # the engine loads its base first
    family, seconds = hub.family(), 20.0
    before = _spent(family)
    time.sleep(seconds)
    yield Line("idle hub, all processes", 100 * (_spent(family) - before) / seconds, "% of a core", most=5)
    memory = sum(one.memory_full_info().pss for one in family if "/.engines/" not in " ".join(one.cmdline()))
    yield Line("memory of web, worker, beat and broker (PSS)", memory / MIB, "MiB")


def upload(hub: Hub) -> Iterator[Line]:
    """`hf upload` of large files by Xet: server time for 24 MB, and web memory at four times as much."""
    peaks = {}
    for megabytes in (24, 96):
        folder = hub.folder / f"large-{megabytes}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(weights(megabytes * 1_000_000))
        seen, started = len(hub.log_lines()), time.monotonic()
        hub.hf("upload", f"bench/large-{megabytes}", str(folder), ".", "--repo-type", "dataset")
        wall = time.monotonic() - started
        server = sum(line["duration_ms"] for line in hub.log_lines()[seen:]) / 1000
        promise = {"most": 1.0} if megabytes == 24 else {}
        yield Line(
            f"hf upload of {megabytes} MB, time in the server", server, "s", **promise, note=f"wall {wall:.1f} s"
        )
        peaks[megabytes] = max(_peak(one) for one in hub.webs())
    yield Line("web's peak memory at 96 MB, over that at 24 MB", (peaks[96] - peaks[24]) / MIB, "MiB", most=16)


def verdict(hub: Hub) -> Iterator[Line]:
    """Measure the time from the commit's answer to `passed`, with a warm engine."""
    times = []
    for number in range(6):
        folder = variant(hub.folder / f"variant-{number}", number)
        api = HfApi(endpoint=hub.url, token=TOKEN)
        api.create_repo("bench/reviews", exist_ok=True)
        commit = api.upload_folder(repo_id="bench/reviews", folder_path=folder).oid
        started = time.monotonic()
        while (state := _state(hub, "bench/reviews", commit)) in ("queued", "running"):
            time.sleep(0.02)
        times.append(time.monotonic() - started)
        if state != "passed":
            raise SystemExit(f"The verdict of the benchmark's adapter is {state}.")
    warm = times[1:]
    yield Line("commit to passed, MiniLM LoRA, median of 5", statistics.median(warm), "s", most=1.5, note=spread(warm))


def throughput(hub: Hub, number: int = 30) -> Iterator[Line]:
    """Full validations a minute by one worker, against one process for each adapter."""
    api = HfApi(endpoint=hub.url, token=TOKEN)
    names = [f"bench/many-{one}" for one in range(number)]
    for one, name in enumerate(names):
        api.create_repo(name)
        api.upload_folder(repo_id=name, folder_path=variant(hub.folder / f"many-{one}", 1000 + one))
    _wait(hub, names)
    hub.manage("revalidate", "--all")  # now all are queued at once, and no push disturbs
    _wait(hub, names)
    verdicts = [hub.ask(f"/api/v1/adapters/{name}/revisions/main/verdict") for name in names]
    begun = min(datetime.fromisoformat(one["started_at"]) for one in verdicts)
    ended = max(datetime.fromisoformat(one["finished_at"]) for one in verdicts)
    each = (ended - begun).total_seconds() / number
    yield Line("full validations a minute, one worker", 60 / each, "/min", least=150)
    cold = _cold(hub)
    yield Line("a process for each adapter takes longer by", cold / each, "times", least=10, note=f"{cold:.1f} s cold")


def _wait(hub: Hub, names: list[str]) -> None:
    while any(_state(hub, name, "main") in ("queued", "running") for name in names):
        time.sleep(0.1)


ALL: dict[str, Callable[[Hub], Iterator[Line]]] = {
    "start": start,
    "idle": idle,
    "upload": upload,
    "verdict": verdict,
    "throughput": throughput,
}


def lines() -> Iterator[Line]:
    """Run all measures on one hub."""
    with tempfile.TemporaryDirectory(prefix="dovetail-bench-") as folder, Hub(Path(folder)) as hub:
        for measure in ALL.values():
            yield from measure(hub)


# --- helpers --------- ----------------------------------------------------------------------------------------------


def _spent(family: list[psutil.Process]) -> float:
    return float(sum(times.user + times.system for one in family for times in [one.cpu_times()]))


def _peak(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _state(hub: Hub, name: str, commit: str) -> str:
    return str(hub.ask(f"/api/v1/adapters/{name}/revisions/{commit}/verdict")["state"])


def variant(folder: Path, seed: int) -> Path:
    """Copy the demo adapter with slightly changed weights, so that it is a new version and still passes."""
    shutil.copytree(DEMO, folder)
    raw = bytearray((folder / WEIGHTS).read_bytes())
    begin = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:begin])
    dice = random.Random(seed)
    name = sorted(key for key in header if "lora_A" in key)[0]
    at = begin + header[name]["data_offsets"][0]
    value = struct.unpack_from("<f", raw, at)[0]
    struct.pack_into("<f", raw, at, value + dice.uniform(-1e-3, 1e-3))
    (folder / WEIGHTS).write_bytes(raw)
    return folder


def _cold(hub: Hub) -> float:
    """Return the seconds that a fresh process needs to import, load the base, load an adapter and run it."""
    base = next((hub.data / "shelf").glob("*/*/config.json")).parent
    command = [
        str(ROOT / ".engines/e5/bin/python"),
        "-W",
        "ignore",
        str(ROOT / "demo/predict.py"),
        str(DEMO),
        str(base),
    ]
    times = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.monotonic() - started)
    return min(times)
