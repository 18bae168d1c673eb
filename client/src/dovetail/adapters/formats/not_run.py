"""The formats that no engine here runs, a row each: how they are called, and how their tensors belong together."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
