"""The serving rules of LoRAX, read in its source, as data."""

from dovetail.adapters.serving.rules import Engine, Rule, no_flags, refused_unless_listed
from dovetail.adapters.serving.subject import Subject
from dovetail.adapters.serving.tgi import Member, of_adapters, of_scales

VERSION = "0.4.0 (a7394ba)"
LORA, MODEL = "server/lorax_server/adapters/lora.py", "server/lorax_server/models/model.py"
LISTED = "server/lorax_server/models/__init__.py"
LAYERS, PUNICA, PINS = "server/lorax_server/models", "server/lorax_server/utils/punica.py", "server/pyproject.toml"
# The last parts of every name in the ADAPTER_LAYERS of its models.
MODULES = frozenset({
    "q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "qkv_proj", "gate_proj", "up_proj", "down_proj", "gate_up_proj",
    "lm_head", "c_attn", "c_proj", "c_fc", "Wqkv", "w1", "w2", "w3", "fc1", "fc2", "dense", "query_key_value",
    "dense_h_to_4h", "dense_4h_to_h", "query", "key", "value",
})  # fmt: skip
ITSELF = Member(
    "lorax", "LoRAX", lora=LORA, layers=LAYERS, kernels=PUNICA, saved=MODEL, modules=MODULES, scales_by="alpha/r"
)

RULES = (
    Rule("lorax.config", "refuses", LORA, lambda a: "" if a.config else a.title,
         "LoRAX needs an adapter_config.json of PEFT; this is {}."),
    Rule("lorax.method", "wrong", LORA, lambda a: "" if a.is_lora or not a.config else a.title,
         "LoRAX looks only for lora_A and lora_B of PEFT. This is {}: none of it is used, and the base "
        "answers."),
    refused_unless_listed("lorax", "LoRAX", LISTED),
    *of_adapters(ITSELF),
    Rule("lorax.rslora", "wrong", PINS, lambda a: a.is_lora and a.root,
         "LoRAX passes use_rslora to its PEFT, but is built with peft 0.4.0, which does not support it: "
        "it serves this adapter {} times too weak."),
    *of_scales(ITSELF),
)  # fmt: skip


def _serves(a: Subject) -> str:
    slow = " Above rank 128 it is slower." if a.rank > 128 else ""
    return f"LoRAX uses every tensor and scales by alpha/r = {a.alpha / a.rank:g}.{slow}"


LORAX = Engine("lorax", "LoRAX", VERSION, "predibase/lorax", RULES, no_flags, _serves)
