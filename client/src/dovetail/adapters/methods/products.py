"""The methods that put products of small matrices into single modules, each in its own way."""

import math

from dovetail.adapters.methods.kind import (
    EXCLUDED,
    LAYERS,
    PLACING,
    TARGETS,
    Kind,
    Numbers,
    Place,
    Places,
    is_bias,
    is_flag,
    is_number,
    is_number_table,
    is_text,
    is_whole,
    is_whole_table,
    maybe,
    one_of,
    whole,
)

LYCORIS = {
    "r": is_whole,
    "alpha": is_number,
    "rank_pattern": is_whole_table,
    "alpha_pattern": is_number_table,
    "use_effective_conv2d": is_flag,
    **PLACING,
}
BOTH_TABLES = {"rank_pattern": ("named", "r"), "alpha_pattern": ("named", "alpha")}
DROPOUTS = frozenset({"rank_dropout", "module_dropout", "init_weights", "rank_dropout_scale"})
DEPTH = 16

LOHA = Kind(
    "LOHA",
    since="0.6",
    keys=LYCORIS,
    parameters={"hada_w1_a": "out r", "hada_w1_b": "r in", "hada_w2_a": "out r", "hada_w2_b": "r in",
                "hada_t1": "", "hada_t2": ""},
    defaults={"r": 8, "alpha": 8},
    ignored=DROPOUTS,
    choose=lambda place: ["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"]
    + (["hada_t1", "hada_t2"] if place.kind == "conv" and place.numbers.get("use_effective_conv2d") else []),
    groups=(("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),),
    effect=("hada_w2_a",),
    tables=BOTH_TABLES,
    sized=("linear",),
)  # fmt: skip


def _factors(size: int, factor: int) -> tuple[int, int]:
    """Two numbers whose product is `size`, the first near `factor` (peft/tuners/lokr/layer.py, factorization)."""
    if factor > 0 and size % factor == 0:
        return factor, size // factor
    limit = size if factor == -1 else factor
    best = max(low for low in range(1, math.isqrt(size) + 1) if size % low == 0 and low <= max(limit, 1))
    return best, size // best


def _lokr_sizes(place: Place, _: Places) -> Numbers:
    factor = int(place.numbers["decompose_factor"])
    (in_m, in_n), (out_l, out_k) = (_factors(place.numbers[side], factor) for side in ("in", "out"))
    return {"in_m": in_m, "in_n": in_n, "out_l": out_l, "out_k": out_k}


def _lokr(place: Place) -> list[str]:
    if place.kind != "linear":
        return ["lokr_w1", "lokr_w2"]
    sizes, rank = _lokr_sizes(place, ()), place.numbers["r"]
    splits_w1 = place.numbers.get("decompose_both") and rank < max(sizes["out_l"], sizes["in_m"]) / 2
    splits_w2 = rank < max(sizes["out_k"], sizes["in_n"]) / 2
    first = ["lokr_w1_a", "lokr_w1_b"] if splits_w1 else ["lokr_w1"]
    return first + (["lokr_w2_a", "lokr_w2_b"] if splits_w2 else ["lokr_w2"])


LOKR = Kind(
    "LOKR",
    since="0.6",
    keys={**LYCORIS, "decompose_both": is_flag, "decompose_factor": whole(-1, 2**20)},
    parameters={
        "lokr_w1": "out_l in_m",
        "lokr_w1_a": "out_l r",
        "lokr_w1_b": "r in_m",
        "lokr_w2": "out_k in_n",
        "lokr_w2_a": "out_k r",
        "lokr_w2_b": "r in_n",
        "lokr_t2": "",
    },
    defaults={"r": 8, "alpha": 8, "decompose_factor": -1},
    ignored=DROPOUTS,
    choose=_lokr,
    derive=_lokr_sizes,
    groups=(("lokr_w1_a", "lokr_w1_b"), ("lokr_w2_a", "lokr_w2_b")),
    effect=("lokr_w1", "lokr_w1_a"),
    tables=BOTH_TABLES,
    sized=("linear",),
)
DELORA = Kind(
    "DELORA",
    since="0.18",
    refuses_layers_with_pattern=True,
    keys={
        "r": is_whole,
        "delora_lambda": is_number,
        "rank_pattern": is_whole_table,
        "lambda_pattern": is_number_table,
        "bias": is_bias,
        **PLACING,
    },
    parameters={"delora_A": "r in", "delora_B": "out r", "delora_lambda": "1", "delora_w_norm": "in"},
    defaults={"r": 8, "delora_lambda": 15},
    ignored=frozenset({"module_dropout", "init_weights"}),
    effect=("delora_B",),
    tables={"rank_pattern": ("named", "r"), "lambda_pattern": ("named", "delora_lambda")},
    sized=("linear",),
)
GRALORA = Kind(
    "GRALORA",
    since="0.19",
    takes_layers_pattern_alone=True,
    note="also hybrid",
    keys={"r": is_whole, "alpha": is_number, "gralora_k": whole(1, 1024), "hybrid_r": whole(0, 1024),
          "fan_in_fan_out": is_flag, "bias": is_bias, **TARGETS, **LAYERS},
    parameters={"gralora_A": "gralora_k in/gralora_k r", "gralora_B": "gralora_k r out/gralora_k",
                "gralora_A_general.weight": "hybrid_r in", "gralora_B_general.weight": "out hybrid_r"},
    defaults={"r": 32, "alpha": 64, "gralora_k": 2, "hybrid_r": 0},
    ignored=frozenset({"gralora_dropout", "init_weights"}),
    choose=lambda place: ["gralora_A", "gralora_B"]
    + (["gralora_A_general.weight", "gralora_B_general.weight"] if place.numbers["hybrid_r"] else []),
    groups=(("gralora_A", "gralora_B"), ("gralora_A_general.weight", "gralora_B_general.weight")),
    effect=("gralora_B", "gralora_B_general.weight"),
)  # fmt: skip
HIRA = Kind(
    "HIRA",
    since="0.20",
    takes_layers_pattern_alone=True,
    refuses_layers_with_pattern=True,
    note="PEFT creates every layer with `r`, whatever `rank_pattern` says",
    keys={"r": is_whole, "fan_in_fan_out": is_flag, **PLACING},
    parameters={"hira_A": "r in", "hira_B": "out r", "hira_embedding_A": "r in", "hira_embedding_B": "out r"},
    defaults={"r": 32},
    # PEFT asks rank_pattern, and then makes every layer with r all the same (peft/tuners/hira/model.py).
    ignored=frozenset({"hira_dropout", "init_weights", "rank_pattern"}),
    choose=lambda place: (
        ["hira_embedding_A", "hira_embedding_B"] if place.kind == "embedding" else ["hira_A", "hira_B"]
    ),
    groups=(("hira_A", "hira_B"), ("hira_embedding_A", "hira_embedding_B")),
    effect=("hira_B", "hira_embedding_B"),
    sized=("linear", "conv1d", "embedding"),
)
HRA = Kind(
    "HRA",
    since="0.12",
    refuses_layers_with_pattern=True,
    keys={"r": is_whole, "apply_GS": is_flag, "bias": is_bias, **PLACING},
    parameters={"hra_u": "in r"},
    defaults={"r": 8},
    ignored=frozenset({"init_weights"}),
    sized=("linear",),
)


def _miss(place: Place) -> dict[str, str]:
    """Return the parameter of MiSS, whose shape depends on the way it was initialised."""
    ways = {"bat": "out/r r r", "mini": "r mini_r"}
    return {"miss_block": ways.get(str(place.numbers.get("init_weights")), "r out")}


MISS = Kind(
    "MISS",
    since="0.17",
    takes_layers_pattern_alone=True,
    refuses_layers_with_pattern=True,
    note="also `bat` and `mini`",
    keys={
        "r": is_whole,
        "mini_r": whole(1, 2**16),
        "init_weights": one_of(True, False, "bat", "mini", None),
        "bias": is_bias,
        **PLACING,
    },
    parameters={"miss_block": ""},
    defaults={"r": 64, "mini_r": 1},
    ignored=frozenset({"miss_dropout"}),
    choose=_miss,
    sized=("linear",),
)
LILY = Kind(
    "LILY",
    since="0.19",
    keys={"r": is_whole, "stride_A": whole(1, 4096), "num_B": whole(2, 1024), "scaling": is_number, **PLACING},
    parameters={"lily_A.weight": "r in", "lily_B.weight": "num_B*r out", "lily_router.weight": "num_B r"},
    defaults={"r": 32, "num_B": 2},
    ignored=frozenset({"init_weights"}),
    effect=("lily_B.weight",),
    sized=("linear",),
)
PEANUT = Kind(
    "PEANUT",
    since="0.19",
    keys={"r": is_whole, "depth": whole(0, DEPTH), "scaling": is_number, "act_fn": is_text, **PLACING},
    parameters={
        "peanut_A.weight": "r out",
        "peanut_B.weight": "out r",
        **{f"peanut_{side}.{at}.weight": "r r" for side in ("encoders", "decoders") for at in range(DEPTH)},
    },
    defaults={"r": 32, "depth": 0},
    ignored=frozenset({"init_weights"}),
    choose=lambda place: [
        "peanut_A.weight",
        "peanut_B.weight",
        *(f"peanut_{side}.{at}.weight" for side in ("encoders", "decoders") for at in range(place.numbers["depth"])),
    ],
    groups=(("peanut_A.weight", "peanut_B.weight"),),
    effect=("peanut_B.weight",),
    sized=("linear",),
)


def _psoft(place: Place) -> list[str]:
    flags = {"vector_a": "psoft_mag_a", "vector_b": "psoft_mag_b"}
    return ["psoft_R.weight", *(f"psoft_R.{name}" for name, flag in flags.items() if place.numbers[flag])]


PSOFT = Kind(
    "PSOFT",
    since="0.19",
    refuses_layers_with_pattern=True,
    note="computes something again at each load, and warns (`config.changes-base`)",
    keys={"r": is_whole, "psoft_alpha": is_number, "fan_in_fan_out": is_flag, "psoft_orth": is_flag,
          "psoft_mag_a": is_flag, "psoft_mag_b": is_flag, "use_cayley_neumann": is_flag,
          "num_cayley_neumann_terms": whole(1, 64), "cayley_neumann_eps": maybe(is_number),
          "ab_svd_init": one_of("psoft_init", "pissa_init"), "psoft_svd": one_of("full", "lowrank"),
          "psoft_svd_lowrank_niter": whole(0, 100), "random_seed": whole(0, 2**53), **PLACING},
    parameters={"psoft_R.weight": "half", "psoft_R.vector_a": "r", "psoft_R.vector_b": "r"},
    defaults={"r": 32, "psoft_mag_a": True, "psoft_mag_b": True, "psoft_orth": True},
    ignored=frozenset({"psoft_dropout", "init_weights"}),
    choose=_psoft,
    derive=lambda place, _: {"half": place.numbers["r"] * (place.numbers["r"] - 1) // 2
                             if place.numbers["psoft_orth"] else -1},
    groups=(("psoft_R.weight",),),
    sized=("linear",),
    doubt="the singular vectors of the base, whose signs may differ on another machine",
)  # fmt: skip
DEFT = Kind(
    "DEFT",
    since="0.20",
    refuses_layers_with_pattern=True,
    note="also `qr` and `para`",
    keys={
        "r": is_whole,
        "alpha": maybe(is_number),
        "para": is_flag,
        "init_scale": is_number,
        "decomposition_method": one_of("relu", "qr"),
        "fan_in_fan_out": is_flag,
        "bias": is_bias,
        **PLACING,
    },
    parameters={"deft_P": "out rank", "deft_R": "rank in"},
    defaults={"r": 8},
    ignored=frozenset({"deft_dropout", "init_weights"}),
    choose=lambda place: ["deft_P"] if place.numbers.get("para") else ["deft_P", "deft_R"],
    derive=lambda place, _: {"rank": min(place.numbers["r"], place.numbers["out"])},
    groups=(("deft_P",),),
)


def _glora(place: Place) -> dict[str, str]:
    """Return the parameters: A and B act on the weight, C, D and E on the bias, saved as zeros if there is none."""
    weight = {
        "lora": {"Xd": "out r", "Xu": "r in"},
        "vector": {"X": "out 1"},
        "constant": {"X": "1"},
        "none": {"zeros": "out in"},
    }
    inner = {"lora": {"Xd": "in r", "Xu": "r 1"}, "vector": {"X": "in 1"}, "none": {"zeros": "in 1"}}
    outer = {"vector": {"X": "out"}, "constant": {"X": "1"}, "none": {"zeros": "out"}}
    types = {
        key: place.numbers[key] if place.has_bias or key == "config_A_B" else "none"
        for key in ("config_A_B", "config_C", "config_D_E")
    }
    parts = {
        "A": weight[types["config_A_B"]],
        "B": weight[types["config_A_B"]],
        "C": inner[types["config_C"]],
        "D": outer[types["config_D_E"]],
        "E": outer[types["config_D_E"]],
    }
    return {f"glora_{letter}.{end}": words for letter, ends in parts.items() for end, words in ends.items()}


GLORA = Kind(
    "GLORA",
    since="0.20",
    keys={
        "r": is_whole,
        "config_A_B": one_of("lora", "vector", "constant", "none"),
        "config_C": one_of("lora", "vector", "none"),
        "config_D_E": one_of("constant", "vector", "none"),
        "bias": is_bias,
        **TARGETS,
    },
    parameters={f"glora_{letter}.{end}": "" for letter in "ABCDE" for end in ("Xd", "Xu", "X", "zeros")},
    defaults={"r": 8, "config_A_B": "lora", "config_C": "lora", "config_D_E": "constant"},
    ignored=frozenset({"init_weights"}),
    choose=_glora,
    groups=tuple((f"glora_{letter}.Xd", f"glora_{letter}.Xu") for letter in "ABC"),
    sized=("linear",),
)
POLY = Kind(
    "POLY",
    since="0.8",
    note="run as the first of its tasks; the others are loaded and checked, not run",
    keys={"r": is_whole, "n_tasks": whole(1, 4096), "n_skills": whole(1, 4096), "n_splits": whole(1, 4096),
          "poly_type": one_of("poly"), **TARGETS, **EXCLUDED},
    parameters={"poly_lora_A": "n_splits n_skills in/n_splits r", "poly_lora_B": "n_splits n_skills r out/n_splits",
                "poly_router.module_logits": "n_tasks n_splits*n_skills"},
    defaults={"r": 8, "n_tasks": 1, "n_skills": 4, "n_splits": 1},
    ignored=frozenset({"init_weights"}),
    effect=("poly_lora_B",),
    sized=("linear",),
)  # fmt: skip

ROWS = (LOHA, LOKR, DELORA, GRALORA, HIRA, HRA, MISS, LILY, PEANUT, PSOFT, DEFT, GLORA, POLY)
