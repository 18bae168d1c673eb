"""Makes a LoRA of any method of PEFT that changes weights: the best matrices of a rank for what PEFT changes.

The caller brings the changes (`dovetail.integrations.peft_changes`, which needs torch and PEFT); they are cut by
their singular values here. LyCORIS' LoHa, LoKr, and LoCon with use_tucker become the best pair of a rank for each
module too: a product of Hadamard's or Kronecker's is a product of two narrow matrices, and from a certain rank on
exact. Source: lycoris, modules/loha.py, lokr.py and locon.py, as they compute in a forward pass (the merge of 4.1
multiplies by its scale twice).
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dovetail.adapters.convert.lora import Lazies, Lazy, Lora, Loss, Module, Unconvertible, config_of
from dovetail.adapters.convert.peft import PREFIX, WHOLE
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import values
from dovetail.adapters.files.config import Config
from dovetail.adapters.methods import kind_of
from dovetail.adapters.shapes.selection import suffixes

Weights = Mapping[str, tuple[Lazy, Lazy | None]]  # path of a module → its weight and its bias in the base
# The adapter's tensors and config, the base's weights, and whether they are inputs by outputs → path and change of each
# module, as an array of outputs by inputs. Raises `Unconvertible`.
Changes = Callable[[Lazies, Config, Weights, bool], Iterator[tuple[str, Any]]]
NOT_OF_A_MODULE = {  # what no change of a weight can be
    "UNILORA": "its values are spread over all modules of the model in their order",
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
        why = NOT_OF_A_MODULE.get(method, "this method is not supported here")
        raise Unconvertible(f"It is {method}, which cannot become a LoRA: {why}.")
    if not rank:
        raise Unconvertible("Choose the rank of the LoRA: --rank 16.", option="rank")
    if (configs.text(config, "bias") or "none") != "none":
        raise Unconvertible("bias is set: it changes biases of the base, which a LoRA cannot do.")
    if str(config.get("init_lora_weights")).lower().startswith("pissa_niter"):
        raise Unconvertible(
            "init_lora_weights draws a part of the base's weights at random, and PEFT cannot repeat the "
            "draw of the training: convert it there, with path_initial_model_for_weight_conversion of "
            "save_pretrained()."
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
    copied = ("revision", "task_type", "modules_to_save", "auto_mapping")
    kept: Mapping[str, Any] = {key: config.get(key) for key in copied}
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
        raise Unconvertible(f"its weight in the base is {weight.dtype} {weight.shape}, not a matrix of floats.", path)
    return weight, base.get(f"{found}.bias")


def _cut(path: str, change: Any, rank: int) -> tuple[Module, Loss]:
    """Return the best pair of this rank for a change of a weight, and what is lost."""
    from dovetail.adapters.merge import arithmetic  # noqa: PLC0415 - it needs numpy, as in merge.modules

    if not math.isfinite(abs(change).max(initial=0.0)):
        raise Unconvertible("its change of its module is not finite.", path)
    down, up, error, norm = arithmetic.best_pair(change, rank)
    return Module(lazy_of(down), lazy_of(up), 1.0), Loss(error, path, norm)


def lazy_of(array: Any) -> Lazy:
    """Return an array as a tensor of 32-bit floats."""
    raw = array.astype("<f4").tobytes()
    return Lazy("F32", tuple(array.shape), lambda: iter([raw]))


Array = Any
Arrays = Mapping[str, Array]
Best = tuple[Array, Array, float, float]  # down, up, what is lost and the whole, as merge.arithmetic returns them
PARTS = re.compile(r"hada_w[12]_[ab]|hada_t[12]|lokr_w[12](?:_[ab])?|lokr_t2|lora_(?:up|mid|down)\.weight")
MOST_VALUES = 1 << 26  # of a matrix while it is computed: half a gigabyte


def is_product(parts: Mapping[str, Lazy]) -> bool:
    """Return whether what a module adds is stored as something else than two matrices, of which a pair can be made."""
    return any(part.startswith(("hada_", "lokr_", "lora_mid")) for part in parts)


def module_of(name: str, parts: Mapping[str, Lazy], alpha: float | None, rank: int) -> tuple[Module, Loss]:
    """Return the best pair of this rank for what a module adds, and what is lost. Raises `Unconvertible`.

    It is the pair of a convolution if the file tells the size of the kernel, and else one of plain matrices.
    """
    if not rank:
        raise Unconvertible("it is not a pair of matrices: choose the rank of the LoRA, --rank 16.", name, "rank")
    arrays = {part: _array(name, tensor) for part, tensor in parts.items() if PARTS.fullmatch(part)}
    try:
        (down, up, error, norm), divisor = _best_pair(name, arrays, rank)
    except KeyError as problem:
        raise Unconvertible(f"its part {problem.args[0]} is missing.", name) from problem
    except Unconvertible:
        raise
    except ValueError as problem:  # of numpy
        raise Unconvertible("the shapes of its matrices do not match.", name) from problem
    scale = alpha / divisor if alpha is not None and divisor else 1.0
    if not math.isfinite(scale * norm):
        raise Unconvertible("its change of its module is not finite.", name)
    pair = Module(lazy_of(down), lazy_of(up * scale), 1.0)
    kernel = max((array.shape[2:] for array in arrays.values()), default=())  # of use_tucker one part alone has it
    return as_convolution(pair, kernel, name) if kernel else pair, Loss(error * abs(scale), name, norm * abs(scale))


def as_convolution(module: Module, kernel: tuple[int, ...], name: str) -> Module:
    """Return a pair of matrices as that of a convolution. Raises `Unconvertible` if the kernel cannot be its own."""
    rank, columns = module.down.shape
    inputs, rest = divmod(columns, kernel[0] * kernel[1])
    if rest:
        raise Unconvertible(f"its {columns} columns are not those of a kernel of {kernel[0]} by {kernel[1]}.", name)
    up = module.up.reshaped(module.up.shape[0], rank, 1, 1)
    return Module(module.down.reshaped(rank, inputs, *kernel), up, module.scale, module.magnitude)


def _array(name: str, tensor: Lazy) -> Array:
    if tensor.dtype not in values.EXPONENTS or len(tensor.shape) not in (2, 4) or 0 in tensor.shape:
        raise Unconvertible(f"one of its parts is {tensor.dtype} {tensor.shape}, not a matrix of floats.", name)
    if values.has_not_finite(tensor.dtype, tensor.raw()):
        raise Unconvertible("one of its parts is not finite.", name)
    return values.doubles(tensor.raw(), tensor.dtype).reshape(tensor.shape)


def _best_pair(name: str, arrays: Arrays, rank: int) -> tuple[Best, int]:
    """Return the best pair without the scale, and what divides alpha, 0 where nothing does.

    Raises KeyError for a part that is missing.
    """
    from dovetail.adapters.merge import arithmetic  # noqa: PLC0415 - it needs numpy, as in merge.modules

    if "lora_mid.weight" in arrays:
        down = _flat(arrays["lora_down.weight"])
        up, middle = _flat(arrays["lora_up.weight"]), _through(arrays["lora_mid.weight"], down)
        return arithmetic.best_pair_of_product(up, middle, rank), len(down)
    if any(part.startswith("hada_") for part in arrays):
        (up, down), (other_up, other_down) = (_pair(arrays, f"hada_w{half}", f"hada_t{half}") for half in (1, 2))
        divisor = len(arrays["hada_w1_b"])
        inner, size = up.shape[1] * other_up.shape[1], (len(up), down.shape[1])
        _require_small(name, min(inner, *size) * max(size))
        if inner >= min(size):
            return arithmetic.best_pair((up @ down) * (other_up @ other_down), rank), divisor
        ups = (up[:, :, None] * other_up[:, None, :]).reshape(len(up), inner)
        downs = (down[:, None, :] * other_down[None, :, :]).reshape(inner, -1)
        return arithmetic.best_pair_of_product(ups, downs, rank), divisor
    first, second = _whole(arrays, "lokr_w1"), _whole(arrays, "lokr_w2")
    _require_small(name, max(len(first) * len(second), first.shape[1] * second.shape[1]) * rank)
    factors = [arrays[part] for part in ("lokr_w1_b", "lokr_w2_b") if part in arrays]
    return arithmetic.best_pair_of_kronecker(first, second, rank), len(factors[0]) if factors else 0


def _pair(arrays: Arrays, start: str, middle: str) -> tuple[Array, Array]:
    """Return two matrices whose product one half of a product is, of a convolution with its kernel in the columns."""
    up, down = arrays[f"{start}_a"], _flat(arrays[f"{start}_b"])
    return (up.T, _through(arrays[middle], down)) if middle in arrays else (_flat(up), down)


def _whole(arrays: Arrays, start: str) -> Array:
    if start in arrays:
        return _flat(arrays[start])
    up, down = _pair(arrays, start, start.replace("w", "t"))
    return up @ down


def _through(middle: Array, down: Array) -> Array:
    """Return the matrix that leads into the rank, after the small convolution that use_tucker puts behind it."""
    return (middle.transpose(0, 2, 3, 1) @ down).transpose(0, 3, 1, 2).reshape(len(middle), -1)


def _flat(array: Array) -> Array:
    return array.reshape(len(array), -1)


def _require_small(name: str, size: int) -> None:
    if size > MOST_VALUES:
        raise Unconvertible("its matrices are too large to compute here.", name)
