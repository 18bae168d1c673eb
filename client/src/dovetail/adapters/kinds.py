"""The PEFT methods proven here: the keys of their configs, the parameters in their files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Fits = Callable[[object], bool]


def is_flag(value: object) -> bool:
    return value is None or type(value) is bool


def is_whole(value: object) -> bool:
    return type(value) is int


def is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]  # its type was asked


def is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def is_names(value: object) -> bool:
    return is_text(value) or (isinstance(value, list) and all(isinstance(item, str) and item for item in value))


def is_name_list(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(item, str) and item for item in value))


def is_layers(value: object) -> bool:
    return value is None or is_whole(value) or (isinstance(value, list) and all(is_whole(item) for item in value))


def is_whole_table(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(is_whole(item) for item in value.values()))


def is_number_table(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(is_number(item) for item in value.values()))


def is_token_table(value: object) -> bool:
    lists = value.values() if isinstance(value, dict) else [value]
    return value is None or all(isinstance(item, list) and item and all(map(is_index, item)) for item in lists)


def is_index(value: object) -> bool:
    return type(value) is int and value >= 0


def is_whole_or_none(value: object) -> bool:
    return value is None or is_whole(value)


def is_switch_or_name(value: object) -> bool:
    return is_flag(value) or isinstance(value, str)


INITS = ("gaussian", "orthogonal", "eva", "lora_ga", "mica", "loftq", "pissa", "corda", "olora")


def is_init(value: object) -> bool:
    """Whether PEFT 0.21 knows this way to begin; some take a suffix (pissa_niter_4). It raises for any other."""
    return is_flag(value) or (isinstance(value, str) and value.lower().startswith(INITS))


def one_of(*allowed: str | None) -> Fits:
    return lambda value: value in allowed


TASKS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "CAUSAL_LM", "SEQ_2_SEQ_LM", "FEATURE_EXTRACTION")
# The heads of the adapters library that are measured here, by their head_type.
HEAD_TASKS = {
    "classification": "SEQ_CLS",
    "tagging": "TOKEN_CLS",
    "question_answering": "QUESTION_ANS",
    "causal_lm": "CAUSAL_LM",
    "seq2seq_lm": "SEQ_2_SEQ_LM",
}
HEADS = {"SEQ_CLS": ("classifier", "score"), "TOKEN_CLS": ("classifier", "score"), "QUESTION_ANS": ("qa_outputs",)}

# The ends of transformers' class names, longest first, for configs that name a class in place of a task.
CLASS_ENDS = {
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "ForQuestionAnswering": "QUESTION_ANS",
    "ForConditionalGeneration": "SEQ_2_SEQ_LM",
    "ForCausalLM": "CAUSAL_LM",
    "LMHeadModel": "CAUSAL_LM",
    "Model": "FEATURE_EXTRACTION",
}


def task_of(config: Mapping[str, object]) -> str | None:
    """The task the config names, by `task_type` or by the class the adapter was trained on."""
    task, mapping = config.get("task_type"), config.get("auto_mapping")
    if task in TASKS:
        return str(task)
    name = str(mapping.get("base_model_class")) if isinstance(mapping, dict) else ""
    return next((found for end, found in CLASS_ENDS.items() if name.endswith(end)), None)


EVERYWHERE: Mapping[str, Fits] = {
    "task_type": one_of(*TASKS, None),
    "base_model_name_or_path": is_text,
    "revision": is_text,
    "inference_mode": is_flag,
    "modules_to_save": is_name_list,
    "peft_version": is_text,
}
IGNORED = frozenset({"peft_type", "auto_mapping", "megatron_core", "runtime_config", "ensure_weight_tying"})
PROMPT_KEYS: Mapping[str, Fits] = {
    "num_virtual_tokens": is_whole,
    "token_dim": is_whole_or_none,
    "num_transformer_submodules": is_whole_or_none,
    "num_attention_heads": is_whole_or_none,
    "num_layers": is_whole_or_none,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One method. `keys` are read, `ignored` change nothing once an adapter is trained, `unproven` must be empty."""

    peft_type: str
    keys: Mapping[str, Fits]
    parameters: frozenset[str] = frozenset()  # what follows the module path in a tensor's name; empty for prompts
    ignored: frozenset[str] = frozenset()
    unproven: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_prompt(self) -> bool:
        return not self.parameters

    @property
    def prefix(self) -> str:
        """What PEFT puts before a module's path; prompts do not wrap the base model once more, the other methods do."""
        return "base_model." if self.is_prompt else "base_model.model."

    def knows(self, key: str) -> bool:
        return any(key in keys for keys in (self.keys, EVERYWHERE, IGNORED, self.ignored, self.unproven))


LORA = Kind(
    "LORA",
    keys={
        "r": is_whole,
        "lora_alpha": is_number,
        "use_rslora": is_flag,
        "use_dora": is_flag,
        "lora_bias": is_flag,
        "fan_in_fan_out": is_flag,
        "bias": one_of("none", "all", "lora_only", None),
        "init_lora_weights": is_init,
        "target_modules": is_names,
        "exclude_modules": is_names,
        "layers_to_transform": is_layers,
        "layers_pattern": is_names,
        "rank_pattern": is_whole_table,
        "alpha_pattern": is_number_table,
        "trainable_token_indices": is_token_table,
    },
    parameters=frozenset(
        {"lora_A.weight", "lora_B.weight", "lora_B.bias", "lora_embedding_A", "lora_embedding_B",
         "lora_magnitude_vector"}
    ),
    ignored=frozenset(
        {"lora_dropout", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size",
         "megatron_config", "layer_replication"}
    ),  # the last two have checks of their own
    unproven=frozenset(
        {"target_parameters", "alora_invocation_tokens", "use_qalora", "use_bdlora",
         "arrow_config", "kasa_config", "velora_config", "monteclora_config"}
    ),
)  # fmt: skip
IA3 = Kind(
    "IA3",
    keys={
        "target_modules": is_names,
        "exclude_modules": is_names,
        "feedforward_modules": is_names,
        "fan_in_fan_out": is_flag,
    },
    parameters=frozenset({"ia3_l"}),
    ignored=frozenset({"init_ia3_weights"}),
)
PROMPT_TUNING = Kind(
    "PROMPT_TUNING",
    keys=PROMPT_KEYS,
    ignored=frozenset({"prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path", "tokenizer_kwargs"}),
)
P_TUNING = Kind(
    "P_TUNING",
    keys={
        **PROMPT_KEYS,
        "encoder_reparameterization_type": one_of("MLP", "LSTM"),
        "encoder_hidden_size": is_whole_or_none,
        "encoder_num_layers": is_whole_or_none,
    },
    ignored=frozenset({"encoder_dropout"}),
)
PREFIX_TUNING = Kind(
    "PREFIX_TUNING",
    keys={**PROMPT_KEYS, "encoder_hidden_size": is_whole_or_none, "prefix_projection": is_flag},
    ignored=frozenset({"init_weights"}),
)

KINDS = (LORA, IA3, PROMPT_TUNING, P_TUNING, PREFIX_TUNING)
