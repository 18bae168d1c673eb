"""The methods whose modules share tensors that belong to no single one of them."""

import math

from dovetail.adapters.methods.kind import (
    EXCLUDED,
    LAYERS,
    SEED,
    TARGETS,
    Fits,
    Kind,
    Numbers,
    Place,
    Places,
    Shape,
    between,
    is_bias,
    is_flag,
    is_number,
    is_whole,
    whole,
)

GENERATED = "projections from a random generator, which may differ on another machine or release"


def keys(method: str, **more: Fits) -> dict[str, Fits]:
    return {"r": is_whole, "fan_in_fan_out": is_flag, "bias": is_bias, **TARGETS, **LAYERS, **more}


def is_not_saved(config: object) -> bool:
    return isinstance(config, dict) and config.get("save_projection") is False


def widest(every: Places) -> tuple[int, int]:
    return max(place.numbers["out"] for place in every), max(place.numbers["in"] for place in every)


def _vera(name: str, twice: int) -> object:
    def shared(numbers: Numbers, every: Places) -> dict[str, Shape]:
        if not numbers["save_projection"]:
            return {}
        (outputs, inputs), rank = widest(every), numbers["r"]
        return {f"base_model.{name}_A": (rank * twice, inputs), f"base_model.{name}_B": (outputs, rank)}

    return shared


VERA = Kind(
    "VERA",
    since="0.11",
    note="without saved projections it warns (`config.changes-base`)",
    keys=keys("vera", projection_prng_key=SEED, save_projection=is_flag, d_initial=is_number),
    parameters={"vera_lambda_b": "out", "vera_lambda_d": "r"},
    defaults={"r": 256, "save_projection": True},
    ignored=frozenset({"vera_dropout", "init_weights"}),
    shared=_vera("vera", 1),  # type: ignore[arg-type]  # a closure of that type
    shared_names=("base_model.vera_A", "base_model.vera_B"),
    effect=("vera_lambda_b",),
    doubt=GENERATED,
    doubtful=is_not_saved,
)
PVERA = Kind(
    "PVERA",
    since="0.19",
    note="without saved projections it warns (`config.changes-base`)",
    keys=keys(
        "pvera",
        projection_prng_key=SEED,
        save_projection=is_flag,
        d_initial=is_number,
        sample_at_inference=is_flag,
        generator_seed=lambda value: value is None or SEED(value),
    ),
    parameters={"pvera_lambda_b": "out", "pvera_lambda_d": "r*2"},
    defaults={"r": 256, "save_projection": True},
    ignored=frozenset({"pvera_dropout", "init_weights"}),
    shared=_vera("pvera", 2),  # type: ignore[arg-type]  # as above
    shared_names=("base_model.pvera_A", "base_model.pvera_B"),
    effect=("pvera_lambda_b",),
    doubt=GENERATED,
    doubtful=is_not_saved,
)


def _bases(size: int, rank: int) -> int:
    return math.ceil(size / max(rank, 1))


def _randlora_sizes(place: Place, every: Places) -> Numbers:
    """Return the sizes of the shared matrices, which PEFT saves with every module."""
    outputs, inputs = widest(every)
    here, rank = (place.numbers["out"], place.numbers["in"]), place.numbers["r"]
    low, high = sorted((outputs, inputs))
    return {
        "low": min(here),
        "bases": _bases(min(here), rank),
        "all_low": low,
        "all_high": high,
        "all_bases": _bases(low, rank),
    }


def _randlora_shared(numbers: Numbers, every: Places) -> dict[str, Shape]:
    if not numbers["save_projection"]:
        return {}
    (low, high), rank = sorted(widest(every)), numbers["r"]
    return {"base_model.randlora_A": (rank, 1, low), "base_model.randlora_B": (high, _bases(low, rank), rank)}


def _randlora(place: Place) -> list[str]:
    own = ["randlora_lambda", "randlora_gamma"]
    return own + (["randlora_A", "randlora_B"] if place.numbers["save_projection"] else [])


RANDLORA = Kind(
    "RANDLORA",
    since="0.16",
    takes_layers_pattern_alone=True,
    note="without saved projections it warns (`config.changes-base`)",
    keys=keys("randlora", projection_prng_key=SEED, save_projection=is_flag, sparse=is_flag, very_sparse=is_flag,
              randlora_alpha=is_number),
    parameters={"randlora_lambda": "r bases", "randlora_gamma": "bases low", "randlora_A": "r 1 all_low",
                "randlora_B": "all_high all_bases r"},
    defaults={"r": 32, "save_projection": True},
    ignored=frozenset({"randlora_dropout", "init_weights"}),
    choose=_randlora,
    derive=_randlora_sizes,
    shared=_randlora_shared,
    shared_names=("base_model.randlora_A", "base_model.randlora_B"),
    groups=(("randlora_gamma", "randlora_lambda"), ("randlora_A", "randlora_B")),
    effect=("randlora_lambda",),
    doubt=GENERATED,
    doubtful=is_not_saved,
)  # fmt: skip


def _vblora(place: Place) -> dict[str, str]:
    sides = {"A": "r in/vector_length", "B": "out/vector_length r"}
    if not place.numbers.get("save_only_topk_weights"):
        return {f"vblora_logits_{side}": f"{words} num_vectors" for side, words in sides.items()}
    indices = {f"vblora_logits_{side}_topk_indices": f"{words} topk" for side, words in sides.items()}
    return indices | {f"vblora_logits_{side}_topk_weights": f"{words} less" for side, words in sides.items()}


VBLORA = Kind(
    "VBLORA",
    since="0.13",
    keys=keys("vblora", num_vectors=whole(1, 2**20), vector_length=whole(1, 2**20), topk=whole(1, 4096),
              save_only_topk_weights=is_flag, **EXCLUDED),
    parameters={f"vblora_logits_{side}{end}": "" for side in "AB" for end in ("", "_topk_indices", "_topk_weights")},
    defaults={"r": 4, "num_vectors": 256, "vector_length": 256, "topk": 2},
    ignored=frozenset({"vblora_dropout", "init_vector_bank_bound", "init_logits_std"}),
    choose=_vblora,
    derive=lambda place, _: {"less": place.numbers["topk"] - 1},
    shared=lambda numbers, _: {"base_model.vblora_vector_bank": (numbers["num_vectors"], numbers["vector_length"])},
    shared_names=("base_model.vblora_vector_bank",),
    groups=(("vblora_logits_A", "vblora_logits_B"),
            tuple(f"vblora_logits_{side}_topk_{end}" for side in "AB" for end in ("indices", "weights"))),
    effect=("base_model.vblora_vector_bank",),
    whole_numbers=("topk_indices",),
)  # fmt: skip
UNI = {f"unilora_{what}_{side}": {"A": "r in", "B": "out r"}[side] for what in ("indices", "scales") for side in "AB"}
UNILORA = Kind(
    "UNILORA",
    since="0.20",
    takes_layers_pattern_alone=True,
    refuses_layers_with_pattern=True,
    note="without indices it computes something again at each load, and warns (`config.changes-base`); it says nothing "
    "of the modules it was trained on, so a wrong `target_modules` shows when it is run",
    keys=keys("unilora", theta_d_length=whole(1, 2**24), proj_seed=whole(0, 2**53), save_indices=is_flag),
    parameters=UNI,
    defaults={"r": 4, "theta_d_length": 256},
    ignored=frozenset({"unilora_dropout", "init_weights", "init_theta_d_bound"}),
    choose=lambda place: UNI if place.numbers.get("save_indices") else {},
    shared=lambda numbers, _: {"base_model.unilora_theta_d": (numbers["theta_d_length"],)},
    shared_names=("base_model.unilora_theta_d",),
    effect=("base_model.unilora_theta_d",),
    doubt="positions from a random generator, which may differ in another release",
    doubtful=lambda config: isinstance(config, dict) and not config.get("save_indices"),
    whole_numbers=("unilora_indices",),
)


def _tinylora_shared(numbers: Numbers, every: Places) -> dict[str, Shape]:
    """Return one vector for each group of modules (peft/tuners/tinylora/model.py, _create_and_replace)."""
    groups = max(1, round(len(every) * (1.0 - numbers["weight_tying"])))
    size = max(1, len(every) // groups)
    used = {min(at // size, groups - 1) for at in range(len(every))}
    return {f"base_model.tinylora_v.{at}": (numbers["u"],) for at in used}


TINYLORA = Kind(
    "TINYLORA",
    since="0.19",
    note="without saved projections it warns (`config.changes-base`)",
    keys=keys("tinylora", u=whole(1, 2**20), weight_tying=between(0, 1), projection_seed=SEED, save_projection=is_flag),
    parameters={"tinylora_A": "rank in", "tinylora_B": "out rank", "tinylora_P": "u rank rank"},
    defaults={"r": 2, "u": 64, "weight_tying": 0.0, "save_projection": True},
    ignored=frozenset({"tinylora_dropout", "init_weights", "init_v_bound"}),
    choose=lambda place: ["tinylora_A", "tinylora_B", *(["tinylora_P"] if place.numbers["save_projection"] else [])],
    derive=lambda place, _: {"rank": min(place.numbers[key] for key in ("r", "in", "out"))},
    shared=_tinylora_shared,
    shared_names=("base_model.tinylora_v.",),
    groups=(("tinylora_A", "tinylora_B"),),
    effect=("base_model.tinylora_v.",),
    doubt=GENERATED,
    doubtful=is_not_saved,
)


def _role(path: str) -> str:
    """Return the key that FRoD shares by: two names of a path (peft/tuners/frod/model.py, _category_from_key)."""
    parts = path.split(".")
    if len(parts) == 1 or parts[-2].isdigit():
        return parts[-1]
    role = f"{parts[-2]}_{parts[-1]}"
    return "attention_output" if role == "output_dense" and parts[-3:-2] == ["attention"] else role


def _sparse(inputs: int, rate: float) -> int:
    most = inputs * inputs - inputs
    count = min(int(inputs * inputs * rate), most)
    return max(1, count) if rate > 0 and most > 0 else count


def _frod_shared(numbers: Numbers, every: Places) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for place in every if numbers["save_projection"] else ():
        inputs, role = place.numbers["in"], _role(place.path)
        shapes[f"base_model.frod_V.{role}"] = (inputs, inputs)
        shapes[f"base_model.frod_s_indices.{role}"] = (2, _sparse(inputs, numbers["sparse_rate"]))
        shapes[f"base_model.frod_s_size.{role}"] = (2,)
    return shapes


FROD = Kind(
    "FROD",
    since="0.20",
    note="computes something again at each load, and warns (`config.changes-base`)",
    keys={key: fits for key, fits in keys(
        "frod", projection_prng_key=SEED, save_projection=is_flag, sparse_rate=between(0, 1),
        regularization_alpha=is_number, runtime_offload_base_weight=is_flag).items() if key != "r"},
    parameters={"frod_lambda_l": "in", "frod_lambda_s_values": "count"},
    defaults={"save_projection": True, "sparse_rate": 0.01},
    ignored=frozenset({"frod_dropout", "init_weights", "progressbar"}),
    derive=lambda place, _: {"count": _sparse(place.numbers["in"], place.numbers["sparse_rate"])},
    shared=_frod_shared,
    shared_names=("base_model.frod_V.", "base_model.frod_s_indices.", "base_model.frod_s_size."),
    fixed={"progressbar": False},
    ranked="",
    doubt="directions that it computes from the weights of the base, which rounding may change",
    whole_numbers=("frod_s_indices", "frod_s_size"),
)  # fmt: skip

ROWS = (VERA, PVERA, RANDLORA, VBLORA, UNILORA, TINYLORA, FROD)
