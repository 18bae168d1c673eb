"""The parent of a serving engine: what it makes of a trial that misbehaves, and what its interpreter may know."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dovetail.adapters.serving import ENGINES, diffusers
from features.measured import engine
from features.measured.engine import MEASURERS
from ops.sentences import ROOT

FOLDER = Path(engine.__file__).parent
SCRIPT = Path(__file__).parent / "stages.py"


def tried(body, seconds=20, idle_seconds=30):
    """Return what is said of a trial whose serving engine misbehaves."""
    command = [sys.executable, "-I", str(SCRIPT), body, str(seconds), str(idle_seconds)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("body", "limits", "stopped"),
    [
        ("spins", (0.5, 30), "after 0.5 seconds of processor time, the limit of a trial"),
        ("sleeps", (20, 0.3), "because it did nothing for 0.3 seconds"),
    ],
)
def test_a_trial_that_reaches_a_limit_of_time_is_stopped_once(body, limits, stopped):
    answer = tried(body, *limits)
    assert ("ended" in answer, answer["reason"]) == (False, "")
    assert {key: answer["measured"][key] for key in ("engine", "refusal", "stopped")} == {
        "engine": "vllm 0.32.0", "refusal": "", "stopped": stopped,
    }  # fmt: skip


def test_a_trial_that_crashes_is_none_that_was_stopped():
    answer = tried("crashes")
    assert (answer["measured"], answer["ended"]) == (None, True)


def test_a_trial_reads_nothing_of_the_hub():
    answer = tried("reads_the_hub")
    assert (answer["measured"], answer["ended"]) == (None, True)
    assert "PermissionError" in answer["reason"]


def test_the_parent_of_a_serving_engine_loads_no_django():
    code = f"import sys; sys.path[:0] = ['{ROOT}', '{ROOT}/client/src']; import features.measured.engine.measure; "
    code += "print(*sorted({'django', 'celery', 'registry', 'hub'} & {name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")


@pytest.mark.parametrize("name", MEASURERS)
def test_a_serving_engine_that_is_tried_has_its_file_requirements_and_lock(name: str) -> None:
    assert name in {server.name for server in ENGINES}, "its answer becomes a part of that engine's row"
    file = (FOLDER / f"{MEASURERS[name].module}.py").read_text()
    assert re.findall(r"^(?:def )?(ENGINE|rehearse|measure)\b", file, re.MULTILINE) == ["ENGINE", "rehearse", "measure"]
    assert f"-c constraints-{name}.txt" in (ROOT / f"requirements/engine-{name}.txt").read_text()
    assert (ROOT / f"requirements/constraints-{name}.txt").read_text()


def test_every_pipeline_that_the_name_of_a_base_means_has_its_models() -> None:
    table = (FOLDER / "pipelines.py").read_text()
    meant = {*diffusers.BASES.values(), *diffusers.FAMILIES.values()}
    assert [name for name in sorted(meant) if f'\n    "{name}": ' not in table] == []
