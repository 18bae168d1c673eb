"""The serving rules of SGLang, read in its source, as data."""

from dovetail.adapters.files import config as configs
from dovetail.adapters.serving.rules import Engine, Rule, own_name, unknown
from dovetail.adapters.serving.subject import Subject

VERSION = "0.5.23"
LORA, CONFIG = "python/sglang/srt/lora/lora.py", "python/sglang/srt/lora/lora_config.py"
REGISTRY = "python/sglang/srt/models/registry.py"
MANAGER, POOL, UTILS = (f"python/sglang/srt/lora/{name}.py" for name in ("lora_manager", "mem_pool", "utils"))


def _missing_keys(a: Subject) -> list[str]:
    return [key for key in ("target_modules", "r", "lora_alpha") if a.config.get(key) is None] if a.is_lora else []


def _pattern(a: Subject) -> str:
    value = a.config.get("target_modules")
    return value if a.is_lora and isinstance(value, str) and value not in ("all", "all-linear") else ""


def _lonely_queries(a: Subject) -> list[str]:
    """Return layers with a LoRA on q_proj and none on v_proj, which SGLang assumes."""
    return _without(a, "q_proj", "v_proj")


def _lonely_keys(a: Subject) -> list[str]:
    return sorted({*_without(a, "k_proj", "q_proj"), *_without(a, "v_proj", "q_proj")})


def _without(a: Subject, name: str, lacking: str) -> list[str]:
    paths = set(a.modules)
    matches = [path for path in paths if path.rpartition(".")[2] == name]
    return [path for path in matches if f"{path.rpartition('.')[0]}.{lacking}" not in paths] if a.is_lora else []


RULES = (
    Rule("sglang.format", "refuses", LORA, lambda a: "" if a.is_lora else a.title,
         "SGLang reads LoRA adapters of PEFT; this is {}."),
    Rule("sglang.config-keys", "refuses", CONFIG, _missing_keys, "SGLang needs {} in adapter_config.json."),
    Rule("sglang.dora", "refuses", MANAGER, lambda a: a.is_lora and a.flag("use_dora"),
         "SGLang does not support DoRA."),
    Rule("sglang.added-tokens", "refuses", MANAGER, lambda a: a.is_lora and a.added_ids,
         "SGLang accepts no adapter that adds tokens to the vocabulary; added_tokens.json adds {}."),
    Rule("sglang.target-pattern", "refuses", UTILS, _pattern,
         "SGLang accepts a list, \"all\" or \"all-linear\" as target_modules, not the pattern {}."),
    Rule("sglang.query-without-value", "refuses", LORA, _lonely_queries,
         "SGLang joins q_proj with v_proj and stops with a KeyError where v_proj has no LoRA: {}."),
    Rule("sglang.key-without-query", "refuses", POOL, _lonely_keys,
         "SGLang has a place for k_proj and v_proj only beside a LoRA on q_proj: {}."),
    Rule("sglang.tables", "refuses", UTILS, lambda a: a.is_lora and a.tables,
         "SGLang finds no target module for single parameters (target_parameters): {}."),
    Rule("sglang.ranks", "refuses", POOL,
         lambda a: a.is_lora and sorted(rank for rank in a.ranks if rank != a.rank),
         "SGLang ignores rank_pattern and stops where a tensor has another rank than r: {}."),
    Rule("sglang.rslora", "wrong", LORA, lambda a: a.is_lora and a.root,
         "SGLang scales by alpha/r and ignores use_rslora: it serves this adapter {} times too weak, "
        "without an error."),
    Rule("sglang.alpha-pattern", "wrong", CONFIG, lambda a: a.is_lora and a.table("alpha_pattern"),
         "SGLang ignores alpha_pattern, so these modules get a different scale than in training: {}."),
    Rule("sglang.lora-bias", "wrong", POOL, lambda a: a.is_lora and (a.lora_biases or a.flag("lora_bias")),
         "SGLang keeps one tensor for each side of a module, so the bias of lora_B is dropped or taken for lora_B."),
    Rule("sglang.bias", "wrong", POOL, lambda a: a.is_lora and a.bias,
         "SGLang has no place for trained biases of the base (bias = {})."),
    Rule("sglang.heads", "wrong", LORA, lambda a: a.is_lora and a.heads,
         "SGLang silently drops modules that were saved whole: {}."),
    Rule("sglang.embeddings", "wrong", LORA, lambda a: a.is_lora and [*a.embeddings, *a.tokens],
         "SGLang does not use embeddings that were trained whole or token by token: {}."),
    Rule("sglang.changes-base", "wrong", CONFIG, lambda a: a.is_lora and a.replacing_init,
         "The adapter belongs to a base that PEFT changes while it loads it (init_lora_weights = {}); "
        "SGLang applies it to the unchanged base."),
    Rule("sglang.layer-replication", "wrong", CONFIG, lambda a: a.is_lora and a.flag("layer_replication"),
         "SGLang ignores layer_replication and serves the base with its original number of layers."),
    Rule("sglang.activated", "wrong", CONFIG, lambda a: a.is_lora and a.flag("alora_invocation_tokens"),
         "SGLang does not support activated LoRA and applies the adapter from the first token on."),
    own_name("sglang", "unknown", LORA, "whether SGLang finds them was not tried"),
    unknown("sglang", "SGLang", REGISTRY),
)  # fmt: skip


def _flags(a: Subject) -> list[str]:
    targets = a.config.get("target_modules")
    names = configs.names(a.config, "target_modules") if isinstance(targets, list) else ("all",)
    modules = " ".join(sorted({name.rpartition(".")[2] for name in names}))
    return ["--enable-lora", f"--max-lora-rank {a.rank}", f"--lora-target-modules {modules}"]


def _serves(a: Subject) -> str:
    return f"SGLang loads every tensor and scales by alpha/r = {a.alpha / a.rank:g}, as it was trained."


SGLANG = Engine("sglang", "SGLang", VERSION, "sgl-project/sglang", RULES, _flags, _serves)
