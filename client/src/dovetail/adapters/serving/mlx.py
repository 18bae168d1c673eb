"""The serving rules of mlx-lm, read in its source, as data."""

from dovetail.adapters.serving.rules import Engine, Rule, no_flags
from dovetail.adapters.serving.subject import Subject

VERSION = "0.32.0"
UTILS = "mlx_lm/tuner/utils.py"
LEAVES = ("lora_a", "lora_b", "m")


def _missing_keys(a: Subject) -> list[str]:
    required = ("num_layers", "lora_parameters")
    return [key for key in required if key not in a.config] if a.format == "mlx" and not _is_full(a) else []


def _is_full(a: Subject) -> bool:
    return a.config.get("fine_tune_type") == "full"


def _strangers(a: Subject) -> list[str]:
    names = a.tensors if a.format == "mlx" and not _is_full(a) else ()
    return [name for name in names if name.rpartition(".")[2] not in LEAVES]


RULES = (
    Rule("mlx.format", "refuses", UTILS, lambda a: "" if a.format in ("mlx", "peft") else a.title,
         "mlx-lm reads its own format; this is {}."),
    Rule("mlx.peft", "refuses", UTILS, lambda a: a.format == "peft" and a.title,
         "mlx-lm reads adapters.safetensors and num_layers, not {}. Converting means to transpose both sides and to "
         "write alpha/r as scale."),
    Rule("mlx.weights", "refuses", UTILS, lambda a: a.format == "mlx" and "adapters.safetensors" not in a.files,
         "mlx-lm needs adapters.safetensors."),
    Rule("mlx.config-keys", "refuses", UTILS, _missing_keys, "mlx-lm needs {} in adapter_config.json."),
    Rule("mlx.tensor-names", "refuses", UTILS, _strangers,
         "mlx-lm takes tensors that end in lora_a, lora_b or m alone, not {}."),
)  # fmt: skip


def _serves(_: Subject) -> str:
    return "It is in mlx-lm's own format."


MLX = Engine("mlx", "MLX", VERSION, "ml-explore/mlx-lm", RULES, no_flags, _serves)
