"""Checks that only warn: an adapter passes with them, and says what its author may want to know."""

import pytest

from dovetail.adapters import check
from tests.adapters import config, lora, openers, weights
from tests.pickled import new_object, torch_file


def finding(files, id, card=None):
    """Return how one check of these files ended, and its message."""
    [result] = [result for result in check(openers(files), card) if result.id == id]
    return result.outcome, result.message


def test_tensors_of_one_dtype_pass_and_a_mixture_warns_with_its_names():
    def one_in_half(tensors):
        name = next(iter(tensors))
        _, shape, raw = tensors[name]
        return tensors | {name: ("F16", shape, raw[: len(raw) // 2])}

    assert finding(lora(), "tensors.dtype") == ("passed", "All tensors are F32.")
    assert finding(weights(one_in_half)(lora()), "tensors.dtype") == ("warned", "The tensors mix F16, F32.")


def test_a_module_that_one_layer_lacks_warns_with_its_name():
    def without_one(tensors):
        return {name: tensor for name, tensor in tensors.items() if "layer.0.attention.self.query" not in name}

    outcome, message = finding(lora(), "tensors.layers")
    assert (outcome, message.partition(",")[0]) == ("passed", "Layers 0 to 1")
    outcome, message = finding(weights(without_one)(lora()), "tensors.layers")
    assert outcome == "warned"
    assert "attention.self.query is not in every layer" in message


@pytest.mark.parametrize(
    ("card", "task", "outcome", "words"),
    [
        ({"pipeline_tag": "text-classification"}, "SEQ_CLS", "passed", "The task is text-classification."),
        ({}, "SEQ_CLS", "passed", "The card names no task; the adapter's files name text-classification."),
        ({}, None, "warned", "Neither the card nor the adapter's files name a task."),
    ],
)
def test_a_task_is_told_by_the_card_or_the_files_or_asked_for(card, task, outcome, words):
    assert finding(lora(task=task), "card.task", card) == (outcome, words)


def test_a_trainers_arguments_are_no_trace_and_a_token_in_them_is():
    def arguments(**values):
        return {**lora(), "training_args.bin": torch_file(new_object("trl.trainer.sft_config", "SFTConfig", **values))}

    assert finding(arguments(output_dir="out"), "privacy.training-data")[0] == "passed"
    outcome, message = finding(arguments(output_dir="/home/me/runs"), "privacy.training-data")
    assert (outcome, message) == ("warned", "training_args.bin names a home folder (/home/me).")
    outcome, message = finding(arguments(hub_token="hf_" + "a" * 34), "privacy.secret")
    assert (outcome, message) == ("warned", "training_args.bin contains a Hugging Face token.")
    assert finding({**lora(), "optimizer.pt": torch_file(b"\x80\x02}.")}, "privacy.training-data")[0] == "warned"


def test_keys_that_old_releases_wrote_are_known_where_they_mean_nothing():
    assert finding(config(enable_lora=None, merge_weights=False)(lora()), "config.invalid")[0] == "passed"
    assert finding(config(enable_lora=[True, False])(lora()), "config.invalid")[0] == "warned"
