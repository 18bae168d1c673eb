"""What text-generation-inference does with an adapter: rules read in its source, as data."""

from dovetail.adapters.serving.lorax import padding, unprefixed
from dovetail.adapters.serving.peft import unknown_method
from dovetail.adapters.serving.rules import Engine, Rule
from dovetail.adapters.serving.subject import Subject

VERSION = "3.3.7"
LORA, MODELS = "server/text_generation_server/adapters/lora.py", "server/text_generation_server/models/__init__.py"
ADAPTER, PINS = "server/text_generation_server/utils/adapter.py", "server/requirements_cuda.txt"
PEFT = "0.15.2"  # what it is built with
MODULES = frozenset({
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "c_proj", "c_fc",
})  # fmt: skip

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
    Rule("tgi.prefix", "wrong", LORA, unprefixed,
         "TGI looks for names that begin with base_model.model. and leaves these out: {}."),
    Rule("tgi.modules", "wrong", MODELS, lambda a: sorted(a.types - MODULES) if a.is_lora else [],
         "TGI has no adapter layer for {} and leaves them out with a line in its log."),
    Rule("tgi.layers", "wrong", LORA, lambda a: a.gaps if a.is_lora else [],
         "TGI drops a whole type of module when one layer lacks it: {}."),
    Rule("tgi.ranks", "wrong", LORA, lambda a: a.is_lora and sorted(rank for rank in a.ranks if rank != a.rank),
         "TGI scales every module by alpha and r and ignores rank_pattern; these ranks differ from r: {}."),
    Rule("tgi.alpha-pattern", "wrong", LORA, lambda a: a.is_lora and a.table("alpha_pattern"),
         "TGI ignores alpha_pattern, so these modules get another scale than they were trained with: {}."),
    Rule("tgi.padded-rank", "wrong", LORA, padding,
         "TGI pads the rank to {} for its GPU kernels, and divides by that for every type of module but the first."),
    Rule("tgi.dora", "wrong", LORA, lambda a: a.is_lora and (a.magnitudes or a.flag("use_dora")),
         "TGI leaves DoRA's magnitudes out, so a plain LoRA is served."),
    Rule("tgi.lora-bias", "wrong", LORA, lambda a: a.is_lora and (a.lora_biases or a.flag("lora_bias")),
         "TGI leaves the bias of lora_B out."),
    Rule("tgi.bias", "wrong", LORA, lambda a: a.is_lora and a.bias,
         "TGI leaves trained biases of the base out (bias = {})."),
    Rule("tgi.heads", "wrong", MODELS, lambda a: a.is_lora and a.heads,
         "TGI leaves modules out that were saved whole: {}."),
    Rule("tgi.embeddings", "wrong", MODELS, lambda a: a.is_lora and [*a.embeddings, *a.tokens],
         "TGI leaves trained embeddings out: {}."),
    Rule("tgi.changes-base", "wrong", LORA, lambda a: a.is_lora and (a.replacing_init or a.flag("layer_replication")),
         "The adapter belongs to a base that PEFT changes while it loads it; TGI puts it on the unchanged one."),
)  # fmt: skip


def _flags(a: Subject) -> list[str]:
    model = [f"--model-id {a.base.id}"] if a.base.id else []
    return [*model, f"--lora-adapters {a.name}"]


def _serves(a: Subject) -> str:
    how = "alpha/sqrt(r)" if a.flag("use_rslora") else "alpha/r"
    return f"TGI, which is in maintenance mode, uses every tensor and scales by {how}."


TGI = Engine("tgi", "TGI", VERSION, "huggingface/text-generation-inference", RULES, _flags, _serves)
