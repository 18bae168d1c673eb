"""Checks of the tensors against the shape of the base: none missing, none too many, each in its shape.

The config's rank and prompt length are checked against bounds, and against the tensors.
"""

import re
from collections.abc import Iterator

from dovetail.adapters.files import config as configs
from dovetail.adapters.methods import HEADS, TASKS, Kind, task_of
from dovetail.adapters.readers.folder import AGAIN, Folder
from dovetail.adapters.results.findings import Finding, failed, skipped, some
from dovetail.adapters.shapes import layout
from dovetail.adapters.shapes.selection import PatternTable, Selection

NO_BASE = "The base is not available here."
VISION = (
    ("4", re.compile(r"\.attention\.(?:attention|self|output)\.(?:query|key|value|dense)\.")),
    ("5", re.compile(r"\.attention\.[qkvo]_proj\.")),
)  # the names of attention modules in ViT and similar models, by major version of transformers
EXPERT = re.compile(r"\.experts\.\d+\.")
TABLES = ("experts", "experts-turned")
OTHER_HEADS = ("classification_head", "sequence_summary", "logits_proj")  # of BART, XLNet and similar models


def missing(folder: Folder) -> str | Finding:
    if folder.base is None or not folder.can_be_fitted:
        return skipped(NO_BASE)
    needed = folder.expected
    lacking = sorted(needed.keys() - folder.tensors.keys())
    if not lacking:
        return f"The file has all {len(needed):,} tensors that the base needs."
    strangers = folder.strangers
    if (wrapper := layout.explained(strangers, needed)) and len(strangers) >= len(lacking):
        return _wrapped(strangers, *wrapper)
    hint = f"; {len(strangers):,} of its tensors fit nowhere: {some(strangers)}" if strangers else ""
    return failed(
        f"{len(lacking):,} of the {len(needed):,} tensors for {folder.base.id} are not in the file: "
        f"{some(lacking)}{hint}.",
        f"{folder.again} Or list only the trained modules in the config.",
        tensors=lacking[:20],
    )


def _wrapped(names: list[str], part: str, who: str) -> Finding:
    """Return the refusal of tensors that are all here, under the names of a wrapped model."""
    return failed(
        f"All {len(names):,} tensors are in the file, but {who} left {part!r} in their names ({names[0]}), "
        "so no loader finds them.",
        f"Remove {part + '.'!r} from the names, or save the wrapped model: "
        "accelerator.unwrap_model(model).save_pretrained(…). On a hub, `dovetail repair` renames them.",
        tensors=names[:20],
        part=part,
    )


def unexpected(folder: Folder) -> str | Finding:
    if folder.base is None or not folder.can_be_fitted:
        return skipped(NO_BASE)
    strangers = folder.strangers
    if not strangers:
        return "Every tensor has a place in the base."
    return _of_another_release(folder, strangers) or failed(
        f"{folder.base.id} has no place for {some(strangers)}.",
        "Name the base it was trained on and push the config of the same training run, or remove these tensors.",
        tensors=strangers[:20],
    )


def _of_another_release(folder: Folder, strangers: list[str]) -> Finding | None:
    """Return a refusal that explains tensors for another major version of transformers, else None."""
    assert folder.base is not None
    if folder.kind is None:
        return None
    if version := _other_transformers(strangers, folder):
        return failed(
            f"{folder.base.id} has no place for {some(strangers, 2)}: these are names of transformers "
            f"{version} for the modules of an image model; other releases use other names, and PEFT does not "
            "convert them.",
            f"Load it with transformers {version}, or rename its tensors and target_modules.",
            tensors=strangers[:20],
            needs_engine=f"e{version}",
        )
    if any(EXPERT.search(name) for name in strangers) and _has_tables(folder):
        return failed(
            f"{folder.base.id} has no place for {some(strangers, 2)}: transformers 5 keeps all experts of a "
            "layer in one table. PEFT converts such tensors for some models and silently drops them for "
            "others.",
            "Load it with transformers 4; or load it there and save it again with target_parameters.",
            tensors=strangers[:20],
            needs_engine="e4",
        )
    return None


def _has_tables(folder: Folder) -> bool:
    assert folder.base is not None
    return any(module.kind in TABLES for module in folder.base.manifest.modules.values())


def _other_transformers(names: list[str], folder: Folder) -> str:
    """Return the major version of transformers that uses these names in models for images, or ""."""
    assert folder.base is not None
    if folder.base.manifest.input:  # names in models for text did not change
        return ""
    return next((version for version, form in VISION if any(form.search(name) for name in names)), "")


def shape(folder: Folder) -> str | Finding:
    if folder.base is None or not folder.can_be_fitted:
        return skipped(NO_BASE)
    wrong = folder.misshapen
    if not wrong:
        return "Every tensor has the shape the base needs."
    name, expected = wrong[0]
    actual = folder.tensors[name].shape
    return failed(
        f"{name} is {list(actual)}, but {folder.base.id} needs {list(expected)} ({len(wrong):,} tensors differ).",
        "Name the base it was trained on: this one has other dimensions.",
        tensor=name,
        expected=list(expected),
        found=list(actual),
    )


def random_head(folder: Folder) -> str | Finding:
    task = task_of(folder.config)
    heads = HEADS.get(str(task))
    if heads is None:
        return skipped("This task needs no head of its own.")
    if any(f".{head}." in f".{name}." for name in folder.header.tensors for head in (*heads, *OTHER_HEADS)):
        return f"The file contains the trained head ({folder.layout.labels or '?'} outputs)."
    if task == "IMAGE_CLS" and folder.base is not None and folder.base.head_task == task:
        return "It uses the base's own head."
    before = "task_type set before get_peft_model(), or " if task in TASKS else ""
    return failed(
        f"The task is {task}, but the file has no {' or '.join(heads)}; loaders create an untrained one.",
        f"Train with {before}modules_to_save={list(heads[:1])}, and save again.",
        heads=list(heads),
    )


MAX_RANK = 1024
MAX_VIRTUAL_TOKENS = 4096
MAX_ENCODER = 16_384
SAME_RUN = "Push the config and the weights of the same training run"


def rank(folder: Folder) -> str | Finding:
    method = folder.kind
    assert method is not None
    if method.is_prompt:
        return _prompt_length(folder)
    if not method.ranked:
        return skipped(f"{method.peft_type} has no rank.")
    config = folder.config
    table = config.get("rank_pattern") if "rank_pattern" in method.tables else None
    ranks = [method.numbers(config)["r"], *(table.values() if isinstance(table, dict) else ())]
    out = [rank for rank in ranks if not 1 <= rank <= MAX_RANK]
    if out:
        return failed(
            f"r = {out[0]:,} is not between 1 and {MAX_RANK}.",
            f"{AGAIN} after training with a rank in this range.",
            rank=out[0],
        )
    return _ranks_agree(folder, method, int(ranks[0]))


def _ranks_agree(folder: Folder, method: Kind, rank: int) -> str | Finding:
    if turned := _turned(folder, rank):
        return turned
    table = PatternTable(folder.config.get("rank_pattern") if "rank_pattern" in method.tables else None)
    found = list(_ranks_of_tensors(folder, method))
    ranks = {one for _, _, one in found}
    for module, parameter, one in found:
        expected = int(table.get(module, rank))
        if one != expected:
            return failed(
                f"{module}.{parameter} has rank {one}, but {configs.NAME} says {expected}.",
                _rank_fix(ranks, is_by_pattern=bool(folder.config.get("rank_pattern"))),
                module=module,
                expected=expected,
                found=one,
            )
    return f"Rank {' and '.join(str(rank) for rank in sorted(ranks)) or rank}, as the config says."


def _ranks_of_tensors(folder: Folder, method: Kind) -> Iterator[tuple[str, str, int]]:
    """Yield module, parameter and rank of each tensor whose shape has one."""
    selection = Selection(folder.config)
    for module, parameters in folder.layout.modules.items():
        if not selection.picks(module):
            continue  # a table of experts, whose number only the base knows; or dropped, which tensors.targets reports
        for parameter, (at, length) in ranked_sides(method).items():
            shape = parameters[parameter].shape if parameter in parameters else ()
            if len(shape) == length:
                yield module, parameter, shape[at]


def _rank_fix(ranks: set[int], *, is_by_pattern: bool) -> str:
    """Return the fix for tensors of these ranks; of several, the config of the training run knows which is whose."""
    if len(ranks) > 1:
        return f"{SAME_RUN}, with the rank of each module in rank_pattern."
    without = " and remove rank_pattern" if is_by_pattern else ""
    return f"Set r to {min(ranks)} in {configs.NAME}{without}: all tensors have that rank. Or: {SAME_RUN.lower()}."


def _turned(folder: Folder, rank: int) -> Finding | None:
    """Return a finding if every lora_A and lora_B has its rank on the other side: transposed, or with swapped names."""
    pairs = [
        (own["lora_A.weight"].shape, own["lora_B.weight"].shape)
        for own in folder.layout.modules.values()
        if {"lora_A.weight", "lora_B.weight"} <= own.keys()
    ]
    square = all(len(a) == len(b) == 2 for a, b in pairs)
    if not pairs or not square or any(a[0] == rank or b[1] == rank for a, b in pairs):
        return None
    if not all(a[1] == rank and b[0] == rank for a, b in pairs):
        return None
    base = folder.base.manifest.modules if folder.base else {}
    known = next(((base[m], own["lora_A.weight"].shape) for m, own in folder.layout.modules.items() if m in base), None)
    is_swapped = known is not None and known[0].outputs != known[0].inputs and known[1][0] == known[0].outputs
    what = "lora_A and lora_B are swapped" if is_swapped else "every lora_A and lora_B is transposed or swapped"
    return failed(
        f"In all {len(pairs)} modules {what}: lora_A is {list(pairs[0][0])} where PEFT has [{rank}, inputs].",
        "Transpose each matrix, or swap the names lora_A and lora_B; MLX and some scripts save them the "
        "other way round.",
        found=list(pairs[0][0]),
        expected=rank,
    )


def ranked_sides(kind: Kind) -> dict[str, tuple[int, int]]:
    """Return for each parameter with a rank: the dimension that is the rank, and the number of dimensions."""
    words = {name: shape.split() for name, shape in kind.parameters.items()}
    return {name: (shape.index("r"), len(shape)) for name, shape in words.items() if shape.count("r") == 1}


def _prompt_length(folder: Folder) -> str | Finding:
    config, prompt = folder.config, folder.layout.prompt
    token_ids = config.get("cpt_token_ids")
    tokens = len(token_ids) if isinstance(token_ids, list) else configs.whole(config, "num_virtual_tokens") or 0
    hidden = configs.whole(config, "encoder_hidden_size") or 0
    if not 1 <= tokens <= MAX_VIRTUAL_TOKENS:
        return failed(
            f"num_virtual_tokens = {tokens:,} is not between 1 and {MAX_VIRTUAL_TOKENS:,}.", f"{AGAIN}.", found=tokens
        )
    if not 0 <= hidden <= MAX_ENCODER:
        return failed(f"encoder_hidden_size = {hidden:,} is above {MAX_ENCODER:,}.", f"{AGAIN}.", found=hidden)
    if prompt is not None and prompt.shape[0] % tokens:
        return failed(
            f"prompt_embeddings has {prompt.shape[0]} rows, but {configs.NAME} says {tokens} virtual tokens.",
            _length_fix(config, prompt.shape[0]),
            expected=tokens,
            found=prompt.shape[0],
        )
    return f"{tokens} virtual tokens, as the config says."


def _length_fix(config: configs.Config, rows: int) -> str:
    """Return the fix for a prompt of another length than the config says; encoder-decoders have it twice."""
    copies = configs.whole(config, "num_transformer_submodules") or 1
    if isinstance(config.get("cpt_token_ids"), list) or rows % copies:
        return f"{SAME_RUN}."
    return f"Set num_virtual_tokens to {rows // copies} in {configs.NAME}. Or: {SAME_RUN.lower()}."
