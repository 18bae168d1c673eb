"""The job that a worker sends to an engine, and the list of engines; standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from workers.engine.pace import HANG_SECONDS, WALL_SECONDS

DEFAULT_SECONDS = 120.0
WALL_FACTOR = 3.0
DEFAULT_MEMORY_BYTES = 4 << 30

# All engines by name, with the formats they run; if two run a format, the first one decides.
# To add an engine, add a line here and a file requirements/engine-N.txt.
ENGINES: Mapping[str, tuple[str, ...]] = {
    "e5": ("peft",),
    "e4": ("peft", "adapters"),
}


def wall_for(seconds: float) -> float:
    """Return how long a job with this much processor time may take by the clock on a busy machine."""
    return max(seconds, min(WALL_FACTOR * seconds, WALL_SECONDS))


@dataclass(frozen=True, slots=True)
class Job:
    """One adapter to validate: `folder` holds the files of the revision, laid out by the worker.

    `seconds` limits its processor time, `idle_seconds` the time in which it does nothing, and `wall_seconds` the time
    by the clock, beyond which the machine is too busy.
    `memory_bytes` is the limit on top of the frozen base. `card` is the parsed front matter of the README.
    `base_revision` is passed on into the verdict; `base_names` are other names of the base. `known_bases` are the ids
    that an engine without a base compares against; with None it does not check whether the base is known. `place` is
    the folder of the adapter to validate, "" for the top. `adapter_base` is the base of the adapter that the config
    names in place of a base, "" if that is not known. `rows_from` names the shared set that provides the rows, ""
    for the adapter's own. `shapes` replaces a base whose weights are not here: {id, task, shapes as
    dovetail.adapters.shapes.fit.encode}.
    `earlier` has the rows of earlier versions, on which the adapter is compared with them: {revision, rows as the text
    of a smoke.jsonl, label_names of that version}.
    A job with a `module` is no validation: that module of a feature answers it, by its `answer` in this process and its
    `load` in the jail. Nor is one with `programs`, which are run as they stand: {key, sha256, code, answer, and the
    names and revisions by which it loads adapter and base}. `more` is what an engine of a feature is told besides.
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
    adapter_base: str | None = None
    place: str = ""
    rows_from: str = ""
    shapes: Mapping[str, Any] | None = None
    earlier: Sequence[Mapping[str, Any]] = ()
    module: str = ""
    programs: Sequence[Mapping[str, Any]] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    idle_seconds: float = HANG_SECONDS
    wall_seconds: float = WALL_SECONDS

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Job:
        """Rebuild a job from JSON; unknown keys are ignored. Raises `TypeError` if id or folder is missing."""
        names = [entry.name for entry in fields(cls)]
        values: dict[str, Any] = {name: document[name] for name in names if document.get(name) is not None}
        values["folder"] = Path(values["folder"]) if "folder" in values else None
        values["card"] = dict(values.get("card") or {})
        if values["folder"] is None or not isinstance(values.get("id"), str | int):
            raise TypeError("a job needs an id and a folder")
        values["id"] = str(values["id"])
        return cls(**values)

    def says(self) -> dict[str, object]:
        """Return the job as JSON values."""
        return {name.name: getattr(self, name.name) for name in fields(self)} | {"folder": str(self.folder)}
