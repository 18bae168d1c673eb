"""The methods that put trained tokens before the text: all save prompt_embeddings; the config tells their meaning."""

from dovetail.adapters.methods.kind import (
    Fits,
    Kind,
    is_few_wholes,
    is_flag,
    is_number,
    is_whole,
    is_whole_or_none,
    one_of,
    whole,
)

PROMPT = "prompt_embeddings"
KEYS: dict[str, Fits] = {
    "num_virtual_tokens": is_whole,
    "token_dim": is_whole_or_none,
    "num_transformer_submodules": is_whole_or_none,
    "num_attention_heads": is_whole_or_none,
    "num_layers": is_whole_or_none,
}
BEGUN = frozenset({"prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path", "tokenizer_kwargs"})


def _row(peft_type: str, keys: dict[str, Fits], **more: object) -> Kind:
    fields: dict[str, object] = {
        "shared_names": (PROMPT,),
        "effect": (PROMPT,),
        "is_prompt": True,
        "ranked": "",
        **more,
    }
    return Kind(peft_type, keys=keys, **fields)  # type: ignore[arg-type]  # the fields of Kind by name


PROMPT_TUNING = _row("PROMPT_TUNING", KEYS, ignored=BEGUN, fixed={"prompt_tuning_init": "RANDOM"})
# The encoder is folded into the saved prompt: a small one is built, and not used.
P_TUNING = _row(
    "P_TUNING",
    {**KEYS, "encoder_reparameterization_type": one_of("MLP", "LSTM"), "encoder_hidden_size": is_whole_or_none,
     "encoder_num_layers": is_whole_or_none},
    ignored=frozenset({"encoder_dropout"}),
    fixed={"encoder_reparameterization_type": "MLP", "encoder_hidden_size": 8, "encoder_num_layers": 1,
           "encoder_dropout": 0.0},
)  # fmt: skip
# The projection is folded into the saved prefix.
PREFIX_TUNING = _row(
    "PREFIX_TUNING",
    {**KEYS, "encoder_hidden_size": is_whole_or_none, "prefix_projection": is_flag},
    ignored=frozenset({"init_weights"}),
    fixed={"prefix_projection": False, "encoder_hidden_size": None},
    is_prefix=True,
    note="where a model takes past keys and values: encoders on engine e4 only",
)
CARTRIDGE = _row(
    "CARTRIDGE",
    {**KEYS, "num_frozen_tokens": whole(0, 4096)},
    since="0.19",
    is_prefix=True,
    note="where a model takes past keys and values: encoders on engine e4 only",
)
MULTITASK_PROMPT_TUNING = _row(
    "MULTITASK_PROMPT_TUNING",
    {**KEYS, "num_ranks": whole(1, 1024), "num_tasks": whole(1, 4096)},
    ignored=BEGUN | {"prompt_tuning_init_task", "prompt_tuning_init_state_dict_path"},
    fixed={"prompt_tuning_init": "RANDOM"},
    shared_names=(PROMPT, "prefix_task_cols", "prefix_task_rows"),
    defaults={"num_ranks": 1, "num_tasks": 1},
    since="0.6",
    note="run as the first of its tasks; the others are loaded and checked, not run",
)
CPT = _row(
    "CPT",
    {
        **KEYS,
        "num_virtual_tokens": is_whole_or_none,
        "cpt_token_ids": is_few_wholes,
        "cpt_mask": is_few_wholes,
        "cpt_tokens_type_mask": is_few_wholes,
        "opt_projection_epsilon": is_number,
        "opt_projection_format_epsilon": is_number,
    },
    ignored=frozenset({"opt_weighted_loss_type", "opt_loss_decay_factor", "tokenizer_name_or_path"}),
    since="0.14",
)

ROWS = (PROMPT_TUNING, P_TUNING, PREFIX_TUNING, CARTRIDGE, MULTITASK_PROMPT_TUNING, CPT)
