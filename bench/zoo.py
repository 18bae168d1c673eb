"""The whole zoo on real engines: the confusion table, and how many verdicts a minute."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.line import Line
from ops.sentences import ROOT


def lines() -> Iterator[Line]:
    """BENCH_ZOO names a folder where what was built is kept for the next time."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as temporary:
        folder, report = os.environ.get("BENCH_ZOO", temporary), Path(temporary) / "said.json"
        done = subprocess.run([sys.executable, "-m", "tests.zoo", folder, "--json", str(report)], cwd=ROOT, check=False)
        if not report.exists():
            raise SystemExit(f"The zoo could not be built (status {done.returncode}).")
        results = json.loads(report.read_text())
    kinds = [line.partition(":")[0] for line in results["wrong"]]
    yield Line("specimens", results["specimens"], "adapters", least=200)
    for kind in ("false pass", "false fail", "wrong reason", "engine error", "shallow"):
        yield Line(kind, kinds.count(kind), "verdicts", most=0)
    yield Line("verdicts a minute, two engines at once", 60 * results["verdicts"] / results["seconds"], "/min")
