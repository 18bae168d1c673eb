"""How each method's clean config is written: from an allow-list, so that no uploaded config ever reaches a loader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dovetail.adapters.folder import Folder
from workers.engine.formats import ia3, lora, prompts

FORMATS: dict[str, Callable[[Folder], dict[str, Any]]] = {
    "LORA": lora.clean,
    "IA3": ia3.clean,
    "PROMPT_TUNING": prompts.clean_prompt_tuning,
    "P_TUNING": prompts.clean_p_tuning,
    "PREFIX_TUNING": prompts.clean_prefix_tuning,
}


def clean(folder: Folder) -> dict[str, Any]:
    """The config a loader gets. The static checks have passed: types and bounds hold."""
    config = folder.config
    peft_type = str(config["peft_type"])
    return {
        "peft_type": peft_type,
        "task_type": config.get("task_type"),
        "base_model_name_or_path": folder.base_id,
        "inference_mode": True,
        "modules_to_save": config.get("modules_to_save") or None,
        **FORMATS[peft_type](folder),
    }
