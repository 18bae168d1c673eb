"""Checks that only warn: an adapter passes with them, and says what its author may want to know."""

import pytest

from dovetail.adapters import check
from tests.adapters import lora, openers, weights


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
    ("card", "outcome", "words"),
    [
        ({"pipeline_tag": "text-classification"}, "passed", "The task is text-classification."),
        ({"license": "mit"}, "warned", "The card names no task."),
    ],
)
def test_a_card_says_its_task_or_is_asked_for_it(card, outcome, words):
    assert finding(lora(), "card.task", card) == (outcome, words)
