"""The content of a repository without an adapter, guessed by the names of its files."""

from __future__ import annotations

import re
from collections.abc import Iterable

# The first that matches a file's own name; nothing of these is loaded, fitted or proven here.
KINDS = tuple((re.compile(pattern, re.IGNORECASE), content) for pattern, content in (
    (r"learned_embeds(?:-.*)?\.(?:safetensors|bin)", "a textual inversion"),
    (r"ip[-_]?adapter.*\.(?:safetensors|bin)", "an IP-Adapter"),
    (r"lit_model\.pth\.lora|lit_model_.*lora.*\.pth", "a LoRA of LitGPT"),
    (r".*(?:control|steering)[-_]?vectors?.*\.(?:gguf|safetensors|pt|npz)", "a control or steering vector"),
    (r"(?:model|pytorch_model|tf_model|flax_model)(?:-\d+-of-\d+)?\.(?:safetensors|bin|h5|msgpack)", "a full model"),
    (r"consolidated.*\.(?:safetensors|pth)|lit_model\.pth|diffusion_pytorch_model\.safetensors", "a full model"),
    (r".*\.gguf", "a model in GGUF that does not say it is an adapter"),
))  # fmt: skip
WAYS = {
    "a full model": "Push what PeftModel.save_pretrained() writes: adapter_config.json and adapter_model.safetensors.",
    "a LoRA of LitGPT": "Convert it with litgpt convert lora, or push the PEFT adapter.",
}


def sighted(paths: Iterable[str]) -> tuple[str, str] | None:
    """Return a sentence about the first file of a known kind and the way out ("" for none); None if no file tells."""
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        name = path.rpartition("/")[2]
        content = next((content for pattern, content in KINDS if pattern.fullmatch(name)), None)
        if content:
            return f"By its name {path[:120]} is {content}.", WAYS.get(content, "")
    return None
