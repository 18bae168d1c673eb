"""IA3: which modules scale their input is spelled out from the tensors."""

from __future__ import annotations

from typing import Any

from dovetail.adapters.folder import Folder
from dovetail.adapters.selection import Selection


def clean(folder: Folder) -> dict[str, Any]:
    modules, selection = sorted(folder.layout.modules), Selection(folder.config)
    return {
        "target_modules": modules,
        "feedforward_modules": [module for module in modules if selection.is_feedforward(module)],
        "fan_in_fan_out": bool(folder.config.get("fan_in_fan_out")),
    }
