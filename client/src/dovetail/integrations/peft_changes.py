"""The change that PEFT makes to the weights of a base with an adapter of any of its methods, module by module.

No whole model is built: PEFT puts the adapter into the modules that it adapts alone, and merges it there. It needs
torch and PEFT, which are imported at the first call.
"""

import warnings
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from dovetail.adapters.convert import Unconvertible
from dovetail.adapters.convert.by_rank import Weights
from dovetail.adapters.convert.lora import Lazies, Lazy
from dovetail.adapters.convert.peft import PREFIX
from dovetail.adapters.files import values
from dovetail.adapters.files.config import Config
from dovetail.adapters.methods import shared

Tensor = Any  # of torch
ROUNDING = 1e-6  # of a bias, in what merging rounds
PROBLEMS = (
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    AttributeError,
    NotImplementedError,
)  # of PEFT with odd files


def changes(tensors: Lazies, config: Config, weights: Weights, is_conv1d: bool) -> Iterator[tuple[str, Any]]:
    """Yield path and change of each module, as an array of outputs by inputs.

    Raises `Unconvertible` without torch and PEFT, for what PEFT refuses, and for a change of a bias.
    """
    try:
        yield from _changes(tensors, config, weights, is_conv1d)
    except ImportError as problem:
        raise Unconvertible("This needs torch and PEFT: pip install torch peft.") from problem
    except Unconvertible:
        raise
    except PROBLEMS as problem:
        raise Unconvertible(f"PEFT cannot apply it to its modules: {str(problem)[:300]}") from problem


def _changes(tensors: Lazies, config: Config, weights: Weights, is_conv1d: bool) -> Iterator[tuple[str, Any]]:
    """Take one module after the other, so that memory holds the weight of one; all where a method shares tensors."""
    if any(kind.peft_type == config["peft_type"] for kind in shared.ROWS):
        yield from _merged(tensors, config, weights, is_conv1d)
        return
    owns = {
        path: {name: tensor for name, tensor in tensors.items() if name.startswith(f"{PREFIX}{path}.")}
        for path in weights
    }
    for name in tensors.keys() - {name for own in owns.values() for name in own}:
        raise Unconvertible("PEFT has no place for it.", name)
    for path, own in owns.items():
        yield from _merged(own, config, {path: weights[path]}, is_conv1d)


def _merged(tensors: Lazies, config: Config, weights: Weights, is_conv1d: bool) -> Iterator[tuple[str, Any]]:
    import peft  # noqa: PLC0415 - see above
    import torch  # noqa: PLC0415 - see above
    from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: PLC0415 - see above

    skeleton = torch.nn.Module()
    for path, (weight, bias) in weights.items():
        _place(skeleton, path, _tensor(weight), bias and _tensor(bias), is_conv1d)
    cls = peft.PEFT_TYPE_TO_CONFIG_MAPPING[str(config["peft_type"])]
    known = {key: value for key, value in config.items() if key in {field.name for field in fields(cls)}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model = peft.get_peft_model(skeleton, cls(**known | {"task_type": None, "modules_to_save": None}))
        result = peft.set_peft_model_state_dict(model, {name: _tensor(tensor) for name, tensor in tensors.items()})
        if result.unexpected_keys:
            raise Unconvertible("PEFT has no place for it.", str(result.unexpected_keys[0]))
        model.eval()
        for path, (weight, bias) in weights.items():
            module = model.base_model.model.get_submodule(path)
            if not isinstance(module, BaseTunerLayer):
                raise Unconvertible("its config does not select it, so PEFT does not change it.", path)
            module.merge()
            merged = module.get_base_layer()
            if bias and not torch.allclose(merged.bias, _tensor(bias), atol=ROUNDING):
                raise Unconvertible("it also changes the bias of its module, which a LoRA cannot do.", path)
            change = merged.weight - _tensor(weight)
            yield path, (change.T if is_conv1d else change).numpy()


def _place(skeleton: Tensor, path: str, weight: Tensor, bias: Tensor | None, is_conv1d: bool) -> None:
    """Put a linear module below the names of its path."""
    import torch  # noqa: PLC0415 - see above
    from transformers.pytorch_utils import Conv1D  # noqa: PLC0415 - see above

    *parents, leaf = path.split(".")
    place = skeleton
    for name in parents:
        if not hasattr(place, name):
            place.add_module(name, torch.nn.Module())
        place = getattr(place, name)
    rows, columns = weight.shape
    module = Conv1D(columns, rows) if is_conv1d else torch.nn.Linear(columns, rows, bias=bias is not None)
    module.weight = torch.nn.Parameter(weight)
    if bias is not None:
        module.bias = torch.nn.Parameter(bias)
    place.add_module(leaf, module)


def _tensor(tensor: Lazy) -> Tensor:
    """Return a tensor of torch; floats as 32 bits."""
    import numpy as np  # noqa: PLC0415 - see above
    import torch  # noqa: PLC0415 - see above

    if tensor.dtype in values.EXPONENTS:
        return torch.from_numpy(values.singles(tensor.raw(), tensor.dtype).reshape(tensor.shape).copy())
    kinds = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}
    if tensor.dtype not in kinds:
        raise Unconvertible(f"a tensor is {tensor.dtype}, which is not supported here.")
    return torch.from_numpy(np.frombuffer(tensor.raw(), kinds[tensor.dtype]).reshape(tensor.shape).copy())
