"""Pushes: an adapter into a new repository, and 100 MB, beside docker-registry; bytes that are sent again."""

import base64
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

from huggingface_hub import HfApi, constants

from bench import rivals
from bench.hub import TOKEN, Hub, Served
from bench.line import Line
from bench.rivals import Wire
from bench.sides import ADAPTER, LARGE, REPEATS, REPO, against, weights

HUB, REGISTRY, STOCK, ALONE = "Dovetail", "docker-registry", "Dovetail, stock client", "nobody at the other end"
BY_XET, BY_LFS = "Dovetail by Xet", "Dovetail by LFS"
Steps = dict[str, Callable[[], object]]


def lines(folder: Path, hub: Hub, wire: Wire, registry: Wire) -> Iterator[Line]:
    """An adapter, 100 MB, and bytes that the hub has already. Fresh bytes each time but the last."""
    with rivals.swallow(folder / "swallow") as port:
        yield from adapters(folder, hub, wire, registry, port)
        yield from large(folder, hub, wire, registry, port)
    yield from again(folder, hub)


def adapters(folder: Path, hub: Served, wire: Wire, registry: Wire, swallow: int) -> Iterator[Line]:
    """8 MB of weights, a config and a card into a new repository, against the same as an image.

    The stock client hashes, cuts into chunks and asks more; its part is the time when nobody is at the other end.
    """
    taken: dict[str, list[float]] = {}
    spent: list[float] = []
    source = folder / "adapter"
    source.mkdir()
    for turn in range(2 * REPEATS + 1):
        files = _adapter(turn)
        digests = {path: rivals.sha256(data) for path, data in files.items()}
        for path, data in _adapter(1000 + turn).items():
            (source / path).write_bytes(data)
        steps: Steps = {
            HUB: partial(_new, wire, f"wire-{turn}", files, digests["adapter_model.safetensors"]),
            STOCK: partial(_stock, hub.port, f"bench/stock-{turn}", source),
            ALONE: partial(_stock, swallow, f"bench/alone-{turn}", source),
            REGISTRY: partial(_image, registry, f"turn-{turn}", files, digests),
        }
        for name in _rotated(list(steps), turn):
            began, before = time.perf_counter(), hub.web_seconds()
            steps[name]()
            if turn:
                taken.setdefault(name, []).append(1000 * (time.perf_counter() - began))
            if turn and name == HUB:
                spent.append(1000 * (hub.web_seconds() - before))
    ms = {name: statistics.median(times) for name, times in taken.items()}
    note = f"{ms[HUB]:.0f} and {ms[REGISTRY]:.0f} ms; processor of the web {statistics.mean(spent):.0f} ms"
    yield Line(f"push of an adapter: {HUB} over {REGISTRY}", ms[HUB] / ms[REGISTRY], "times", most=1.0, note=note)
    note = f"{ms[STOCK]:.0f} ms, of which {ms[ALONE]:.0f} are the client's own"
    yield Line(f"push of an adapter: {STOCK} over {REGISTRY}", ms[STOCK] / ms[REGISTRY], "times", note=note)


def _adapter(number: int) -> dict[str, bytes]:
    return {
        "adapter_model.safetensors": weights(ADAPTER),
        "adapter_config.json": json.dumps({"turn": number}).encode(),
        "README.md": f"# Turn {number}\n".encode(),
    }


def _new(wire: Wire, name: str, files: dict[str, bytes], digest: str) -> None:
    wire.json("POST", "/api/repos/create", {"name": name, "type": "model"})
    push(wire, f"bench/{name}", files, digest)


def _stock(port: int, name: str, folder: Path) -> None:
    api = HfApi(endpoint=f"http://127.0.0.1:{port}", token=TOKEN)
    api.create_repo(name)
    api.upload_folder(repo_id=name, folder_path=folder)


def _image(registry: Wire, tag: str, files: dict[str, bytes], digests: dict[str, str]) -> None:
    pushed = {rivals.registry_push(registry, data, digests[path]): len(data) for path, data in files.items()}
    rivals.registry_manifest(registry, pushed, tag)


def large(folder: Path, hub: Hub, wire: Wire, registry: Wire, swallow: int) -> Iterator[Line]:
    """100 MB as requests alone and by the stock client, which sends by Xet or by LFS."""
    fresh = (
        folder / "fresh.safetensors",
        folder / "other.safetensors",
    )  # a second push of the same would find the bytes stored

    def stock(port: int, source: Path, *, is_xet: bool = True) -> None:
        api = HfApi(endpoint=f"http://127.0.0.1:{port}", token=TOKEN)
        with patch.object(constants, "HF_HUB_DISABLE_XET", not is_xet):
            api.upload_file(repo_id=REPO, path_or_fileobj=source, path_in_repo=source.name)

    taken: dict[str, list[float]] = {}
    for turn in range(REPEATS + 1):
        data = weights(LARGE)
        for source in fresh:
            source.write_bytes(weights(LARGE))
        digest = rivals.sha256(data)  # clients have it before they ask; only servers are timed
        steps: Steps = {
            HUB: partial(push, wire, REPO, {"pushed.safetensors": data}, digest),
            BY_XET: partial(stock, hub.port, fresh[0]),
            BY_LFS: partial(stock, hub.port, fresh[1], is_xet=False),
            ALONE: partial(stock, swallow, fresh[0]),
            REGISTRY: partial(rivals.registry_push, registry, data, digest),
        }
        for name in _rotated(list(steps), turn):
            began = time.perf_counter()
            steps[name]()
            if turn:
                taken.setdefault(name, []).append(time.perf_counter() - began)
        data = b""
    yield against("push of 100 MB by LFS", taken, HUB, REGISTRY, 1.0, LARGE)
    yield against("push of 100 MB, the stock client", taken, BY_XET, REGISTRY, 0.8, LARGE)
    yield against("push of 100 MB, the stock client", taken, BY_XET, ALONE, None, LARGE)
    times = {name: statistics.median(taken[name]) for name in (BY_XET, BY_LFS)}
    note = f"{times[BY_XET]:.2f} and {times[BY_LFS]:.2f} s"
    yield Line(
        "push of 100 MB, the stock client: Xet over LFS", times[BY_XET] / times[BY_LFS], "times", most=1.1, note=note
    )


def _rotated(names: list[str], turn: int) -> list[str]:
    # A step that follows a push to the hub shares the machine with the hub's validation of that push.
    at = turn % len(names)
    return names[at:] + names[:at]


def push(wire: Wire, repo: str, files: dict[str, bytes], digest: str) -> None:
    """Push files as a client without Xet does: ask what goes how, send the large one (its sha256 given), commit."""
    sample = [
        {"path": path, "size": len(data), "sample": base64.b64encode(data[:512]).decode()}
        for path, data in files.items()
    ]
    asked = wire.json("POST", f"/api/models/{repo}/preupload/main", {"files": sample})
    modes = {one["path"]: one["uploadMode"] for one in asked["files"]}
    operations: list[dict[str, object]] = [{"key": "header", "value": {"summary": "Push", "description": ""}}]
    for path, data in files.items():
        if modes[path] == "lfs":
            _send(wire, repo, digest, data)
            value = {"path": path, "algo": "sha256", "oid": digest, "size": len(data)}
            operations.append({"key": "lfsFile", "value": value})
        else:
            value = {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}
            operations.append({"key": "file", "value": value})
    body = "\n".join(json.dumps(one) for one in operations).encode()
    wire.json("POST", f"/api/models/{repo}/commit/main", body, "application/x-ndjson")


def _send(wire: Wire, repo: str, digest: str, data: bytes) -> None:
    objects = [{"oid": digest, "size": len(data)}]
    asked = {"operation": "upload", "transfers": ["basic"], "objects": objects, "hash_algo": "sha256"}
    [offered] = wire.json("POST", f"/{repo}.git/info/lfs/objects/batch", asked)["objects"]
    if actions := offered.get("actions"):
        wire.ask("PUT", actions["upload"]["href"], data)
        if verify := actions.get("verify"):
            wire.json("POST", verify["href"], objects[0])


def again(folder: Path, hub: Hub) -> Iterator[Line]:
    """Measure the bytes that the stock client sends for known files, and for a large file with a small change."""
    counting = rivals.Counting(hub.port)
    api = HfApi(endpoint=f"http://127.0.0.1:{counting.port}", token=TOKEN)
    file = folder / "again.safetensors"
    data = bytearray(weights(LARGE))
    sent: list[float] = []
    for name in ("again.safetensors", "again.safetensors", "copy.safetensors", "again.safetensors"):
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
