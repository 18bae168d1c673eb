"""LoRA and AdaLoRA, which share their config."""

from collections.abc import Mapping, Sequence

from dovetail.adapters.methods.kind import (
    PLACING,
    Fits,
    Kind,
    Numbers,
    Place,
    Places,
    Unproven,
    is_flag,
    is_init,
    is_mask_table,
    is_name_list,
    is_number,
    is_number_table,
    is_token_table,
    is_tokens,
    is_whole,
    is_whole_table,
    maybe,
    one_of,
    whole,
)

TRAINING = frozenset(
    {
        *("lora_dropout", "loftq_config", "eva_config", "corda_config", "lora_ga_config"),
        *("qalora_group_size", "megatron_config", "layer_replication"),
    }
)  # the last two have checks of their own
SWITCHES: dict[str, Fits] = {
    "lora_alpha": is_number,
    "fan_in_fan_out": is_flag,
    "bias": one_of("none", "all", "lora_only", None),
    "init_lora_weights": is_init,
    **PLACING,
}


def _lora(place: Place) -> Sequence[str] | Mapping[str, str]:
    if place.kind == "conv":
        return _of_kernel(place)
    is_embedding = place.kind == "embedding"
    names = ["lora_embedding_A", "lora_embedding_B"] if is_embedding else ["lora_A.weight", "lora_B.weight"]
    if place.numbers.get("use_dora"):
        names.append("lora_magnitude_vector")
    if place.numbers.get("lora_bias") and not is_embedding:
        names.append("lora_B.bias")
    return names


def _of_kernel(place: Place) -> dict[str, str]:
    """Return the shapes for a convolution: A has the module's kernel, B a kernel of 1 (lora/layer.py, _ConvNd)."""
    sides = place.numbers["sides"]
    kernel = "".join(f" kernel{at}" for at in range(sides))
    words = {"lora_A.weight": f"r in{kernel}", "lora_B.weight": "out r/groups" + sides * " 1"}
    if place.numbers.get("use_dora"):
        words["lora_magnitude_vector"] = "1 out" + sides * " 1"
    return words | ({"lora_B.bias": "out"} if place.numbers.get("lora_bias") else {})


LORA = Kind(
    "LORA",
    refuses_layers_with_pattern=True,
    note="rsLoRA, DoRA, `lora_bias`, embeddings, convolutions, tables of experts (`target_parameters`), trained "
    "tokens, patterns of ranks and alphas, some layers, Conv1D of GPT-2; activated LoRA is run as if each row "
    "came right after its invocation tokens",
    keys={
        "r": is_whole,
        "use_rslora": is_flag,
        "use_dora": is_flag,
        "lora_bias": is_flag,
        "alora_invocation_tokens": maybe(is_tokens),
        "rank_pattern": is_whole_table,
        "alpha_pattern": is_number_table,
        "trainable_token_indices": is_token_table,
        "target_parameters": is_name_list,
        **SWITCHES,
    },
    parameters={
        "lora_A.weight": "r in",
        "lora_B.weight": "out r",
        "lora_B.bias": "out",
        "lora_embedding_A": "r in",
        "lora_embedding_B": "out r",
        "lora_magnitude_vector": "out",
    },
    defaults={"r": 8, "lora_alpha": 8.0, "use_dora": False, "lora_bias": False},
    ignored=TRAINING,
    unproven=(
        Unproven("use_qalora", "it needs a quantised base"),
        Unproven("use_bdlora", "its matrices are blocks, laid out for servers"),
        Unproven("arrow_config", "it routes between several adapters"),
        Unproven("kasa_config", "it rewrites the base with its singular values"),
        Unproven("velora_config", "it changes how gradients are stored"),
        Unproven("monteclora_config", "it samples its weights"),
    ),
    choose=_lora,
    groups=(("lora_A.weight", "lora_B.weight"), ("lora_embedding_A", "lora_embedding_B")),
    effect=("lora_B.weight", "lora_embedding_B"),
    tables={"rank_pattern": ("named", "r"), "alpha_pattern": ("named", "lora_alpha")},
    sized=("linear", "conv1d", "embedding", "conv"),
    fixed={"init_lora_weights": True},
)


def _kept(place: Place, _: Places) -> Numbers:
    """Return the kept ranks of a module; AdaLoRA's key is that of its singular values, with or without a prefix."""
    for name, mask in (place.numbers.get("rank_pattern") or {}).items():
        if module_of_mask(name) == place.path:
            return {"kept": sum(mask)}
    return {"kept": place.numbers["init_r"]}


def module_of_mask(name: str) -> str:
    """Return the module of a key in AdaLoRA's rank_pattern: `<module>.lora_E`, or with the adapter's name appended."""
    head, _, _ = name.partition(".lora_E")
    return head


ADALORA = Kind(
    "ADALORA",
    refuses_layers_with_pattern=True,
    note="with the ranks that its `rank_pattern` kept",
    keys={"init_r": whole(1, 1024), "rank_pattern": is_mask_table, "trainable_token_indices": is_token_table,
          **SWITCHES},
    parameters={"lora_A": "kept in", "lora_B": "out kept", "lora_E": "kept 1"},
    defaults={"init_r": 12, "lora_alpha": 8},
    ignored=TRAINING | {
        "r", "target_r", "total_step", "tinit", "tfinal", "deltaT", "beta1", "beta2", "orth_reg_weight", "use_rslora",
        "alora_invocation_tokens", "use_dora", "lora_bias", "alpha_pattern",
    },
    unproven=(Unproven("target_parameters", "PEFT wraps single parameters only for LoRA"), *LORA.unproven),
    derive=_kept,
    effect=("lora_E",),
    fixed={"init_lora_weights": True, "total_step": 10, "tinit": 0, "tfinal": 0},
    ranked="",
)  # fmt: skip

ROWS = (LORA, ADALORA)
