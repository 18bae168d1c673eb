"""Facts of trainers: their values with file and key, from files of any content, and never from a pickle."""

import io
import json

import pytest

from dovetail.adapters import trainer_facts
from dovetail.adapters.trainer_facts import MAX_BYTES, MAX_POINTS, Stated, Training, read

HISTORY = [*({"step": step, "loss": 1 / step} for step in range(1, 301)), {"step": 300, "eval_loss": 2}]
STATE = {"global_step": 300, "epoch": 3.0, "best_metric": 0.91, "train_batch_size": True, "log_history": HISTORY}
BAD = (
    b"", b"{", b"[]", b'{"global_step": NaN, "log_history": {"a": 1}}', b"[" * 100_000, b"\xff", b" " * (MAX_BYTES + 1),
    b'{"\\ud800": 1, "a\\nb": 2}',
    b'{"global_step": 1' + b"0" * 400 + b', "log_history": [1, null, {"step": "a", "loss": 1}]}',
)  # fmt: skip


def facts(files, notes=None):
    openers = {path: (lambda raw=raw: io.BytesIO(raw)) for path, raw in files.items()}
    return read(openers, notes or {}, "x.safetensors")


def test_each_fact_has_the_file_and_the_key_it_was_read_from():
    path = "checkpoint-30/trainer_state.json"
    files = {
        "checkpoint-9/trainer_state.json": json.dumps({"global_step": 9}).encode(),
        path: json.dumps(STATE).encode(),
        "all_results.json": b'{"eval_f1": 0.5, "name": "x"}',
        "training_args.bin": b"no pickle is opened",
    }
    notes = {"ss_network_dim": "16", "ss_optimizer": "None", "ss_dataset_dirs": "/home/me", "modelspec.title": "T"}
    found = facts(files, notes)
    assert found.facts == (
        Stated("global_step", 300.0, f"{path}:global_step"),
        Stated("epoch", 3.0, f"{path}:epoch"),
        Stated("best_metric", 0.91, f"{path}:best_metric"),
        Stated("eval_f1", 0.5, "all_results.json:eval_f1"),
        Stated("modelspec.title", "T", "x.safetensors:modelspec.title"),
        Stated("ss_network_dim", "16", "x.safetensors:ss_network_dim"),
    )
    assert (found.losses[0], len(found.losses), found.losses_source) == ((1.0, 1.0), 100, f"{path}:log_history")
    assert len(found.losses) <= MAX_POINTS
    assert trainer_facts.paths(files) == [path, "all_results.json"]


def test_trigger_words_are_the_phrase_or_the_commonest_tags():
    tags = json.dumps({"10_cat": {"sks cat": 9, "sitting": 4}, "2_dog": {"sitting": 7, "bad": "x"}, "odd": 3})
    assert facts({}, {"ss_tag_frequency": tags}).words == ("sitting", "sks cat")
    assert facts({}, {"ss_tag_frequency": tags, "modelspec.trigger_phrase": " sks "}).words == ("sks",)


@pytest.mark.parametrize("raw", BAD)
def test_no_content_is_an_error(raw):
    notes = {"ss_tag_frequency": "{", "modelspec.title": "\ud800"}
    assert facts({"trainer_state.json": raw, "all_results.json": raw}, notes) == Training()
