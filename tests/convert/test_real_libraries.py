"""PEFT, diffusers, mlx-lm and gguf read what is converted and merged, and compute the same."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.clients import beside, build
from tests.hf.test_libraries import DIFFUSERS

MLX = ("mlx-lm==0.32.2", "mlx==0.32.4", "mlx-cpu==0.32.4")
pytestmark = pytest.mark.engine


def test_each_library_reads_its_format_and_computes_what_peft_does(tmp_path: Path):
    packages = [beside("e5", *DIFFUSERS), beside("e5", *MLX), beside("e5", "gguf==0.19.0")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, packages)), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [build("e5") / "python", Path(__file__).parent / "programs" / "real_libraries.py", tmp_path],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["mlx", "gguf", "diffusers kohya", "merges"], done.stderr
