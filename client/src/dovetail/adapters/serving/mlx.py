"""The serving rules of mlx-lm, read in its source, as data; an adapter of PEFT is served once it is converted."""

from dovetail.adapters.files.patterns import PatternError
from dovetail.adapters.serving.rules import TEXT_KEYS, Engine, Rule, unknown
from dovetail.adapters.serving.subject import PREFIX, Subject
from dovetail.adapters.shapes.selection import PatternTable

VERSION = "0.32.2"
CONVERT = "dovetail convert --to mlx"  # stands among the flags of an adapter that is served once it is converted
UTILS, LORA, REGISTRY = "mlx_lm/tuner/utils.py", "mlx_lm/tuner/lora.py", "mlx_lm/utils.py"
LEAVES = ("lora_a", "lora_b", "m")
WRAPPED, INNER = "model.language_model.", "language_model."  # where PEFT and mlx-lm find a text model beside vision
SEEING = ("vision", "visual")  # in the paths of modules for pictures, which mlx-lm does not have
WITH_VISION = "ForConditionalGeneration"
# Settings of a LoRA that its two matrices and one scale do not hold.
WITHOUT_FORM = (
    "layer_replication", "target_parameters", "trainable_token_indices", "alora_invocation_tokens", "megatron_config",
    "use_qalora", "use_bdlora", "arrow_config", "kasa_config", "velora_config", "monteclora_config",
)  # fmt: skip


def _missing_keys(a: Subject) -> list[str]:
    required = ("num_layers", "lora_parameters")
    return [key for key in required if key not in a.config] if a.format == "mlx" and not _is_full(a) else []


def _is_full(a: Subject) -> bool:
    return a.config.get("fine_tune_type") == "full"


def _strangers(a: Subject) -> list[str]:
    names = a.tensors if a.format == "mlx" and not _is_full(a) else ()
    return [name for name in names if name.rpartition(".")[2] not in LEAVES]


def _settings(a: Subject) -> list[str]:
    """Return the settings of a LoRA that mlx-lm's format has no place for."""
    if not a.is_lora:
        return []
    found = [key for key in WITHOUT_FORM if a.config.get(key)]
    return found + (["init_lora_weights"] if a.replacing_init else []) + (["bias"] if a.bias else [])


def _tensors(a: Subject) -> list[str]:
    """Return the tensors that are neither matrices of linear layers nor magnitudes of a DoRA."""
    magnitudes = set(a.magnitudes)
    others = [name for name in a.tensors if "lora_embedding_" in name or not name.startswith(PREFIX)]
    return [*others, *(name for name in a.others if name not in magnitudes)] if a.is_lora else []


def _unlike(a: Subject) -> list[str]:
    """Return modules whose rank or scale is not that of the others."""
    if not a.is_lora:
        return []
    try:
        ranks, alphas = PatternTable(a.config.get("rank_pattern")), PatternTable(a.config.get("alpha_pattern"))
        numbers = {path: (ranks.get(path, a.rank), alphas.get(path, a.alpha)) for path in a.modules}
    except PatternError:
        return ["rank_pattern, alpha_pattern"]
    common = next(iter(numbers.values()), (0, 0))
    return [path for path, number in numbers.items() if number != common]


def _lost_keys(a: Subject) -> list[str]:
    """Return modules whose paths are those of another class of the base: mlx-lm compares them with its own."""
    architectures = a.base.architectures
    if not a.is_lora or not architectures:
        return []
    has_vision = any(name.endswith(WITH_VISION) for name in architectures)
    lost = (TEXT_KEYS,) if has_vision else (WRAPPED, INNER)
    return [path for path in a.modules if path.startswith(lost) or any(word in path for word in SEEING)]


RULES = (
    Rule("mlx.format", "refuses", UTILS, lambda a: "" if a.format in ("mlx", "peft") else a.title,
         "mlx-lm reads its own format, to which the hub converts LoRA of PEFT; this is {}."),
    Rule("mlx.peft", "refuses", UTILS, lambda a: a.format == "peft" and not a.is_lora and a.title,
         "mlx-lm has no form for {}: it reads LoRA and DoRA."),
    Rule("mlx.settings", "refuses", LORA, _settings,
         "mlx-lm's format has two matrices and a scale, and no place for {}, so the adapter is not "
        "converted."),
    Rule("mlx.tensors", "refuses", LORA, _tensors,
         "mlx-lm's format has no place for {}, so the adapter is not converted."),
    Rule("mlx.unlike-modules", "refuses", LORA, _unlike,
         "mlx-lm's format has one rank and one scale for all modules; {} differ, so the adapter is not "
        "converted."),
    Rule("mlx.keys", "refuses", UTILS, _lost_keys,
         "mlx-lm has no module {}: the adapter was trained on another class of the base."),
    unknown("mlx", "mlx-lm", REGISTRY),
    Rule("mlx.weights", "refuses", UTILS, lambda a: a.format == "mlx" and "adapters.safetensors" not in a.files,
         "mlx-lm needs adapters.safetensors."),
    Rule("mlx.config-keys", "refuses", UTILS, _missing_keys, "mlx-lm needs {} in adapter_config.json."),
    Rule("mlx.tensor-names", "refuses", UTILS, _strangers,
         "mlx-lm reads only tensors that end in lora_a, lora_b or m, not {}."),
)  # fmt: skip


def _flags(a: Subject) -> list[str]:
    return [] if a.format == "mlx" else [CONVERT]


def _serves(a: Subject) -> str:
    if a.format == "mlx":
        return "It is in mlx-lm's own format."
    return f"It converts to mlx-lm's format without loss ({CONVERT}); mlx-lm does not read it unconverted."


MLX = Engine("mlx", "MLX", VERSION, "ml-explore/mlx-lm", RULES, _flags, _serves)
