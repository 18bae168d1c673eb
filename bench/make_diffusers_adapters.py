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

from features.measured.engine.pipelines import PIPELINES

Shapes = dict[str, tuple[int, ...]]
Layers = dict[str, tuple[int, int]]  # the path of each layer → its width and its height
ATTENTION = re.compile(r"(to_q|to_k|to_v|to_out\.0)$")
ENCODER = re.compile(r"self_attn\.(q_proj|k_proj|v_proj|out_proj)$")
ALPHA = 2  # where it is another than the rank, which is 1
BASES = {"Flux2Pipeline": "black-forest-labs/FLUX.2-dev"}  # whose loader takes names with the prefix of PEFT


def wan_block(width: int, inner: int) -> Layers:
    attention = {f"{part}_attn.{name}": (width, width) for part in ("self", "cross") for name in "qkvo"}
    return {**attention, "ffn.0": (width, inner), "ffn.2": (inner, width)}


# Paths of the original code of each model: what kohya and ComfyUI name, width and height.
ORIGINAL: dict[str, Layers] = {
    "StableDiffusionPipeline": {"down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q": (320, 320)},
    "StableDiffusionXLPipeline": {
        "input_blocks.4.1.transformer_blocks.0.attn1.to_q": (640, 640),
        "middle_block.1.transformer_blocks.0.attn2.to_k": (2048, 1280),
    },
    "StableDiffusion3Pipeline": {"joint_blocks.0.x_block.attn.qkv": (1536, 4608)},
    "FluxPipeline": {
        "double_blocks.0.img_attn.qkv": (3072, 9216),
        "double_blocks.0.img_attn.proj": (3072, 3072),
        "single_blocks.0.linear1": (3072, 21504),
    },
    "Flux2Pipeline": {"double_blocks.0.img_attn.qkv": (6144, 18432), "double_blocks.0.img_attn.proj": (6144, 6144)},
    "QwenImagePipeline": {f"transformer_blocks.{layer}.attn.to_q": (3072, 3072) for layer in range(2)},
    "WanPipeline": {
        f"blocks.{layer}.{path}": size for layer in range(40) for path, size in wan_block(5120, 13824).items()
    },
    "StableDiffusion3Pipeline 3.5 medium": {"joint_blocks.0.x_block.attn.qkv": (1536, 4608)},
    "StableDiffusion3Pipeline 3.5 large": {"joint_blocks.0.x_block.attn.qkv": (2432, 7296)},
    "WanPipeline 1.3B": {
        f"blocks.{layer}.{path}": size for layer in range(30) for path, size in wan_block(1536, 8960).items()
    },
    "ZImagePipeline": {"layers.0.attention.to_q": (3840, 3840), "layers.1.attention.to_k": (3840, 3840)},
}


def pairs(layers: Layers, name: Callable[[str], str], ends: tuple[str, str]) -> Shapes:
    """Return both matrices of each layer, with rank 1."""
    down, up = ends
    return {
        key: shape
        for path, (width, height) in layers.items()
        for key, shape in ((f"{name(path)}{down}", (1, width)), (f"{name(path)}{up}", (height, 1)))
    }


PEFT, OLD, KOHYA = (
    (".lora_A.weight", ".lora_B.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    (".lora_down.weight", ".lora_up.weight"),
)


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
    models = {place: model.outline() for place, model in PIPELINES[pipeline].models.items()}
    place = PIPELINES[pipeline].denoiser
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
        "kohya-other-alpha": kohya("lora_unet", original),
        "kohya-unlike-alphas": kohya("lora_unet", layers if place == "unet" else original),
        "peft-other-alpha": pairs(layers, lambda path: f"base_model.model.{path}", PEFT),
        "settings-in-file": own,
    }
    if place == "unet":
        scales = {f"lora_unet_{path.replace('.', '_')}.dora_scale": (high, 1) for path, (_, high) in original.items()}
        made["kohya-dora"] = kohya("lora_unet", original) | scales
    if "text_encoder" in models:
        text = layers_of(models["text_encoder"], ENCODER, 4)
        named = {path if path.startswith("text_model.") else f"text_model.{path}": size for path, size in text.items()}
        made["with-text"] = own | pairs(named, lambda path: f"text_encoder.{path}", PEFT)
        first = "lora_te1" if "text_encoder_2" in models else "lora_te"
        made["kohya-with-text"] = kohya("lora_unet", original) | kohya(first, named)
    return made


def settings(place: str, shapes: Shapes) -> dict[str, str]:
    """Return the settings of PEFT as diffusers writes them into its own files."""
    targets = sorted({key.removeprefix(f"{place}.").partition(".lora_")[0] for key in shapes})
    told = {"r": 1, "lora_alpha": ALPHA, "target_modules": targets}
    return {"format": "pt", "lora_adapter_metadata": json.dumps({f"{place}.{key}": told[key] for key in told})}


def write(folder: Path, pipeline: str, shapes: Shapes) -> None:
    """Write one adapter."""
    folder.mkdir(parents=True)
    alpha = ALPHA if "other-alpha" in folder.name else 1
    alphas = {
        key: 1 + number if "unlike" in folder.name else alpha
        for number, key in enumerate(key for key in shapes if key.endswith(".alpha"))
    }
    tensors = {key: torch.full(shape, alphas.get(key, 1), dtype=torch.bfloat16) for key, shape in shapes.items()}
    is_peft = folder.name.startswith("peft-")
    if is_peft:
        config = {"peft_type": "LORA", "r": 1, "lora_alpha": alpha, "target_modules": ["to_q", "to_k"]}
        config |= {"auto_mapping": {"base_model_class": "UNet2DConditionModel", "parent_library": "diffusers"}}
        config |= {"base_model_name_or_path": BASES.get(pipeline, "")}
        (folder / "adapter_config.json").write_text(json.dumps(config))
    place = PIPELINES[pipeline].denoiser
    metadata = settings(place, shapes) if folder.name == "settings-in-file" else None
    file = "adapter_model.safetensors" if is_peft else "pytorch_lora_weights.safetensors"
    save_file(tensors, folder / file, metadata=metadata)


def main(home: Path) -> None:
    for pipeline in PIPELINES:
        for name, shapes in adapters(pipeline).items():
            write(home / pipeline / name, pipeline, shapes)
        (home / pipeline / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
