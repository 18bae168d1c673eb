"""Facts of a revision: tags, library and base, from its files first and its card second."""

import pytest

from dovetail.adapters import Description
from registry.repos.contents import facts
from registry.repos.contents.card import parse_card

LORA = Description("peft", kind="lora", base="acme/base", task="text-classification")
WEIGHTS = ["adapter_config.json", "adapter_model.safetensors"]


def derived(front: str = "", description: Description | None = None, paths=(), task: str = "", papers=()) -> list[str]:
    return facts.derive_tags(parse_card(f"---\n{front}\n---\n"), description, paths, task=task, papers=papers)


def test_the_order_is_the_hubs():
    front = "license: mit\nlanguage: [en, 'no']\ndatasets: [glue]\ntags: [reviews]"
    found = derived(front, LORA, WEIGHTS, task="text-classification", papers=["2106.09685"])
    assert found == [
        "peft", "reviews", "safetensors", "lora", "text-classification", "en", "no", "dataset:glue",
        "base_model:acme/base", "base_model:adapter:acme/base", "license:mit", "arxiv:2106.09685",
    ]  # fmt: skip


def test_the_files_know_their_library_better_than_the_card():
    card = parse_card("---\nlibrary_name: transformers\n---\n")
    assert facts.library_of(card, LORA, WEIGHTS) == "peft"
    assert facts.library_of(card, Description("adapters"), WEIGHTS) == "adapter-transformers"
    assert facts.library_of(card, None, ["config.json"]) == "transformers"
    assert facts.library_of(parse_card("---\ntags: [x, setfit]\n---\n"), None, []) == "setfit"
    assert facts.library_of(parse_card(""), None, ["pytorch_lora_weights.safetensors"]) == "diffusers"
    assert facts.library_of(parse_card(""), None, ["README.md"]) == ""


@pytest.mark.parametrize("path", ["/home/alice/base", "./out", "../x", "C:\\models\\x", "a/b/c", "~/x", "", "x" * 300])
def test_a_path_on_somebodys_disk_is_no_base_and_no_tag(path):
    front = f"base_model: '{path}'\ntags: ['base_model:adapter:{path}', fine]"
    found = derived(front, Description("peft", kind="lora", base=path))
    assert found == ["peft", "fine", "lora"]


def test_a_relation_is_stated_or_follows_from_what_is_there():
    assert derived("base_model: a/b") == ["base_model:a/b", "base_model:finetune:a/b"]
    assert "base_model:merge:c/d" in derived("base_model: [a/b, c/d]")
    assert "base_model:quantized:a/b" in derived("base_model: a/b\nbase_model_relation: quantized")
    assert "base_model:adapter:a/b" in derived("base_model: a/b\nbase_model_relation: nonsense", LORA)


def test_papers_are_found_in_the_text():
    text = "See https://arxiv.org/abs/2106.09685 and http://arxiv.org/pdf/2305.14314v2 and arxiv.org/abs/2106.09685."
    assert facts.arxiv_ids(text) == ["2106.09685", "2305.14314"]


def test_a_dataset_says_what_it_is_with_the_keys_of_its_card():
    card = parse_card("---\nlanguage: [en, fr]\nsize_categories: 1K<n<10K\ntask_ids: [nli]\nlicense: mit\n---\n")
    found = facts.derive_tags(card, None, [], task="", papers=[], type="dataset")
    assert found == ["language:en", "language:fr", "size_categories:1K<n<10K", "task_ids:nli", "license:mit"]
    assert facts.derive_tags(card, None, [], task="", papers=[]) == ["en", "fr", "license:mit"]


def test_a_card_that_counts_its_emissions_is_found_by_that():
    assert derived("co2_eq_emissions: 12.5") == ["co2_eq_emissions"]
