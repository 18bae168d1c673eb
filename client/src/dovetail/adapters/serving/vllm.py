"""The serving rules of vLLM, read in its source, as data."""

from dovetail.adapters.formats.bases import names
from dovetail.adapters.serving.rules import Engine, Rule, lost_text_keys, own_name, refused_without_lora, unknown
from dovetail.adapters.serving.subject import Subject

VERSION = "0.33.0"
HELPER, MODEL, UTILS = "vllm/lora/peft_helper.py", "vllm/lora/lora_model.py", "vllm/lora/utils.py"
CONFIG, REGISTRY = "vllm/config/lora.py", "vllm/model_executor/models/registry.py"
MANAGER, WORKER = "vllm/lora/model_manager.py", "vllm/lora/worker_manager.py"
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
DEFAULT_RANK = 16
HEADS = ("classifier", "score")
INITS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
CLASSIFIER, GENERATOR = "ForSequenceClassification", "ForCausalLM"
KNOWN = names("vllm", "lora") | names("vllm", "without")
SEEING = ("vision", "visual")  # in the paths of modules for pictures
WRAPPED = "language_model."


def _taken_as(architecture: str) -> str:
    """Return the class that vLLM makes a classifier of, where it has none of its own."""
    generator = architecture.removesuffix(CLASSIFIER) + GENERATOR
    return generator if architecture.endswith(CLASSIFIER) and architecture not in KNOWN else architecture


def _wrapped_keys(a: Subject) -> list[str]:
    """Return modules of a model with vision, where the base is one for text alone."""
    is_text = any(name.endswith(GENERATOR) for name in a.base.architectures)
    return [path for path in a.modules if WRAPPED in path] if a.is_lora and is_text else []


def _seeing(a: Subject) -> list[str]:
    """Return the modules for pictures."""
    return [path for path in a.modules if any(word in path for word in SEEING)] if a.is_lora else []


def _missing_keys(a: Subject) -> list[str]:
    return [key for key in ("r", "lora_alpha", "target_modules") if key not in a.config] if a.is_lora else []


def _init(a: Subject) -> str:
    init = a.config.get("init_lora_weights")
    return init if isinstance(init, str) and init.lower() not in INITS else ""


def _unknown_names(a: Subject) -> list[str]:
    """Return the tensors whose names vLLM cannot parse; it skips two names of the base before parsing."""
    skipped = (".embed_tokens.base_layer.weight", ".lm_head.base_layer.weight")
    heads = tuple(f".{head}.{end}" for head in HEADS for end in ("weight", "bias"))
    return [name for name in a.others if not f".{name}".endswith((*skipped, *heads))]


def _undeclared_heads(a: Subject) -> list[str]:
    heads = {name.split(".")[-2] for name in a.others if name.count(".") and name.split(".")[-2] in HEADS}
    return sorted(heads - set(a.saved_modules))


def _two_heads(a: Subject) -> bool:
    return len({name.split(".")[-2] for name in a.heads if name.count(".") and name.split(".")[-2] in HEADS}) > 1


def _embedding_width(a: Subject) -> int:
    widths = {shape[1] for name, shape in a.tensors.items() if name.endswith("lora_embedding_A") and len(shape) == 2}
    return next((width for width in widths if a.base.vocabulary and width != a.base.vocabulary), 0)


def _half_of_experts(a: Subject) -> list[str]:
    """Return expert modules with a LoRA on one of the two nested tables only."""
    tables = set(a.tables) if a.is_lora else set()
    return [path for path in a.tables if not {path, f"{_whole(path)}.base_layer", _whole(path)} <= tables]


def _whole(path: str) -> str:
    return path.removesuffix(".base_layer")


RULES = (
    Rule("vllm.format", "refuses", HELPER, lambda a: "" if a.is_lora else a.title,
         "vLLM reads LoRA adapters of PEFT; this is {}."),
    Rule("vllm.weights", "refuses", MODEL, lambda a: a.is_lora and not a.tensors,
         "vLLM looks for adapter_model.safetensors, .bin or .pt at the top and finds none it can read."),
    Rule("vllm.config-keys", "refuses", HELPER, _missing_keys, "vLLM needs {} in adapter_config.json."),
    Rule("vllm.rank", "refuses", CONFIG, lambda a: a.is_lora and a.max_rank > RANKS[-1] and a.max_rank,
         "vLLM serves ranks up to 512; this one has {}."),
    Rule("vllm.dora", "refuses", HELPER, lambda a: a.is_lora and a.flag("use_dora"), "vLLM does not support DoRA."),
    Rule("vllm.lora-bias", "refuses", HELPER, lambda a: a.is_lora and a.flag("lora_bias"),
         "vLLM does not support a bias in lora_B (lora_bias)."),
    Rule("vllm.bias", "refuses", HELPER, lambda a: a.is_lora and a.bias,
         "vLLM does not support trained biases of the base (bias = {})."),
    Rule("vllm.modules-to-save", "refuses", HELPER,
         lambda a: [name for name in a.saved_modules if name not in HEADS] if a.is_lora else [],
         "vLLM accepts whole modules only for classifier and score; modules_to_save names {}."),
    Rule("vllm.two-heads", "refuses", MODEL, lambda a: a.is_lora and _two_heads(a),
         "vLLM accepts one head per adapter; the file has two."),
    Rule("vllm.undeclared-head", "refuses", MODEL, lambda a: a.is_lora and _undeclared_heads(a),
         "The file contains {}, but modules_to_save does not name it, so vLLM expects no such module."),
    Rule("vllm.init", "refuses", HELPER, lambda a: a.is_lora and _init(a),
         "vLLM refuses init_lora_weights = {}, which changes the base when PEFT loads it."),
    Rule("vllm.activated", "refuses", HELPER, lambda a: a.is_lora and a.flag("alora_invocation_tokens"),
         "vLLM does not support activated LoRA (alora_invocation_tokens)."),
    Rule("vllm.layer-replication", "refuses", HELPER, lambda a: a.is_lora and a.flag("layer_replication"),
         "vLLM does not support layer_replication."),
    Rule("vllm.block-diagonal", "refuses", HELPER, lambda a: a.is_lora and a.flag("use_bdlora"),
         "vLLM does not support block-diagonal LoRA (use_bdlora)."),
    Rule("vllm.qalora", "refuses", HELPER, lambda a: a.is_lora and a.flag("use_qalora"),
         "vLLM does not support QALoRA."),
    own_name("vllm", "refuses", UTILS, "vLLM cannot read them"),
    Rule("vllm.tensor-names", "refuses", UTILS, lambda a: a.is_lora and _unknown_names(a),
         "vLLM cannot read the tensors {}: it takes lora_A, lora_B, lora_embedding_A/B and one head."),
    Rule("vllm.embedding-width", "refuses", MODEL, lambda a: a.is_lora and _embedding_width(a),
         "lora_embedding_A is {} wide, but the base has another vocabulary."),
    Rule("vllm.half-of-experts", "refuses", MANAGER, lambda a: a.is_lora and _half_of_experts(a),
         "vLLM requires tables of experts in pairs, gate_up_proj and down_proj, and stops where one has "
        "no LoRA: {}."),
    refused_without_lora("vllm", "vLLM", REGISTRY, _taken_as),
    unknown("vllm", "vLLM", REGISTRY, _taken_as),
    Rule("vllm.text-keys", "wrong", WORKER, lost_text_keys("vllm"),
         "It was trained on the text model alone, but vLLM looks for modules of the whole model: it "
        "finds no place for {}, and the base answers without an error. Train it on the class that the base "
        "names."),
    Rule("vllm.wrapped-keys", "wrong", WORKER, _wrapped_keys,
         "It was trained on a model with vision, but the base is for text only: vLLM finds no place for "
        "{}, and the base answers without an error."),
    Rule("vllm.vision", "wrong", MANAGER, _seeing,
         "vLLM ignores the modules for images unless it is started with --enable-tower-connector-lora: "
        "{}."),
    Rule("vllm.grown-vocabulary", "wrong", UTILS, lambda a: a.is_lora and a.grown_rows,
         "vLLM skips the saved embeddings of {} rows, so added tokens have no rows of their own."),
)  # fmt: skip


def max_lora_rank(a: Subject) -> int:
    """Return the smallest rank that vLLM can be started with for this adapter."""
    return next((rank for rank in RANKS if rank >= a.max_rank), RANKS[-1])


def _flags(a: Subject) -> list[str]:
    flags = ["--enable-lora", f"--max-lora-rank {max_lora_rank(a)}"]
    if a.heads:
        labels = max(a.tensors[name][0] for name in a.heads)
        flags.append(f"--max-lora-cls-labels {labels}")
    if any(_taken_as(name) != name for name in a.base.architectures):
        flags.append("--runner pooling")
    return flags


def _serves(a: Subject) -> str:
    rank = f"Its rank is {a.max_rank}"
    needs = f"{rank}: more than the default of {DEFAULT_RANK}." if a.max_rank > DEFAULT_RANK else f"{rank}."
    head = " The server must serve the base as a classifier whose head has the same name." if a.heads else ""
    resolvers = f" Resolvers pull it by name only for a server started with exactly {a.base.id}." if a.base.id else ""
    return f"vLLM loads every tensor. {needs}{head}{resolvers}"


VLLM = Engine("vllm", "vLLM", VERSION, "vllm-project/vllm", RULES, _flags, _serves)
