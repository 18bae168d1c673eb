"""Checks of adapter_config.json: well-formed, of a supported method, harmless to load. Others compare the tensors."""

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.config import said_field, wrong_fields
from dovetail.adapters.files.patterns import PatternError
from dovetail.adapters.formats.description import foreign_format
from dovetail.adapters.methods import EVERYWHERE, KINDS, NOT_RUN, Kind
from dovetail.adapters.methods.kind import (
    OLD,
    Fits,
    between,
    is_anything,
    is_name_list,
    is_number,
    is_table,
    rules_of_peft,
)
from dovetail.adapters.readers.folder import AGAIN, Folder
from dovetail.adapters.results.findings import Finding, failed, some, warned
from dovetail.adapters.shapes.selection import PLAIN, PatternTable, Selection

PATTERN_KEYS = ("target_modules", "exclude_modules", "feedforward_modules")
SAMPLE = "model.layers.0.self_attn.q_proj"
NAMING_KEYS = ("modules_to_save", "layers_pattern")
LIBRARIES = ("transformers", "diffusers", "sentence_transformers", "lerobot", "megatron")
FETCHING = (
    "adapters",
    "shadow_model",
    "prompt_tuning_init_state_dict_path",
    "path_initial_model_for_weight_conversion",
)
# Prefix of init_lora_weights → what PEFT does when it loads such an adapter; the first that fits counts.
REPLACING_INITS = {
    "pissa_niter": ("takes a different part out of the base's weights than in training, because it draws it at random"),
    "corda": "fails, because it needs the training data to take a part out of the base's weights",
    "loftq": "quantises the base's weights again, which requires bitsandbytes and scipy",
    "pissa": "takes a part out of the base's weights again: {}",
    "olora": "takes a part out of the base's weights again: {}",
}
SHARES_NO_BASE = (
    "alone it answers as it was trained, but nothing else can use the changed base, and servers and "
    "merges that keep the base unchanged give other answers"
)
IN_TRAINING = "with path_initial_model_for_weight_conversion of save_pretrained() in its training run"
# The allowed values of keys that only matter in training, by the end of the key; such as lora_dropout and eva_config.
TRAINING: dict[str, Fits] = {
    "_dropout": between(0, 1),
    **dict.fromkeys(("_config", "_pattern", "use_bdlora"), is_table),
    **dict.fromkeys(("_bound", "tinit", "tfinal", "orth_reg_weight"), is_number),
    "target_parameters": is_name_list,
}
NAMES = {"adapters": "the adapters library", "mlx": "MLX", "unknown": "an unknown format"}


def missing(folder: Folder) -> str | Finding:
    if configs.NAME in folder.files:
        return f"{configs.NAME} is here."
    return failed(
        f"There is no {configs.NAME} at the top of the repository, so no loader knows how to read the weights.",
        f"Push the {configs.NAME} that save_pretrained() wrote beside the weights.",
    )


def invalid(folder: Folder) -> str | Finding:
    try:
        config = folder.config
    except configs.ConfigError as error:
        return failed(f"{configs.NAME} cannot be read: {error}.", f"{AGAIN}; do not edit the file by hand.")
    kind = folder.kind
    if wrong := wrong_fields(config, rules_of_peft(kind)):
        return failed(
            f"{said_field(config, wrong[0])}, which is not a value that PEFT accepts.", f"{AGAIN}.", keys=wrong
        )
    if kind is None:
        return "It is a JSON object."
    if culprits := _unloadable(config, kind):
        return failed(
            f"{said_field(config, culprits[0])}, which makes PEFT fail when it loads the adapter.",
            f"{AGAIN}.",
            keys=culprits,
        )
    unknown = [key[:80] for key, value in config.items() if not (kind.knows(key) or (key in OLD and value == OLD[key]))]
    if unknown:
        return warned(
            f"PEFT ignores {some(unknown)}, and so did this check.",
            "Remove these keys, or save with a released version of PEFT.",
            keys=unknown[:20],
        )
    return f"It is a JSON object with {len(config)} keys, all of them known."


def _unloadable(config: configs.Config, kind: Kind) -> list[str]:
    """Return the fields that change nothing after training, but that make PEFT fail when it reads them.

    None of them reaches the loader here, so loading would not reveal it.
    """
    unread = {key: value for key, value in config.items() if key not in (*EVERYWHERE, *kind.keys) and kind.knows(key)}
    rules = {key: next((fits for end, fits in TRAINING.items() if key.endswith(end)), is_anything) for key in unread}
    culprits = [key for key, value in unread.items() if not rules[key](value)]
    if kind.peft_type == "ADALORA":
        culprits += _of_schedule(config)
    if config.get("tokenizer_kwargs") and config.get("prompt_tuning_init") != "TEXT":
        culprits.append("tokenizer_kwargs")
    layers = config.get("layers_to_transform")
    if not kind.takes_layers_pattern_alone and config.get("layers_pattern") and layers in (None, []):
        culprits.append("layers_pattern")
    if isinstance(config.get("target_modules"), str) and layers is not None and kind.refuses_layers_with_pattern:
        culprits.append("layers_to_transform")
    return culprits


def _of_schedule(config: configs.Config) -> list[str]:
    """Return the fields of the schedule that AdaLoRA refuses, even after training (peft/tuners/adalora/config.py)."""
    if config.get("use_dora"):
        return ["use_dora"]
    total, first, last = (configs.number(config, key) or 0 for key in ("total_step", "tinit", "tfinal"))
    return [] if total > 0 and first < total - last else ["total_step"]


def code(folder: Folder) -> str | Finding:
    config = folder.config
    mapping, tokenizer = config.get("auto_mapping"), config.get("tokenizer_kwargs")
    library = mapping.get("parent_library") if isinstance(mapping, dict) else None
    culprits = []
    if config.get("megatron_config"):
        culprits.append("megatron_config")
    if library is not None and str(library).split(".")[0] not in LIBRARIES:
        culprits.append(f"auto_mapping.parent_library = {str(library)[:60]!r}")
    if isinstance(tokenizer, dict) and tokenizer.get("trust_remote_code"):
        culprits.append("tokenizer_kwargs.trust_remote_code")
    if not culprits:
        return "It names no code to import."
    return failed(f"{configs.NAME} makes loaders import code: {some(culprits)}.", "Remove it.", keys=culprits)


def fetch(folder: Folder) -> str | Finding:
    config = folder.config
    culprits = [key for key in FETCHING if config.get(key)]
    method = NOT_RUN.get(str(config.get("peft_type")))
    if method and method.fetches and not culprits:
        culprits = [method.fetches]
    tokenizer = config.get("tokenizer_name_or_path")
    if isinstance(tokenizer, str) and (tokenizer.startswith(("/", "~", ".", "\\")) or "://" in tokenizer):
        culprits.append("tokenizer_name_or_path")
    if not culprits:
        return "It makes loaders open no other files or addresses."
    return failed(
        f"{configs.NAME} makes loaders open what {some(culprits)} names, on every machine that loads it.",
        "Remove it; a trained adapter does not need it.",
        keys=culprits,
    )


def changes_base(folder: Folder) -> str | Finding:
    config = folder.config
    init = configs.text(config, "init_lora_weights") or ""
    start = init.lower()
    if begins := next((begins for begins in REPLACING_INITS if start.startswith(begins)), ""):
        does = REPLACING_INITS[begins].format(SHARES_NO_BASE)
        message = f"init_lora_weights = {init[:40]!r}: PEFT {does} when it loads the adapter."
        return failed(message, _made_plain(config, begins), key="init_lora_weights")
    if config.get("layer_replication"):
        return failed(
            "layer_replication makes PEFT rebuild the layers of the base while it loads the adapter.",
            "Publish the enlarged base as a base model, and train the adapter on it.",
            key="layer_replication",
        )
    if config.get("bias") not in (None, "none"):
        return warned(
            f"bias = {config['bias']!r}: the adapter changes biases of the base, so it cannot share the base "
            "with other adapters.",
            "Train with bias='none'.",
            key="bias",
        )
    method = folder.kind
    if method is not None and method.doubt and method.doubtful(config):
        return warned(
            f"{method.peft_type} is loaded with {method.doubt}: its weights may differ between machines.",
            "Compare its outputs on the machine that will serve it; save the projections if the method can.",
            key="peft_type",
        )
    if start.startswith("lora_ga"):
        return (
            "Loading it does not change the base. Its training started from a base that LoRA-GA had "
            "changed, usually slightly: convert it with path_initial_model_for_weight_conversion to get "
            "exactly what was trained."
        )
    return "Loading it does not change the base."


def _made_plain(config: configs.Config, begins: str) -> str:
    """Return the way to an adapter that leaves the base as it is."""
    if begins == "loftq":
        return "Publish the base that LoftQ made as a base model, name it, and set init_lora_weights to true."
    if begins not in ("pissa", "olora"):
        return f"Convert it to a plain LoRA {IN_TRAINING}."
    table = config.get("rank_pattern")
    ranks = [rank for rank in table.values() if type(rank) is int] if isinstance(table, dict) else []
    rank = 2 * max([configs.whole(config, "r") or 8, *ranks])
    return (
        f"`dovetail convert --to peft-lora --rank {rank} --base FOLDER` converts it to a plain LoRA "
        f"without loss; or convert it {IN_TRAINING}."
    )


def kind(folder: Folder) -> str | Finding:
    config, method = folder.config, folder.kind
    proven = ", ".join(sorted(kind.peft_type for kind in KINDS))
    peft_type = configs.text(config, "peft_type")
    if peft_type is None:
        return failed(
            f"{configs.NAME} has no peft_type: it is of {NAMES[foreign_format(config)]}; only PEFT is validated here.",
            f"Push a PEFT adapter ({proven}).",
        )
    if method is None:
        unsupported = NOT_RUN.get(peft_type)
        return failed(
            f"peft_type {peft_type[:40]!r} is not run here: {unsupported.why}."
            if unsupported
            else f"peft_type {peft_type[:40]!r} is not a method of PEFT that this release knows.",
            f"Use one of {proven}.",
            peft_type=peft_type[:40],
        )
    unproven = [variant for variant in method.unproven if variant.holds(config)]
    if unproven:
        return failed(
            f"{unproven[0].key}: this variant of {method.peft_type} is not run here: {unproven[0].why}.",
            "Train without it.",
            keys=[variant.key for variant in unproven],
        )
    return f"{method.peft_type} of PEFT."


def pattern(folder: Folder) -> str | Finding:
    config = folder.config
    selection = Selection(config)
    try:
        modules = _modules(folder)
        for module in modules:
            selection.picks(module)
            selection.is_feedforward(module)
        for key, (how, _) in (folder.kind.tables if folder.kind else {}).items():
            table = PatternTable(config.get(key), how)
            for module in modules:
                table.get(module, 0)
    except PatternError as error:
        patterns = [
            key
            for key in (*PATTERN_KEYS, *(folder.kind.tables if folder.kind else ()))
            if isinstance(config.get(key), str | dict)
        ]
        return failed(
            f"The pattern in {some(patterns) or 'layers_pattern'} cannot be matched safely: {error}.",
            "List the module names instead.",
            keys=patterns,
        )
    for key in NAMING_KEYS:
        odd = [name for name in configs.names(config, key) if not PLAIN.fullmatch(name)]
        if odd:
            return failed(
                f"{key} contains {odd[0][:60]!r}, which is not a module name.", "Use plain module names.", key=key
            )
    return "Every pattern can be matched in bounded time."


def _modules(folder: Folder) -> list[str]:
    """Return all module paths that later checks match against patterns."""
    own_modules = dict(folder.layout.modules) if folder.kind else {}
    return [SAMPLE, *own_modules, *(folder.base.manifest.modules if folder.base else ())]
