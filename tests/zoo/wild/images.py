"""LoRAs for images and video as their trainers write them: names, alphas and notes in the header, small matrices."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tests.adapters import Tensors, pack
from tests.zoo.changes import Change, all_of, file, tensor
from tests.zoo.outsiders import png
from tests.zoo.wild.tools import front

ATTENTION = ("to_q", "to_k", "to_v", "to_out_0")
UNET = [
    f"down_blocks_{block}_attentions_0_transformer_blocks_0_attn{at}_{name}"
    for block in (0, 1)
    for at in (1, 2)
    for name in ATTENTION
]
SGM = [
    f"input_blocks_{block}_1_transformer_blocks_0_attn{at}_{name}"
    for block in (4, 7)
    for at in (1, 2)
    for name in ATTENTION
]
CLIP_TEXT = [
    f"text_model_encoder_layers_{layer}_self_attn_{name}"
    for layer in (0, 1)
    for name in ("q_proj", "k_proj", "v_proj", "out_proj")
]
FLUX = [f"double_blocks_{block}_img_attn_{name}" for block in (0, 1) for name in ("qkv", "proj")] + [
    "single_blocks_0_linear1",
    "single_blocks_0_linear2",
]
WAN = [
    f"blocks.{block}.{at}.{name}"
    for block in (0, 1)
    for at in ("self_attn", "cross_attn")
    for name in ("q", "k", "v", "o")
]
QWEN_IMAGE = [
    f"transformer_blocks.{block}.attn.{name}"
    for block in (0, 1)
    for name in ("to_q", "to_k", "to_v", "add_q_proj", "to_out.0")
]
SD15, SDXL, FLUX_DEV = (
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "stabilityai/stable-diffusion-xl-base-1.0",
    "black-forest-labs/FLUX.1-dev",
)


def scalar(value: float) -> tuple[str, tuple[int, ...], bytes]:
    """A tensor without dimensions, as torch saves a number."""
    return "F16", (), np.array(value, "<f2").tobytes()


def dice(name: str) -> np.random.Generator:
    return np.random.default_rng(sum(name.encode()))


def pairs(
    names: Iterable[str], down: str, up: str, *, alpha: str = "", rank: int = 4, width: int = 32, dtype: str = "F16"
) -> Tensors:
    """A down and an up matrix for each name, and an alpha where the tool saves one."""
    made: Tensors = {}
    for name in names:
        random = dice(name)
        made[f"{name}{down}"] = tensor(random.normal(0, 0.05, (rank, width)), dtype)
        made[f"{name}{up}"] = tensor(random.normal(0, 0.05, (width, rank)), dtype)
        if alpha:
            made[f"{name}{alpha}"] = scalar(rank / 2)
    return made


def kohya(*names: str, **more: Any) -> Tensors:
    return pairs(names, ".lora_down.weight", ".lora_up.weight", alpha=".alpha", **more)


def unet(names: Iterable[str] = UNET) -> list[str]:
    return [f"lora_unet_{name}" for name in names]


def encoder(number: str = "") -> list[str]:
    return [f"lora_te{number}_{name}" for name in CLIP_TEXT]


def notes(version: str, architecture: str, module: str = "networks.lora", **more: str) -> Mapping[str, str]:
    """sd-scripts, train_network.py: the notes that it writes without --no_metadata, the training set's among them."""
    return {
        "ss_session_id": "3146519873", "ss_training_started_at": "1762938824.1", "ss_output_name": "mychar", "ss_learning_rate": "0.0001",
        "ss_num_train_images": "320", "ss_num_epochs": "10", "ss_network_module": module, "ss_network_dim": "4", "ss_network_alpha": "2",
        "ss_mixed_precision": "bf16", "ss_base_model_version": version, "ss_seed": "42", "ss_steps": "1600", "ss_epoch": "10",
        "ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit", "ss_tag_frequency": json.dumps({"10_mychar": {"mychar": 32, "1girl": 30}}),
        "ss_dataset_dirs": json.dumps({"10_mychar": {"n_repeats": 10, "img_count": 32}}), "ss_bucket_info": "{}",
        "modelspec.sai_model_spec": "1.0.1", "modelspec.architecture": architecture, "modelspec.title": "mychar",
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models", "sshs_model_hash": "ab" * 32, "sshs_legacy_hash": "12345678",
        **more,
    }  # fmt: skip


BARE = ("ss_session_id", "ss_output_name", "ss_tag_frequency", "ss_dataset_dirs", "ss_bucket_info")


def stripped(said: Mapping[str, str]) -> Mapping[str, str]:
    """The notes without what tells of the training set."""
    return {key: value for key, value in said.items() if key not in BARE}


def weights(tensors: Tensors, said: Mapping[str, str] | None = None, path: str = "mychar.safetensors") -> Change:
    return file(path, pack(tensors, said))


def image_card(base: str, trigger: str = "mychar", license: str = "creativeml-openrail-m", **more: Any) -> Change:
    """The card of an image LoRA on hubs: widget, trigger word, base."""
    tags = ["text-to-image", "lora", "diffusers", "template:diffusion-lora"]
    return all_of(
        front(f"# My character\n\n## Trigger words\n\nYou should use `{trigger}` to trigger the image generation.", tags=tags, base_model=base,
              instance_prompt=trigger, license=license, widget=[{"text": "a portrait", "output": {"url": "images/1.png"}}],
              **{"pipeline_tag": "text-to-image", **more}),
        file("images/1.png", png()),
    )  # fmt: skip


def ai_toolkit(name: str, version: str) -> Mapping[str, str]:
    """ai-toolkit, toolkit/metadata.py and its jobs: the software, and what was trained how long."""
    return {"format": "pt", "name": name, "version": "1.0", "software": json.dumps({"name": "ai-toolkit", "repo": "https://github.com/ostris/ai-toolkit", "version": "0.7.4"}),
            "training_info": json.dumps({"step": 2000, "epoch": 12}), "ss_base_model_version": version, "ss_output_name": name, "sshs_model_hash": "cd" * 32}  # fmt: skip


def one_trainer(architecture: str, **more: str) -> Mapping[str, str]:
    """OneTrainer, DtypeModelSaverMixin: model spec, its own revision; the version that web UIs look for only for XL."""
    return {"modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": architecture, "modelspec.title": "LoRA", "modelspec.date": "2025-11-12",
            "modelspec.hash_sha256": "0x" + "ef" * 32, "ot_branch": "master", "ot_revision": "1a2b3c4", **more}  # fmt: skip


def lycoris(kind: str, names: Iterable[str] = tuple(unet())) -> Tensors:
    """lycoris-lora's modules, by kind."""
    made: Tensors = {}
    for name in names:
        random = dice(name)

        def part(*shape: int, random: Any = random) -> Any:
            return tensor(random.normal(0, 0.05, shape), "F16")

        parts = {
            "loha": {"hada_w1_a": part(32, 4), "hada_w1_b": part(4, 32), "hada_w2_a": part(32, 4), "hada_w2_b": part(4, 32)},
            "lokr": {"lokr_w1": part(8, 8), "lokr_w2_a": part(4, 2), "lokr_w2_b": part(2, 4)},
            "full": {"diff": part(32, 32)},
            "boft": {"oft_blocks": part(3, 4, 8, 8)},
            "dora": {"lora_down.weight": part(4, 32), "lora_up.weight": part(32, 4), "dora_scale": part(32, 1)},
            "glora": {"a1.weight": part(4, 32), "a2.weight": part(32, 4), "b1.weight": part(4, 32), "b2.weight": part(32, 4)},
        }[kind]  # fmt: skip
        made |= {f"{name}.{key}": value for key, value in parts.items()}
        made[f"{name}.alpha"] = scalar(2.0)
    return made


def diffusers_unet(form: str) -> Tensors:
    """The names that diffusers' training scripts have written over the years."""
    paths = [f"down_blocks.{block}.attentions.0.transformer_blocks.0.attn{at}" for block in (0, 1) for at in (1, 2)]
    if form == "processors":  # before 0.22: attention processors, without a prefix
        return pairs(
            [f"{path}.processor.{name}_lora" for path in paths for name in ("to_q", "to_k", "to_v", "to_out")],
            ".down.weight",
            ".up.weight",
            dtype="F32",
        )
    if form == "prefixed processors":
        return pairs(
            [f"unet.{path}.processor.{name}_lora" for path in paths for name in ("to_q", "to_k", "to_v", "to_out")],
            ".down.weight",
            ".up.weight",
            dtype="F32",
        )
    if form == "layers":  # 0.22 to 0.23
        return pairs(
            [f"unet.{path}.{name}" for path in paths for name in ("to_q", "to_k", "to_v", "to_out.0")],
            ".lora.down.weight",
            ".lora.up.weight",
            dtype="F32",
        )
    if form == "text encoder":
        layers = [
            f"text_encoder.text_model.encoder.layers.{layer}.self_attn.{name}"
            for layer in (0, 1)
            for name in ("q_proj", "v_proj")
        ]
        return diffusers_unet("peft") | pairs(
            layers, ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight", dtype="F32"
        )
    return pairs(
        [f"unet.{path}.{name}" for path in paths for name in ("to_q", "to_k", "to_v", "to_out.0")],
        ".lora_A.weight",
        ".lora_B.weight",
        dtype="F32",
    )


ADAPTER_METADATA = {
    "lora_adapter_metadata": json.dumps(
        {"transformer.r": 4, "transformer.lora_alpha": 4, "transformer.target_modules": ["to_q", "to_k"]}
    )
}
