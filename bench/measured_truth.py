"""The outcomes that are known to be right, for `make bench ARGS=measured`.

They are from runs by hand: small bases, eight greedy tokens of each engine beside those of PEFT, with vLLM 0.32.0,
llama.cpp (xllamacpp 2026.10.11549) and mlx-lm 0.32.2. What is `wrong`, the engine took without an error.
"""

from collections.abc import Callable, Mapping

Outcomes = Mapping[str, str]

PLAIN = ("all-linear", "some-layers", "late-layers", "rank-32")
TABLES = ("input-table", "output-table")
STRANGERS = ("ia3", "loha", "lokr", "vera", "prompt", "unknown-module", "lora-bias", "trained-tokens", "whole-head")
MAPS_BARE_NAMES = ("Mistral3ForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration")

REFUSED_BY_ALL = dict.fromkeys(STRANGERS, "refuses")
VLLM: Outcomes = REFUSED_BY_ALL | {
    "dora": "refuses",
    "pissa": "refuses",
    "activated": "refuses",
    "replicated": "refuses",
    "trained-biases": "refuses",
    "bias-without-tensors": "refuses",
    "whole-norms": "refuses",
    "rank-stabilised": "serves",
    "alpha-pattern": "serves",
    "unknown-path": "wrong",
    "layer-too-many": "wrong",
}
LLAMA_CPP: Outcomes = REFUSED_BY_ALL | {
    "dora": "refuses",
    "trained-biases": "refuses",
    "unknown-path": "refuses",
    "layer-too-many": "refuses",
    "rank-stabilised": "wrong",
    "alpha-pattern": "wrong",
    "pissa": "wrong",
    "activated": "wrong",
    "replicated": "wrong",
    "whole-norms": "wrong",
    "bias-without-tensors": "serves",
}
MLX: Outcomes = REFUSED_BY_ALL | {
    "dora": "serves",
    "rank-stabilised": "serves",
    "unknown-path": "refuses",
    "layer-too-many": "refuses",
    # Its format has no form for these, so the hub does not convert them.
    "alpha-pattern": "refuses",
    "pissa": "refuses",
    "activated": "refuses",
    "replicated": "refuses",
    "whole-norms": "refuses",
    "trained-biases": "refuses",
    "bias-without-tensors": "refuses",
}


def expected(engine: str, base: str, adapter: str) -> str:
    """Return the right outcome of an adapter on a base."""
    return ENGINES[engine](base, adapter)


def _vllm(base: str, adapter: str) -> str:
    """Judge as 0.32.0 for the processor did; a class takes a LoRA on a table where it declares `embedding_modules`."""
    if adapter in VLLM:
        return VLLM[adapter]
    if adapter == "vision-too":
        return "wrong"
    if adapter in TABLES:
        return "serves" if base == "LlamaForCausalLM" else "refuses"
    has_vision = base.endswith("ForConditionalGeneration")
    is_reached = adapter in PLAIN or base in MAPS_BARE_NAMES or (adapter == "text") != has_vision
    return "serves" if is_reached else "wrong"


def _llama_cpp(base: str, adapter: str) -> str:
    """Its converter makes all names of layers alike, and leaves out what sees; Mistral 3's writes a broken file."""
    if base == "Mistral3ForConditionalGeneration":
        return "refuses"
    if adapter in LLAMA_CPP:
        return LLAMA_CPP[adapter]
    return "wrong" if adapter == "vision-too" else "serves"


def _mlx(base: str, adapter: str) -> str:
    """A name that its model has not is refused, and its format has no form for a LoRA on an input table."""
    if adapter in MLX:
        return MLX[adapter]
    if base.endswith("ForConditionalGeneration"):
        return "serves" if adapter in ("older", "wrapped") else "refuses"
    return "refuses" if adapter in ("wrapped", "input-table") else "serves"


ENGINES: Mapping[str, Callable[[str, str], str]] = {"vllm": _vllm, "llama.cpp": _llama_cpp, "mlx": _mlx}
