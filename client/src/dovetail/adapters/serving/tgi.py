"""The serving rules of text-generation-inference, read in its source, as data."""

from dovetail.adapters.serving.family import Member, of_adapters, of_scales
from dovetail.adapters.serving.peft import unknown_method
from dovetail.adapters.serving.rules import Engine, Rule, no_flags, unknown
from dovetail.adapters.serving.subject import Subject

VERSION = "3.3.7"
LORA, MODELS = "server/text_generation_server/adapters/lora.py", "server/text_generation_server/models/__init__.py"
ADAPTER, PINS = "server/text_generation_server/utils/adapter.py", "server/requirements_cuda.txt"
PEFT = "0.15.2"  # what it is built with
MODULES = frozenset(
    {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "c_proj", "c_fc"}
)
ITSELF = Member(
    "tgi", "TGI", lora=LORA, layers=MODELS, kernels=LORA, saved=MODELS, modules=MODULES, scales_by="alpha and r"
)

RULES = (
    Rule("tgi.method", "refuses", LORA,
         lambda a: "" if a.is_lora or a.method == "ADALORA" else a.title,
         "TGI reads LoRA adapters of PEFT; this is {}."),
    Rule("tgi.peft", "refuses", PINS, lambda a: unknown_method(a, PEFT),
         "TGI is built with peft 0.15.2, which does not know {}."),
    Rule("tgi.adalora", "wrong", LORA, lambda a: a.method == "ADALORA",
         "TGI looks for lora_A.weight and lora_B.weight, which AdaLoRA does not have: the base answers."),
    Rule("tgi.weights", "refuses", ADAPTER, lambda a: a.is_lora and not a.tensors,
         "TGI needs the weights as safetensors."),
    unknown("tgi", "TGI", MODELS),
    *of_adapters(ITSELF),
    *of_scales(ITSELF),
)  # fmt: skip


def _serves(a: Subject) -> str:
    how = "alpha/sqrt(r)" if a.flag("use_rslora") else "alpha/r"
    return f"TGI, which is in maintenance mode, uses every tensor and scales by {how}."


TGI = Engine("tgi", "TGI", VERSION, "huggingface/text-generation-inference", RULES, no_flags, _serves)
