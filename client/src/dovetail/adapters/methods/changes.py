"""The methods that scale, turn or shift what a module gives, add tokens to its attention, or change weights in place.

In place they change whole modules, some entries of a weight, or some of its frequencies or directions.
"""

from dovetail.adapters.methods.kind import (
    EXCLUDED,
    LAYERS,
    PLACING,
    SEED,
    TARGETS,
    Kind,
    Numbers,
    Place,
    Places,
    Unproven,
    between,
    is_bias,
    is_flag,
    is_names,
    is_number,
    is_number_table,
    is_text,
    is_tokens,
    is_whole,
    is_whole_table,
    maybe,
    one_of,
    whole,
)

IA3 = Kind(
    "IA3",
    keys={"feedforward_modules": is_names, "fan_in_fan_out": is_flag, **TARGETS, **EXCLUDED},
    parameters={"ia3_l": ""},
    ignored=frozenset({"init_ia3_weights"}),
    choose=lambda place: {"ia3_l": "1 in" if place.numbers.get("is_feedforward") else "out 1"},
    asks_feedforward=True,
    ranked="",
)


def _adjusted(size: int, configured: int) -> int:
    """Return the divisor nearest to the configured number (peft/tuners/oft/layer.py, adjust_oft_parameters)."""
    if configured >= size:
        return size
    higher = next(number for number in range(configured, size + 1) if size % number == 0)
    lower = next(number for number in range(configured, 0, -1) if size % number == 0)
    return lower if configured - lower <= higher - configured else higher


def _oft(place: Place, _: Places) -> Numbers:
    inputs = place.numbers["out" if place.kind == "embedding" else "in"]
    blocks, size = place.numbers["r"], place.numbers["oft_block_size"]
    if blocks == 0 and size > 0:
        size = _adjusted(inputs, size)
        blocks = inputs // size
    elif blocks > 0 and size == 0:
        blocks = _adjusted(inputs, blocks)
        size = inputs // blocks
    else:
        return {"blocks": -1, "elements": -1}
    return {"blocks": 1 if place.numbers.get("block_share") else blocks, "elements": size * (size - 1) // 2}


OFT = Kind(
    "OFT",
    since="0.7",
    keys={"r": is_whole, "oft_block_size": whole(0, 2**20), "fan_in_fan_out": is_flag, "coft": is_flag,
          "eps": is_number, "block_share": is_flag, "use_cayley_neumann": is_flag,
          "num_cayley_neumann_terms": whole(1, 64), "bias": is_bias, **PLACING},
    parameters={"oft_R.weight": "blocks elements", "oft_embedding_R.weight": "blocks elements"},
    defaults={"r": 0, "oft_block_size": 32},
    ignored=frozenset({"module_dropout", "init_weights"}),
    choose=lambda place: ["oft_embedding_R.weight" if place.kind == "embedding" else "oft_R.weight"],
    derive=_oft,
    groups=(("oft_R.weight",),),
    effect=("oft_R.weight", "oft_embedding_R.weight"),
    sized=("linear", "embedding"),
    ranked="",
)  # fmt: skip


def _boft(place: Place, _: Places) -> Numbers:
    inputs, size, blocks = place.numbers["in"], place.numbers["boft_block_size"], place.numbers["boft_block_num"]
    if size == 0:
        return {"blocks": blocks, "size": inputs // max(blocks, 1)}
    return {"blocks": inputs // size, "size": size}


BOFT = Kind(
    "BOFT",
    since="0.11",
    note="one butterfly: PEFT does more on CUDA devices only",
    keys={"boft_block_size": whole(0, 2**20), "boft_block_num": whole(0, 2**20), "fan_in_fan_out": is_flag,
          "boft_n_butterfly_factor": whole(1, 32), "bias": is_bias, **PLACING},
    parameters={"boft_R": "1 blocks size size", "boft_s": "out 1"},
    defaults={"boft_block_size": 4, "boft_block_num": 0, "boft_n_butterfly_factor": 1},
    ignored=frozenset({"boft_dropout", "init_weights"}),
    unproven=(Unproven("boft_n_butterfly_factor", "PEFT supports more than one butterfly on CUDA devices only",
                       lambda value: value != 1),),
    derive=_boft,
    sized=("linear",),
    ranked="",
)  # fmt: skip
ROAD = Kind(
    "ROAD",
    since="0.18",
    keys={"variant": one_of("road_1", "road_2", "road_4"), "group_size": whole(2, 2**20), **TARGETS},
    parameters={"road_theta": "size", "road_alpha": "size"},
    defaults={"variant": "road_1", "group_size": 64},
    ignored=frozenset({"init_weights"}),
    derive=lambda place, _: {"size": place.numbers["out"] * int(place.numbers["variant"][-1]) // 2},
    sized=("linear",),
    ranked="",
)
BEFT = Kind(
    "BEFT",
    since="0.20",
    keys=TARGETS,
    parameters={"beft_bias": "1 out"},
    ignored=frozenset({"init_weights"}),
    effect=("beft_bias",),
    sized=("linear",),
    ranked="",
)
LN_TUNING = Kind(
    "LN_TUNING",
    since="0.11",
    keys={**TARGETS, **EXCLUDED},
    parameters={"ln_tuning_layers.weight": "", "ln_tuning_layers.bias": ""},
    choose=lambda place: {
        f"ln_tuning_layers.{name}": " ".join(map(str, shape)) for name, shape in place.parameters.items()
    },
    groups=(("ln_tuning_layers.weight",),),
    sized=("other", "linear", "conv1d", "embedding", "conv"),
    wraps=("other", "linear", "conv1d", "embedding", "conv"),
    ranked="",
)
TRAINABLE_TOKENS = Kind(
    "TRAINABLE_TOKENS",
    since="0.15",
    keys={"token_indices": is_tokens, "target_modules": is_names},
    parameters={"trainable_tokens_delta": ""},
    ignored=frozenset({"init_weights"}),
    choose=lambda place: {"trainable_tokens_delta": f"count {'out' if place.kind == 'embedding' else 'in'}"},
    derive=lambda place, _: {"count": len(place.numbers.get("token_indices") or ())},
    sized=("embedding", "linear"),
    ranked="",
)
ADAPTION_PROMPT = Kind(
    "ADAPTION_PROMPT",
    note="on the architectures PEFT has it for",
    keys={"target_modules": is_text, "adapter_len": whole(1, 4096), "adapter_layers": whole(1, 4096)},
    parameters={"adaption_gate": "1", "adaption_prompt": "1 adapter_len width"},
    effect=("adaption_gate",),
    sized=("other",),
    wraps=("other",),
    last=lambda numbers: int(numbers.get("adapter_layers") or 0),
    ranked="",
)

SCALING = (IA3, OFT, BOFT, ROAD, BEFT, LN_TUNING, TRAINABLE_TOKENS, ADAPTION_PROMPT)


FREQUENCIES = whole(1, 2**24)

SHIRA = Kind(
    "SHIRA",
    since="0.17",
    keys={"r": is_whole, "random_seed": maybe(SEED), "fan_in_fan_out": is_flag, **TARGETS},
    parameters={"shira_weight": "count", "shira_indices": "2 count"},
    defaults={"r": 32},
    ignored=frozenset({"init_weights", "mask_type"}),
    derive=lambda place, _: {"count": place.numbers["r"] * (place.numbers["in"] + place.numbers["out"])},
    effect=("shira_weight",),
    sized=("linear",),
    whole_numbers=("shira_indices",),
)


def _supertuning(place: Place) -> list[str]:
    indices = ["supertuning_indices"] if place.numbers["save_precomputed_indices"] else []
    both = ["supertuning_lora_A.weight", "supertuning_lora_B.weight"] if place.numbers.get("r") else []
    return ["supertuning_values", *indices, *both]


def _supertuning_count(place: Place, _: Places) -> Numbers:
    return {"count": int(place.numbers["in"] * place.numbers["out"] * (1 - place.numbers["sparsity"]))}


SUPERTUNING = Kind(
    "SUPERTUNING",
    since="0.21",
    keys={"sparsity": between(0, 1), "select_top": is_flag, "r": maybe(whole(1, 1024)), "lora_alpha": maybe(is_number),
          "save_precomputed_indices": is_flag, **TARGETS},
    parameters={"supertuning_values": "count", "supertuning_indices": "count",
                "supertuning_lora_A.weight": "r in", "supertuning_lora_B.weight": "out r"},
    defaults={"sparsity": 0.99, "save_precomputed_indices": True},
    ignored=frozenset({"lora_dropout", "init_weights"}),
    choose=_supertuning,
    derive=_supertuning_count,
    groups=(("supertuning_lora_A.weight", "supertuning_lora_B.weight"),),
    effect=("supertuning_values", "supertuning_lora_B.weight"),
    sized=("linear",),
    ranked="",
    doubt="the choice of the base's largest weights, which rounding may change",
    doubtful=lambda config: isinstance(config, dict) and config.get("save_precomputed_indices") is False,
    whole_numbers=("supertuning_indices",),
)  # fmt: skip


def _osf(place: Place, _: Places) -> Numbers:
    """Return the number of trainable directions: an absolute number or a share of the smaller side is frozen."""
    smaller, rank = min(place.numbers["in"], place.numbers["out"]), place.numbers.get("effective_rank")
    if rank is None:
        frozen = smaller // 2
    else:
        frozen = int(smaller * rank) if type(rank) is float and 0 < rank <= 1 else int(rank)
    return {"left": smaller - max(min(smaller, frozen), 0)}


OSF = Kind(
    "OSF",
    since="0.18",
    note="computes something again at each load, and warns (`config.changes-base`)",
    keys={"effective_rank": maybe(between(0, 2**20)), "rank_pattern": is_number_table, **TARGETS},
    parameters={"osf_svd_params.U_low": "out left", "osf_svd_params.S_low": "left", "osf_svd_params.V_low": "left in"},
    ignored=frozenset({"init_weights", "target_svd_config"}),
    derive=_osf,
    tables={"rank_pattern": ("found", "effective_rank")},
    sized=("linear",),
    ranked="",
    doubt="the singular vectors of the base, which rounding may change",
)
FOURIERFT = Kind(
    "FOURIERFT",
    since="0.12",
    refuses_layers_with_pattern=True,
    keys={
        "n_frequency": FREQUENCIES,
        "scaling": is_number,
        "random_loc_seed": maybe(SEED),
        "fan_in_fan_out": is_flag,
        "n_frequency_pattern": is_whole_table,
        "bias": is_bias,
        **PLACING,
    },
    parameters={"fourierft_spectrum": "n_frequency"},
    defaults={"n_frequency": 1000},
    ignored=frozenset({"init_weights"}),
    tables={"n_frequency_pattern": ("ending", "n_frequency")},
    ranked="",
)


def _waveft(place: Place, every: Places) -> Numbers:
    """With proportional parameters the larger modules get more of the same sum."""
    if not place.numbers.get("proportional_parameters"):
        return {}
    sizes = [other.numbers["in"] * other.numbers["out"] for other in every]
    share = place.numbers["in"] * place.numbers["out"] / sum(sizes)
    return {"n_frequency": max(1, round(share * WAVEFT.numbers(place.numbers)["n_frequency"] * len(every)))}


WAVEFT = Kind(
    "WAVEFT",
    since="0.18",
    refuses_layers_with_pattern=True,
    keys={"n_frequency": FREQUENCIES, "scaling": is_number, "wavelet_family": is_text, "use_idwt": is_flag,
          "random_loc_seed": maybe(SEED), "fan_in_fan_out": is_flag, "n_frequency_pattern": is_whole_table,
          "proportional_parameters": is_flag, "bias": is_bias, **PLACING},
    parameters={"waveft_spectrum": "n_frequency"},
    defaults={"n_frequency": 2592},
    ignored=frozenset({"init_weights"}),
    derive=_waveft,
    tables={"n_frequency_pattern": ("named", "n_frequency")},
    ranked="",
)  # fmt: skip
C3A = Kind(
    "C3A",
    since="0.16",
    takes_layers_pattern_alone=True,
    refuses_layers_with_pattern=True,
    keys={"block_size": whole(1, 2**20), "block_size_pattern": is_whole_table, "bias": is_bias, **TARGETS, **LAYERS},
    parameters={"c3a_kernel": "out/block_size in/block_size block_size"},
    defaults={"block_size": 256},
    ignored=frozenset({"init_weights"}),
    tables={"block_size_pattern": ("ending", "block_size")},
    sized=("linear",),
    ranked="",
)

SPARSE = (SHIRA, SUPERTUNING, OSF, FOURIERFT, WAVEFT, C3A)
