"""Sorts the tensors of formats that no engine here runs into modules and their parts; `checks.foreign` checks them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dovetail.adapters.files.header import TensorInfo
from dovetail.adapters.formats.images import ROWS

WHOLE_TENSOR = "tensor"
DOWN = re.compile(
    r"(?:lora_)?down\.weight|lora_A(?:\.default)?(?:\.weight)?|lora(?:_linear_layer)?\.down\.weight|lora_a"
)
UP = re.compile(r"(?:lora_)?up\.weight|lora_B(?:\.default)?(?:\.weight)?|lora(?:_linear_layer)?\.up\.weight|lora_b")
# Every part of one of these needs the others: "w1" stands for the whole matrix or for its two factors.
WHOLE = {
    "hada": ({"hada_w1_a"}, {"hada_w1_b"}, {"hada_w2_a"}, {"hada_w2_b"}),
    "lokr": ({"lokr_w1", "lokr_w1_a"}, {"lokr_w1", "lokr_w1_b"}, {"lokr_w2", "lokr_w2_a"}, {"lokr_w2", "lokr_w2_b"}),
}
EFFECT = re.compile(rf"{UP.pattern}|hada_w2_b|lokr_w2(?:_b)?|diff|weight|oft_blocks|oft_diag|{WHOLE_TENSOR}")


@dataclass(slots=True)
class Pair:
    """The tensors of one module in a file, by part; the names of the parts are the format's own."""

    parts: dict[str, tuple[str, TensorInfo]] = field(default_factory=dict)

    def side(self, pattern: re.Pattern[str]) -> tuple[str, TensorInfo] | None:
        return next((part_tensor for part, part_tensor in self.parts.items() if pattern.fullmatch(part)), None)

    @property
    def down(self) -> tuple[str, TensorInfo] | None:
        """Name and tensor of the matrix that leads into the low rank."""
        return self.side(DOWN)

    @property
    def up(self) -> tuple[str, TensorInfo] | None:
        return self.side(UP)

    @property
    def lacking(self) -> list[str]:
        """The missing parts of an incomplete pair or group."""
        if bool(self.down) != bool(self.up):
            return ["the other half"]
        for prefix, choices in WHOLE.items():
            if any(part.startswith(f"{prefix}_w") for part in self.parts):
                return [min(choice, key=len) for choice in choices if not choice & self.parts.keys()]
        return []


@dataclass(slots=True)
class Parts:
    modules: dict[str, Pair] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)  # names that are not parts of this format


def sort_parts(family: str, tensors: Mapping[str, TensorInfo]) -> Parts:
    """Assign each tensor to its module and part."""
    pattern = ROWS[family].modules
    if pattern is None:
        return Parts({name: Pair({WHOLE_TENSOR: (name, tensor)}) for name, tensor in tensors.items()})
    parts = Parts()
    for name, tensor in tensors.items():
        if match := pattern.fullmatch(name):
            parts.modules.setdefault(match[1], Pair()).parts[match[2]] = (name, tensor)
        else:
            parts.others.append(name)
    return parts


def ranks_of(family: str, pair: Pair) -> tuple[int, int] | None:
    """Return the rank of each half of a LoRA; None without two halves. MLX multiplies from the other side."""
    if pair.down is None or pair.up is None or min(len(pair.down[1].shape), len(pair.up[1].shape)) < 2:
        return None
    down, up = pair.down[1].shape, pair.up[1].shape
    return (down[-1], up[-2]) if family == "mlx" else (down[0], up[1])


def widths_of(family: str, pair: Pair) -> tuple[int, int] | None:
    """Return inputs and outputs of the module that a LoRA adapts; None if it is not a pair of matrices."""
    if ranks_of(family, pair) is None or pair.down is None or pair.up is None:
        return None
    down, up = pair.down[1].shape, pair.up[1].shape
    if len(down) != 2 or len(up) != 2:
        return None
    return (down[0], up[1]) if family == "mlx" else (down[1], up[0])


# --- names of the base -----------------------------------------------------------------------------------------------
GGML = {  # gguf-py, tensor_mapping.py: the module names of the llama family
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
GGML_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)")
LLAMAS = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2")


# The paths of the text model in a model with vision, in transformers and in mlx-lm.
OF_TRANSFORMERS, OF_MLX, HEAD_OF_MLX = "model.language_model.", "language_model.model.", "language_model.lm_head"


def without_mlx(path: str) -> str:
    """Return the path in transformers of a module that mlx-lm names."""
    if path.startswith(OF_MLX):
        return OF_TRANSFORMERS + path.removeprefix(OF_MLX)
    return "lm_head" if path == HEAD_OF_MLX else path


def path_in_base(family: str, module: str, architecture: str = "") -> str | None:
    """Return the path in transformers of a module that this format names; None if the format does not tell it."""
    if family in ("mlx", "loralib"):
        return None if ".switch_mlp." in module else without_mlx(module) if family == "mlx" else module
    if family != "gguf" or architecture not in LLAMAS:
        return None
    if module == "output":
        return "lm_head"
    match = GGML_BLOCK.fullmatch(module)
    return f"model.layers.{match[1]}.{GGML[match[2]]}" if match and match[2] in GGML else None
