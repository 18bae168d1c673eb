"""Tells the family of a file of weights by the names and shapes of its tensors and its metadata, never by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

KOHYA = re.compile(r"(?:lora|lycoris)_(?:unet|te\d?|transformer|prior|prompt|clip|t5|llm|llama)_|lycoris_")
LYCORIS = re.compile(
    r"\.(?:hada_w|hada_t|lokr_w|lokr_t|oft_blocks|oft_diag|lora_mid|on_input|diff$|diff_b$|w_norm$|b_norm$|[ab][12]\.weight$)"
)
PRODUCTS = re.compile(r"(?:unet|transformer|diffusion_model|text_encoders?)\..*\.(?:hada_w|lokr_w|oft_blocks|oft_diag)")
# Parts of a pipeline as diffusers calls them (a GPT has "transformer.h"), and the one of ComfyUI and ai-toolkit.
PIPELINE = re.compile(
    r"(?:unet|transformer(?:_2)?(?!\.h\.)|diffusion_model|text_encoders?(?:_\d)?|prior|vae)\."
    # Attention processors, of diffusers before 0.22 and of XLabs' trainer for Flux.
    r"|(?:(?:down|up)_blocks\.\d+|mid_block|(?:double|single)_blocks\.\d+)\.(?:.+\.)?processor\."
)
# Modules of one model of a pipeline, without its name: diffusers and PEFT save a model alone so.
BARE = re.compile(
    r"(?:(?:down|up)_blocks\.\d+|mid_block)\.(?:attentions|resnets|(?:down|up)samplers)\."
    r"|(?:single_)?transformer_blocks\.\d+\.|(?:double|single)_blocks\.\d+\.(?!processor\.)"
)
LORA = re.compile(r"lora", re.IGNORECASE)
LIBRARY = re.compile(
    r"\.(?:\w*adapters|prefix_tunings|prefix_gates|loras|refts|prompt_tunings|shared_parameters)\.[^.]+\."
)
MLX = re.compile(r"\.lora_[ab]$")
LORALIB = re.compile(r"\.lora_[AB]$")
LITGPT = re.compile(r"(?:.*\.)?transformer\.h\.\d+\.(?:attn|mlp)\.(?:attn|qkv|proj|fc|fc_1|fc_2)\.lora_[AB]")
IP_ADAPTER = re.compile(r"(?:ip_adapter|image_proj|ip_adapter_proj_model)\..*|.*\.(?:to_[kv]_ip|ip_adapter_\w+)\..*")
# New words: of diffusers by the word itself, of the WebUI and of ComfyUI by the text encoder.
EMBEDDINGS = re.compile(r"emb_params|clip_[lg]|t5xxl|text_encoders_\d|<[^<>]+>|(?:.*\.)?string_to_param\..*")
DIRECTION = re.compile(r"direction\.\d+")
STEERING = re.compile(r"(?:.*[._-])?(?:layers?|steering|vectors?|resid\w*|v)?[._-]?\d+(?:[._-](?:vector|direction))?")
MIN_WIDTH = 16  # of a hidden state: shorter ones are no vectors to steer by

KINDS = (("hada_", "loha"), ("lokr_", "lokr"), ("oft_", "oft"), (".b1.weight", "glora"))  # of LyCORIS, by a part

Shapes = Mapping[str, tuple[int, ...]]


def of_tensors(names: Iterable[str], metadata: Mapping[str, str], shapes: Shapes | None = None) -> tuple[str, str]:
    """Return family and kind of a file without a config, by its tensors' names; ("", "") for a model.

    With `shapes` (name → shape) vectors are recognised as well: their names say little.
    """
    names = list(names)
    is_kohya = metadata_of_kohya(metadata) or any(map(KOHYA.match, names))
    if any(map(LYCORIS.search, names)) and (is_kohya or any(map(PRODUCTS.match, names))):
        return "lycoris", _lycoris(names)
    if names and all(map(EMBEDDINGS.fullmatch, names)):
        return "textual-inversion", "textual-inversion"
    if any(map(IP_ADAPTER.fullmatch, names)):
        return "ip-adapter", "ip-adapter"
    if any(map(KOHYA.match, names)):
        return "kohya", "lora"
    of_pipeline = (name for name in names if PIPELINE.match(name) or BARE.match(name))
    if "lora_adapter_metadata" in metadata or any(map(LORA.search, of_pipeline)):
        return "diffusers", "lora"
    if is_kohya:  # by its notes alone, which ai-toolkit writes as well, under other names
        return "kohya", "lora"
    return _of_text(names, shapes or {})


def _of_text(names: list[str], shapes: Shapes) -> tuple[str, str]:
    """Return family and kind of a file for models of text."""
    if any(name.startswith("base_model.model.") for name in names):
        return "peft", ""
    if any(map(LIBRARY.search, names)):
        return "adapters", ""
    if any(map(MLX.search, names)):
        return "mlx", "lora"
    if any(map(LITGPT.fullmatch, names)):
        return "litgpt", "lora"
    if any(map(LORALIB.search, names)):
        return "loralib", "lora"
    return ("steering-vector", "steering-vector") if _are_vectors(names, shapes) else ("", "")


def _are_vectors(names: list[str], shapes: Shapes) -> bool:
    """Return whether there is one vector of the same width for each of some layers, and nothing else."""
    widths = {
        max(shape, default=0) if shape and min(sorted(shape)[:-1] or [1]) == 1 else 0 for shape in shapes.values()
    }
    is_named = all(STEERING.fullmatch(name) for name in names)
    return bool(names) and is_named and len(widths) == 1 and min(widths) >= MIN_WIDTH


def metadata_of_kohya(metadata: Mapping[str, str]) -> bool:
    return any(key.startswith("ss_network_") or key == "ss_base_model_version" for key in metadata)


def _lycoris(names: Iterable[str]) -> str:
    text = " ".join(names)
    return next((kind for part, kind in KINDS if part in text), "locon")
