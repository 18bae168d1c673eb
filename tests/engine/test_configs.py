"""Configs that our loader would never notice, since it gets one of our own: the uploaded one must mean the same."""

import re

import pytest

from dovetail.adapters.checks import ask, opened
from tests.adapters import config, lora, openers, weights
from workers.engine.formats import clean

LILY = {"peft_type": "LILY", "r": 4, "num_B": 2, "stride_A": 2, "lora_alpha": ..., "use_dora": ...}


def failures(files):
    return [found.id for found in ask(opened(openers(files))) if found.outcome == "failed"]


def cleaned(files):
    return clean(opened(openers(files)))


@pytest.mark.parametrize(
    "changes",
    [
        {"lora_dropout": None}, {"lora_dropout": "0.1"}, {"lora_dropout": 2}, {"eva_config": 1}, {"corda_config": []},
        {"lora_ga_config": "x"}, {"use_bdlora": False}, {"layers_pattern": "layer"}, {"arrow_config": 0},
        {"target_modules": ".*query", "layers_to_transform": [0]}, {"target_parameters": ""},
    ],
    ids=str,
)  # fmt: skip
def test_a_key_of_training_over_which_peft_stumbles_at_loading_is_refused(changes):
    assert failures(lora()) == []
    assert failures(config(**changes)(lora())) == ["config.invalid"]


@pytest.mark.parametrize(
    "changes", [{"total_step": None}, {"total_step": ...}, {"tinit": 9}, {"use_dora": True}], ids=str
)
def test_the_schedule_of_adalora_must_be_one_that_peft_loads(changes):
    def with_singular_values(tensors):
        found = dict(tensors)
        for name, (dtype, _, raw) in tensors.items():
            if name.endswith("lora_A.weight"):
                found[name.replace("lora_A.weight", "lora_E")] = (dtype, (4, 1), raw[:16])
        return {name.replace("lora_A.weight", "lora_A").replace("lora_B.weight", "lora_B"): tensor
                for name, tensor in found.items()}  # fmt: skip

    said = {
        "peft_type": "ADALORA",
        "total_step": 10,
        "tinit": 1,
        "tfinal": 1,
        "init_r": 4,
        "target_r": 4,
        "use_dora": False,
    }
    files = config(**said)(weights(with_singular_values)(lora()))
    assert failures(files) == []
    assert failures(config(**changes)(files)) == ["config.invalid"]


def test_an_empty_table_means_a_variant_as_much_as_a_full_one():
    assert failures(config(kasa_config={})(lora())) == ["config.kind"]
    assert failures(config(kasa_config=None)(lora())) == []


def test_null_reaches_the_loader_as_null_and_is_no_default():
    assert cleaned(config(use_rslora=None)(lora()))["use_rslora"] is None
    assert "use_rslora" not in cleaned(lora())


def test_what_modules_of_lily_share_is_told_by_the_names_that_chose_them():
    files = config(**LILY)(weights(as_lily)(lora()))
    assert cleaned(files)["target_modules"] == ["query", "value"]
    pattern = cleaned(config(target_modules=r".*\.(query|value)")(files))["target_modules"]
    assert pattern.split("|") == [re.escape(module) for module in sorted(opened(openers(files)).layout.modules)]


def as_lily(tensors):
    return {name.replace(".lora_", ".lily_"): tensor for name, tensor in tensors.items()}
