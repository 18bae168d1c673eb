"""Serving engines that are tried with adapters, one file each, and what such a file has to hold.

Such a file is imported by the interpreter .engines/NAME alone, which holds the engine and neither Django nor Celery. It
has the three names of `Engine` below. It starts no thread and no socket when it is imported or rehearses, since the
process forks after that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dovetail.adapters.results.report import Measured
from dovetail.adapters.serving import Subject


@dataclass(frozen=True, slots=True)
class Measurer:
    """A serving engine that is tried with adapters; it proves nothing and holds no base.

    `module` is its file in this folder. Its libraries read `variables` when they are imported; in a trial they start
    `threads`, and make system `calls` that the jail refuses otherwise. `memory` is what its process takes while it
    waits. An engine that `runs` answers with each adapter on a small base, if settings do not say otherwise.
    Of one of `pipelines` the bases are known by their names, and stand in no base cache.
    """

    module: str
    variables: Mapping[str, str] = field(default_factory=dict)
    threads: bool = False
    calls: tuple[str, ...] = ()
    memory: int = 700 << 20
    runs: bool = False
    pipelines: bool = False


# By the name that the engine has in a report, which is that of its interpreter too: .engines/NAME.
# To add one, add a line here, its file, requirements/engine-NAME.txt, its (empty) lock file
# requirements/constraints-NAME.txt, and its pairs in bench/measured.py; then `make pins`.
MEASURERS: Mapping[str, Measurer] = {
    "vllm": Measurer(
        "vllm",
        {
            "VLLM_LOGGING_LEVEL": "ERROR",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_PLUGINS": "",
            "VLLM_HOST_IP": "127.0.0.1",
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "TORCHDYNAMO_DISABLE": "1",
        },
        runs=True,
    ),
    "llama.cpp": Measurer("llama_cpp", threads=True, calls=("socket", "bind", "listen"), runs=True),
    "mlx": Measurer("mlx", threads=True, runs=True),
    "diffusers": Measurer("diffusers", runs=True, pipelines=True),
}


class Unmeasurable(Exception):
    """The engine cannot be tried with this adapter, or would be tried with another model than the adapter is for."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One adapter to try: its folder, the config of its base, and a folder that may be written.

    `runs` says whether the engine shall answer with it, on a small base; else its names are mapped alone.
    """

    subject: Subject
    adapter: Path
    config: Mapping[str, Any]
    work: Path
    runs: bool = False

    @property
    def base(self) -> Path:
        """The folder that holds the base's config.json and nothing else."""
        return self.work / "base"


class Engine(Protocol):
    """The names that a file of this folder has."""

    ENGINE: str  # with its version: vllm 0.32.0

    def rehearse(self) -> None:
        """Import what the engine imports late, so that no child has to."""

    def measure(self, trial: Trial) -> Measured:
        """Return what the engine does with an adapter, in the jailed child. Raises Unmeasurable."""


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the config of a base; how its weights are quantised does not change what a LoRA meets."""
    kept = {key: value for key, value in config.items() if key not in ("quantization_config", "auto_map")}
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(kept))
