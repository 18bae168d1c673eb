"""LoRA, rsLoRA and DoRA: modules, ranks and alphas are spelled out; no pattern of a stranger is left."""

from __future__ import annotations

import re
from typing import Any

from dovetail.adapters import config as configs
from dovetail.adapters.folder import Folder
from dovetail.adapters.selection import PatternTable


def clean(folder: Folder) -> dict[str, Any]:
    config, modules = folder.config, sorted(folder.layout.modules)
    rank, alpha = configs.whole(config, "r") or 8, configs.number(config, "lora_alpha")
    alpha = 8.0 if alpha is None else alpha
    return {
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": _exceptions(config.get("rank_pattern"), modules, rank),
        "alpha_pattern": _exceptions(config.get("alpha_pattern"), modules, alpha),
        "target_modules": modules,
        "use_rslora": bool(config.get("use_rslora")),
        "use_dora": bool(config.get("use_dora")),
        "lora_bias": bool(config.get("lora_bias")),
        "fan_in_fan_out": bool(config.get("fan_in_fan_out")),
        "bias": config.get("bias") or "none",
        "lora_dropout": 0.0,
        "init_lora_weights": True,
        "trainable_token_indices": config.get("trainable_token_indices"),
        "ensure_weight_tying": config.get("ensure_weight_tying") is True,
    }


def _exceptions(table: object, modules: list[str], default: float) -> dict[str, float]:
    """Whole paths, escaped, of the modules whose number is not the default: PEFT takes the keys for patterns."""
    numbers = PatternTable(table)
    found = {module: numbers.get(module, default) for module in modules}
    return {f"^{re.escape(module)}": number for module, number in found.items() if number != default}
