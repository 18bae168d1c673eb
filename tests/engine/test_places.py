"""Repositories that hold several adapters: all are listed, and it is clear which of them a verdict is about."""

import pytest

from dovetail.adapters import check, describe
from dovetail.adapters.formats.description import contents, judged
from tests.adapters import CARD, CONFIG, TINY_BERT, WEIGHTS, lora, openers, prompt
from tests.engine.test_foreign import gguf, repository


def at(folder, files=None):
    return {f"{folder}/{path}": data for path, data in (files or lora()).items() if path != CARD}


LAYOUTS = {
    "one at the top": (lora(), [""]),
    "one at the top, checkpoints beside it": ({**lora(), **at("checkpoint-10"), **at("checkpoint-500")}, [""]),
    "one in a folder": (at("adapter"), ["adapter"]),
    "one deep in folders": (at("out/final.v2"), ["out/final.v2"]),
    "several names of PEFT": ({**at("english"), **at("german"), **at("french")}, ["english", "french", "german"]),
    "checkpoints alone": ({**at("checkpoint-90"), **at("checkpoint-500")}, ["checkpoint-500"]),
    "a finished one and checkpoints": ({**at("final"), **at("checkpoint-500")}, ["final"]),
    "one near the top and one deeper": ({**at("a"), **at("b/c")}, ["a"]),
    "ten of them": ({path: data for n in range(10) for path, data in at(f"a{n}").items()}, [f"a{n}" for n in range(8)]),
    "images at the top, text in a folder": ({**repository("kohya"), **at("text")}, [""]),
    "nothing": ({"README.md": b"# hello"}, [""]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_which_folders_a_verdict_is_about(name):
    files, expected = LAYOUTS[name]
    assert judged(contents(openers(files))) == expected


def test_every_adapter_is_listed_with_its_path_format_and_kind():
    files = {**lora(), **at("checkpoint-10"), **at("mlx", repository("mlx")), **at("gguf", gguf())}
    found = [(one.path, one.format, one.kind) for one in contents(openers(files))]
    assert found == [
        ("", "peft", "lora"),
        ("mlx", "mlx", "lora"),
        ("gguf/x.gguf", "gguf", "lora"),
        ("checkpoint-10", "peft", "lora"),
    ]


def test_an_adapter_in_a_folder_is_proven_as_if_it_were_the_repository():
    files = {**at("adapter"), CARD: lora()[CARD]}
    said = list(check(openers(files)))
    assert [result.id for result in said if result.outcome == "failed"] == []
    assert {result.where["path"] for result in said} == {"adapter"}
    found = describe(openers(files))
    assert found is not None
    assert (found.base, found.place) == (TINY_BERT.id, "adapter")


def test_of_several_adapters_each_is_proven_and_a_spoilt_one_is_named():
    files = {**at("english"), **at("german")}
    files["german/" + WEIGHTS] = files["german/" + WEIGHTS][:-3]
    failed = [(result.id, result.where["path"]) for result in check(openers(files)) if result.outcome == "failed"]
    assert failed == [("file.header", "german")]


def test_a_checkpoint_beside_a_finished_adapter_is_listed_and_refuses_nothing():
    files = {**lora(), **at("checkpoint-10")}
    files["checkpoint-10/" + WEIGHTS] = b"broken"
    said = list(check(openers(files)))
    assert [result.id for result in said if result.outcome == "failed"] == []
    told = next(result.message for result in said if result.id == "file.ambiguous")
    assert f"checkpoint-10/{CONFIG}" in told


def test_more_adapters_than_are_proven_are_told_of():
    files = {path: data for n in range(10) for path, data in at(f"a{n}").items()}
    told = next(result for result in check(openers(files)) if result.id == "file.ambiguous")
    assert (told.outcome, told.where["folders"]) == ("warned", 10)


def test_a_file_beside_the_one_that_was_checked_is_told_of():
    files = {"lora-000010.safetensors": repository("kohya")["x.safetensors"], **repository("kohya")}
    told = next(result for result in check(openers(files)) if result.id == "file.ambiguous")
    assert (told.outcome, told.where["files"]) == ("warned", ["x.safetensors"])


@pytest.mark.parametrize("elsewhere", ["", "other/"])
def test_weights_that_lie_elsewhere_are_not_those_of_a_folder_without_any(elsewhere):
    """A prompt's names tell no format, so that nothing else in the repository is an adapter."""
    files = prompt("PROMPT_TUNING")
    spread = {f"{elsewhere}{WEIGHTS}": files[WEIGHTS], f"mine/{CONFIG}": files[CONFIG], CARD: files[CARD]}
    assert "file.missing" in {result.id for result in check(openers(spread)) if result.outcome == "failed"}
    whole = {f"mine/{path}": data for path, data in files.items()}
    assert [result.id for result in check(openers(whole)) if result.outcome == "failed"] == []
