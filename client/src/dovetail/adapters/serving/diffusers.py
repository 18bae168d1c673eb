"""The serving rules of diffusers, read in its source, as data.

Pipelines are known by the names of their bases, where all bases of that name have one size.
"""

import math

from dovetail.adapters.formats import images
from dovetail.adapters.formats.formats import BARE
from dovetail.adapters.serving.rules import Engine, Rule
from dovetail.adapters.serving.subject import PREFIX, Subject

KEY = "_class_name"  # of model_index.json
FAMILIES = {images.SD1: "StableDiffusionPipeline", images.SDXL: "StableDiffusionXLPipeline"}
# Families whose bases have several sizes: these alone have one that the pipeline is tried with, by the words after it.
BASES = {
    "black-forest-labs/flux.1-dev": "FluxPipeline",
    "black-forest-labs/flux.1-schnell": "FluxPipeline",
    "black-forest-labs/flux.1-krea-dev": "FluxPipeline",
    "black-forest-labs/flux.2-dev": "Flux2Pipeline",
    "qwen/qwen-image": "QwenImagePipeline",
    "qwen/qwen-image-2512": "QwenImagePipeline",
    "stabilityai/stable-diffusion-3-medium": "StableDiffusion3Pipeline",
    "stabilityai/stable-diffusion-3-medium-diffusers": "StableDiffusion3Pipeline",
    "stabilityai/stable-diffusion-3.5-medium": "StableDiffusion3Pipeline 3.5 medium",
    "stabilityai/stable-diffusion-3.5-large": "StableDiffusion3Pipeline 3.5 large",
    "stabilityai/stable-diffusion-3.5-large-turbo": "StableDiffusion3Pipeline 3.5 large",
    "wan-ai/wan2.1-t2v-14b": "WanPipeline",
    "wan-ai/wan2.1-t2v-14b-diffusers": "WanPipeline",
    "wan-ai/wan2.1-t2v-1.3b": "WanPipeline 1.3B",
    "wan-ai/wan2.1-t2v-1.3b-diffusers": "WanPipeline 1.3B",
    "tongyi-mai/z-image": "ZImagePipeline",
    "tongyi-mai/z-image-turbo": "ZImagePipeline",
}


def pipeline_of(base: str) -> str:
    """Return the class of the pipeline of a base and a word for its size, "" where its name does not tell."""
    return BASES.get(base.casefold()) or FAMILIES.get(images.of_name(base.rpartition("/")[2]), "")


VERSION = "0.40.0.dev0 (58eb52c)"
PIPELINE, CONVERSION = "src/diffusers/loaders/lora_pipeline.py", "src/diffusers/loaders/lora_conversion_utils.py"
LOADER = "src/diffusers/loaders/peft.py"
IMAGE_CLASSES = ("UNet", "Transformer2D", "FluxTransformer", "SD3Transformer", "DiT")


def is_for_images(a: Subject) -> bool:
    if a.format in ("kohya", "lycoris", "diffusers"):
        return True
    mapping = a.config.get("auto_mapping")
    return isinstance(mapping, dict) and (
        str(mapping.get("parent_library", "")).startswith("diffusers")
        or any(part in str(mapping.get("base_model_class")) for part in IMAGE_CLASSES)
    )


def _nameless(a: Subject) -> list[str]:
    """Return the names without "lora", at which every pipeline fails; it removes DoRA's scales before."""
    names = [name for name in a.tensors if "dora_scale" not in name]
    return [name for name in names if "lora" not in name] if a.format == "diffusers" else []


def _wrapped(a: Subject) -> list[str]:
    """Return the names with PEFT's prefix, which Flux.2's loader alone takes off."""
    if not is_for_images(a) or _is_flux2(a):
        return []
    return [name for name in a.tensors if name.startswith(PREFIX)]


def _bare(a: Subject) -> list[str]:
    """Return the names without that of a model of the pipeline."""
    return [name for name in a.tensors if BARE.match(name)] if is_for_images(a) else []


def _is_flux2(a: Subject) -> bool:
    return pipeline_of(str(a.config.get("base_model_name_or_path"))) == "Flux2Pipeline"


def _unscaled(a: Subject) -> str:
    """Return the scale that Flux.2's loader leaves out: of a config beside the weights it reads nothing."""
    is_wrapped = is_for_images(a) and _is_flux2(a) and any(name.startswith(PREFIX) for name in a.tensors)
    scale = a.alpha / (math.sqrt(a.rank) if a.flag("use_rslora") else a.rank) if is_wrapped and a.rank else 1.0
    return "" if scale == 1 else f"{scale:g}"


def _of_comfy(a: Subject) -> list[str]:
    names = [name for name in a.tensors if name.startswith("diffusion_model.")]
    return names if a.format == "diffusers" else []


def _is_for(a: Subject, *families: str) -> bool:
    """Return whether the names of the tensors leave no other family."""
    meant = images.of_tensors(a.tensors)
    return bool(meant) and meant <= {*families}


STABLE = (images.SD1, images.SD2, images.SDXL, images.SD3)
RULES = (
    Rule("diffusers.format", "refuses", PIPELINE, lambda a: "" if is_for_images(a) else a.title,
         "diffusers loads LoRA adapters of image and video pipelines; this is {}."),
    Rule("diffusers.lycoris", "refuses", CONVERSION, lambda a: a.format == "lycoris",
         "diffusers converts only LoRA: it stops at keys of LoHa, LoKr, OFT, (IA)3 and full differences, "
        "which \"have not been correctly renamed\"."),
    Rule("diffusers.names", "refuses", PIPELINE, _nameless,
         "diffusers requires \"lora\" in the name of every tensor; {} have none."),
    Rule("diffusers.dora-scale", "wrong", PIPELINE,
         lambda a: is_for_images(a) and [name for name in a.tensors if "dora_scale" in name],
         "diffusers drops the keys of DoRA with a warning and serves a plain LoRA: {}."),
    Rule("diffusers.prefix", "wrong", LOADER,
         _wrapped,
         "diffusers looks for names that begin with unet. or transformer.; it finds nothing in {} and only warns. "
         "`dovetail convert --to diffusers` renames them."),
    Rule("diffusers.bare-names", "wrong", LOADER, _bare,
         "diffusers looks for names that begin with unet. or transformer.; it finds nothing in {}, and the base "
         "answers without an error. `dovetail convert --to diffusers` renames them."),
    Rule("diffusers.peft-scale", "wrong", PIPELINE, _unscaled,
         "diffusers reads the weights of Flux.2 with PEFT's names but not their adapter_config.json, so "
        "it applies the adapter with scale 1; it was trained with {}."),
    Rule("diffusers.kohya-sd3", "wrong", PIPELINE,
         lambda a: a.format == "kohya" and _is_for(a, images.SD3) and list(a.tensors),
         "diffusers converts kohya's names for Stable Diffusion 1 to XL and Flux; for Stable Diffusion 3 "
        "it finds nothing in {}, and the base answers without an error."),
    Rule("diffusers.comfy-names-ignored", "wrong", PIPELINE, lambda a: _is_for(a, *STABLE) and _of_comfy(a),
         "For Stable Diffusion diffusers looks for names that begin with unet. or transformer.; it finds nothing in "
         "{}, and the base answers without an error. `dovetail convert --to diffusers` renames them."),
    Rule("diffusers.comfy-names", "unknown", CONVERSION,
         lambda a: not _is_for(a, images.WAN, images.QWEN, images.FLUX2, *STABLE) and _of_comfy(a),
         "diffusers converts names that begin with diffusion_model. for Wan, Qwen-Image, Z-Image and "
        "Flux.2, and finds nothing in them for Stable Diffusion and most of Flux.1; the names do not "
        "show for which of these {} are. `dovetail convert --to diffusers` renames those of Flux and of "
        "Stable Diffusion."),
)  # fmt: skip


def _flags(a: Subject) -> list[str]:
    weights = [name for name in a.files if name.endswith(".safetensors")]
    return [f"weight_name={weights[0]!r}"] if len(weights) == 1 else []


def _serves(a: Subject) -> str:
    return "diffusers converts the names of kohya and loads them." if a.format == "kohya" else "diffusers loads it."


DIFFUSERS = Engine("diffusers", "diffusers", VERSION, "huggingface/diffusers", RULES, _flags, _serves)
