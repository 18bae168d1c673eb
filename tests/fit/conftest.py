"""The shapes of well-known bases, measured by the engine once a session: no weights of any of them are here."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dovetail.adapters.shapes.shapes import Shapes, decode
from registry.models import Base
from registry.proof import fit
from tests.fit.bases import CONFIGS
from workers.engines import engine_matrix

SCRIPT = Path(__file__).resolve().parents[2] / "workers" / "engine" / "shapes.py"


@pytest.fixture(scope="session")
def measured(tmp_path_factory) -> dict[str, dict[str, Any]]:
    """Base id → what the engine says of it; one process measures them all."""
    python = engine_matrix.interpreter("e5")
    assert python.exists(), f"{python} is missing: build it with `make engines`"
    folders = []
    for config in CONFIGS.values():
        folders.append(tmp_path_factory.mktemp("config"))
        (folders[-1] / "config.json").write_text(json.dumps(config))
    done = subprocess.run([python, "-I", SCRIPT, *folders], check=True, capture_output=True, cwd="/")
    return dict(zip(CONFIGS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.fixture(scope="session")
def shapes(measured) -> Callable[..., Shapes]:
    """The stored shapes of a base for a task."""
    return lambda base, task="CAUSAL_LM": decode(measured[base]["tasks"][task])


@pytest.fixture
def known(db, measured) -> None:
    """All of them known to the hub, by their configs alone."""
    for name, config in CONFIGS.items():
        base = Base.objects.create(id=name, revision="main", sha256="0" * 64, config=config, has_weights=False)
        fit.remember(base, "e5", measured[name])
