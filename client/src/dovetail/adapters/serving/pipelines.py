"""Pipelines of diffusers by the names of their bases, where all bases of that name have one size."""

from __future__ import annotations

from dovetail.adapters.formats import images

KEY = "_class_name"  # of model_index.json
FAMILIES = {images.SD1: "StableDiffusionPipeline", images.SDXL: "StableDiffusionXLPipeline"}
# Families whose bases have several sizes: these alone have one that the pipeline is tried with, by the words after it.
BASES = {
    "black-forest-labs/flux.1-dev": "FluxPipeline", "black-forest-labs/flux.1-schnell": "FluxPipeline",
    "black-forest-labs/flux.1-krea-dev": "FluxPipeline", "black-forest-labs/flux.2-dev": "Flux2Pipeline",
    "qwen/qwen-image": "QwenImagePipeline", "qwen/qwen-image-2512": "QwenImagePipeline",
    "stabilityai/stable-diffusion-3-medium": "StableDiffusion3Pipeline",
    "stabilityai/stable-diffusion-3-medium-diffusers": "StableDiffusion3Pipeline",
    "stabilityai/stable-diffusion-3.5-medium": "StableDiffusion3Pipeline 3.5 medium",
    "stabilityai/stable-diffusion-3.5-large": "StableDiffusion3Pipeline 3.5 large",
    "stabilityai/stable-diffusion-3.5-large-turbo": "StableDiffusion3Pipeline 3.5 large",
    "wan-ai/wan2.1-t2v-14b": "WanPipeline", "wan-ai/wan2.1-t2v-14b-diffusers": "WanPipeline",
    "wan-ai/wan2.1-t2v-1.3b": "WanPipeline 1.3B", "wan-ai/wan2.1-t2v-1.3b-diffusers": "WanPipeline 1.3B",
    "tongyi-mai/z-image": "ZImagePipeline", "tongyi-mai/z-image-turbo": "ZImagePipeline",
}  # fmt: skip


def pipeline_of(base: str) -> str:
    """Return the class of the pipeline of a base and a word for its size, "" where its name does not tell."""
    return BASES.get(base.casefold()) or FAMILIES.get(images.of_name(base.rpartition("/")[2]), "")
