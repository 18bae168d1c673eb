"""The allowed values of each config field by family of formats, checked once before anything else reads the field.

The fields of one method of PEFT or of the adapters library are in the method's row; here are those of all configs.
"""

from __future__ import annotations

from collections.abc import Mapping

from dovetail.adapters.files import config as configs
from dovetail.adapters.methods.accepts import (
    Fits,
    either,
    is_flag,
    is_label_table,
    is_names,
    is_number,
    is_table,
    is_text,
    maybe,
    whole,
)
from dovetail.adapters.methods.kind import EVERYWHERE, Kind

Rules = Mapping[str, Fits]

# Fields of every config of PEFT.
PEFT: Rules = {**EVERYWHERE, "peft_type": is_text, "auto_mapping": is_table}
# Of an adapter of the adapters library, and of its head.
LIBRARY: Rules = {
    **dict.fromkeys(("name", "model_name", "model_class", "model_type", "version"), is_text),
    "hidden_size": maybe(whole(1, 2**31)),
    "config": is_table,
}
# The fields inside `config` of a head.
HEAD: Rules = {
    **dict.fromkeys(("head_type", "activation_function"), is_text),
    **dict.fromkeys(("use_pooler", "bias", "layer_norm", "shift_labels"), is_flag),
    "num_labels": whole(0, 4096),
    "layers": whole(0, 8),
    "label2id": is_label_table,
}
FUSION: Rules = {**LIBRARY, "config": either(is_table, is_text), "adapter_names": is_names}
MLX: Rules = {
    **dict.fromkeys(("fine_tune_type", "model"), is_text),
    "num_layers": maybe(whole(-1, 2**16)),
    "lora_parameters": is_table,
}
MLX_LORA: Rules = {"scale": maybe(is_number), "dropout": maybe(is_number), "keys": is_names}


def of_peft(kind: Kind | None) -> Rules:
    """Return the rules for a config of PEFT, with those of its method if that is known."""
    return {**PEFT, **kind.keys} if kind else PEFT


def wrong(config: configs.Config, rules: Rules) -> list[str]:
    """Return the fields whose value is not allowed; a missing field is allowed."""
    return [field for field, fits in rules.items() if field in config and not fits(config[field])]


def said(config: configs.Config, field: str, file: str = configs.NAME) -> str:
    """Return a field and its value as the beginning of a sentence."""
    return f"{file} says {field} = {repr(config.get(field))[:60]}"
