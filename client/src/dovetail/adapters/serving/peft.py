"""Rules of older versions of PEFT for an adapter saved by a newer one, and configs downgraded for them."""

from dovetail.adapters import methods
from dovetail.adapters.files import config as configs
from dovetail.adapters.serving.rules import Engine, Rule, own_name
from dovetail.adapters.serving.subject import Subject

CONFIG, METHODS, OTHER = "src/peft/config.py", "src/peft/utils/peft_types.py", "src/peft/utils/other.py"
OFT_MODEL, PROMPTS = "src/peft/tuners/oft/model.py", "src/peft/tuners/adaption_prompt/layer.py"
SAVING = "src/peft/utils/save_and_load.py"
LAYER, OFT = "src/peft/tuners/lora/layer.py", "src/peft/tuners/oft/layer.py"
TOLERANT = (0, 14)  # since then unknown keys are dropped with a warning; before, they end in a TypeError
NEWEST = "0.21.2"
# The first version whose LoraConfig has a key; keys of 0.5 are not listed.
SINCE = {
    "alpha_pattern": "0.6", "rank_pattern": "0.6", "loftq_config": "0.7", "megatron_config": "0.7",
    "megatron_core": "0.7", "use_rslora": "0.8", "use_dora": "0.9", "layer_replication": "0.10",
    "runtime_config": "0.12",
    "eva_config": "0.14", "exclude_modules": "0.14", "lora_bias": "0.14", "corda_config": "0.15",
    "trainable_token_indices": "0.15", "qalora_group_size": "0.16", "use_qalora": "0.16", "target_parameters": "0.17",
    "alora_invocation_tokens": "0.18", "arrow_config": "0.18", "ensure_weight_tying": "0.18", "peft_version": "0.18",
    "lora_ga_config": "0.19", "use_bdlora": "0.19", "monteclora_config": "0.20", "velora_config": "0.20",
    "kasa_config": "0.21",
}  # fmt: skip
BASIC = frozenset({
    "auto_mapping", "base_model_name_or_path", "bias", "fan_in_fan_out", "inference_mode", "init_lora_weights",
    "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout", "modules_to_save", "peft_type", "r",
    "revision", "target_modules", "task_type",
})  # fmt: skip
# Keys whose values change nothing in a trained adapter.
HARMLESS = frozenset({"peft_version", "qalora_group_size", "runtime_config", "ensure_weight_tying", "megatron_core"})
EMPTY: tuple[object, ...] = (None, False, [], {})
# The first version that knows a way to initialise LoRA; a loader makes the layers that way before it fills them.
INITS = {"gaussian": "0.5", "loftq": "0.7", "pissa": "0.11", "olora": "0.12", "eva": "0.14", "corda": "0.15",
         "orthogonal": "0.16"}  # fmt: skip
GROUPED = (0, 15)  # since then a pattern is matched as one group, and may begin with the whole path
OFT_ANEW = (0, 16)  # since then OFT has other parameters under another name


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def unknown_method(a: Subject, version: str) -> str:
    since = methods.SINCE.get(a.method, "")
    return a.method if since and number(since) > number(version) else ""


def unknown_keys(config: configs.Config, version: str) -> list[str]:
    """Return the keys of a config that this version does not know; for methods other than LoRA, only shared keys."""
    at = number(version)
    newer = [key for key in config if key in SINCE and number(SINCE[key]) > at]
    if str(config.get("peft_type")).upper() != "LORA":
        return [key for key in newer if key in methods.EVERYWHERE]
    return newer + [key for key in config if key not in SINCE and key not in BASIC]


def meaningful(config: configs.Config, keys: list[str]) -> list[str]:
    """Return the keys that change the adapter if they are ignored."""
    return [key for key in keys if key not in HARMLESS and config[key] not in EMPTY]


def unknown_initialization(a: Subject, version: str) -> str:
    """Return how a LoRA was initialised if this version does not know it, "" otherwise."""
    how = a.config.get("init_lora_weights")
    if a.method != "LORA" or not isinstance(how, str):
        return ""
    since = next((since for known, since in INITS.items() if how.lower().startswith(known)), "")
    return how if not since or number(since) > number(version) else ""


def other_patterns(a: Subject, table: str, version: str) -> list[str]:
    """Return the patterns of a table, of ranks or alphas, that this version matches with other modules."""
    return [key for key in a.table(table) if key.startswith("^") or "|" in key] if number(version) < GROUPED else []


def newer_oft(a: Subject, version: str) -> bool:
    return number(version) < OFT_ANEW and any(".oft_R" in name for name in a.tensors)


def downgraded(config: configs.Config, version: str) -> tuple[configs.Config, list[str]]:
    """Return the config without the keys that this version does not know, and the removed keys that matter."""
    removed = unknown_keys(config, version)
    return {key: value for key, value in config.items() if key not in removed}, meaningful(config, removed)


def _engine(version: str) -> Engine:
    short = ".".join(version.split(".")[:2])
    name = f"peft-{short}"
    strict = Rule(
        f"{name}.keys",
        "refuses",
        CONFIG,
        lambda a: a.format == "peft" and unknown_keys(a.config, version),
        f"PEFT {short} fails with a TypeError at keys it does not know: {{}}.",
    )
    tolerant = Rule(
        f"{name}.dropped-keys",
        "wrong",
        CONFIG,
        lambda a: a.format == "peft" and downgraded(a.config, version)[1],
        f"PEFT {short} warns that it does not know {{}}, and loads a different adapter from the one that was trained.",
    )
    rules: tuple[Rule, ...] = (
        Rule(f"{name}.format", "refuses", CONFIG, lambda a: "" if a.format == "peft" else a.title,
             "PEFT reads its own format; this is {}."),
        Rule(f"{name}.method", "refuses", METHODS, lambda a: unknown_method(a, version),
             f"PEFT {short} does not know the method {{}}."),
        strict if number(version) < TOLERANT else tolerant,
        own_name(name, "wrong", SAVING, f"PEFT {short} silently drops them"),
        Rule(f"{name}.initialization", "refuses", LAYER, lambda a: unknown_initialization(a, version),
             f"PEFT {short} does not know init_lora_weights={{}}, and fails."),
        Rule(f"{name}.oft-embedding", "refuses", OFT_MODEL,
             lambda a: [path for path in a.tensors if ".oft_embedding_R" in path],
             f"PEFT {short} has no OFT for embeddings, and fails: {{}}."),
    )  # fmt: skip
    if number(version) < GROUPED:
        rules += (
            Rule(f"{name}.adaption-prompt", "refuses", PROMPTS, lambda a: a.method == "ADAPTION_PROMPT" and a.method,
                 f"PEFT {short} fails at adaption prompts with transformers 4.57: {{}}."),
            Rule(f"{name}.rank-pattern", "refuses", OTHER, lambda a: other_patterns(a, "rank_pattern", version),
                 f"PEFT {short} matches these rank patterns with other modules, and fails at their shapes: {{}}."),
            Rule(f"{name}.alpha-pattern", "wrong", OTHER, lambda a: other_patterns(a, "alpha_pattern", version),
                 f"PEFT {short} matches these alpha patterns with other modules, which changes their scale: {{}}."),
            Rule(f"{name}.oft", "wrong", OFT, lambda a: newer_oft(a, version) and "oft_R",
                 f"PEFT {short} has other parameters for OFT, and silently drops {{}}."),
        )  # fmt: skip
    return Engine(name, f"PEFT {short}", version, "huggingface/peft", rules, lambda _: [f"pip install peft=={version}"],
                  lambda _: f"PEFT {short} knows every key that matters.")  # fmt: skip


PEFT_13, PEFT_14, PEFT_18 = _engine("0.13.2"), _engine("0.14.0"), _engine("0.18.1")
