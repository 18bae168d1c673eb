"""The wild zoo on a whole hub: every repository pushed by the stock client, and its verdict as people read it."""

import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from huggingface_hub import HfApi

from bench.hub import TOKEN, Hub
from bench.line import Line
from tests.zoo import building
from tests.zoo.specimen import Specimen
from tests.zoo.wild.row import NONE

WAIT_SECONDS = 1800  # for all verdicts together
# A hub answers for a base that it does not know by waiting for it, and the zoo's engines by the check.
WAITS = ("base.unknown", "base.local-path", "base.unnamed", "config.invalid", "config.missing")


def lines() -> Iterator[Line]:
    """BENCH_ZOO names a folder where what was built is kept; BENCH_WILD is a pattern of the names that are pushed."""
    with tempfile.TemporaryDirectory(prefix="wild-") as temporary:
        folder = Path(os.environ.get("BENCH_ZOO", temporary)).resolve()
        for script, engine, name in building.MAKERS:
            building.made(folder, script, engine, name)
        pattern = re.compile(os.environ.get("BENCH_WILD", "."))
        chosen = [one for one in building.as_tools_leave_them(folder) if pattern.search(one.name)]
        home = Path(temporary) / "hub"
        home.mkdir()
        with Hub(home) as hub:
            yield from _on(hub, chosen, folder / "bases")


def _on(hub: Hub, specimens: list[Specimen], bases: Path) -> Iterator[Line]:
    for name in sorted({one.base for one in specimens} - {""}):
        hub.manage("shelf", "add", f"zoo/{name}", "--path", str(bases / name), "--license", "apache-2.0")
    api, began = HfApi(endpoint=hub.url, token=TOKEN), time.monotonic()
    names = [f"bench/wild-{number:03}" for number in range(len(specimens))]
    for name, one in zip(names, specimens, strict=True):
        api.create_repo(name)
        api.upload_folder(repo_id=name, folder_path=one.folder)
    verdicts = _settled(hub, dict(zip(names, specimens, strict=True)))
    wrong = Counter[str]()
    for name, one in zip(names, specimens, strict=True):
        if fault := _fault(one, verdicts[name]):
            wrong[fault.partition(":")[0]] += 1
            print(f"  {one.name}: expected {one.wanted(one.engines[0]) or 'pass'}; {fault}", flush=True)
    seconds = time.monotonic() - began
    yield Line("repositories pushed and judged", len(specimens), "repositories", note=f"{seconds:.0f} s")
    for kind in ("the hub's fault", "no verdict", "false fail", "false pass", "another check"):
        yield Line(kind, wrong[kind], "verdicts", most=0)


def _settled(hub: Hub, specimens: dict[str, Specimen]) -> dict[str, dict[str, Any]]:
    """Wait until every verdict is there; one that rightly waits for its base is there too."""
    found: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + WAIT_SECONDS
    while len(found) < len(specimens) and time.monotonic() < deadline:
        for name in [name for name in specimens if name not in found]:
            verdict, one = _verdict(hub, name), specimens[name]
            waits = verdict.get("reason") and one.wanted(one.engines[0]) in WAITS
            if verdict["state"] not in ("queued", "running") or waits:
                found[name] = verdict
        time.sleep(0.5)
    return {name: found.get(name) or _verdict(hub, name) for name in specimens}


def _verdict(hub: Hub, name: str) -> dict[str, Any]:
    try:
        return hub.ask(f"/api/v1/adapters/{name}/revisions/main/verdict")
    except HTTPError as problem:
        if problem.code != 404:
            raise
        return {"state": NONE, "checks": []}


def _fault(one: Specimen, verdict: dict[str, Any]) -> str:
    """Return what is wrong with a verdict, "" if nothing is."""
    wanted, state = one.wanted(one.engines[0]), verdict["state"]
    failed = [check for check in verdict.get("checks", ()) if check["outcome"] == "failed"]
    said = "; ".join(f"{check['id']} {check['message'][:160]}" for check in failed)
    if state == "errored":
        return f"the hub's fault: {said}"
    if state in ("queued", "running"):
        return "" if wanted in WAITS else f"no verdict: it is {state} ({verdict.get('reason') or ''})"
    if not wanted or wanted == NONE:
        return "" if state == (wanted or "passed") else f"false fail: {state} {said}"
    if state == "passed":
        return "false pass: nothing refused it"
    return "" if [check["id"] for check in failed] == [wanted] else f"another check: {state} {said}"
