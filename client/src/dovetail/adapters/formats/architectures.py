"""The architectures that each serving engine has LoRA for; `ops/architectures.py` reads them in the sources of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TABLE: Mapping[str, Any] = json.loads((Path(__file__).parent / "architectures.json").read_bytes())


def names(engine: str, key: str) -> frozenset[str]:
    """Return a list of an engine: `lora`, `without`, or `text_keys_lost`; empty if the engine has none."""
    return frozenset(entry.partition("=")[0] for entry in TABLE[engine].get(key, ()))


def of_gguf(architectures: tuple[str, ...]) -> frozenset[str]:
    """Return the names that GGUF has for some architectures; empty if llama.cpp's converter has none of them."""
    pairs = (entry.partition("=") for entry in TABLE["llama.cpp"]["lora"])
    return frozenset(name for architecture, _, name in pairs if architecture in architectures and name)
