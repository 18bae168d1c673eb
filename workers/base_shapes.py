"""Measures the shapes of bases by their config.json, in the interpreter of an engine; fitting is in `registry`."""

import json
import logging
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from dovetail.adapters import records
from dovetail.adapters.records import Malformed
from registry.kernel.errors import ShelfProblem
from registry.models import Base
from registry.proof import fit
from workers import engine_matrix, sandbox

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).parent / "engine" / "shapes.py"
SECONDS = 120  # importing torch takes seconds on a busy machine, measuring one


def measure(base: Base) -> int:
    """Measure a base by its config and store its shapes; return the number of tasks that it has a model for.

    Raises ShelfProblem, also if transformers knows no such model.
    """
    engine = engine_matrix.built()[0]
    measurement = _ask(engine_matrix.interpreter(engine), base)
    if problem := measurement.get("problem"):
        raise ShelfProblem(
            f"Engine {engine} cannot build {base.id} from its config.json: {problem}.",
            fix="Check config.json; a model with code of its own is not taken.",
        )
    return fit.remember(base, engine, measurement)


def measure_missing() -> int:
    """Measure the bases without shapes and return how many; a base that cannot be measured is logged and left."""
    done = 0
    for base in fit.unmeasured():
        try:
            done += measure(base) > 0
        except ShelfProblem as problem:
            logger.warning("A base was not measured: %s", problem, extra={"base": base.id})
    return done


def _ask(python: Path, base: Base) -> dict[str, Any]:
    if not python.exists():
        raise ShelfProblem(f"There is no engine interpreter at {python}.", fix="Build it with `make engines`.")
    with tempfile.TemporaryDirectory(prefix="dovetail-shapes-") as folder:
        (Path(folder) / "config.json").write_text(json.dumps(base.config))
        try:
            done = subprocess.run(
                [str(python), "-I", str(SCRIPT), folder], env=sandbox.environment(Path(folder)), cwd="/",
                capture_output=True, timeout=SECONDS, check=False,
            )  # fmt: skip
            return records.load(done.stdout)
        except (OSError, subprocess.TimeoutExpired, Malformed) as problem:
            raise ShelfProblem(f"The shapes of {base.id} could not be measured: {problem}.") from problem
