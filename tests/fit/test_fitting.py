"""Fitting adapters to bases that nobody has the weights of: what fits, what does not, and with which numbers."""

import json
import math

import pytest

from dovetail.adapters.files.header import HeaderError, read_alone
from dovetail.adapters.shapes.base_fits import Adapter, NotComputable
from dovetail.adapters.shapes.fit import decode, encode
from registry.proof import fit
from tests.adapters import openers, pack
from tests.fit.bases import (
    BERT,
    BERT_CONFIG,
    GPT2,
    LLAMA_8B,
    LLAMA_70B,
    MISTRAL,
    QWEN,
    T5,
    bert_lora,
    decoder_lora,
    header_of,
    lora_config,
)  # fmt: skip

WEIGHTS = pack({name: ("BF16", shape, bytes(2 * math.prod(shape))) for name, shape in bert_lora().items()})


def lay(config, tensors, shapes):
    return Adapter(config, read_alone(json.dumps(header_of(tensors)).encode())).on(shapes)


@pytest.mark.parametrize("base", [LLAMA_8B, LLAMA_70B, MISTRAL, QWEN])
def test_a_lora_fits_the_base_it_was_written_out_for(shapes, base):
    tensors = decoder_lora(base)
    found = lay(lora_config(base), tensors, shapes(base))
    assert found.fits, found.why
    assert found.needed == len(tensors)


def test_a_lora_of_another_size_is_told_which_tensors_differ_and_how(shapes):
    found = lay(lora_config(LLAMA_8B), decoder_lora(LLAMA_8B), shapes(QWEN))
    assert not found.fits
    assert len(found.wrong) == 28 * 14
    first = found.wrong[0]
    assert first.tensor.endswith("layers.0.self_attn.q_proj.lora_A.weight")
    assert (first.found, first.expected) == ((16, 4096), (16, 3584))
    assert "392 of 392 tensors have another shape" in found.why
    assert len(found.unexpected) == 4 * 14, "the four layers that Qwen does not have"


def test_a_layer_that_is_missing_is_named(shapes):
    tensors = {name: shape for name, shape in decoder_lora(LLAMA_8B).items() if ".layers.7." not in name}
    found = lay(lora_config(LLAMA_8B), tensors, shapes(LLAMA_8B))
    assert len(found.missing) == 14
    assert all(".layers.7." in name for name in found.missing)


def test_a_tensor_the_config_does_not_select_has_no_place(shapes):
    config = lora_config(LLAMA_8B, target_modules=["q_proj", "v_proj"])
    found = lay(config, decoder_lora(LLAMA_8B), shapes(LLAMA_8B))
    assert len(found.unexpected) == 32 * 10


def test_a_weight_of_the_base_in_the_file_replaces_it(shapes):
    name = "base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight"
    found = lay(lora_config(LLAMA_8B), decoder_lora(LLAMA_8B) | {name: (4096, 4096)}, shapes(LLAMA_8B))
    assert found.replaces == (name,)
    assert "It would replace weights of the base" in found.why


def test_a_vocabulary_that_grew_fits_and_is_counted(shapes):
    grown = {
        "base_model.model.model.embed_tokens.weight": (128261, 4096), "base_model.model.lm_head.weight": (128261, 4096),
    }  # fmt: skip
    config = lora_config(LLAMA_8B, modules_to_save=["embed_tokens", "lm_head"])
    found = lay(config, decoder_lora(LLAMA_8B) | grown, shapes(LLAMA_8B))
    assert found.fits, found.why
    assert found.grown == 128261


def test_equal_shapes_cannot_be_told_apart(shapes):
    found = [lay(lora_config(LLAMA_8B), decoder_lora(LLAMA_8B), shapes(base)) for base in (LLAMA_8B, MISTRAL)]
    assert all(one.fits for one in found)


@pytest.mark.parametrize("labels", [2, 3, 28])
def test_a_head_fits_with_any_number_of_labels(shapes, labels):
    found = lay(BERT_CONFIG, bert_lora(labels=labels), shapes(BERT, "SEQ_CLS"))
    assert found.fits, found.why


def test_a_head_of_another_width_does_not(shapes):
    found = lay(BERT_CONFIG, bert_lora() | {"base_model.model.classifier.weight": (3, 1024)}, shapes(BERT, "SEQ_CLS"))
    assert [one.tensor for one in found.wrong] == ["base_model.model.classifier.weight"]


def test_gpt2_and_t5_have_names_of_their_own(shapes):
    gpt2 = {}
    for layer in range(12):
        path = f"base_model.model.transformer.h.{layer}.attn.c_attn"
        gpt2 |= {f"{path}.lora_A.weight": (8, 768), f"{path}.lora_B.weight": (2304, 8)}
    assert lay(lora_config(GPT2, 8, target_modules=["c_attn"]), gpt2, shapes(GPT2)).fits
    t5 = {}
    for part, count in (("encoder", 1), ("decoder", 2)):
        for layer in range(6):
            for number in range(count):
                inner = "SelfAttention" if number == 0 else "EncDecAttention"
                for name in "qv":
                    path = f"base_model.model.{part}.block.{layer}.layer.{number}.{inner}.{name}"
                    t5 |= {f"{path}.lora_A.weight": (8, 512), f"{path}.lora_B.weight": (512, 8)}
    config = lora_config(T5, 8, task_type="SEQ_2_SEQ_LM", target_modules=["q", "v"])
    found = lay(config, t5, shapes(T5, "SEQ_2_SEQ_LM"))
    assert found.fits, found.why
    assert not lay(config, t5, shapes(GPT2)).fits


def test_a_prompt_is_as_wide_as_the_words_of_its_base(shapes):
    config = {"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 20}
    assert lay(config, {"prompt_embeddings": (20, 4096)}, shapes(LLAMA_8B)).fits
    assert not lay(config, {"prompt_embeddings": (20, 4096)}, shapes(LLAMA_70B)).fits


def test_a_method_that_is_not_known_is_not_guessed_at(shapes):
    with pytest.raises(NotComputable, match="not an adapter of PEFT"):
        lay({}, decoder_lora(LLAMA_8B), shapes(LLAMA_8B))
    with pytest.raises(NotComputable, match="WHATEVER"):
        lay({"peft_type": "WHATEVER"}, decoder_lora(LLAMA_8B), shapes(LLAMA_8B))


@pytest.mark.parametrize("changes", [{"r": [8]}, {"r": "x"}, {"rank_pattern": {"query": []}}, {"peft_type": ["LORA"]}])
def test_a_field_of_the_wrong_type_ends_a_survey_without_an_error(known, changes):
    """The check config.invalid names the field; the validation goes on to say so."""
    files = {"adapter_config.json": json.dumps(BERT_CONFIG | changes).encode(), "adapter_model.safetensors": WEIGHTS}
    assert fit.survey_files(openers({**files, "adapter_config.json": json.dumps(BERT_CONFIG).encode()})) is not None
    assert fit.survey_files(openers(files)) is None


def test_shapes_are_the_same_after_they_were_stored(shapes):
    one = shapes(LLAMA_70B)
    assert decode(json.loads(json.dumps(encode(one)))) == one
    assert (one.vocabulary, one.layers, one.architectures) == (128256, 80, ("LlamaForCausalLM",))


def test_a_header_without_its_tensors_is_read_as_strictly_as_one_with_them():
    raw = json.dumps(header_of({"a": (2, 3), "b": (4,)})).encode()
    assert read_alone(raw) == read_alone(len(raw).to_bytes(8, "little") + raw)
    gap = header_of({"a": (2, 3), "b": (4,)})
    gap["b"]["data_offsets"] = [14, 22]
    for spoilt in (b"", b"[]", raw[:-1], json.dumps(gap).encode(), b"\xff" * 64):
        with pytest.raises(HeaderError):
            read_alone(spoilt)
