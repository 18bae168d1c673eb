"""Writes LoRAs for pipelines of diffusers at their real sizes, with the key names that trainers write.

.engines/diffusers/bin/python -P bench/make_diffusers_adapters.py DIR
writes DIR/PIPELINE/model_index.json and DIR/PIPELINE/ADAPTER/… It must find the hub's code: PYTHONPATH=.:client/src
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from workers.engine.measurers.diffusers import PIPELINES, _model

Shapes = dict[str, tuple[int, ...]]
Layers = dict[str, tuple[int, int]]  # the path of each layer → its width and its height
ATTENTION = re.compile(r"(to_q|to_k|to_v|to_out\.0)$")
ENCODER = re.compile(r"self_attn\.(q_proj|k_proj|v_proj|out_proj)$")
BASES = {"Flux2Pipeline": "black-forest-labs/FLUX.2-dev"}  # whose loader takes names with the prefix of PEFT
WAN_BLOCK: Layers = {
    **{f"{part}_attn.{name}": (5120, 5120) for part in ("self", "cross") for name in "qkvo"},
    "ffn.0": (5120, 13824), "ffn.2": (13824, 5120),
}  # fmt: skip
# Paths of the original code of each model: what kohya and ComfyUI name, width and height.
ORIGINAL: dict[str, Layers] = {
    "StableDiffusionPipeline": {"down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q": (320, 320)},
    "StableDiffusionXLPipeline": {
        "input_blocks.4.1.transformer_blocks.0.attn1.to_q": (640, 640),
        "middle_block.1.transformer_blocks.0.attn2.to_k": (2048, 1280),
    },
    "StableDiffusion3Pipeline": {"joint_blocks.0.x_block.attn.qkv": (1536, 4608)},
    "FluxPipeline": {
        "double_blocks.0.img_attn.qkv": (3072, 9216), "double_blocks.0.img_attn.proj": (3072, 3072),
        "single_blocks.0.linear1": (3072, 21504),
    },
    "Flux2Pipeline": {"double_blocks.0.img_attn.qkv": (6144, 18432), "double_blocks.0.img_attn.proj": (6144, 6144)},
    "QwenImagePipeline": {f"transformer_blocks.{layer}.attn.to_q": (3072, 3072) for layer in range(2)},
    "WanPipeline": {
        f"blocks.{layer}.{path}": size for layer in range(40) for path, size in WAN_BLOCK.items()
    },
    "ZImagePipeline": {"layers.0.attention.to_q": (3840, 3840), "layers.1.attention.to_k": (3840, 3840)},
}  # fmt: skip


def pairs(layers: Layers, name: Callable[[str], str], ends: tuple[str, str]) -> Shapes:
    """Return both matrices of each layer, with rank 1."""
    down, up = ends
    return {
        key: shape
        for path, (width, height) in layers.items()
        for key, shape in ((f"{name(path)}{down}", (1, width)), (f"{name(path)}{up}", (height, 1)))
    }


PEFT, OLD, KOHYA = (".lora_A.weight", ".lora_B.weight"), (".lora.down.weight", ".lora.up.weight"), (
    ".lora_down.weight", ".lora_up.weight")  # fmt: skip


def kohya(prefix: str, layers: Layers) -> Shapes:
    """Return the names of kohya's trainers: all dots are underscores, and each module has its alpha."""

    def name(path: str) -> str:
        return f"{prefix}_{path.replace('.', '_')}"

    return pairs(layers, name, KOHYA) | {f"{name(path)}.alpha": () for path in layers}


def layers_of(model: torch.nn.Module, wanted: re.Pattern[str], count: int = 6) -> Layers:
    linear = {path: layer for path, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}
    chosen = [path for path in linear if wanted.search(path)][:count]
    return {path: (linear[path].in_features, linear[path].out_features) for path in chosen}


def adapters(pipeline: str) -> dict[str, Shapes]:
    """Return the tensors of each adapter for a pipeline, by its name."""
    models = {place: _model(*model) for place, model in PIPELINES[pipeline].models.items()}
    place = "unet" if "unet" in models else "transformer"
    layers, original = layers_of(models[place], ATTENTION), ORIGINAL[pipeline]
    own = pairs(layers, lambda path: f"{place}.{path}", PEFT)
    magnitude = {f"{place}.{path}.lora_magnitude_vector": (height,) for path, (_, height) in layers.items()}
    made = {
        "own-names": own,
        "older-names": pairs(layers, lambda path: f"{place}.{path}", OLD),
        "kohya-own-paths": kohya("lora_unet", layers),
        "kohya": kohya("lora_unet", original),
        "comfy": pairs(original, lambda path: f"diffusion_model.{path}", PEFT),
        "peft-prefix": pairs(layers, lambda path: f"base_model.model.{path}", PEFT),
        "bare-names": pairs(layers, str, PEFT),
        "unknown-path": pairs({"nowhere.to_q": (64, 64)}, lambda path: f"{place}.{path}", PEFT),
        "half-unknown": own | pairs({"nowhere.to_q": (64, 64)}, lambda path: f"{place}.{path}", PEFT),
        "other-size": pairs(dict.fromkeys(layers, (48, 48)), lambda path: f"{place}.{path}", PEFT),
        "dora": own | magnitude,
    }
    if "text_encoder" in models:
        text = layers_of(models["text_encoder"], ENCODER, 4)
        named = {path if path.startswith("text_model.") else f"text_model.{path}": size for path, size in text.items()}
        made["with-text"] = own | pairs(named, lambda path: f"text_encoder.{path}", PEFT)
        first = "lora_te1" if "text_encoder_2" in models else "lora_te"
        made["kohya-with-text"] = kohya("lora_unet", original) | kohya(first, named)
    return made


def main(home: Path) -> None:
    for pipeline in PIPELINES:
        for name, shapes in adapters(pipeline).items():
            folder = home / pipeline / name
            folder.mkdir(parents=True)
            tensors = {key: torch.ones(shape, dtype=torch.bfloat16) for key, shape in shapes.items()}
            if name == "peft-prefix":
                config = {"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["to_q", "to_k"]}
                config |= {"auto_mapping": {"base_model_class": "UNet2DConditionModel", "parent_library": "diffusers"}}
                config |= {"base_model_name_or_path": BASES.get(pipeline, "")}
                (folder / "adapter_config.json").write_text(json.dumps(config))
            file = "adapter_model.safetensors" if name == "peft-prefix" else "pytorch_lora_weights.safetensors"
            save_file(tensors, folder / file)
        (home / pipeline / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
