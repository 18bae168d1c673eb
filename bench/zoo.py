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
        folder, said = os.environ.get("BENCH_ZOO", temporary), Path(temporary) / "said.json"
        done = subprocess.run([sys.executable, "-m", "tests.zoo", folder, "--json", str(said)], cwd=ROOT, check=False)
        if not said.exists():
            raise SystemExit(f"The zoo could not be built (status {done.returncode}).")
        found = json.loads(said.read_text())
    kinds = [line.partition(":")[0] for line in found["wrong"]]
    yield Line("specimens", found["specimens"], "adapters", least=200)
    for kind in ("false pass", "false fail", "wrong reason", "engine error", "shallow"):
        yield Line(kind, kinds.count(kind), "verdicts", most=0)
    yield Line("verdicts a minute, two engines at once", 60 * found["verdicts"] / found["seconds"], "/min")
