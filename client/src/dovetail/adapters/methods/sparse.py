"""The methods that change some entries of a weight, or some of its frequencies or directions."""

from __future__ import annotations

from dovetail.adapters.methods.kind import (
    LAYERS,
    PLACING,
    TARGETS,
    Kind,
    Numbers,
    Place,
    Places,
    between,
    is_bias,
    is_flag,
    is_number,
    is_number_table,
    is_text,
    is_whole,
    is_whole_table,
    maybe,
    whole,
)
from dovetail.adapters.methods.shared import SEED

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
    doubt="which weights of the base are the largest, where rounding may choose others",
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
    doubt="the singular vectors of the base, which rounding may turn elsewhere",
)
FOURIERFT = Kind(
    "FOURIERFT",
    since="0.12",
    refuses_layers_with_pattern=True,
    keys={"n_frequency": FREQUENCIES, "scaling": is_number, "random_loc_seed": maybe(SEED), "fan_in_fan_out": is_flag,
          "n_frequency_pattern": is_whole_table, "bias": is_bias, **PLACING},
    parameters={"fourierft_spectrum": "n_frequency"},
    defaults={"n_frequency": 1000},
    ignored=frozenset({"init_weights"}),
    tables={"n_frequency_pattern": ("ending", "n_frequency")},
    ranked="",
)  # fmt: skip


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

ROWS = (SHIRA, SUPERTUNING, OSF, FOURIERFT, WAVEFT, C3A)
