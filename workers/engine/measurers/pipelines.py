"""The models in pipelines of diffusers, at the size of their bases and made narrow; for .engines/diffusers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
import transformers

Size = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Model:
    """A model: the name of its class, its sizes where they are not the class's own, and others that make it narrow.

    A narrow one has all layers of the real one, so the names of its modules are the same.
    """

    name: str
    size: Size
    narrow: Size

    @property
    def cls(self) -> Any:
        return getattr(transformers if self.name.startswith("CLIP") else diffusers, self.name)

    def made(self, *, narrow: bool = False) -> Any:
        """Return a model with random weights."""
        size = {**self.size, **(self.narrow if narrow else {})}
        return self.cls(transformers.CLIPTextConfig(**size)) if self.name.startswith("CLIP") else self.cls(**size)

    def outline(self) -> Any:
        """Return a model of the real size without weights."""
        with torch.device("meta"):
            return self.made()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The loader of a pipeline, and the models in it."""

    loader: str
    models: dict[str, Model]

    @property
    def denoiser(self) -> str:
        """The place of the model that makes pictures."""
        return "unet" if "unet" in self.models else "transformer"


WIDTH = 64  # of texts, and of most layers of a narrow model
CLIP = {"hidden_size": WIDTH, "intermediate_size": 128, "num_attention_heads": 4, "projection_dim": WIDTH,
        "vocab_size": 128}  # fmt: skip
HEADS = {"num_attention_heads": 4, "attention_head_dim": WIDTH // 4}
ROPE = {"axes_dims_rope": (4, 6, 6)}  # of a head
CLIP_L_SIZE = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "projection_dim": 768,
}  # fmt: skip
CLIP_G_SIZE = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
    "projection_dim": 1280, "hidden_act": "gelu",
}  # fmt: skip
CLIP_L = Model("CLIPTextModel", CLIP_L_SIZE, CLIP)
PROJECTING = {
    "text_encoder": Model("CLIPTextModelWithProjection", CLIP_L_SIZE, CLIP),
    "text_encoder_2": Model("CLIPTextModelWithProjection", CLIP_G_SIZE, CLIP),
}


def _sd3(layers: int, heads: int, most: int, **more: Any) -> Pipeline:
    size = {"num_layers": layers, "num_attention_heads": heads, "attention_head_dim": 64, "pos_embed_max_size": most,
            "caption_projection_dim": 64 * heads, **more}  # fmt: skip
    narrow = {**HEADS, "caption_projection_dim": WIDTH, "joint_attention_dim": WIDTH, "pooled_projection_dim": WIDTH}
    return Pipeline("SD3LoraLoaderMixin", {"transformer": Model("SD3Transformer2DModel", size, narrow), **PROJECTING})


def _wan(size: Size) -> Pipeline:
    narrow = {**HEADS, "text_dim": WIDTH, "ffn_dim": 128}
    return Pipeline("WanLoraLoaderMixin", {"transformer": Model("WanTransformer3DModel", size, narrow)})


# By the class that model_index.json names, and a word for the size where its bases have several. The sizes are those of
# the first published base; a file of another size is refused by its shapes.
PIPELINES = {
    "StableDiffusionPipeline": Pipeline("StableDiffusionLoraLoaderMixin", {
        "unet": Model("UNet2DConditionModel", {"cross_attention_dim": 768, "sample_size": 64},
                      {"block_out_channels": (32, 64, 64, 64), "cross_attention_dim": WIDTH}),
        "text_encoder": CLIP_L,
    }),
    "StableDiffusionXLPipeline": Pipeline("StableDiffusionXLLoraLoaderMixin", {
        "unet": Model("UNet2DConditionModel", {
            "sample_size": 128, "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20),
            "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        }, {
            "block_out_channels": (32, 64, 64), "attention_head_dim": (2, 4, 4), "cross_attention_dim": WIDTH,
            "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": WIDTH + 6 * 8,
        }),
        "text_encoder": CLIP_L, "text_encoder_2": PROJECTING["text_encoder_2"],
    }),
    "StableDiffusion3Pipeline": _sd3(24, 24, 192),
    "StableDiffusion3Pipeline 3.5 medium": _sd3(
        24, 24, 384, qk_norm="rms_norm", dual_attention_layers=tuple(range(13))
    ),
    "StableDiffusion3Pipeline 3.5 large": _sd3(38, 38, 192, qk_norm="rms_norm"),
    "FluxPipeline": Pipeline("FluxLoraLoaderMixin", {
        "transformer": Model("FluxTransformer2DModel", {"guidance_embeds": True}, {
            **HEADS, **ROPE, "joint_attention_dim": WIDTH, "pooled_projection_dim": WIDTH,
        }),
        "text_encoder": CLIP_L,
    }),
    "Flux2Pipeline": Pipeline("Flux2LoraLoaderMixin", {
        "transformer": Model("Flux2Transformer2DModel", {}, {
            **HEADS, "axes_dims_rope": (4, 4, 4, 4), "joint_attention_dim": WIDTH,
        }),
    }),
    "QwenImagePipeline": Pipeline("QwenImageLoraLoaderMixin", {
        "transformer": Model("QwenImageTransformer2DModel", {}, {**HEADS, **ROPE, "joint_attention_dim": WIDTH}),
    }),
    "WanPipeline": _wan({}),
    "WanPipeline 1.3B": _wan({"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30}),
    "ZImagePipeline": Pipeline("ZImageLoraLoaderMixin", {
        "transformer": Model("ZImageTransformer2DModel", {}, {
            "dim": WIDTH, "n_heads": 4, "n_kv_heads": 4, "axes_dims": [4, 6, 6], "cap_feat_dim": WIDTH,
        }),
    }),
}  # fmt: skip
