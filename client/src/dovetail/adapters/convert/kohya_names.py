"""kohya's names of modules: a prefix for the model, and the path with `_` for every dot.

A path can be read back only if each of its words is known. The words are those of Stable Diffusion's UNet and CLIP's
text encoders, as diffusers and transformers name their modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dovetail.adapters.convert.lora import TEXT_ENCODER, TEXT_ENCODER_2, UNET
from dovetail.adapters.convert.refusal import Unconvertible

OF_UNET = (
    "down_blocks up_blocks mid_block transformer_blocks attentions resnets downsamplers upsamplers attn1 attn2 to_q "
    "to_k to_v to_out ff net proj proj_in proj_out time_emb_proj time_embedding add_embedding conv conv1 conv2 conv_in "
    "conv_out conv_shortcut linear_1 linear_2"
)
OF_TEXT = "text_model encoder layers self_attn q_proj k_proj v_proj out_proj mlp fc1 fc2 text_projection"
PREFIXES = (  # longest first; the first one of a component is the one that is written
    ("lora_unet_", UNET), ("lora_te1_", TEXT_ENCODER), ("lora_te2_", TEXT_ENCODER_2), ("lora_te_", TEXT_ENCODER),
)  # fmt: skip
STARTS = {
    UNET: ("down_blocks", "up_blocks", "mid_block", "conv_in", "conv_out", "time_embedding"),
    TEXT_ENCODER: ("text_model",),
}


def _grammar(words: str) -> re.Pattern[str]:
    alternatives = "|".join(sorted(words.split(), key=lambda word: (-len(word), word)))
    return re.compile(rf"({alternatives}|\d+)(?:_|$)")


GRAMMARS = {UNET: _grammar(OF_UNET), TEXT_ENCODER: _grammar(OF_TEXT), TEXT_ENCODER_2: _grammar(OF_TEXT)}


def split(name: str) -> tuple[str, str]:
    """Return component and path of one of kohya's names. Raises `Unconvertible` if a word of it is unknown."""
    for prefix, component in PREFIXES:
        if name.startswith(prefix):
            return component, _path(name, name.removeprefix(prefix), component)
    raise Unconvertible("its name begins with no prefix of kohya for a UNet or a text encoder.", name)


def join(path: str, component: str, *, is_one_of_two: bool) -> str:
    """Return kohya's name of a module. Raises `Unconvertible` if it would not read back as the same path."""
    prefix = {UNET: "lora_unet_", TEXT_ENCODER_2: "lora_te2_"}.get(component, "")
    if component == TEXT_ENCODER:
        prefix = "lora_te1_" if is_one_of_two else "lora_te_"
    if not prefix:
        raise Unconvertible("kohya names modules of UNets and of CLIP's text encoders, and none of this model.", path)
    flat = path.replace(".", "_")
    if _path(path, flat, component) != path:
        raise Unconvertible("kohya's name for it would be read as another module's.", path)
    return prefix + flat


def component_of(paths: Iterable[str]) -> str:
    """Return the component whose words all these paths are made of; "" for none."""
    tops = {path.partition(".")[0] for path in paths}
    return next((component for component, starts in STARTS.items() if tops and tops <= set(starts)), "")


def _path(name: str, flat: str, component: str) -> str:
    words, at = [], 0
    while at < len(flat):
        match = GRAMMARS[component].match(flat, at)
        if match is None:
            raise Unconvertible(f"{flat[at:][:60]!r} in its name is no module of a {component} of diffusers.", name)
        words.append(match[1])
        at = match.end()
    if not words or words[0] not in STARTS.get(component, STARTS[TEXT_ENCODER]):
        raise Unconvertible(f"its name does not begin as a module of a {component} of diffusers does.", name)
    return ".".join(words)
