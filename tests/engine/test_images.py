"""Bases that look at pictures and bases that fill in words: PEFT has no task for either, and many adapters of both."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.adapters import pack, unpack, write
from tests.engine.conftest import Engine, python_of
from tests.engine.test_saboteurs import failures

pytestmark = pytest.mark.merge

ENGINES = ("e5", "e4")
OFFLINE = os.environ | {"HF_HUB_OFFLINE": "1"}  # peft asks the Hub for the base of each adapter it saves
ON_VIT = ("vit", "vit-embeddings", "vit-patches", "vit-all-linear")
HONEST = [
    *((name, "vit", engine) for engine in ENGINES for name in ON_VIT),
    *((name, "vit-headed", "e5") for name in ("headed", "headed-anew")),
    *((name, "mlm", "e5") for name in ("mlm", "mlm-head")),
    ("whisper", "whisper", "e5"),
    ("two-towers", "two-towers", "e5"),
]


@pytest.fixture(scope="module")
def made(bases, tmp_path_factory):
    """Bases and adapters by real peft, those of each engine in a folder of its name."""
    folder = tmp_path_factory.mktemp("images")
    script = Path(__file__).parent / "make_images.py"
    for engine in reversed(ENGINES):  # the older one writes the bases
        command = [python_of(engine), script, folder, bases / "bert"]
        subprocess.run(command, check=True, capture_output=True, env=OFFLINE)
    return folder


@pytest.fixture(scope="module")
def ask(made, tmp_path_factory):
    """Asks an engine, started when it is first needed, of an adapter on a base."""
    running = {}

    def asked(engine, base, folder, card=None):
        if (engine, base) not in running:
            options = ("--base", made / "bases" / base, "--base-id", f"tiny/{base}")
            running[engine, base] = Engine(tmp_path_factory.mktemp("engine"), *options, python=python_of(engine))
        return running[engine, base].validate(folder, card)

    yield asked
    for one in running.values():
        one.stop()


def by_id(verdict, check):
    return next(one for one in verdict["checks"] if one["id"] == check)


def spoilt(made, name, target, *, config=None, tensors=lambda found: found):
    files = {path.name: path.read_bytes() for path in (made / "e5" / name).iterdir() if path.is_file()}
    said = json.loads(files["adapter_config.json"]) | (config or {})
    folder = write(files | {"adapter_config.json": json.dumps(said).encode()}, target)
    (folder / "adapter_model.safetensors").write_bytes(pack(tensors(unpack(files["adapter_model.safetensors"]))))
    return folder


@pytest.mark.parametrize(("name", "base", "engine"), HONEST)
def test_an_honest_adapter_passes_on_the_engine_it_was_made_with(name, base, engine, made, ask):
    verdict = ask(engine, base, made / engine / name)
    assert failures(verdict) == [], verdict["checks"]
    assert (verdict["state"], verdict["depth"]) == ("passed", "run")
    for check in ("run.no-effect", "run.not-deterministic", "load.changed-base", "fit.shape"):
        assert by_id(verdict, check)["outcome"] == "passed"
    assert by_id(verdict, "run.merge")["outcome"] in ("passed", "skipped")


@pytest.mark.parametrize(("made_with", "tried_on"), [("e4", "e5"), ("e5", "e4")])
def test_a_vit_adapter_runs_on_the_transformers_it_was_made_with_alone_and_the_other_says_why(
    made_with, tried_on, made, ask
):
    verdict = ask(tried_on, "vit", made / made_with / "vit")
    assert failures(verdict) == ["fit.unexpected"]
    refusal = by_id(verdict, "fit.unexpected")
    assert f"names of transformers {made_with[1]}" in refusal["message"]
    assert refusal["where"]["needs_engine"] == made_with


def test_peft_itself_finds_no_module_where_the_verdict_says_so(made, tmp_path):
    script = (
        "import sys, transformers, peft\n"
        "base = transformers.AutoModelForImageClassification.from_pretrained(sys.argv[1], num_labels=3)\n"
        "peft.PeftModel.from_pretrained(base, sys.argv[2])"
    )
    command = [python_of("e5"), "-c", script, made / "bases" / "vit", made / "e4" / "vit"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=OFFLINE)
    assert "NoMatchingPeftModule" in said.stderr, said.stderr[-500:]


def test_saboteurs_of_image_adapters_fail_with_their_own_check(made, ask, tmp_path):
    def wider_kernel(found):
        return {
            name: (dtype, (*shape[:2], 4, 4), data[: len(data) // 4]) if shape[2:] == (8, 8) else (dtype, shape, data)
            for name, (dtype, shape, data) in found.items()
        }

    def without_head(found):
        return {name: one for name, one in found.items() if "classifier" not in name}

    wrong = {
        "eval.random-head": made / "e5" / "vit-no-head",
        "fit.shape": spoilt(made, "vit-patches", tmp_path / "kernel", tensors=wider_kernel),
        "config.invalid": spoilt(made, "vit", tmp_path / "task", config={"task_type": "IMAGE_CLASSIFICATION"}),
    }
    for check, folder in wrong.items():
        assert failures(ask("e5", "vit", folder)) == [check]
    lost = spoilt(made, "vit", tmp_path / "lost", tensors=without_head)
    assert failures(ask("e5", "vit", lost)) == ["eval.random-head"]
    text = spoilt(made, "vit", tmp_path / "text", config={"task_type": "SEQ_CLS"})
    assert failures(ask("e5", "vit", text)) == ["load.error"]


def test_rows_of_text_are_not_used_where_pictures_are_looked_at_and_the_author_is_told(made, ask, tmp_path):
    folder = shutil.copytree(made / "e5" / "vit", tmp_path / "rows")
    (folder / "smoke.jsonl").write_text('{"text": "a cat", "label": 1}\n')
    verdict = ask("e5", "vit", folder)
    assert verdict["state"] == "passed"
    assert "the base reads images" in by_id(verdict, "eval.rows")["message"]


def test_a_masked_head_is_asked_to_fill_in_the_words_of_plain_sentences(made, ask):
    verdict = ask("e5", "mlm", made / "e5" / "mlm")
    assert [(one["name"], one["metric"]) for one in verdict["evals"]] == [("neutral", "loss")]
