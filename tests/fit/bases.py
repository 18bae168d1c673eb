"""The sizes of well-known bases as their config.json states them, and the LoRAs that people train on them."""

from __future__ import annotations

import math
from typing import Any

Shapes = dict[str, tuple[int, ...]]
Config = dict[str, Any]


def _decoder(
    kind: str, name: str, width: int, inner: int, layers: int, heads: int, kv: int, words: int, **more: Any
) -> Config:
    return {
        "model_type": kind, "architectures": [name], "hidden_size": width, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": words,
        "max_position_embeddings": 8192, "tie_word_embeddings": False, **more,
    }  # fmt: skip


CONFIGS: dict[str, Config] = {
    "meta-llama/Meta-Llama-3-8B": _decoder("llama", "LlamaForCausalLM", 4096, 14336, 32, 32, 8, 128256),
    "meta-llama/Meta-Llama-3-70B": _decoder("llama", "LlamaForCausalLM", 8192, 28672, 80, 64, 8, 128256),
    "mistralai/Mistral-7B-v0.1": _decoder("mistral", "MistralForCausalLM", 4096, 14336, 32, 32, 8, 32000),
    "Qwen/Qwen2.5-7B": _decoder("qwen2", "Qwen2ForCausalLM", 3584, 18944, 28, 28, 4, 152064),
    "google-bert/bert-base-uncased": {
        "model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 768, "intermediate_size": 3072,
        "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 30522, "max_position_embeddings": 512,
    },
    "openai-community/gpt2": {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 768, "n_layer": 12, "n_head": 12,
        "vocab_size": 50257, "n_positions": 1024,
    },
    "google-t5/t5-small": {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 512, "d_ff": 2048, "d_kv": 64,
        "num_layers": 6, "num_heads": 8, "vocab_size": 32128, "is_encoder_decoder": True, "pad_token_id": 0,
        "decoder_start_token_id": 0,
    },
}  # fmt: skip
LLAMA_8B, LLAMA_70B, MISTRAL, QWEN, BERT, GPT2, T5 = CONFIGS


def lora_config(base: str, rank: int = 16, **more: Any) -> Config:
    return {
        "peft_type": "LORA", "base_model_name_or_path": base, "task_type": "CAUSAL_LM", "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], "bias": "none",
        **more,
    }  # fmt: skip


def decoder_lora(base: str, rank: int = 16) -> Shapes:
    """Every tensor of a LoRA on all linear modules of a decoder, written out from its config."""
    said = CONFIGS[base]
    width, inner = said["hidden_size"], said["intermediate_size"]
    narrow = width // said["num_attention_heads"] * said["num_key_value_heads"]
    modules = {
        "self_attn.q_proj": (width, width), "self_attn.k_proj": (width, narrow), "self_attn.v_proj": (width, narrow),
        "self_attn.o_proj": (width, width), "mlp.gate_proj": (width, inner), "mlp.up_proj": (width, inner),
        "mlp.down_proj": (inner, width),
    }  # fmt: skip
    found: Shapes = {}
    for layer in range(said["num_hidden_layers"]):
        for name, (inputs, outputs) in modules.items():
            found[f"base_model.model.model.layers.{layer}.{name}.lora_A.weight"] = (rank, inputs)
            found[f"base_model.model.model.layers.{layer}.{name}.lora_B.weight"] = (outputs, rank)
    return found


def bert_lora(rank: int = 8, labels: int = 3) -> Shapes:
    found: Shapes = {
        "base_model.model.classifier.weight": (labels, 768), "base_model.model.classifier.bias": (labels,),
    }  # fmt: skip
    for layer in range(12):
        for name in ("query", "value"):
            path = f"base_model.model.bert.encoder.layer.{layer}.attention.self.{name}"
            found[f"{path}.lora_A.weight"], found[f"{path}.lora_B.weight"] = (rank, 768), (768, rank)
    return found


BERT_CONFIG = lora_config(BERT, 8, task_type="SEQ_CLS", target_modules=["query", "value"])


def header_of(shapes: Shapes) -> dict[str, Any]:
    """A safetensors header as JSON: BF16, one tensor after the other."""
    entries, at = {}, 0
    for name, shape in shapes.items():
        end = at + 2 * math.prod(shape)
        entries[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    return entries
