"""Merges without PEFT: their rules and refusals; test_real_libraries.py compares their numbers with PEFT's."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dovetail.adapters.convert import Unconvertible
from dovetail.adapters.merge import Recipe, Source, head_of, merge
from tests.adapters import CONFIG, TINY_BERT, TINY_LLAMA, WEIGHTS, lora, openers, pack, unpack
from tests.convert.test_convert import changed
from tests.sweep import sweep

ONE = lora(TINY_LLAMA, task="CAUSAL_LM", seed=1)
TWO = lora(TINY_LLAMA, task="CAUSAL_LM", seed=2, rank=2, alpha=6)


def sources(*files, weights=None):
    weights = weights or [1.0] * len(files)
    named = zip(("a/one", "a/two", "a/three"), files, weights, strict=False)
    return [Source(name, openers(content), weight) for name, content, weight in named]


def made(folder, chosen, recipe):
    merge(chosen, recipe).write(folder)
    return unpack((folder / WEIGHTS).read_bytes()), json.loads((folder / CONFIG).read_text())


def deltas(tensors, config):
    """Return module → what it adds to the weight of its base."""
    number = {name: np.frombuffer(raw, "<f4").reshape(shape) for name, (_, shape, raw) in tensors.items()}
    modules = {name.removesuffix(".lora_A.weight") for name in number if name.endswith("lora_A.weight")}
    return {
        module: number[f"{module}.lora_B.weight"]
        @ number[f"{module}.lora_A.weight"]
        * config["lora_alpha"]
        / config["r"]
        for module in modules
    }


def own(files):
    return deltas(unpack(files[WEIGHTS]), json.loads(files[CONFIG]))


@pytest.mark.parametrize("recipe", [Recipe("cat"), Recipe("svd", rank=6)], ids=lambda recipe: recipe.method)
def test_unlike_ranks_add_up_exactly(tmp_path, recipe):
    tensors, config = made(tmp_path, sources(ONE, TWO, weights=[0.5, -2]), recipe)
    one, two, both = own(ONE), own(TWO), deltas(tensors, config)
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (6, 6, False)
    assert both.keys() == one.keys()
    for module, delta in both.items():
        assert np.allclose(delta, 0.5 * one[module] - 2 * two[module], atol=1e-5)


def test_a_module_that_one_source_lacks_is_taken_from_the_others(tmp_path):
    some = lora(TINY_LLAMA, task="CAUSAL_LM", seed=3, targets=("q_proj",))
    _, config = made(tmp_path, sources(ONE, some), Recipe("cat"))
    assert sorted(config["target_modules"]) == ["q_proj", "v_proj"]
    assert config["rank_pattern"].keys() == config["alpha_pattern"].keys()
    assert {config["r"], *config["rank_pattern"].values()} == {4, 8}


def test_the_seed_chooses_what_dare_drops(tmp_path):
    same = lora(TINY_LLAMA, task="CAUSAL_LM", seed=5)
    results = [
        made(tmp_path / name, sources(ONE, same), Recipe("dare_ties", density=0.5, seed=seed))[0]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert results[0] == results[1]
    assert results[0] != results[2]


@sweep("chosen, recipe, reason", [
        (sources(ONE, TWO), Recipe("linear"), "q_proj: its ranks are 4, 2; linear adds equal ranks only"),
        (sources(ONE, lora(TINY_BERT, task="CAUSAL_LM")), Recipe("cat"), "to tiny/llama, and a/two to tiny/bert"),
        (sources(ONE, changed(ONE, task_type=None)), Recipe("cat"), "different task_type"),
        (sources(ONE, changed(ONE, base_model_name_or_path=None)), Recipe("cat"), "no base"),
        (sources(ONE, lora(TINY_LLAMA, task="CAUSAL_LM", dora=True)), Recipe("cat"), "a/two is a DoRA"),
        (sources(ONE, ONE), Recipe("cat", head=3), "The head is that of one of the adapters"),
        (sources(ONE), Recipe("cat"), "takes 2 to 16 adapters, not 1"),
        (sources(ONE, ONE, weights=[1, float("nan")]), Recipe("cat"), "weight of a/two"),
        (sources(ONE, ONE, weights=[0, 1]), Recipe("cat"), "weight of a/one"),
        (sources(ONE, ONE), Recipe("sum"), "no method 'sum'"),
        (sources(ONE, ONE), Recipe("ties", density=0), "more than 0, at most 1"),
        (sources(ONE, ONE), Recipe("linear", density=0.5), "takes no density"),
        (sources(ONE, ONE), Recipe("linear", rank=4), "Only svd takes a rank"),
        (sources(ONE, ONE), Recipe("svd", rank=5000), "A rank is 1 to"),
    ])  # fmt: skip
def test_what_cannot_be_added_is_refused_with_the_reason(chosen, recipe, reason):
    with pytest.raises(Unconvertible) as refusal:
        merge(chosen, recipe)
    assert reason in str(refusal.value)


# --- trained heads ---------------------------------------------------------------------------------------------------
HEADS = [lora(TINY_BERT, seed=seed, labels=3) for seed in (1, 2)]
NAMES = ("base_model.model.classifier.weight", "base_model.model.classifier.bias")


def head(tensors):
    return {name: np.frombuffer(tensors[name][2], "<f4") for name in NAMES}


def test_one_head_is_kept_or_their_average_is_and_nothing_of_it_is_guessed(tmp_path):
    own = [head(unpack(files[WEIGHTS])) for files in HEADS]
    with pytest.raises(Unconvertible, match=r"classifier.* a/one and a/two have heads of their own.*--head a/two"):
        merge(sources(*HEADS), Recipe("cat"))
    expected = {1: own[0], 2: own[1], -1: {name: 0.75 * own[0][name] + 0.25 * own[1][name] for name in NAMES}}
    for chosen, wanted in expected.items():
        both = sources(*HEADS, weights=[1.5, 0.5])
        tensors, config = made(tmp_path / str(chosen), both, Recipe("svd", head=chosen))
        assert config["task_type"] == "SEQ_CLS"
        assert all(np.allclose(head(tensors)[name], wanted[name], atol=1e-6) for name in NAMES), chosen


def test_a_head_that_only_one_has_or_that_is_the_same_in_all_needs_no_choice(tmp_path):
    bare = changed(HEADS[1], task_type="SEQ_CLS")
    bare[WEIGHTS] = pack({name: value for name, value in unpack(bare[WEIGHTS]).items() if "classifier" not in name})
    frozen = {**unpack(HEADS[1][WEIGHTS]), **{name: unpack(HEADS[0][WEIGHTS])[name] for name in NAMES}}
    for number, other in enumerate((bare, {**HEADS[1], WEIGHTS: pack(frozen)})):
        tensors, _ = made(tmp_path / str(number), sources(other, HEADS[0]), Recipe("cat"))
        assert all((head(tensors)[name] == head(unpack(HEADS[0][WEIGHTS]))[name]).all() for name in NAMES)


def test_heads_of_other_labels_have_no_average():
    one, two = sources(*HEADS)
    named = [replace(source, labels=labels) for source, labels in ((one, ["a", "b", "c"]), (two, ["a", "c", "b"]))]
    for chosen, reason in (
        (named, "a/one has the labels a, b, c, and a/two a, c, b"),
        (sources(HEADS[0], lora(TINY_BERT, labels=2)), "a/one has"),
        (sources(*HEADS, weights=[1, -1]), "add up to 0"),
    ):
        with pytest.raises(Unconvertible, match=reason):
            merge(chosen, Recipe("cat", head=-1))
    assert head_of("average", ["a/one"]) == -1
    assert [head_of(text, ["a/one", "a/two"]) for text in ("", "a/two", "2")] == [0, 2, 2]
    with pytest.raises(Unconvertible, match="not 'a/three'"):
        head_of("a/three", ["a/one", "a/two"])
