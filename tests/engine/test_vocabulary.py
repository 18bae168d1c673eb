"""Saved embeddings, grown vocabularies and trained tokens warn; other rows for the base's own tokens are refused."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dovetail.adapters.files.values import converted
from tests.adapters import TINY_LLAMA, config, extra_tensor, facts_of, lora, weights, with_file, write
from tests.engine.conftest import Engine, python_of
from tests.engine.test_protocol import check_of
from tests.engine.test_saboteurs import failures

PATHS = {"model.embed_tokens": "model.embed_tokens.weight", "lm_head": "lm_head.weight"}


def of_base(bases, path="model.embed_tokens"):
    return load_file(bases / "llama" / "model.safetensors")[PATHS[path]]


def grown(table):
    return np.vstack([table, np.full((3, 32), 0.1, "f4")])


def carrying(table, path="model.embed_tokens", files=None, dtype="F32"):
    entry = (dtype, table.shape, converted(np.ascontiguousarray(table, "<f4").tobytes(), "F32", dtype))
    spoil = weights(lambda tensors: {**tensors, f"base_model.model.{path}.weight": entry})
    return spoil(files or lora(TINY_LLAMA, task="CAUSAL_LM"))


def test_embeddings_of_the_base_itself_pass_with_a_warning(llama, bases, tmp_path):
    files = carrying(of_base(bases))
    verdict = llama.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    assert check_of(verdict, "base.vocabulary")["outcome"] == "warned"


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_embeddings_of_the_base_in_half_the_bits_pass_with_a_warning(llama, bases, tmp_path, dtype):
    """Trainers hold the base in the dtype they compute in, and save it so."""
    for name, table in {"same": of_base(bases), "grown": grown(of_base(bases))}.items():
        files = carrying(table, dtype=dtype)
        verdict = llama.validate(write(files, tmp_path / name), facts_of(files))
        assert failures(verdict) == [], verdict["checks"]
        assert f"rounds the base's embeddings to {dtype}" in check_of(verdict, "base.vocabulary")["message"]


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_other_values_in_half_the_bits_replace_the_base(llama, bases, tmp_path, dtype):
    for name, table, check in (
        ("same", of_base(bases) * 1.01, "tensors.replaces-base"),
        ("grown", grown(of_base(bases) * 1.01), "load.changed-base"),
    ):
        files = carrying(table, dtype=dtype)
        assert failures(llama.validate(write(files, tmp_path / name), facts_of(files))) == [check]


def test_other_values_for_the_tokens_of_the_base_replace_it(llama, bases, tmp_path):
    files = carrying(of_base(bases) + 1)
    assert failures(llama.validate(write(files, tmp_path), facts_of(files))) == ["tensors.replaces-base"]


def test_a_smuggled_output_layer_replaces_the_base(llama, bases, tmp_path):
    files = carrying(of_base(bases, "lm_head") * 2, "lm_head")
    assert failures(llama.validate(write(files, tmp_path), facts_of(files))) == ["tensors.replaces-base"]


def test_a_grown_vocabulary_passes_with_a_warning(llama, bases, tmp_path):
    files = with_file("added_tokens.json", json.dumps({"<new>": 66}).encode())(carrying(grown(of_base(bases))))
    verdict = llama.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    assert "67 rows, the base 64" in check_of(verdict, "base.vocabulary")["message"]


def test_a_grown_vocabulary_trained_whole_passes(llama, bases, tmp_path):
    files = lora(TINY_LLAMA, task="CAUSAL_LM", modules_to_save=["embed_tokens", "lm_head"])
    for path in PATHS:
        files = carrying(grown(of_base(bases, path)), path, files)
    verdict = llama.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]


def with_copies(bases, of_wrapped):
    """As save_pretrained() writes it: each table once as trained, once more as trained, and once as it was wrapped."""
    files = lora(TINY_LLAMA, task="CAUSAL_LM", modules_to_save=["embed_tokens", "lm_head"])
    for path in PATHS:
        trained = grown(of_base(bases, path)) + 0.5
        for wrapper, table in {
            "": trained, ".modules_to_save": trained, ".original_module": of_wrapped(grown(of_base(bases, path)))
        }.items():  # fmt: skip
            files = carrying(table, path + wrapper, files)
    return files


def test_the_copies_that_peft_saves_of_a_grown_vocabulary_are_looked_past(llama, bases, tmp_path):
    files = with_copies(bases, lambda table: table)
    verdict = llama.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    assert check_of(verdict, "base.vocabulary")["outcome"] == "warned"


def test_a_copy_that_would_overwrite_the_embeddings_of_the_base_is_refused(llama, bases, tmp_path):
    files = with_copies(bases, lambda table: table + 1)
    assert failures(llama.validate(write(files, tmp_path), facts_of(files))) == ["load.changed-base"]


def tied(table, other):
    files = lora(TINY_LLAMA, task="CAUSAL_LM", modules_to_save=["embed_tokens"], ensure_weight_tying=True)
    return carrying(other, "lm_head", carrying(table, files=files))


def test_an_output_layer_tied_to_saved_embeddings_must_be_the_same(llama, bases, tmp_path):
    files = tied(of_base(bases) + 1, of_base(bases) + 2)
    assert failures(llama.validate(write(files, tmp_path), facts_of(files))) == ["tensors.replaces-base"]


def test_tied_layers_on_a_base_that_ties_none_change_it(llama, bases, tmp_path):
    files = tied(of_base(bases) + 1, of_base(bases) + 1)
    assert failures(llama.validate(write(files, tmp_path), facts_of(files))) == ["load.changed-base"]


def test_a_bias_or_table_that_the_base_does_not_have_is_unexpected(llama, tmp_path):
    for number, name in enumerate(("model.nowhere.bias", "model.nowhere.embed_tokens.weight")):
        files = extra_tensor(f"base_model.model.{name}", (99, 32))(lora(TINY_LLAMA, task="CAUSAL_LM", bias="all"))
        verdict = llama.validate(write(files, tmp_path / str(number)), facts_of(files))
        assert failures(verdict) == ["fit.unexpected"], verdict["checks"]


def test_added_tokens_without_rows_fail(llama, tmp_path):
    files = with_file("added_tokens.json", b'{"<new>": 64}')(lora(TINY_LLAMA, task="CAUSAL_LM"))
    assert failures(llama.validate(write(files, tmp_path), facts_of(files))) == ["base.vocabulary"]


def test_trained_tokens_pass_with_a_warning(llama, tmp_path):
    files = config(trainable_token_indices=[3, 5])(lora(TINY_LLAMA, task="CAUSAL_LM"))
    files = extra_tensor("base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta", (2, 32), 0.3)(
        files
    )
    verdict = llama.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    assert check_of(verdict, "base.vocabulary")["outcome"] == "warned"


def test_a_classifier_saved_without_a_task_has_a_random_head(bert, tmp_path):
    """PEFT leaves the head out of the file, and every load makes a new one."""
    mapping = {"base_model_class": "BertForSequenceClassification", "parent_library": "transformers"}
    files = weights(lambda tensors: {name: entry for name, entry in tensors.items() if "classifier" not in name})(
        lora()
    )
    files = config(task_type=None, modules_to_save=None, auto_mapping=mapping)(files)
    assert failures(bert.validate(write(files, tmp_path), facts_of(files))) == ["eval.random-head"]


@pytest.mark.merge
@pytest.mark.parametrize("engine", ["e5", "e4"])
def test_what_neither_base_nor_file_has_is_drawn_by_each_load(bases, tmp_path, engine):
    """PEFT saves the classifier of a BERT for masked words, and not the pooler before it."""
    base = shutil.copytree(bases / "bert", tmp_path / "base")
    file = base / "model.safetensors"
    save_file({name: one for name, one in load_file(file).items() if "pooler" not in name}, file, {"format": "pt"})
    own = lora(size=0.6)
    pooler = "base_model.model.bert.pooler.dense"
    whole = extra_tensor(f"{pooler}.bias", (32,), 0.1)(extra_tensor(f"{pooler}.weight", (32, 32), 0.3)(own))
    cases = {
        "pooler": own,
        "saved": config(modules_to_save=["classifier", "score", "pooler"])(whole),
        "tokens": lora(task="TOKEN_CLS", size=0.6),
        "vectors": lora(task="FEATURE_EXTRACTION", size=0.6),
    }
    one = Engine(tmp_path, "--base", base, "--base-id", "tiny/bert", python=python_of(engine))
    try:
        said = {name: one.validate(write(files, tmp_path / name), facts_of(files)) for name, files in cases.items()}
    finally:
        one.stop()
    assert {name: failures(verdict) for name, verdict in said.items()} == {
        "pooler": ["run.random-weights"],
        "saved": [],
        "tokens": [],
        "vectors": [],
    }
    check = check_of(said["pooler"], "run.random-weights")
    assert check["where"]["tensors"] == ["bert.pooler.dense.bias", "bert.pooler.dense.weight"]
    assert "Train again with pooler in modules_to_save" in check["fix"]


def test_a_task_the_base_has_no_model_for_is_refused_in_words(bert, tmp_path):
    verdict = bert.validate(write(lora(task="SEQ_2_SEQ_LM"), tmp_path), facts_of(lora()))
    assert failures(verdict) == ["load.error"]
    assert "SEQ_2_SEQ_LM" in check_of(verdict, "load.error")["message"]


DELTA = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"


def tokenizer_with(*ids):
    added = [{"id": number, "content": f"<new {number}>", "special": True} for number in ids]
    content = {"version": "1.0", "added_tokens": added, "model": {"type": "WordLevel", "vocab": {}}}
    return with_file("tokenizer.json", json.dumps(content).encode())


def new_tokens(*ids):
    files = config(trainable_token_indices=list(ids))(lora(TINY_LLAMA, task="CAUSAL_LM"))
    return extra_tensor(DELTA, (len(ids), 32), 0.3)(files)


def test_new_tokens_whose_rows_are_trained_pass_on_a_base_that_is_grown_for_them(llama, tmp_path):
    """As PEFT's documentation does it: add tokens, resize the base, train their rows alone."""
    files = tokenizer_with(2, 64, 65, 66)(new_tokens(64, 65, 66))
    verdict = llama.validate(write(files, tmp_path / "whole"), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    check = check_of(verdict, "base.vocabulary")
    assert "It adds 3 tokens to the base's 64" in check["message"]
    assert "resize_token_embeddings(67)" in check["fix"]


@pytest.mark.parametrize("files", [new_tokens(64, 65), tokenizer_with(64, 65, 66)(new_tokens(64, 65))])
def test_new_tokens_without_their_tokenizer_or_without_all_rows_fail(llama, tmp_path, files):
    assert failures(llama.validate(write(files, tmp_path), facts_of(files))) == ["base.vocabulary"]


def test_tokens_that_only_tokenizer_json_numbers_need_rows_too(llama, tmp_path):
    """transformers 5 writes no added_tokens.json any more."""
    files = tokenizer_with(0, 1, 70)(lora(TINY_LLAMA, task="CAUSAL_LM"))
    verdict = llama.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == ["base.vocabulary"]
    assert "tokenizer.json gives a token the id 70" in check_of(verdict, "base.vocabulary")["message"]


def test_trained_tokens_that_no_sentence_of_ours_has_are_felt(llama, tmp_path):
    config_of_tokens = {
        "peft_type": "TRAINABLE_TOKENS", "task_type": "CAUSAL_LM", "base_model_name_or_path": "tiny/llama",
        "token_indices": [44, 45], "target_modules": ["embed_tokens"], "inference_mode": True,
        "init_weights": True, "revision": None,
    }  # fmt: skip
    files = lora(TINY_LLAMA, task="CAUSAL_LM")
    delta = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"
    files = weights(
        lambda _: {delta.replace("token_adapter.", ""): ("F32", (2, 32), np.full((2, 32), 0.7, "f4").tobytes())}
    )({**files, "adapter_config.json": json.dumps(config_of_tokens).encode()})
    verdict = llama.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    assert "changes the outputs by up to" in check_of(verdict, "run.no-effect")["message"]


TEMPLATE, OTHER = "{% for m in messages %}{{ m.content }}{% endfor %}", "{{ messages[0].content }}"
# The ways in which releases of transformers save a template, and several.
OF_RELEASES = {
    "a file": {"chat_template.jinja": TEMPLATE + "\n"},
    "a file beside older ones": {
        "chat_template.jinja": TEMPLATE, "tokenizer_config.json": json.dumps({"chat_template": OTHER}),
    },
    "a file of several": {"chat_template.jinja": TEMPLATE, "additional_chat_templates/tool_use.jinja": OTHER},
    "the tokenizer's config": {"tokenizer_config.json": json.dumps({"chat_template": TEMPLATE})},
    "several in the tokenizer's config": {
        "tokenizer_config.json": json.dumps({"chat_template": [
            {"name": "tool_use", "template": OTHER}, {"name": "default", "template": TEMPLATE}]}),
    },
    "a processor's file": {"chat_template.json": json.dumps({"chat_template": TEMPLATE})},
}  # fmt: skip


def test_a_chat_template_that_is_not_the_base_s_is_told(llama, tmp_path):
    for name, files in OF_RELEASES.items():
        files = {path: text.encode() for path, text in files.items()} | lora(TINY_LLAMA, task="CAUSAL_LM")
        check = check_of(llama.validate(write(files, tmp_path / name), facts_of(files)), "base.chat-template")
        assert check["outcome"] == "warned", name
        assert "tiny/llama has none: a server of the base refuses chat requests" in check["message"]


@pytest.mark.merge
def test_the_base_s_own_chat_template_is_no_other(bases, tmp_path):
    base = shutil.copytree(bases / "llama", tmp_path / "base")
    transformers_5 = OF_RELEASES["a file of several"]
    for path, text in transformers_5.items():
        (base / path).parent.mkdir(exist_ok=True)
        (base / path).write_text(text)
    engine = Engine(tmp_path, "--base", base, "--base-id", "tiny/llama")
    for name, saved in {**OF_RELEASES, "another": {"chat_template.jinja": OTHER}}.items():
        files = {path: text.encode() for path, text in saved.items()} | lora(TINY_LLAMA, task="CAUSAL_LM")
        check = check_of(engine.validate(write(files, tmp_path / name), facts_of(files)), "base.chat-template")
        if name == "another":
            assert check["outcome"] == "warned"
            assert "differs from that of tiny/llama" in check["message"]
        else:
            assert (check["outcome"], check["message"]) == ("passed", "Its chat template is that of its base."), name
    engine.stop()


def test_the_names_of_tokens_are_compared_with_those_of_the_base(llama, tmp_path):
    said = json.dumps({"unk_token": "<unk>", "bos_token": {"content": "<s>"}, "pad_token": "[PAD]"}).encode()
    files = with_file("tokenizer_config.json", said)(lora(TINY_LLAMA, task="CAUSAL_LM"))
    check = check_of(llama.validate(write(files, tmp_path), facts_of(files)), "base.vocabulary")
    assert check["outcome"] == "passed", "what changes no generation is told as a fact"
    assert "bos_token is '<s>', and the base has none; unk_token is '<unk>', in the base '[UNK]'" in check["message"]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("added_tokens.json", b'{"<new>": %s}' % (b"9" * 400)),
        ("tokenizer.json", b'{"added_tokens": [{"id": %s, "content": "<new>"}]}' % (b"9" * 400)),
    ],
)
def test_a_token_with_a_number_of_any_length_is_told_and_crashes_nothing(llama, tmp_path, path, data):
    files = with_file(path, data)(lora(TINY_LLAMA, task="CAUSAL_LM"))
    verdict = llama.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == ["base.vocabulary"]
    assert f"{path} gives a token the id 2,147,483,648" in check_of(verdict, "base.vocabulary")["message"]
