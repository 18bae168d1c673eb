"""The regression gate on real versions of a real adapter: worse ones that it stops, and good ones that it does not.

    make bench ARGS=regressions      [BENCH_COUNT=50 BENCH_VERSIONS=DIR]

bench/make_regressions.py trains and spoils the versions on a small base, an engine measures each in its jail, and the
rule of the hub compares each with the first one. Three of ten versions bring other rows, and are run on those of the
first version too, as a worker has it. BENCH_VERSIONS keeps the versions for another run.
"""

import json
import os
import secrets
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import django

from bench import engine
from bench.line import Line
from dovetail.adapters.report import Report
from ops.sentences import ROOT

COUNT = int(os.environ.get("BENCH_COUNT", "50"))
PROGRAM = ROOT / "bench" / "make_regressions.py"
BASES, BASE_ID = ROOT / "tests" / "engine" / "make_bases.py", "tiny/bert"
CARD = engine.CARD | {"base_model": BASE_ID}


def lines() -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(os.environ.get("BENCH_VERSIONS") or kept)
        subprocess.run([str(engine.PYTHON), str(BASES), kept], check=True)
        base = Path(kept) / "bert"
        if not (folder / "versions.json").exists():
            command = [engine.PYTHON, "-P", PROGRAM, base, folder, COUNT, BASE_ID]
            subprocess.run([str(word) for word in command], check=True)
        yield from judged(folder, json.loads((folder / "versions.json").read_text()), base)


def judged(folder: Path, versions: list[dict[str, str]], base: Path) -> Iterator[Line]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    os.environ.setdefault("DOVETAIL_SECRET_KEY", secrets.token_hex(32))  # nothing here is signed or kept
    django.setup()
    from registry.proof.regression_rule import compare  # models are there after django.setup()

    prover = engine.Engine(base, BASE_ID)
    reports, earlier = {}, {"revision": "0" * 40, "rows": (folder / "reference" / "smoke.jsonl").read_text()}
    for version in versions:
        more = {} if version["rows"] == "own" else {"earlier": [earlier]}
        verdict, _ = prover.validate(folder / version["folder"], CARD, **more)
        reports[version["folder"]] = Report.read(verdict)
    prover.stop()
    reference, *others = versions
    first, failed = reports[reference["folder"]], 0
    stopped, made, hidden, seen = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for version in others:
        report, key = reports[version["folder"]], f"{version['made']}: {version['kind']}"
        made[key] += 1
        is_stopped = not report.is_passed or compare(report, first).outcome == "worse"
        failed += not report.is_passed and version["made"] == "worse"  # its own checks refuse it already
        stopped[key] += is_stopped
        if version["rows"] != "own":
            hidden[version["made"]] += 1
            seen[version["made"]] += is_stopped
    for key, number in sorted(made.items()):
        yield Line(f"stopped, {key}", stopped[key], f"of {number}")
    for key, number in sorted(hidden.items()):
        yield Line(f"stopped, {key}: behind other rows", seen[key], f"of {number}")
    worse, good = (sum(stopped[key] for key in made if key.startswith(name)) for name in ("worse", "good"))
    note = f"{failed} of them by a failed verdict"
    yield Line("regressions that do not become verified", worse, f"of {COUNT}", least=0.96 * COUNT, note=note)
    yield Line("good versions that are stopped", good, f"of {COUNT}", most=0.02 * COUNT)
