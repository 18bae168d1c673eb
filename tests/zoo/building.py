"""Builds the whole zoo in a folder: bases and adapters by the engines' own libraries, then outsiders and saboteurs."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.adapters import write
from tests.engine.conftest import ROOT
from tests.zoo import changes, outsiders, saboteurs, specimen, wild
from tests.zoo.specimen import ENGINES, Specimen, refused_by
from tests.zoo.wild.row import Row

HERE = Path(__file__).parent
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
# Who makes adapters, with which engine's libraries: a script, its engine, and the folder it writes.
MAKERS = (
    ("make_peft.py", "e5", "peft5"), ("make_peft.py", "e4", "peft4"), ("make_library.py", "e4", "library"),
    ("make_wild.py", "e5", "wild5"),
)  # fmt: skip


def run(engine: str, script: Path, *arguments: str | Path) -> None:
    """Runs a script by an engine's interpreter, without a network. Raises `CalledProcessError`."""
    command = [str(ROOT / ".engines" / engine / "bin" / "python"), str(script), *map(str, arguments)]
    subprocess.run(command, check=True, env=os.environ | OFFLINE, capture_output=True)


def bases(folder: Path, names: Sequence[str] = ()) -> Path:
    """The small bases, made once."""
    if not (folder / "bases").exists():
        run("e4", HERE / "make_bases.py", folder / "bases", *names)
    return folder / "bases"


def made(folder: Path, script: str, engine: str, name: str, wanted: Sequence[str] = ()) -> list[Specimen]:
    """The specimens of one maker; a name tells the engine whose libraries made it."""
    if not (folder / name / "specimens.jsonl").exists():
        run(engine, HERE / script, bases(folder), folder / name, *wanted)
    return [replace(one, name=f"{name}/{one.name}") for one in specimen.read(folder / name)]


def changed(folder: Path, sources: Path) -> list[Specimen]:
    """Outsiders and saboteurs, each a changed copy of one of the adapters in `sources`; those of others are left out."""
    shutil.rmtree(folder / "changed", ignore_errors=True)
    (folder / "changed").mkdir()
    found = []
    base_of = {one.name: one.base for one in specimen.read(sources)}
    for name, source, change in outsiders.every(folder / "bases"):
        if source in base_of:
            found.append(_changed(folder, sources, name, source, base_of, change))
    for name, source, check, change in saboteurs.every(folder / "bases"):
        if source.partition("@")[0] in base_of:
            one = _changed(folder, sources, name, source, base_of, change)
            found.append(replace(one, expected=refused_by(check)))
    return found


def _changed(
    folder: Path, sources: Path, name: str, source: str, base_of: dict[str, str], change: changes.Change
) -> Specimen:
    source, _, base = source.partition("@")
    target = folder / "changed" / f"{len(list((folder / 'changed').iterdir())):03}"
    target.mkdir()
    write(change(changes.load(sources / source)), target)
    return Specimen(name, base or base_of[source], target, {}, ENGINES, f"from {source}")


def everything(folder: Path) -> list[Specimen]:
    """Builds what is not there yet and returns every specimen."""
    bases(folder)
    found = [one for script, engine, name in MAKERS for one in made(folder, script, engine, name)]
    return found + changed(folder, folder / "peft5") + as_tools_leave_them(folder)


def as_tools_leave_them(folder: Path, rows: Sequence[Row] | None = None) -> list[Specimen]:
    """The wild zoo: made adapters with what the tools of trainers put around them, and files made of nothing."""
    shutil.rmtree(folder / "wild", ignore_errors=True)
    makers = {row.source.partition("/")[0] for row in wild.every()} - {""}
    base_of = {
        f"{maker}/{one.name}": one.base
        for maker in makers if (folder / maker / "specimens.jsonl").exists()
        for one in specimen.read(folder / maker)
    }  # fmt: skip
    found = []
    for number, row in enumerate(wild.every() if rows is None else rows):
        target = folder / "wild" / f"{number:03}"
        target.mkdir(parents=True)
        write(row.change(changes.load(folder / row.source) if row.source else {}), target)
        base = base_of.get(row.source, "") if row.base is None else row.base
        found.append(
            Specimen(
                f"wild: {row.name}", base, target, refused_by(row.expected, row.engines), row.engines, row.source,
                warns=None if row.expected else row.warns, says=row.says, facts=row.facts,
            )
        )  # fmt: skip
    return found
