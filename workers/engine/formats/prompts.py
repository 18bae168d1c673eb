"""Prompt tuning, P-tuning and prefix tuning: one tensor each, whose meaning only the config tells."""

from __future__ import annotations

from typing import Any

from dovetail.adapters.folder import Folder

COMMON = ("num_virtual_tokens", "token_dim", "num_transformer_submodules", "num_attention_heads", "num_layers")


def clean_prompt_tuning(folder: Folder) -> dict[str, Any]:
    return {**_taken(folder, COMMON), "prompt_tuning_init": "RANDOM"}


def clean_p_tuning(folder: Folder) -> dict[str, Any]:
    """The encoder is folded into the saved prompt: a small one is built, and not used."""
    return {
        **_taken(folder, COMMON),
        "encoder_reparameterization_type": "MLP",
        "encoder_hidden_size": 8,
        "encoder_num_layers": 1,
        "encoder_dropout": 0.0,
    }


def clean_prefix_tuning(folder: Folder) -> dict[str, Any]:
    """The projection is folded into the saved prefix."""
    return {**_taken(folder, COMMON), "prefix_projection": False}


def _taken(folder: Folder, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: folder.config[key] for key in keys if folder.config.get(key) is not None}
