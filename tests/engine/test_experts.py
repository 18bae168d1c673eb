"""LoRA on the tables that hold all experts of a layer: made by real peft, run, and spoilt."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.adapters import CONFIG, WEIGHTS, pack, unpack, write
from tests.engine.conftest import Engine, python_of
from tests.engine.test_saboteurs import failures

pytestmark = pytest.mark.merge

OFFLINE = os.environ | {"HF_HUB_OFFLINE": "1"}  # peft asks the Hub for the base of each adapter it saves


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experts")
    script = Path(__file__).parent / "make_experts.py"
    subprocess.run([python_of("e5"), script, folder], check=True, capture_output=True, env=OFFLINE)
    return folder


@pytest.fixture(scope="module", params=["mixtral", "gpt-oss"])
def base(request, made, tmp_path_factory):
    options = ("--base", made / "bases" / request.param, "--base-id", f"tiny/{request.param}")
    engine = Engine(tmp_path_factory.mktemp("engine"), *options, python=python_of("e5"))
    yield request.param, engine
    engine.stop()


def changed(folder, target, config=None, tensors=lambda found: found):
    said = json.loads((folder / CONFIG).read_bytes()) | (config or {})
    found = pack(tensors(unpack((folder / WEIGHTS).read_bytes())))
    return write({CONFIG: json.dumps(said).encode(), WEIGHTS: found}, target)


def inner_only(found):
    return {name: one for name, one in found.items() if "experts.lora" not in name}


def one_by_one(found):
    """As transformers 4 named them: each expert a module."""
    kept = {name: one for name, one in found.items() if "experts" not in name}
    path = next(name for name in found if "experts.base_layer" in name).partition("experts")[0]
    first = next(one for name, one in kept.items() if name.endswith("lora_A.weight"))
    second = next(one for name, one in kept.items() if name.endswith("lora_B.weight"))
    return kept | {f"{path}experts.0.w1.lora_A.weight": first, f"{path}experts.0.w1.lora_B.weight": second}


WRONG = {
    "fit.missing": {"tensors": inner_only},
    "fit.shape": {"config": {"r": 8, "target_modules": ["q_proj"], "rank_pattern": {"q_proj": 4}}},
    "tensors.targets": {"config": {"target_parameters": ["experts.down_proj"]}},
    "load.error": {"config": {"lora_dropout": 0.1}},
}


@pytest.mark.parametrize("variant", ["both", "down", "ranks"])
def test_a_lora_on_all_experts_runs_and_merges(variant, base, made):
    name, engine = base
    verdict = engine.validate(made / f"{name}-{variant}")
    assert failures(verdict) == [], verdict["checks"]
    outcomes = {check["id"]: check["outcome"] for check in verdict["checks"]}
    wanted = ("fit.shape", "run.no-effect", "run.not-deterministic", "load.changed-base", "run.merge")
    assert {check: outcomes[check] for check in wanted} == dict.fromkeys(wanted, "passed")


@pytest.mark.parametrize("check", WRONG)
def test_a_spoilt_one_fails_with_its_own_check(check, base, made, tmp_path):
    name, engine = base
    verdict = engine.validate(changed(made / f"{name}-both", tmp_path, **WRONG[check]))
    assert failures(verdict) == [check], verdict["checks"]


def test_experts_one_by_one_are_refused_where_they_are_one_table_and_the_verdict_says_why(base, made, tmp_path):
    name, engine = base
    said = {"target_modules": ["q_proj", "w1"], "target_parameters": None}
    verdict = engine.validate(changed(made / f"{name}-both", tmp_path, said, one_by_one))
    assert failures(verdict) == ["fit.unexpected"], verdict["checks"]
    refusal = next(check for check in verdict["checks"] if check["id"] == "fit.unexpected")
    assert "in one table" in refusal["message"]
    assert refusal["where"]["needs_engine"] == "e4"
