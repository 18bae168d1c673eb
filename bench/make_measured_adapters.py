"""Writes configs of bases at their real sizes, and LoRAs for them with the key names that trainers write.

.engines/e5/bin/python -P bench/make_measured_adapters.py DIR      writes DIR/BASE/config.json and DIR/BASE/ADAPTER/…
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

PREFIX = "base_model.model."
# The names that trainers give to layers of a text model inside a base with vision, and of the text model by itself.
WRAPPED, OLDER, TEXT = "model.language_model.layers.", "language_model.model.layers.", "model.layers."
TEXT_CLASSES = {
    "LlamaForCausalLM": {
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
    },
    "MistralForCausalLM": {},
    "Qwen2ForCausalLM": {},
    "Qwen3ForCausalLM": {},
    "Phi3ForCausalLM": {"pad_token_id": 0},
    "Gemma2ForCausalLM": {},
    "Gemma3ForCausalLM": {},
    "Qwen3MoeForCausalLM": {"norm_topk_prob": True},
    "GptOssForCausalLM": {},
    "OlmoForCausalLM": {},
    "GraniteForCausalLM": {},
}
VISION_CLASSES = (
    "Gemma3ForConditionalGeneration",
    "LlavaForConditionalGeneration",
    "Qwen3VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration",
    "Mistral3ForConditionalGeneration",
    "Qwen3_5ForConditionalGeneration",
)
Layers = list[tuple[str, int, int]]  # the path of each layer, its width and its height
Shapes = dict[str, tuple[int, ...]]
PERCEPTRON = ("gate_proj", "up_proj", "down_proj", "gate_up_proj")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj")


def base(name: str, values: dict[str, object], folder: Path) -> torch.nn.Module:
    """Write the config of a base, and return its model without weights."""
    cls = getattr(transformers, name)
    config = cls.config_class(**values)
    config.architectures = [name]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(published(config.to_dict()), default=str))
    with torch.device("meta"):
        return cls(config)


def published(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config with the keys that published ones have beside those of the newest transformers."""
    text = config.get("text_config") or {}
    if text.get("model_type") == "qwen3_5_text":
        text["mtp_num_hidden_layers"] = 1
    for part in (config, text):
        rope = part.get("rope_parameters") or {}
        if "rope_theta" in rope:
            part.setdefault("rope_theta", rope["rope_theta"])
        if "num_attention_heads" in part:
            part.setdefault("tie_word_embeddings", config.get("tie_word_embeddings", False))
            part["head_dim"] = part.get("head_dim") or part["hidden_size"] // part["num_attention_heads"]
    return config


def targets(model: torch.nn.Module, ends: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """Yield the path of each linear layer whose name ends so, with its widths."""
    for path, module in model.named_modules():
        if path.rpartition(".")[2] in ends and hasattr(module, "in_features"):
            yield path, module.in_features, module.out_features


def adapter(folder: Path, layers: Layers, rank: int = 1, others: Shapes | None = None, **more: object) -> None:
    """Write a LoRA on these layers, with other tensors beside it."""
    tensors = {name: torch.zeros(shape, dtype=torch.bfloat16) for name, shape in (others or {}).items()}
    for path, width, height in layers:
        ends = ("embedding_A", "embedding_B") if path.endswith("embed_tokens") else ("A.weight", "B.weight")
        for end, shape in zip(ends, ((rank, width), (height, rank)), strict=True):
            tensors[f"{PREFIX}{path}.lora_{end}"] = torch.zeros(shape, dtype=torch.bfloat16)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    names = sorted({path.rpartition(".")[2] for path, *_ in layers})
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "target_modules": names}
    (folder / "adapter_config.json").write_text(json.dumps(config | more))


def renamed(layers: Layers, old: str, new: str) -> Layers:
    return [(path.replace(old, new, 1), *widths) for path, *widths in layers]


def main(home: Path) -> None:
    for name, values in TEXT_CLASSES.items():
        model = base(name, values, home / name)
        layers = list(targets(model, ATTENTION))
        adapter(home / name / "text", layers)
        if name in (
            "LlamaForCausalLM",
            "Qwen2ForCausalLM",
        ):  # of these vLLM takes a LoRA on the tables of the first alone
            config = model.config
            adapter(home / name / "output-table", [*layers, ("lm_head", config.hidden_size, config.vocab_size)])
            table = ("model.embed_tokens", config.vocab_size, config.hidden_size)
            adapter(home / name / "input-table", [*layers, table])
        if "Moe" not in name and "Oss" not in name:
            adapter(home / name / "all-linear", list(targets(model, (*ATTENTION, *PERCEPTRON))))
        adapter(home / name / "wrapped", renamed(layers, TEXT, WRAPPED))
    for name in VISION_CLASSES:
        model = base(name, {}, home / name)
        layers = [layer for layer in targets(model, ATTENTION) if WRAPPED in layer[0]]
        adapter(home / name / "wrapped", layers)
        adapter(home / name / "older", renamed(layers, WRAPPED, OLDER))
        adapter(home / name / "text", renamed(layers, WRAPPED, TEXT))
        if tower := [layer for layer in targets(model, ("q_proj", "v_proj")) if "vision" in layer[0]]:
            adapter(home / name / "vision-too", layers + tower)
    kinds(home / "Qwen2ForCausalLM")


def kinds(home: Path) -> None:
    """Write LoRAs of every kind for one base: those that engines serve, refuse, drop in part, or serve wrongly."""
    layers = [(f"model.layers.{number}.self_attn.q_proj", 4096, 4096) for number in range(32)]
    paths = [f"{PREFIX}{path}" for path, *_ in layers]
    adapter(home / "rank-32", layers, 32)
    adapter(home / "some-layers", layers[:4], 8, layers_to_transform=[0, 1, 2, 3])
    adapter(home / "late-layers", layers[-4:], 8, layers_to_transform=[28, 29, 30, 31])
    adapter(home / "rank-stabilised", layers, 8, use_rslora=True)
    adapter(home / "alpha-pattern", layers, 8, alpha_pattern={"layers.1.self_attn.q_proj": 64})
    adapter(home / "pissa", layers, 8, init_lora_weights="pissa")
    adapter(home / "activated", layers, 8, alora_invocation_tokens=[1, 2])
    adapter(home / "replicated", layers, 8, layer_replication=[[0, 8], [4, 12]])
    adapter(home / "bias-without-tensors", layers, 8, bias="all")
    magnitudes = {f"{path}.lora_magnitude_vector": (4096,) for path in paths}
    adapter(home / "dora", layers, 8, magnitudes, use_dora=True)
    biases = {f"{path}.base_layer.bias": (4096,) for path in paths}
    adapter(home / "trained-biases", layers, 8, biases, bias="lora_only")
    adapter(home / "lora-bias", layers, 8, {f"{path}.lora_B.bias": (4096,) for path in paths}, lora_bias=True)
    adapter(home / "whole-head", layers, 8, {f"{PREFIX}lm_head.weight": (151936, 4096)}, modules_to_save=["lm_head"])
    norms = {f"{PREFIX}model.layers.{number}.input_layernorm.weight": (4096,) for number in range(32)}
    adapter(home / "whole-norms", layers, 8, norms, modules_to_save=["input_layernorm"])
    rows = {f"{PREFIX}model.embed_tokens.token_adapter.trainable_tokens_delta": (2, 4096)}
    adapter(home / "trained-tokens", layers, 8, rows, trainable_token_indices={"embed_tokens": [5, 6]})
    adapter(home / "unknown-module", renamed(layers, "self_attn.q_proj", "attention.query_key"), 8)
    adapter(home / "unknown-path", renamed(layers, "model.layers", "model.transformer.layers"), 8)
    adapter(home / "layer-too-many", [*layers, ("model.layers.99.self_attn.q_proj", 4096, 4096)], 8)
    ends = {"IA3": ".ia3_l", "LOHA": ".hada_w1_a", "LOKR": ".lokr_w1", "VERA": ".vera_lambda_b"}
    for method, end in ends.items():
        adapter(home / method.lower(), [], 8, {f"{path}{end}": (1, 4096) for path in paths}, peft_type=method)
    adapter(home / "prompt", [], 8, {"prompt_embeddings": (8, 4096)}, peft_type="PROMPT_TUNING", num_virtual_tokens=8)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
