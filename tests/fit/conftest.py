"""The shapes of well-known bases, measured by the engine once a session: no weights of any of them are here."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dovetail.adapters.shapes.fit import Shapes, decode
from registry.models import Base
from registry.proof import fit
from tests import once
from tests.fit.bases import CONFIGS
from workers.engines import capabilities


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Base id → what the engine says of it; one process measures them all."""
    python = capabilities.interpreter("e5")
    assert python.exists(), f"{python} is missing: build it with `make engines`"
    folders = {name: tmp_path_factory.mktemp("config") for name in CONFIGS}
    for name, config in CONFIGS.items():
        (folders[name] / "config.json").write_text(json.dumps(config))
    return once.shapes("known", python, folders)


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
