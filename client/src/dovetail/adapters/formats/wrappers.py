"""The names that wrappers of training leave in a state dict, and the names without them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

# Part of a tensor's name → the wrapper that puts it there.
WRAPPERS = {
    "module": "DistributedDataParallel or DeepSpeed",
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FSDP",
    "_checkpoint_wrapped_module": "activation checkpointing",
    "default": "model.state_dict(), in place of save_pretrained(),",
}
ANYWHERE = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# The name of the adapter, which save_pretrained() leaves out, after a parameter of any method or a saved module.
ADAPTER = re.compile(r"\.default(?=(?:\.\w+)?$)|(?<=\.modules_to_save)\.default(?=\.)")
AT_THE_FRONT = re.compile(r"^((?:base_model\.model\.|base_model\.)?)module\.")


MAGNITUDES = ".lora_magnitude_vector"


def nameless(name: str) -> str:
    """Return a tensor's name as save_pretrained() writes it: without the adapter's own name."""
    bare = ADAPTER.sub("", name)
    return bare.removesuffix(".weight") if bare.endswith(f"{MAGNITUDES}.weight") else bare


def unwrapped(name: str) -> str:
    """Return a tensor's name as the model without its wrappers has it."""
    return nameless(AT_THE_FRONT.sub(r"\1", ANYWHERE.sub("", name)))


def explained(names: Iterable[str], expected: Collection[str]) -> tuple[str, str] | None:
    """Return the part of the names that a wrapper left, and the wrapper, if without it the names are those expected."""
    names = list(names)
    if not names or not all(unwrapped(name) in expected for name in names):
        return None
    return next(((part, who) for part, who in WRAPPERS.items() if part in names[0].split(".")), None)
