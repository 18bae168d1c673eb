"""The methods of the adapters library proven here: the keys of their configs with their bounds, and what is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dovetail.adapters.files.config import Config
from dovetail.adapters.methods import Fits, is_flag, is_number, is_whole, one_of
from dovetail.adapters.methods.kind import either

MAX_RANK, MAX_TOKENS, MAX_WIDTH, MAX_LAYERS = 1024, 4096, 16_384, 1000
MIN_REDUCTION = 1 / 8  # below 1 a bottleneck is wider than the model
ACTIVATIONS = (
    *("relu", "relu6", "gelu", "gelu_new", "gelu_fast", "quick_gelu", "gelu_python", "swish", "silu", "mish"),
    *("tanh", "sigmoid", "leakyrelu", "linear", "elu", "prelu"),
)
DTYPES = ("float32", "float16", "bfloat16")


def between(least: int, most: int) -> Fits:
    return lambda value: is_whole(value) and least <= value <= most  # type: ignore[operator]  # numbers by the first half


def is_reduction(value: object) -> bool:
    """Accept one number, or one for each layer with a `default` for the others."""
    if isinstance(value, dict):
        has_known_keys = all(key == "default" or key.isdecimal() for key in value)
        has_numbers = all(not isinstance(item, dict) and is_reduction(item) for item in value.values())
        return bool(value) and has_known_keys and has_numbers
    return is_number(value) and value >= MIN_REDUCTION  # type: ignore[operator]  # a number by the first half


def is_layer_list(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(map(between(0, MAX_LAYERS), value)))


@dataclass(frozen=True, slots=True)
class Method:
    """One value of `architecture`. `keys` reach the loader; `ignored` matter for training only and never do."""

    architecture: str | None
    keys: Mapping[str, Fits]
    ignored: frozenset[str] = frozenset()
    fixed: Mapping[str, object] = field(default_factory=dict)  # what the loader gets in place of what was said

    def knows(self, key: str) -> bool:
        return key == "architecture" or key in self.keys or key in self.ignored or key in self.fixed

    def clean(self, config: Config) -> dict[str, object]:
        """Return the config the loader gets: allowed keys only, nothing random, nothing that reads a file."""
        taken = {key: config[key] for key in self.keys if config.get(key) is not None}
        return {**taken, **self.fixed, "architecture": self.architecture}


SEEDS = frozenset({"init_weights_seed"})
FLAGS = (
    *("mh_adapter", "output_adapter", "original_ln_before", "original_ln_after", "ln_before", "ln_after"),
    *("is_parallel", "use_gating", "adapter_residual_before_ln", "cross_adapter", "phm_layer"),
    *("factorized_phm_W", "shared_W_phm", "shared_phm_rule", "factorized_phm_rule", "learn_phm", "phm_bias"),
)
BOTTLENECK = Method(
    None,
    keys={
        **dict.fromkeys(FLAGS, is_flag),
        "reduction_factor": is_reduction,
        "non_linearity": one_of(*ACTIVATIONS),
        "scaling": either(is_number, one_of("learned", "channel")),
        "residual_before_ln": either(is_flag, one_of("post_add")),
        "inv_adapter": one_of("nice", "glow", None),
        "inv_adapter_reduction_factor": either(is_reduction, one_of(None)),
        "leave_out": is_layer_list,
        "phm_dim": between(1, 64),
        "phm_rank": between(1, 256),
    },
    ignored=SEEDS | {"phm_c_init", "phm_init_range", "hypercomplex_nonlinearity", "invertible_adapter"},
    fixed={"init_weights": "bert", "dropout": 0.0, "stochastic_depth": 0.0},
)
LORA = Method(
    "lora",
    keys={
        **dict.fromkeys(("selfattn_lora", "intermediate_lora", "output_lora", "use_gating", "use_dora"), is_flag),
        "leave_out": is_layer_list,
        "r": between(1, MAX_RANK),
        "alpha": is_number,
        "attn_matrices": lambda value: isinstance(value, list) and set(map(str, value)) <= {"q", "k", "v", "o"},
        "composition_mode": one_of("add", "scale"),
        "init_weights": one_of("lora", "bert", "ia3", "vera"),
        "vera_d": either(is_number, one_of(None)),
        "vera_b": either(is_number, one_of(None)),
    },
    ignored=SEEDS | {"dtype"},
    fixed={"dropout": 0.0},
)
MTL_LORA = Method(
    "mtl_lora",
    keys={
        **LORA.keys,
        "n_up_projection": between(1, 64),
        "task_specific_matrix_type": one_of("singular_values", "linear"),
        "weights_sharpness": is_number,
    },
    ignored=LORA.ignored,
    fixed=LORA.fixed,
)
PREFIX_TUNING = Method(
    "prefix_tuning",
    keys={
        **dict.fromkeys(("encoder_prefix", "cross_prefix", "flat", "use_gating", "shared_gating"), is_flag),
        "leave_out": is_layer_list,
        "prefix_length": between(1, MAX_TOKENS),
        "bottleneck_size": between(1, MAX_WIDTH),
        "non_linearity": one_of(*ACTIVATIONS),
    },
    ignored=SEEDS,
    fixed={"dropout": 0.0},
)
PROMPT_TUNING = Method(
    "prompt_tuning",
    keys={"prompt_length": between(1, MAX_TOKENS), "combine": one_of("prefix", "prefix_after_bos")},
    ignored=SEEDS | {"prompt_init_text", "random_uniform_scale"},
    fixed={"prompt_init": "random_uniform"},  # the other way reads a tokenizer by name
)
REFT = Method(
    "reft",
    keys={
        **dict.fromkeys(("orthogonality", "tied_weights", "subtract_projection", "output_reft"), is_flag),
        "layers": either(one_of("all"), is_layer_list),
        "prefix_positions": between(0, 1024),
        "suffix_positions": between(0, 1024),
        "r": between(1, MAX_RANK),
        "non_linearity": either(one_of(*ACTIVATIONS), one_of(None)),
    },
    ignored=SEEDS | {"dtype"},
    fixed={"dropout": 0.0},
)
METHODS = (BOTTLENECK, LORA, MTL_LORA, PREFIX_TUNING, PROMPT_TUNING, REFT)
UNION = "union"
MAX_PARTS = 8


# adapter-transformers, whose configs carry no version, called activations by other names (adapters/utils.py), and in
# its first release nested what makes an adapter invertible (adapters/configuration/adapter_config.py, BnConfig).
OLD_ACTIVATIONS = {"gelu": "gelu_new", "gelu_orig": "gelu"}
REQUIRED = (
    "mh_adapter",
    "output_adapter",
    "reduction_factor",
    "non_linearity",
)  # of a bottleneck
RIGHT_SCALE = (1, 1)  # the first release that scales LoRAs of alpha unlike r as it says


def as_trained(stored: Config, version: str | None) -> Config:
    """Return a config as the library reads it, with keys of older releases converted."""
    config = dict(stored)
    old = config.get("non_linearity")
    if version is None and isinstance(old, str):
        config["non_linearity"] = OLD_ACTIVATIONS.get(old, old)
    inverse = config.pop("invertible_adapter", None)
    if isinstance(inverse, dict):
        config.setdefault("inv_adapter", inverse.get("block_type"))
        config.setdefault("inv_adapter_reduction_factor", inverse.get("reduction_factor"))
    if is_misscaled(config, version):
        config["alpha"] = config["r"]
    return config


def is_misscaled(config: Config, version: str | None) -> bool:
    """Return whether a LoRA was trained with the scale 1, whatever alpha its config names."""
    if config.get("architecture") != "lora" or config.get("r") in (None, config.get("alpha")):
        return False
    numbers = (version or "").removeprefix("adapters.").split(".")[:2]
    return all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) < RIGHT_SCALE


def method_of(config: Config) -> Method | None:
    return next((method for method in METHODS if method.architecture == config.get("architecture")), None)


def parts(config: Config) -> list[Config]:
    """Return the parts of a config: itself, or the members of a union."""
    if config.get("architecture") != UNION:
        return [config]
    listed = config.get("configs")
    return [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []


def kind_of(config: Config) -> str:
    """Return the method's name for people and catalogues."""
    architecture = config.get("architecture")
    if architecture == UNION:
        kinds = {kind_of(part) for part in parts(config) if part.get("architecture") != UNION}
        return UNIONS.get(frozenset(kinds), UNION)
    if architecture is None:
        return _bottleneck(config)
    return _lora(config) if architecture == "lora" else str(architecture).lower().replace("_", "-")[:32]


def _bottleneck(config: Config) -> str:
    if config.get("phm_layer"):
        return "compacter"
    return "language" if config.get("inv_adapter") or config.get("invertible_adapter") else "bottleneck"


def _lora(config: Config) -> str:
    if config.get("composition_mode") == "scale":
        return "ia3"
    return "vera" if config.get("vera_d") is not None or config.get("vera_b") is not None else "lora"


UNIONS = {
    frozenset({"prefix-tuning", "bottleneck"}): "mam",
    frozenset({"prefix-tuning", "bottleneck", "lora"}): "unipelt",
}


def clean(config: Config) -> dict[str, object]:
    """Return the config a loader gets. The checks have passed: methods are known, types and bounds hold."""
    cleaned = []
    for part in parts(config):
        method = method_of(part)
        assert method is not None
        cleaned.append(method.clean(part))
    return {"architecture": UNION, "configs": cleaned} if config.get("architecture") == UNION else cleaned[0]
