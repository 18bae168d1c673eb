"""loralib's LoRA: lora_A and lora_B of each module, without their alpha and the parts of merged linears they adapt.

A merged linear has one pair for each part that is adapted, such as q and v of q, k and v: A stacks theirs by rows, and
each part of B's rows belongs to its own rows of A (loralib/layers.py, MergedLinear, whose convolution has groups).
Somebody must state the facts that the format leaves out: as an option, or in the card.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dovetail.adapters.convert.lora import Lazies, Lazy, Lora, Module, Unconvertible, config_of, diagonal
from dovetail.adapters.files import config as configs
from dovetail.adapters.formats.description import PIPELINE_TAGS
from dovetail.adapters.formats.images import PAIR
from dovetail.adapters.methods import HEADS

TRUE, FALSE = "true", "false"
MAX_PARTS, MAX_ALPHA, MAX_RANK = 8, 1e6, 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """The alpha of a file of loralib, the parts of merged linears that it adapts, PEFT's task type; a LoRA's rank."""

    alpha: float | None = None
    enable_lora: Sequence[bool] = ()
    task: str = ""
    rank: int = 0


def stated(card: Mapping[str, object], alpha: float | None = None, enable_lora: str = "", rank: int = 0) -> Settings:
    """Return what was asked for, and for what was not what the card states. Raises `Unconvertible` for odd values."""
    plain = dict(card)
    given = enable_lora.split(",") if enable_lora else plain.get("enable_lora") or []
    words = [str(word).strip().casefold() for word in given] if isinstance(given, list) else ["?"]
    if not set(words) <= {TRUE, FALSE} or len(words) > MAX_PARTS or (words and TRUE not in words):
        raise Unconvertible(
            "enable_lora has true or false for each part of a merged linear, such as true,false,true.",
            option="enable_lora",
        )
    number = configs.number(plain, "lora_alpha") if alpha is None else alpha
    if number is not None and not 0 < number <= MAX_ALPHA:
        raise Unconvertible(f"An alpha is more than 0, at most {MAX_ALPHA:g}.", option="alpha")
    if not 0 <= rank <= MAX_RANK:
        raise Unconvertible(f"A rank is 1 to {MAX_RANK:,}.", option="rank")
    tag = configs.text(plain, "pipeline_tag")
    task = next((task for task, name in PIPELINE_TAGS.items() if name == tag), "")
    return Settings(number, tuple(word == TRUE for word in words), task, rank)


WRAPPED = re.compile(r"(?:(?:model_state_dict|state_dict)\.)?(?:module\.)?")  # by those who saved it
FUSED = re.compile(r"(?:.*\.)?(?:c_attn|qkv|qkv_proj|query_key_value|Wqkv|in_proj|attn)")
PARTS_OF_FUSED = 3
CONV1D = ("c_attn", "c_proj", "c_fc", "q_attn")  # of GPT-2, whose weights are inputs by outputs
EMBEDDINGS = ("wte", "wpe", "embed_tokens", "shared", "word_embeddings", "position_embeddings", "token_type_embeddings")
CAUSAL = re.compile(r"(?:transformer\.h|model\.layers|model\.decoder\.layers|gpt_neox\.layers|transformer\.blocks)\.\d")
BACKBONES = ("bert", "roberta", "deberta", "distilbert", "electra", "xlm_roberta", "albert", "mpnet", "vit")


def read(tensors: Lazies, base: str, settings: Settings) -> Lora:
    """Return the LoRA. Raises `Unconvertible` where the settings are needed and missing, and for trained biases."""
    if not settings.alpha:
        raise Unconvertible(
            "A file of loralib does not contain its alpha, which scales its product: give it with --alpha, "
            "or as lora_alpha in the card.",
            option="alpha",
        )
    parts: dict[str, dict[str, Lazy]] = defaultdict(dict)
    head: Lazies = {}
    for name, tensor in tensors.items():
        path = WRAPPED.sub("", name)
        match = PAIR.fullmatch(path)
        if match is not None:
            parts[match[1]][match[2]] = tensor
        elif path.partition(".")[0] in {word for words in HEADS.values() for word in words}:
            head[path] = tensor
        else:
            raise Unconvertible("it is trained beside the pairs, and PEFT has no place for it: save without it.", name)
    modules = {path: _module(path, sides, settings) for path, sides in sorted(parts.items())}
    task = _task(modules, head, settings.task)
    if task == "FEATURE_EXTRACTION":  # PEFT then has the model without a head, and no name of it before its modules
        modules = {_bare(path): module for path, module in modules.items()}
    is_conv1d = all(path.rpartition(".")[2] in CONV1D for path in modules)
    saved = sorted({name.partition(".")[0] for name in head})
    config = config_of(modules, base, task_type=task, fan_in_fan_out=is_conv1d, modules_to_save=saved or None)
    return Lora(config, modules, head=head)


def _module(path: str, sides: Mapping[str, Lazy], settings: Settings) -> Module:
    if path.rpartition(".")[2] in EMBEDDINGS:
        raise Unconvertible("it is an embedding, which cannot be converted to PEFT.", path)
    down, up = sides.get("lora_A"), sides.get("lora_B")
    if down is None or up is None:
        raise Unconvertible("one of its two matrices is missing.", path)
    is_pair = (
        len(down.shape) == len(up.shape) == 2 and up.shape[1] and down.shape[0] and not down.shape[0] % up.shape[1]
    )
    if not is_pair or down.shape[0] > MAX_PARTS * up.shape[1]:  # each part widens all rows of what is written
        raise Unconvertible(f"its matrices {down.shape} and {up.shape} do not match.", path)
    rank = up.shape[1]
    groups = down.shape[0] // rank
    enabled = _enabled(path, groups, up.shape[0], settings.enable_lora)
    scale = float(settings.alpha or 0) / rank
    if len(enabled) == 1:
        return Module(down, up, scale)
    height, blocks, at = up.shape[0] // groups, [], 0
    for is_adapted in enabled:
        piece = up.rows(at * height, (at + 1) * height) if is_adapted else None
        blocks.append((piece, height, at * rank))
        at += is_adapted
    shape = (len(enabled) * height, groups * rank)
    return Module(down, Lazy(up.dtype, shape, lambda: diagonal(blocks, shape[1], up.dtype)), scale)


def _enabled(path: str, groups: int, rows: int, asked: Sequence[bool]) -> Sequence[bool]:
    """Return for each part of a linear whether it is adapted. Raises `Unconvertible` if only a person can tell."""
    if groups == 1 and not FUSED.fullmatch(path):
        return [True]
    if rows % groups:
        raise Unconvertible(f"its {rows} rows cannot be split into {groups} equal parts.", path)
    if asked and sum(asked) == groups:
        return asked
    if asked:
        raise Unconvertible(f"enable_lora names {sum(asked)} parts, but it has {groups}.", path, option="enable_lora")
    if groups == PARTS_OF_FUSED or not FUSED.fullmatch(path):
        return [True] * groups
    raise Unconvertible(
        f"it adapts {groups} of the {PARTS_OF_FUSED} parts of a merged linear, and the file does not say "
        "which: give them with --enable-lora true,false,true (q and v), or as enable_lora in the card.",
        path,
        option="enable_lora",
    )


def _task(modules: Mapping[str, Module], head: Lazies, stated: str) -> str:
    """Return PEFT's task type: of the head where there is one, which the card tells from others of its name."""
    if head:
        word = next(iter(head)).partition(".")[0]
        tasks = [task for task, words in HEADS.items() if word in words]
        return stated if stated in tasks else tasks[0]
    if all(map(CAUSAL.match, modules)):
        return "CAUSAL_LM"
    return "SEQ_2_SEQ_LM" if any(path.startswith("decoder") for path in modules) else "FEATURE_EXTRACTION"


def _bare(path: str) -> str:
    first, _, rest = path.partition(".")
    return rest if first in BACKBONES or CAUSAL.match(path) else path
