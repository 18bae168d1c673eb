"""Adapters on bases without attention run on both engines; a prefix, which is keys and values, is refused there."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.adapters import CONFIG, config, prompt, write
from tests.engine.conftest import Engine, python_of
from tests.engine.test_protocol import check_of
from tests.engine.test_saboteurs import failures

pytestmark = pytest.mark.merge

MAKER = Path(__file__).parent / "make_attention_free.py"
BASES = ("mamba", "mamba2", "falcon-mamba", "rwkv")


@pytest.fixture(scope="module")
def made(engine_python, bases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attention-free")
    subprocess.run([str(engine_python), str(MAKER), str(bases), str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("engine", ["e5", "e4"])
@pytest.mark.parametrize("base", BASES)
def test_what_works_beside_the_weights_of_a_base_without_attention_runs(base, engine, made, tmp_path):
    validator = Engine(tmp_path, "--base", made / base, "--base-id", f"tiny/{base}", python=python_of(engine))
    try:
        for method in ("lora", "loha", "prompt"):
            folder = made / f"{base}-{method}"
            if not folder.exists():
                continue
            named = json.loads((folder / CONFIG).read_text())["base_model_name_or_path"]
            assert named == f"tiny/{base}"
            verdict = validator.validate(folder, {"license": "mit", "base_model": named})
            assert (failures(verdict), verdict["depth"]) == ([], "run"), (method, verdict["checks"][-1])
        prefix = config(base_model_name_or_path=f"tiny/{base}")(prompt("PREFIX_TUNING"))
        verdict = validator.validate(write(prefix, tmp_path / "prefix"), {"license": "mit"})
        assert len(failures(verdict)) == 1
        assert "accepts no past keys and values" in check_of(verdict, failures(verdict)[0])["message"]
    finally:
        validator.stop()


@pytest.mark.parametrize(("engine", "depth"), [("e5", "run"), ("e4", "fit")])
def test_a_mamba_2_saved_by_transformers_5_is_said_not_to_run_on_4(engine, depth, made, tmp_path):
    base = shutil.copytree(made / "mamba2", tmp_path / "base")
    saved = (base / "config.json").read_text()
    assert saved.count("Infinity") == 1
    (base / "config.json").write_text(saved.replace("Infinity", '{"__float__": "Infinity"}'))
    validator = Engine(tmp_path, "--base", base, "--base-id", "tiny/mamba2", python=python_of(engine))
    try:
        verdict = validator.validate(made / "mamba2-lora", {"license": "mit", "base_model": "tiny/mamba2"})
    finally:
        validator.stop()
    assert (verdict["state"], verdict["depth"]) == ("passed", depth), verdict["checks"][-1]
    if depth == "fit":
        reason = "transformers 4.57.6 does not read time_step_limit of its config as transformers 5 saves it"
        assert reason in check_of(verdict, "run.not-here")["message"]
