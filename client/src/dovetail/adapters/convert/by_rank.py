"""Makes a LoRA of any method of PEFT that changes weights: the best matrices of a rank for what PEFT changes.

Who calls this brings the changes (`dovetail.integrations.peft_changes`, which needs torch and PEFT); they are cut by
their singular values here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dovetail.adapters.convert.lazy import Lazies, Lazy
from dovetail.adapters.convert.lora import Lora, Loss, Module, config_of
from dovetail.adapters.convert.peft import PREFIX, WHOLE
from dovetail.adapters.convert.refusal import Unconvertible
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import values
from dovetail.adapters.files.config import Config
from dovetail.adapters.methods.kinds import kind_of
from dovetail.adapters.shapes.selection import suffixes

Weights = Mapping[str, tuple[Lazy, Lazy | None]]  # path of a module → its weight and its bias in the base
# The adapter's tensors and config, the base's weights, and whether they are inputs by outputs → path and change of each
# module, as an array of outputs by inputs. Raises `Unconvertible`.
Changes = Callable[[Lazies, Config, Weights, bool], Iterator[tuple[str, Any]]]
NOT_OF_A_MODULE = {  # what no change of a weight can be
    "UNILORA": "its numbers are dealt out over all modules of the model in their order",
    "XLORA": "it chooses among adapters for each input",
    "POLY": "it chooses among matrices by the task",
    "LILY": "it chooses among matrices for each input",
    "PVERA": "it draws a sample for each input",
    "PEANUT": "it is not linear",
}
OF_CONV1D = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer")  # types of bases whose weights are so


def read(
    tensors: Lazies, config: Config, base: Lazies, base_config: Config, rank: int, changes: Changes
) -> tuple[Lora, list[Loss]]:
    """Return the LoRA of this rank, and for each module what the cut loses, by Frobenius' norm.

    Raises `Unconvertible` for methods that change no weights, and for a weight that the base's files do not have.
    """
    kind, method = kind_of(config), configs.text(config, "peft_type") or "no method"
    if kind is None or method in NOT_OF_A_MODULE:
        why = NOT_OF_A_MODULE.get(method, "this method is not known here")
        raise Unconvertible(f"It is {method}, which no LoRA can be: {why}.")
    if not rank:
        raise Unconvertible("Name the rank of the LoRA: --rank 16.", option="rank")
    if (configs.text(config, "bias") or "none") != "none":
        raise Unconvertible("bias is set: it changes biases of the base, which a LoRA leaves as they are.")
    if str(config.get("init_lora_weights")).lower().startswith("pissa_niter"):
        raise Unconvertible(
            "init_lora_weights draws a part of the base's weights at random, and PEFT cannot draw that of the training "
            "again: convert it there, by path_initial_model_for_weight_conversion of save_pretrained()."
        )
    ends = tuple(f".{parameter}" for parameter in kind.parameters)
    own = {name: tensor for name, tensor in tensors.items() if name.endswith(ends) or not WHOLE.fullmatch(name)}
    paths = {
        name.removesuffix(end).removeprefix(PREFIX)
        for name in own
        for end in ends
        if name.startswith(PREFIX) and name.endswith(end)
    }
    if not paths:
        raise Unconvertible(f"It is {method}, which changes no weights of modules.")
    is_conv1d = configs.text(base_config, "model_type") in OF_CONV1D
    weights = {path: _in_base(base, path) for path in sorted(paths)}
    modules: dict[str, Module] = {}
    losses: list[Loss] = []
    for path, change in changes(own, config, weights, is_conv1d):
        modules[path], loss = _cut(path, change, rank)
        losses.append(loss)
    named = configs.text(config, "base_model_name_or_path") or ""
    kept: dict[str, Any] = {
        key: config.get(key) for key in ("revision", "task_type", "modules_to_save", "auto_mapping")
    }
    head = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name not in own}
    return Lora(config_of(modules, named, fan_in_fan_out=is_conv1d, **kept), modules, head=head), losses


def lost(losses: list[Loss]) -> float:
    """Return the share of the whole change that the cuts lose, by Frobenius' norm."""
    whole = math.fsum(loss.largest**2 for loss in losses)
    return math.sqrt(math.fsum(loss.error**2 for loss in losses) / whole) if whole else 0.0


def _in_base(base: Lazies, path: str) -> tuple[Lazy, Lazy | None]:
    """Return weight and bias of a module by its path, which a model with a head has below another name."""
    ends = suffixes(path)[:3]
    found = next((end for end in ends if f"{end}.weight" in base), "")
    if not found:
        below = [name for name in base if name.endswith(f".{path}.weight")]
        found = below[0].removesuffix(".weight") if len(below) == 1 else ""
    if not found:
        raise Unconvertible("the files of the base have no weight for it.", path)
    weight = base[f"{found}.weight"]
    if len(weight.shape) != 2 or weight.dtype not in values.FLOATS:
        raise Unconvertible(f"its weight in the base is {weight.dtype} {weight.shape}, no matrix of floats.", path)
    return weight, base.get(f"{found}.bias")


def _cut(path: str, change: Any, rank: int) -> tuple[Module, Loss]:
    """Return the best pair of this rank for a change of a weight, and what is lost."""
    from dovetail.adapters.merge import arithmetic  # noqa: PLC0415 - it needs numpy, as in merge.modules

    if not math.isfinite(abs(change).max(initial=0.0)):
        raise Unconvertible("what it adds to its module is not finite.", path)
    down, up, error, norm = arithmetic.best_pair(change, rank)
    return Module(lazy_of(down), lazy_of(up), 1.0), Loss(error, path, norm)


def lazy_of(array: Any) -> Lazy:
    """Return an array as a tensor of 32-bit floats."""
    raw = array.astype("<f4").tobytes()
    return Lazy("F32", tuple(array.shape), lambda: iter([raw]))
