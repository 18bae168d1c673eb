"""The engine's end of the pipe: readiness, jobs, streamed checks, limits, and a base that nothing can change."""

import subprocess
from pathlib import Path

import pytest

from dovetail.adapters.checks import ids_of
from tests.adapters import (
    TINY_BERT,
    config,
    extra_tensor,
    facts_of,
    hostile_pickle,
    lora,
    prompt,
    weights,
    with_file,
    write,
)
from tests.engine.conftest import Engine, python_of
from tests.engine.test_saboteurs import failures


def check_of(verdict, name):
    return next(check for check in verdict["checks"] if check["id"] == name)


def test_it_says_what_it_is_when_it_is_ready(bert):
    ready = bert.ready
    assert ready["event"] == "ready"
    assert ready["engine"] == {
        "name": "e5", "torch": "2.13.0+cpu", "transformers": "5.24.0", "peft": "0.21.2", "attention": "sdpa",
        "device": "cpu", "dtype": "float32", "threads": 1, "batch": 8,
    }  # fmt: skip
    assert ready["base"]["id"] == "tiny/bert"
    assert len(ready["base"]["sha256"]) == 64
    assert ready["jail"]["holes"] == []
    assert ready["jail"]["threads"] == 1


def test_checks_are_told_as_they_end_and_again_in_the_verdict(bert, tmp_path):
    verdict = bert.validate(write(lora(), tmp_path), facts_of(lora()), base_revision="abc")
    assert bert.streamed == verdict["checks"]
    asked = ids_of("peft", "lora")
    assert [check["id"] for check in verdict["checks"]][: len(asked)] == asked
    assert verdict["base"] == {"id": "tiny/bert", "revision": "abc", "sha256": bert.ready["base"]["sha256"]}
    assert (verdict["kind"], verdict["format"]) == ("lora", "peft")


def test_the_same_adapter_gets_the_same_verdict_twice(bert, tmp_path):
    folder, said = write(lora(), tmp_path), []
    for _ in range(2):
        verdict = bert.validate(folder, facts_of(lora()))
        said.append([(check["id"], check["outcome"]) for check in verdict["checks"]])
    assert said[0] == said[1]


def test_a_revision_without_a_file_is_refused_in_words(bert, tmp_path):
    verdict = bert.validate(tmp_path)
    assert verdict["state"] == "failed"
    assert set(failures(verdict)) == {"file.missing", "config.missing"}


def test_a_link_out_of_the_folder_is_not_followed(bert, tmp_path):
    folder = write(lora(), tmp_path)
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.safetensors").symlink_to("/etc/passwd")
    assert failures(bert.validate(folder)) == ["file.missing"]


def test_memory_beyond_the_limit_is_the_adapters_fault_and_named(bert, tmp_path):
    files = extra_tensor("base_model.model.large", (1024, 8192))(lora())
    verdict = bert.validate(write(files, tmp_path), facts_of(files), memory_bytes=1 << 20)
    assert failures(verdict) == ["limits.memory"], verdict["checks"]
    assert verdict["state"] == "failed"


def test_time_beyond_the_limit_is_the_adapters_fault_and_named_with_the_number(bert, tmp_path):
    verdict = bert.validate(write(lora(), tmp_path), facts_of(lora()), seconds=0.001)
    assert failures(verdict) == ["limits.time"]
    assert "0.001 seconds" in check_of(verdict, "limits.time")["message"]


def test_prefix_tuning_on_an_encoder_names_the_engine_it_needs(bert, tmp_path):
    verdict = bert.validate(write(prompt("PREFIX_TUNING", TINY_BERT, task="SEQ_CLS"), tmp_path))
    assert failures(verdict) == ["load.error"]
    assert "e4" in check_of(verdict, "load.error")["fix"]


def test_an_engine_without_a_base_checks_files_only(without_base, tmp_path):
    assert without_base.ready["base"] is None
    files = config(base_model_name_or_path="nobody/knows")(lora())
    verdict = without_base.validate(write(files, tmp_path), facts_of(files), known_bases=["tiny/bert"])
    assert failures(verdict) == ["base.unknown"]
    assert verdict["depth"] == "static"


def test_the_base_is_intact_after_a_bias_that_may_change_it(bert, tmp_path):
    """Biases travel with bias='all': allowed with a warning, and gone with the child."""
    files = config(bias="all")(lora())
    files = weights(
        lambda t: {
            **t,
            "base_model.model.bert.encoder.layer.0.output.dense.bias": ("F32", (32,), b"\x00\x00\x80?" * 32),
        }
    )(files)
    verdict = bert.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    assert check_of(verdict, "config.changes-base")["outcome"] == "warned"
    assert bert.validate(write(lora(), tmp_path / "next"), facts_of(lora()))["state"] == "passed"


def test_a_verdict_of_a_hub_says_that_the_base_is_in_its_base_cache(bert, tmp_path):
    verdict = bert.validate(write(lora(), tmp_path), facts_of(lora()))
    assert check_of(verdict, "base.unknown")["outcome"] == "passed"
    assert "base cache" in check_of(verdict, "base.unknown")["message"]


def test_the_number_of_a_module_is_the_one_that_peft_would_take(bert, tmp_path):
    """The first key that matches decides: a better one behind it must not hide what everybody else would load."""
    for number, first in enumerate(("query", ".*query")):
        files = config(alpha_pattern={first: 1e9, "attention.self.query": 8})(lora())
        verdict = bert.validate(write(files, tmp_path / str(number)), facts_of(files))
        assert check_of(verdict, "tensors.scale")["outcome"] == "warned"


def test_the_copies_of_a_head_that_peft_saves_with_every_bias_are_looked_past(bert, tmp_path):
    """With bias='all' save_pretrained() writes the head's bias three times; loaders take the one in its own place."""
    copies = ("modules_to_save", "original_module")
    files = weights(
        lambda t: t | {f"base_model.model.classifier.{c}.bias": t["base_model.model.classifier.bias"] for c in copies}
    )(lora())
    verdict = bert.validate(write(config(bias="all")(files), tmp_path / "all"), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    verdict = bert.validate(write(files, tmp_path / "none"), facts_of(files))
    assert failures(verdict) == ["fit.unexpected"]


def test_the_state_of_a_training_is_to_be_deleted_and_not_saved_again(bert, tmp_path):
    files = with_file("optimizer.pt", hostile_pickle())(lora())
    verdict = bert.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == ["file.pickle"]
    assert check_of(verdict, "file.pickle")["fix"].startswith("Delete optimizer.pt")


def test_a_job_whose_folder_is_gone_is_errored_and_the_next_is_taken(bert, tmp_path):
    verdict = bert.validate(tmp_path / "gone")
    assert (verdict["state"], failures(verdict)) == ("errored", ["engine.check-crashed"])
    assert bert.validate(write(lora(), tmp_path), facts_of(lora()))["state"] == "passed"


def test_a_base_pinned_to_another_revision_than_the_one_on_the_shelf_warns_with_both(bert, tmp_path):
    shelf = "0123456789abcdef0123456789abcdef01234567"
    for said, outcome in (("fedcba9876543210", "warned"), ("main", "warned"), (shelf[:7], "passed"), (shelf, "passed")):
        files = config(revision=said)(lora())
        verdict = bert.validate(write(files, tmp_path / said), facts_of(files), base_revision=shelf)
        check = check_of(verdict, "base.unpinned")
        assert check["outcome"] == outcome
        assert said in check["message"]
        assert shelf in check["message"] or outcome == "passed"


@pytest.mark.merge
def test_a_warm_parent_has_imported_all_that_its_children_use(bases):
    """Else each child reads it anew, and one that begins while the hub is updated gets half of another version."""
    command = [python_of("e5"), Path(__file__).parent / "unimported.py", bases / "bert"]
    done = subprocess.run(command, capture_output=True, text=True, env={"OMP_NUM_THREADS": "1"})
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr[-1000:]


def test_an_engine_without_a_job_for_a_while_ends_by_itself(tmp_path):
    folder = write(lora(), tmp_path / "adapter")
    engine = Engine(tmp_path, "--idle", "3")
    assert engine.validate(folder)["state"] == "passed"
    assert engine.process.wait(60) == 0
    engine.stop()
