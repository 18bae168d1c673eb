"""Writes configs of bases at their real sizes, and LoRAs for them with the key names that trainers write.

.engines/e5/bin/python -P bench/make_vllm_adapters.py DIR      writes DIR/BASE/config.json and DIR/BASE/ADAPTER/…
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

PREFIX = "base_model.model."
# The names that trainers give to layers of a text model inside a base with vision, and of the text model by itself.
WRAPPED, OLDER, TEXT = "model.language_model.layers.", "language_model.model.layers.", "model.layers."
TEXT_CLASSES = {
    "LlamaForCausalLM": {
        "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64,
        "num_key_value_heads": 8,
    },
    "MistralForCausalLM": {}, "Qwen2ForCausalLM": {}, "Qwen3ForCausalLM": {}, "Phi3ForCausalLM": {"pad_token_id": 0},
    "Gemma2ForCausalLM": {}, "Gemma3ForCausalLM": {}, "Qwen3MoeForCausalLM": {}, "GptOssForCausalLM": {},
    "OlmoForCausalLM": {}, "GraniteForCausalLM": {},
}  # fmt: skip
VISION_CLASSES = (
    "Gemma3ForConditionalGeneration", "LlavaForConditionalGeneration", "Qwen3VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration", "Mistral3ForConditionalGeneration", "Qwen3_5ForConditionalGeneration",
)  # fmt: skip
PERCEPTRON = ("gate_proj", "up_proj", "down_proj", "gate_up_proj")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj")


def base(name: str, values: dict[str, object], folder: Path) -> torch.nn.Module:
    """Write the config of a base, and return its model without weights."""
    cls = getattr(transformers, name)
    config = cls.config_class(**values)
    config.architectures = [name]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict(), default=str))
    with torch.device("meta"):
        return cls(config)


def targets(model: torch.nn.Module, ends: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """Yield the path of each linear layer whose name ends so, with its widths."""
    for path, module in model.named_modules():
        if path.rpartition(".")[2] in ends and hasattr(module, "in_features"):
            yield path, module.in_features, module.out_features


def adapter(folder: Path, layers: list[tuple[str, int, int]], **more: object) -> None:
    """Write a LoRA of rank 1 on these layers."""
    tensors = {}
    for path, width, height in layers:
        ends = ("embedding_A", "embedding_B") if path.endswith("embed_tokens") else ("A.weight", "B.weight")
        for end, shape in zip(ends, ((1, width), (height, 1)), strict=True):
            tensors[f"{PREFIX}{path}.lora_{end}"] = torch.zeros(shape, dtype=torch.bfloat16)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    names = sorted({path.rpartition(".")[2] for path, *_ in layers})
    config = {"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": names}
    (folder / "adapter_config.json").write_text(json.dumps(config | more))


def renamed(layers: list[tuple[str, int, int]], old: str, new: str) -> list[tuple[str, int, int]]:
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
    """Write LoRAs that vLLM refuses or drops in part, beside the good ones of a base."""
    layers = [(f"model.layers.{number}.self_attn.q_proj", 4096, 4096) for number in range(32)]
    adapter(home / "dora", layers, use_dora=True)
    adapter(home / "whole-head", layers, modules_to_save=["lm_head"])
    adapter(home / "pissa", layers, init_lora_weights="pissa")
    adapter(home / "trained-biases", layers, bias="all")
    adapter(home / "replicated", layers, layer_replication=[[0, 8], [4, 12]])
    adapter(home / "activated", layers, alora_invocation_tokens=[1, 2])
    adapter(home / "some-layers", layers[:4], layers_to_transform=[0, 1, 2, 3])
    adapter(home / "rank-stabilised", layers, use_rslora=True)
    adapter(home / "unknown-module", renamed(layers, "self_attn.q_proj", "attention.query_key"))
    adapter(home / "unknown-path", renamed(layers, "model.layers", "model.transformer.layers"))
    adapter(home / "layer-too-many", [*layers, ("model.layers.99.self_attn.q_proj", 4096, 4096)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
