"""Tells which models for images and video a file may be for, by the names and widths of its tensors and by its notes.

Families share names: a file that adapts only what two have in common may be for either, so an answer is a set. Words
are compared as whole words, never as parts of one. The formats that no engine here runs have a row each: what they are
called, and how their tensors belong together.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SD1, SD2, SDXL, SD3 = "Stable Diffusion 1", "Stable Diffusion 2", "Stable Diffusion XL", "Stable Diffusion 3"
FLUX, FLUX2, CHROMA, HUNYUAN = "Flux", "Flux 2", "Chroma", "HunyuanVideo"
WAN, QWEN, LTX, LUMINA, PIXART = "Wan", "Qwen-Image", "LTX-Video", "Lumina 2 or Z-Image", "PixArt"
# Words of a name between spaces → the family; the first that matches. Names of hubs, and versions in headers.
WORDS = tuple(
    (re.compile(pattern), family)
    for family, pattern in (
        *((FLUX2, r" flux ?2 "), (FLUX, r" flux(?:1|1d|1s)? "), (CHROMA, r" chroma\d* ")),
        *((HUNYUAN, r" hunyuan ?video | hunyuanvideo "), (WAN, r" wan(?:2|21|22)? "), (QWEN, r" qwen ?image ")),
        *((LTX, r" ltxv?(?: video)? "), (LUMINA, r" lumina(?: image)? | z image "), (PIXART, r" pixart ")),
        (SDXL, r" sdxl | stable diffusion xl | sd xl | illustrious(?:xl)? | pony(?: diffusion)? | noobai "),
        *((SD3, r" stable diffusion v?3[ m]| sd ?v?3\w* "), (SD2, r" stable diffusion v?2 | sd ?v?2\d? ")),
        (SD1, r" stable diffusion v?1 | sd ?v?1[45]? "),
    )
)
NOTES = ("ss_base_model_version", "modelspec.architecture")
DOTS = re.compile(r"[._]")
# Parts of names with every dot and underscore as "_" → the families that have such a module; the first that matches.
MODULES = tuple(
    (re.compile(pattern), set(families))
    for pattern, *families in (
        *((r"double_stream_modulation", FLUX2), (r"distilled_guidance_layer", CHROMA)),
        (r"individual_token_refiner|txt_in_c_embedder", HUNYUAN),
        (r"(?:^|_)(?:double|single)_blocks_\d|single_transformer_blocks_\d", FLUX, FLUX2, CHROMA, HUNYUAN),
        *((r"joint_blocks_\d", SD3), (r"transformer_blocks_\d+_(?:img|txt)_(?:mlp|mod)", QWEN)),
        *((r"(?:^|_)blocks_\d+_(?:cross|self)_attn_[qkvo]", WAN), (r"noise_refiner_\d|context_refiner_\d", LUMINA)),
        (r"(?:^|_)te2_|text_encoder_2_text_model", SDXL),
    )
)
# Of these the width decides: of the text that a U-Net attends to, of the hidden states of a transformer.
TEXT_OF_UNET = re.compile(r"(?:down|up|mid|input|output|middle)_block.*attn2_to_[kv]_")
UNET_WIDTHS = {768: {SD1}, 1024: {SD2}, 2048: {SDXL}}
OF_TRANSFORMER = re.compile(
    r"(?<!single_)(?<!attentions_\d_)(?<!attentions_\d\d_)transformer_blocks_\d+_(attn\d?)_to_[qkv]_"
)
ATTN_WIDTHS = {
    "attn": {1536: {SD3}, 2432: {SD3}, 3072: {FLUX, QWEN}},
    "attn1": {2048: {LTX}, 4096: {LTX}, 1152: {PIXART}},
}
DOWN = re.compile(r"lora_(?:A(?:\.default)?|down)\.weight|lora\.down\.weight")
ENCODERS = {"clip_l": {SD1, SDXL, SD3, FLUX}, "clip_g": {SDXL, SD3}, "t5xxl": {SD3, FLUX}}

Shapes = Mapping[str, tuple[int, ...]]


def of_name(name: str) -> str:
    """Return the family that a name of a model or a version means, "" for one that is not known here."""
    words = f" {' '.join(re.split('[^a-z0-9]+', name.casefold()))} "
    return next((family for pattern, family in WORDS if pattern.search(words)), "")


def of_notes(metadata: Mapping[str, str]) -> tuple[str, str]:
    """Return the family that a file's header says, and where; ("", "") if it says none."""
    said = ((of_name(metadata.get(key, "")), f"{key} says {metadata.get(key, '')[:60]}") for key in NOTES)
    return next((pair for pair in said if pair[0]), ("", ""))


def of_tensors(shapes: Shapes) -> frozenset[str]:
    """Return the families that have all modules which are adapted; none if they do not tell."""
    found: list[set[str]] = []
    for name, shape in shapes.items():
        path = DOTS.sub("_", name)
        families = next((families for pattern, families in MODULES if pattern.search(path)), None)
        families = families or _by_width(name, path, shape) or ENCODERS.get(name)
        if families:
            found.append(families)
    return frozenset(set.intersection(*found)) if found else frozenset()


def _by_width(name: str, path: str, shape: tuple[int, ...]) -> set[str] | None:
    if len(shape) < 2 or not DOWN.search(name):
        return None
    if TEXT_OF_UNET.search(path):
        return UNET_WIDTHS.get(shape[1])
    attention = OF_TRANSFORMER.search(path)
    return ATTN_WIDTHS.get(attention[1], {}).get(shape[1]) if attention else None


def some(families: Iterable[str]) -> str:
    """Return families as part of a sentence."""
    return " or ".join(sorted(families))


# Each format's names for the parts of a module: the path of the module, a dot, and one of these.
_KOHYA = r"(?:lora_down|lora_up|lora_mid)\.weight|alpha|dora_scale|diff|diff_b|reg_reg|scalar"
_LYCORIS = (
    r"hada_w[12]_[ab]|hada_t[12]|lokr_w[12](?:_[ab])?|lokr_t2|weight|on_input|oft_blocks|oft_diag|rescale"
    r"|[abcd][12]?\.weight|bm\.weight|w_norm|b_norm|dora_scale|constraint|lambda_layer"
)
DIFFUSERS = re.compile(
    r"(.+?)[._](lora_[AB](?:\.default)?\.weight|lora_magnitude_vector(?:\.default)?(?:\.weight)?|lora_[AB]\.bias"
    r"|lora\.(?:down|up)\.weight|lora\.(?:down|up)\.bias|lora_linear_layer\.(?:down|up)\.weight|lora\.alpha|alpha"
    r"|lora_(?:down|up|mid)\.weight|dora_scale|diff|diff_b|(?<=_lora\d\.)(?:down|up)\.weight)"  # the last XLabs'
)


@dataclass(frozen=True, slots=True)
class Format:
    """One format. `title` tells what it is, `name` is shorter; each is the end of a sentence.

    `modules` matches a tensor's name by its module and its part. In a format without it each tensor is a part by itself
    (`is_single`), or the file is not unpacked. Where `is_merged`, halves of a merged linear have other ranks; of models
    of text there may be a PEFT adapter too.
    """

    title: str
    name: str
    modules: re.Pattern[str] | None = None
    is_single: bool = False
    is_merged: bool = False
    is_of_text: bool = False
    is_vector: bool = False

    @property
    def is_read(self) -> bool:
        """True if the names and shapes of its tensors are read."""
        return self.modules is not None or self.is_single


IMAGES = re.compile(rf"(.+?)\.({_KOHYA}|{_LYCORIS})")
PAIR = re.compile(r"(.+)\.(lora_[AB])")
_UNSAID = "which says neither its base nor its alpha"

ROWS = {
    "diffusers": Format("a LoRA of diffusers, for images", "a diffusers LoRA for images", DIFFUSERS),
    "kohya": Format("a LoRA of kohya's trainer, for images", "a kohya LoRA for images", IMAGES),
    "lycoris": Format("a LyCORIS adapter, for images", "a LyCORIS adapter for images", IMAGES),
    "mlx": Format("an adapter of MLX", "an MLX adapter", re.compile(r"(.+)\.(lora_[ab]|m|scale)"), is_of_text=True),
    "gguf": Format(
        "a LoRA in GGUF, for llama.cpp", "a GGUF LoRA", re.compile(r"(.+)\.weight\.(lora_[ab])"), is_of_text=True
    ),
    "nemo": Format("an adapter of NeMo", "a NeMo adapter", is_of_text=True),
    "loralib": Format(f"a LoRA of loralib, {_UNSAID}", "a LoRA of loralib", PAIR, is_merged=True, is_of_text=True),
    "litgpt": Format(f"a LoRA of LitGPT, {_UNSAID}", "a LoRA of LitGPT", PAIR, is_merged=True, is_of_text=True),
    "textual-inversion": Format(
        "a textual inversion: new words for a text encoder, for images", "a textual inversion", is_single=True
    ),
    "ip-adapter": Format(
        "an IP-Adapter, which adds attention to a picture, for images", "an IP-Adapter", is_single=True
    ),
    "control-vector": Format(
        "a control vector, which llama.cpp adds to hidden states", "a control vector", is_single=True, is_vector=True
    ),
    "steering-vector": Format(
        "vectors by which hidden states are steered", "a steering vector", is_single=True, is_vector=True
    ),
}
