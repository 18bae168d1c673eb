"""Honest adapters of every proven method pass, and the verdict says what was found."""

import pytest

from tests.adapters import TINY_BERT, TINY_LLAMA, TINY_T5, config, facts_of, ia3, lora, prompt, write
from tests.engine.test_saboteurs import failures

HONEST = {
    "lora": lora(),
    "lora in bf16": lora(dtype="BF16"),
    "lora in f16": lora(dtype="F16"),
    "rslora": lora(use_rslora=True),
    "dora": lora(dora=True),
    "lora with a pattern": lora(target_modules=r"(?:.*?)\.(query|value)$"),
    "lora with a look ahead": config(target_modules=r"^(?!.*key).*self\.(query|value)$")(lora()),
    "lora on some layers": lora(layers_to_transform=[0, 1]),
    "lora with five labels": lora(labels=5),
    "lora for embeddings": lora(task="FEATURE_EXTRACTION"),
    "lora without a task": lora(task=None),
    "lora for tokens": lora(task="TOKEN_CLS", labels=3),
    "ia3": ia3(),
    "prompt tuning": prompt("PROMPT_TUNING", TINY_BERT, task="SEQ_CLS"),
    "p-tuning": prompt("P_TUNING", TINY_BERT, task="SEQ_CLS"),
}
FOR_DECODERS = {
    "lora": lora(TINY_LLAMA, task="CAUSAL_LM"),
    "lora on all linear layers": lora(
        TINY_LLAMA, task="CAUSAL_LM", target_modules="all-linear",
        targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    ),
    "ia3": ia3(TINY_LLAMA, task="CAUSAL_LM"),
    "prompt tuning": prompt("PROMPT_TUNING"),
    "p-tuning": prompt("P_TUNING"),
    "prefix tuning": prompt("PREFIX_TUNING"),
    "a classifier": lora(TINY_LLAMA),
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_adapter_passes_on_an_encoder(name, every_bert, tmp_path):
    verdict = every_bert.validate(write(HONEST[name], tmp_path), facts_of(HONEST[name]))
    assert failures(verdict) == [], verdict["checks"]
    assert (verdict["state"], verdict["depth"]) == ("passed", "run")


@pytest.mark.parametrize("name", FOR_DECODERS)
def test_an_honest_adapter_passes_on_a_decoder(name, every_llama, tmp_path):
    verdict = every_llama.validate(write(FOR_DECODERS[name], tmp_path), facts_of(FOR_DECODERS[name]))
    assert failures(verdict) == [], verdict["checks"]
    assert (verdict["state"], verdict["depth"]) == ("passed", "run")


def test_names_that_all_linear_left_out_are_no_missing_targets(every_bert, tmp_path):
    files = config(target_modules=["query", "value", "dense"], exclude_modules=["dense"])(lora())
    assert failures(every_bert.validate(write(files, tmp_path), facts_of(files))) == []


@pytest.mark.parametrize("task", ["SEQ_2_SEQ_LM", "FEATURE_EXTRACTION", None])
@pytest.mark.merge
def test_an_honest_adapter_passes_on_an_encoder_decoder(task, t5, tmp_path):
    files = lora(TINY_T5, task=task, target_modules=r"decoder\..*SelfAttention\.[qv]", targets=("q", "v"))
    verdict = t5.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    assert (verdict["state"], verdict["depth"]) == ("passed", "run")
