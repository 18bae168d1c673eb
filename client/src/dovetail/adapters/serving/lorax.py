"""What LoRAX does with an adapter: rules read in its source, as data."""

from dovetail.adapters.serving.rules import Engine, Rule
from dovetail.adapters.serving.subject import PREFIX, Subject

VERSION = "0.4.0 (a7394ba)"
LORA, MODEL = "server/lorax_server/adapters/lora.py", "server/lorax_server/models/model.py"
LAYERS, PUNICA, PINS = "server/lorax_server/models", "server/lorax_server/utils/punica.py", "server/pyproject.toml"
# The last parts of every name in the ADAPTER_LAYERS of its models.
MODULES = frozenset({
    "q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "qkv_proj", "gate_proj", "up_proj", "down_proj", "gate_up_proj",
    "lm_head", "c_attn", "c_proj", "c_fc", "Wqkv", "w1", "w2", "w3", "fc1", "fc2", "dense", "query_key_value",
    "dense_h_to_4h", "dense_4h_to_h", "query", "key", "value",
})  # fmt: skip
BLOCK, LEAST = 16, 8


def padded(rank: int) -> int:
    """The rank that its kernels pad a rank to, on one GPU."""
    return LEAST if rank <= LEAST else -(-rank // BLOCK) * BLOCK


def padding(a: Subject) -> str:
    """The padded rank, where several types of modules are trained: all but the first are divided by it."""
    return str(padded(a.rank)) if a.is_lora and len(a.types) > 1 and padded(a.rank) != a.rank else ""


def unprefixed(a: Subject) -> list[str]:
    return [name for name in a.tensors if ".lora_" in name and not name.startswith(PREFIX)] if a.is_lora else []


RULES = (
    Rule("lorax.config", "refuses", LORA, lambda a: "" if a.config else a.title,
         "LoRAX needs an adapter_config.json of PEFT; this is {}."),
    Rule("lorax.method", "wrong", LORA, lambda a: "" if a.is_lora or not a.config else a.title,
         "LoRAX looks for lora_A and lora_B of PEFT alone. This is {}: nothing of it is used, and the base answers."),
    Rule("lorax.prefix", "wrong", LORA, unprefixed,
         "LoRAX looks for names that begin with base_model.model. and leaves these out: {}."),
    Rule("lorax.modules", "wrong", LAYERS,
         lambda a: sorted(a.types - MODULES) if a.is_lora else [],
         "LoRAX has no adapter layer for {} and leaves them out with a line in its log."),
    Rule("lorax.layers", "wrong", LORA, lambda a: a.gaps if a.is_lora else [],
         "LoRAX drops a whole type of module when one layer lacks it: {}."),
    Rule("lorax.rslora", "wrong", PINS, lambda a: a.is_lora and a.root,
         "LoRAX asks its PEFT for use_rslora, but is built with peft 0.4.0, which does not know it: it serves this "
         "adapter {} times too weak."),
    Rule("lorax.ranks", "wrong", LORA, lambda a: a.is_lora and sorted(rank for rank in a.ranks if rank != a.rank),
         "LoRAX scales every module by alpha/r and ignores rank_pattern; these ranks differ from r: {}."),
    Rule("lorax.alpha-pattern", "wrong", LORA, lambda a: a.is_lora and a.table("alpha_pattern"),
         "LoRAX ignores alpha_pattern, so these modules get another scale than they were trained with: {}."),
    Rule("lorax.padded-rank", "wrong", PUNICA, padding,
         "LoRAX pads the rank to {} for its GPU kernels, and divides by that for every type of module but the first."),
    Rule("lorax.dora", "wrong", LORA, lambda a: a.is_lora and (a.magnitudes or a.flag("use_dora")),
         "LoRAX leaves DoRA's magnitudes out, so a plain LoRA is served."),
    Rule("lorax.lora-bias", "wrong", LORA, lambda a: a.is_lora and (a.lora_biases or a.flag("lora_bias")),
         "LoRAX leaves the bias of lora_B out."),
    Rule("lorax.bias", "wrong", LORA, lambda a: a.is_lora and a.bias,
         "LoRAX leaves trained biases of the base out (bias = {})."),
    Rule("lorax.heads", "wrong", MODEL, lambda a: a.is_lora and a.heads,
         "LoRAX leaves modules out that were saved whole: {}."),
    Rule("lorax.embeddings", "wrong", MODEL, lambda a: a.is_lora and [*a.embeddings, *a.tokens],
         "LoRAX leaves trained embeddings out: {}."),
    Rule("lorax.changes-base", "wrong", LORA, lambda a: a.is_lora and (a.replacing_init or a.flag("layer_replication")),
         "The adapter belongs to a base that PEFT changes while it loads it; LoRAX puts it on the unchanged one."),
)  # fmt: skip


def _flags(a: Subject) -> list[str]:
    model = [f"--model-id {a.base.id}"] if a.base.id else []
    return [*model, f"--adapter-id {a.name}"]


def _serves(a: Subject) -> str:
    slow = " Above rank 128 it leaves its fast path." if a.rank > 128 else ""
    return f"LoRAX uses every tensor and scales by alpha/r = {a.alpha / a.rank:g}.{slow}"


LORAX = Engine("lorax", "LoRAX", VERSION, "predibase/lorax", RULES, _flags, _serves)
