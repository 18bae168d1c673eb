"""The job that a worker sends to an engine, and the list of engines; standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

DEFAULT_SECONDS = 120.0
DEFAULT_MEMORY_BYTES = 4 << 30

# Every engine there is, by name, with the formats it runs; of two that run a format the first one decides.
# A line here and a file requirements/engine-N.txt make another one.
ENGINES: Mapping[str, tuple[str, ...]] = {
    "e5": ("peft",),
    "e4": ("peft", "adapters"),
}


@dataclass(frozen=True, slots=True)
class Job:
    """One adapter to validate: `folder` holds the files of the revision, laid out by the worker.

    `memory_bytes` is what the adapter may take on top of the frozen base. `card` is the parsed front matter of its
    README. `base_revision` is passed on into the verdict; `base_names` are other names of the base. `known_bases` are
    ids an engine without a base compares against; None: whether the base is known is not this engine's question.
    `name` is namespace/name, for what is said about serving. `place` is the folder of the adapter that is meant, "" for
    the top. `rows_from` names the set that its rows were borrowed from, "" for its own. `shapes` stands in for a base
    without weights: {id, task, shapes as dovetail.adapters.shapes.encode}.
    """

    id: str
    folder: Path
    seconds: float = DEFAULT_SECONDS
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    base_revision: str | None = None
    base_names: tuple[str, ...] = ()
    base_license: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)
    known_bases: tuple[str, ...] | None = None
    name: str = ""
    place: str = ""
    rows_from: str = ""
    shapes: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Job:
        """Rebuild a job from JSON; unknown keys are left out. Raises `TypeError` when id or folder is missing."""
        known = {name.name: said[name.name] for name in fields(cls) if said.get(name.name) is not None}
        known["folder"] = Path(known["folder"]) if "folder" in known else None
        known["card"] = dict(known.get("card") or {})
        if known["folder"] is None or not isinstance(known.get("id"), str | int):
            raise TypeError("a job needs an id and a folder")
        known["id"] = str(known["id"])
        return cls(**known)

    def says(self) -> dict[str, Any]:
        """Return the job as JSON values."""
        return {name.name: getattr(self, name.name) for name in fields(self)} | {"folder": str(self.folder)}
