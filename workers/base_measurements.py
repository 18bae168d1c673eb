"""Measures the shapes of bases, by config.json in the interpreter of an engine. Fitting is in `registry`."""

import json
import logging
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dovetail.adapters.results import records
from dovetail.adapters.results.records import Malformed
from registry.kernel.errors import ShelfProblem
from registry.models import Base
from registry.proof import fit
from registry.repos import bases
from workers.engine.pace import WALL_SECONDS, Pace
from workers.engines import capabilities, sessions

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).parent / "engine" / "shapes.py"
CPU_SECONDS, IDLE_SECONDS = 120.0, 30.0  # importing torch takes seconds, measuring one
LOOK_SECONDS = 0.05
ATTEMPTS = 3  # of one measurement that a busy or ailing machine broke off

_given_up: set[tuple[str, str]] = set()  # ids and revisions that this process has tried in vain


def measure_shapes(base: Base) -> int:
    """Measure a base by its config and store its shapes; return the number of tasks that it has a model for.

    Raises ShelfProblem, also if transformers knows no such model.
    """
    engine = capabilities.built()[0]
    measurement = _ask(capabilities.interpreter(engine), base)
    if problem := measurement.get("problem"):
        raise ShelfProblem(
            f"Engine {engine} cannot build {base.id} from its config.json: {problem}.",
            fix="Check config.json; models with custom code are not supported.",
        )
    return fit.remember(base, engine, measurement)


def measure_missing_shapes() -> int:
    """Measure the bases without shapes and return how many; a base that cannot be measured is logged and left."""
    done = 0
    for base in fit.unmeasured():
        try:
            done += measure_shapes(base) > 0
        except ShelfProblem as problem:
            logger.warning("A base was not measured: %s", problem, extra={"base": base.id})
    return done


def measure_named_shapes(names: Iterable[str]) -> None:
    """Measure those of the named bases that nobody has measured; a process tries each once, and the clock goes on."""
    wanted = {bases.canonical_name(name).casefold() for name in names}
    for base in fit.unmeasured() if wanted else ():
        if base.id.casefold() in wanted and (base.id, base.revision) not in _given_up:
            try:
                measure_shapes(base)
            except ShelfProblem as problem:
                _given_up.add((base.id, base.revision))
                logger.warning("A base was not measured: %s", problem, extra={"base": base.id})


def _ask(python: Path, base: Base) -> Mapping[str, Any]:
    if not python.exists():
        raise ShelfProblem(f"There is no engine interpreter at {python}.", fix="Build it with `make engines`.")
    problem = ""
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix="dovetail-shapes-") as folder:
            (Path(folder) / "config.json").write_text(json.dumps(base.config))
            try:
                return records.load(_run([str(python), "-I", str(SCRIPT), folder], Path(folder)))
            except (OSError, TimeoutError, Malformed) as fault:
                problem = str(fault)
    raise ShelfProblem(f"The shapes of {base.id} could not be measured: {problem}.")


def _run(command: Sequence[str], folder: Path) -> bytes:
    """Return the output of a program, which is limited by its own time. Raises TimeoutError."""
    with (folder / "output").open("w+b") as output:
        with sessions.program(command, folder, output) as program:
            pace = Pace(program.pid, CPU_SECONDS, IDLE_SECONDS, WALL_SECONDS)
            while program.wait(LOOK_SECONDS) is None:
                if excess := pace.excess():
                    raise TimeoutError(f"the measurement was ended by its limit of time ({excess})")
        output.seek(0)
        return output.read()
