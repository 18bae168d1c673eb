"""Pipelines of diffusers by the names of their bases, where all bases of that name have one size."""

from __future__ import annotations

from dovetail.adapters import images

KEY = "_class_name"  # of model_index.json
FAMILIES = {images.SD1: "StableDiffusionPipeline", images.SDXL: "StableDiffusionXLPipeline"}
# Families whose bases have several sizes: these alone have the size that the pipeline is tried with.
BASES = {
    "black-forest-labs/flux.1-dev": "FluxPipeline", "black-forest-labs/flux.1-schnell": "FluxPipeline",
    "black-forest-labs/flux.1-krea-dev": "FluxPipeline", "black-forest-labs/flux.2-dev": "Flux2Pipeline",
    "qwen/qwen-image": "QwenImagePipeline", "qwen/qwen-image-2512": "QwenImagePipeline",
    "stabilityai/stable-diffusion-3-medium": "StableDiffusion3Pipeline",
    "stabilityai/stable-diffusion-3-medium-diffusers": "StableDiffusion3Pipeline",
    "wan-ai/wan2.1-t2v-14b": "WanPipeline", "wan-ai/wan2.1-t2v-14b-diffusers": "WanPipeline",
    "tongyi-mai/z-image": "ZImagePipeline", "tongyi-mai/z-image-turbo": "ZImagePipeline",
}  # fmt: skip


def pipeline_of(base: str) -> str:
    """Return the class of the pipeline of a base, "" where its name does not tell."""
    return BASES.get(base.casefold()) or FAMILIES.get(images.of_name(base.rpartition("/")[2]), "")
