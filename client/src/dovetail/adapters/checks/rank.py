"""Checks of the config's rank and prompt length: against bounds, and against the tensors."""

from __future__ import annotations

from collections.abc import Iterator

from dovetail.adapters.checks.config import AGAIN
from dovetail.adapters.files import config as configs
from dovetail.adapters.methods.kinds import Kind
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import Finding, failed, skipped
from dovetail.adapters.shapes.selection import PatternTable, Selection

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
            f"{AGAIN} after training with a usable rank.",
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
    without = " and take rank_pattern out" if is_by_pattern else ""
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
        "Transpose each matrix, or exchange the names lora_A and lora_B; MLX and some scripts keep them the other way.",
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
