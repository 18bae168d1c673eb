"""The type of a specimen and the collection of all; make_*.py, outsiders.py and spoilt.py create them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ENGINES = ("e5", "e4")


@dataclass(frozen=True)
class Specimen:
    """One adapter in a folder, the base it is tried on ("" for none), and by engine the check that must refuse it.

    An engine that is not named must pass it; `engines` are those it is tried on. `depth` is asked where it is not "".
    The others are asked where they are given: `warns`, all checks that must warn of it when it passes; `says`, what
    must stand in what the verdict says of it; `facts` by name.
    """

    name: str
    base: str
    folder: Path
    expected: Mapping[str, str] = field(default_factory=dict)
    engines: tuple[str, ...] = ENGINES
    why: str = ""
    depth: str = ""
    warns: tuple[str, ...] | None = None
    says: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def wanted(self, engine: str) -> str:
        return self.expected.get(engine, "")


def read(folder: Path) -> list[Specimen]:
    """The specimens that a maker left in a folder, with what it said of each."""
    found = []
    for line in (folder / "specimens.jsonl").read_text().splitlines():
        said = json.loads(line)
        found.append(
            Specimen(
                said["name"], said["base"], folder / said["folder"], said.get("expected", {}),
                tuple(said.get("engines", ENGINES)), said.get("why", ""), said.get("depth", ""),
            )
        )  # fmt: skip
    return found


def write(folder: Path, specimens: Iterable[Specimen]) -> None:
    """Leaves them as `read` finds them."""
    with (folder / "specimens.jsonl").open("w") as file:
        for one in specimens:
            line = {"name": one.name, "base": one.base, "expected": dict(one.expected), "engines": one.engines,
                    "why": one.why, "depth": one.depth, "folder": str(one.folder.relative_to(folder))}  # fmt: skip
            file.write(json.dumps(line) + "\n")


def refused_by(check: str, engines: Iterable[str] = ENGINES) -> dict[str, str]:
    return dict.fromkeys(engines, check)
