"""Serving engines that are tried with adapters, one file each; `workers.engine.job.MEASURERS` lists them.

Such a file is imported by the interpreter .engines/NAME alone, which holds the engine. It has the three names of
`Engine` below. It starts no thread and no socket when it is imported or rehearses, since the process forks after that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dovetail.adapters.results.report import Measured
from dovetail.adapters.serving import Subject
from workers.engine.processes.child import MEMORY_WORDS

MAX_REFUSAL = 400
OURS = (*MEMORY_WORDS, "can't start new thread")  # words of errors that the jail causes


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


def words(problem: BaseException) -> str:
    """Return the message of an error as one line."""
    return " ".join(str(problem).split())[:MAX_REFUSAL] or type(problem).__name__


def refused(engine: str, trial: Trial, problem: BaseException) -> Measured:
    """Return the refusal of an adapter by the engine's own error. Raises Unmeasurable where the jail is its cause."""
    message = words(problem).replace(str(trial.adapter), "the adapter")
    if any(ours in message for ours in OURS):
        raise Unmeasurable(message) from problem
    return Measured(engine=engine, of=len(trial.subject.modules), refusal=message)
