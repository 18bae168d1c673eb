"""Loads adapters of the adapters library, and finds the tensors that they need; for engines that have the library.

Both change the model, so only a child that exits afterwards does either. The library never reads an uploaded file:
configs are written from an allow-list, and checked tensors are rewritten under a name of our own.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Header
from dovetail.adapters.methods.library import ACTIVATIONS, clean
from dovetail.adapters.readers import library
from dovetail.adapters.readers.folder import Folder, blocks_of
from dovetail.adapters.readers.library import CONTAINERS, Library
from dovetail.adapters.shapes.fit import Shape

IS_HERE = find_spec("adapters") is not None
TASK = "LIBRARY"  # in place of a task: this model takes the head that comes with the adapter
NAME = "zq_candidate"
VERSION = "adapters.1.3.0"  # the release whose names and scalings are written, whichever release made the files
LEGACY = {  # AdapterLoader.legacy_weights_mapping: names that adapter-transformers wrote before version 2
    "attention_text_task_adapters": "adapters",
    "attention_text_lang_adapters": "adapters",
    "layer_text_task_adapters": "adapters",
    "layer_text_lang_adapters": "adapters",
    "invertible_lang_adapters": "invertible_adapters",
}
HEAD_KEYS = ("num_labels", "layers", "activation_function", "use_pooler", "bias", "layer_norm", "shift_labels")
Names = Callable[[str], str]


def model_class() -> Any:
    from adapters import AutoAdapterModel

    return AutoAdapterModel


def expected(model: Any, folder: Library, called: str = NAME) -> dict[str, Shape]:
    """Return the shape of every tensor that the adapter and its head need on this model, by the name in the files."""
    groups, rename = _build(model, folder, called), _names(model, folder, called)
    file_name_of = {rename(name): name for name in folder.tensors}
    shapes: dict[str, Shape] = {}
    for names, shape in groups:
        in_file = [file_name_of[name] for name in names if name in file_name_of]
        shapes.update(dict.fromkeys(in_file or [_shown(names[-1], folder, called)], shape))
    # An output layer tied to the base's embeddings may be missing in the file, but the library saves it. Its values are
    # compared with the base's after loading.
    own = {name: tensor for name, tensor in model.state_dict().items() if f".{called}." in name}
    return shapes | {name: tuple(own[inner].shape) for inner, name in file_name_of.items() if inner in own}


def write(model: Any, folder: Library, work: Path, called: str = NAME) -> Path:
    """Write the files that the library will load, and return their folder."""
    rename = _names(model, folder, called)
    loader = work / f"loader-{called}"
    loader.mkdir()
    if folder.method:
        write_config(loader / configs.NAME, model, called, {"config": clean(folder.method), "version": VERSION})
        rewrite(folder, folder.weights, folder.header, loader, rename)
    if folder.head_task:
        write_config(loader / library.HEAD_CONFIG, model, called, {"config": _head(folder, called)[0]})
        rewrite(folder, library.HEAD_WEIGHTS, folder.head_header, loader, rename)
    return loader


def load(model: Any, folder: Library, loader: Path, called: str = NAME) -> list[str]:
    """Load adapter and head as the library does; return the keys that it reports as missing or unexpected."""
    loading_info: dict[str, list[str]] = {}
    has_head = bool(folder.head_task)
    if folder.method:
        model.load_adapter(
            str(loader), use_safetensors=True, loading_info=loading_info, set_active=True, with_head=has_head
        )
    elif has_head:
        model.load_head(str(loader), use_safetensors=True, loading_info=loading_info)
    model.eval()
    rename = _names(model, folder, called)
    in_file = {rename(name) for name in folder.tensors}
    groups = _groups(model, _base_places(model, called), called)
    needed = {name for names, _ in groups if not in_file & set(names) for name in names}
    return sorted(needed & set(loading_info.get("missing_keys", []))) + sorted(loading_info.get("unexpected_keys", []))


def switch(model: Any, folder: Library, *, on: bool) -> None:
    """Turn the adapter on or off; its head stays active."""
    model.set_active_adapters(NAME if on else None)
    model.active_head = NAME if folder.head_task else None


# --- names -----------------------------------------------------------------------------------------------------------
def _names(model: Any, folder: Library, called: str) -> Names:
    """Return a function from names in the files to names in the model; a file may leave out the base's prefix."""
    own = re.compile(rf"((?:^|\.){CONTAINERS}\.){re.escape(folder.name)}\.")
    prefix = f"{model.base_model_prefix}."
    start = "" if any(name.startswith(prefix) for name in folder.header.tensors) else prefix
    of_head = _head(folder, called)[1] if folder.head_task else str

    def rename(name: str) -> str:
        if folder.is_head(name):
            return of_head(name)
        for old, new in LEGACY.items():
            name = name.replace(old, new)
        return start + own.sub(rf"\g<1>{called}.", name)

    return rename


def _shown(name: str, folder: Library, called: str) -> str:
    start = "heads." if name.startswith("heads.") else ""
    return name.replace(f"{start}{called}.", f"{start}{folder.head_name if start else folder.name}.")


def _head(folder: Library, called: str) -> tuple[dict[str, Any], Names]:
    """Return the config of the head, rewritten, and the names of its tensors in the model."""
    inner = folder.head_config.get("config")
    if isinstance(inner, dict):
        kept = {key: inner[key] for key in HEAD_KEYS if key in inner}
        if kept.get("activation_function") not in ACTIVATIONS:
            kept["activation_function"] = None
        name = f"heads.{folder.head_name}."
        return {**kept, "head_type": inner["head_type"]}, lambda tensor: tensor.replace(name, f"heads.{called}.", 1)
    from adapters.head_utils import get_head_config_and_rename_list

    labels = folder.head_header.tensors
    count = next((t.shape[0] for name, t in labels.items() if name.endswith(("classifier.weight", "score.weight"))), 2)
    labels_by_name = {f"LABEL_{number}": number for number in range(count)}
    config, rename = get_head_config_and_rename_list(
        str(folder.head_config.get("model_class")), called, labels_by_name, count
    )
    config.pop("label2id", None)
    return config, rename


# --- building --------------------------------------------------------------------------------------------------------
def _build(model: Any, folder: Library, called: str) -> list[tuple[list[str], Shape]]:
    before = _base_places(model, called)
    if folder.method:
        model.add_adapter(called, config=clean(folder.method))
    if folder.head_task:
        model.add_prediction_head_from_config(called, dict(_head(folder, called)[0]))
    return _groups(model, before, called)


def _base_places(model: Any, called: str) -> set[int]:
    """Return the weights that belong to no adapter and no head."""
    return {tensor.data_ptr() for name, tensor in model.state_dict().items() if f".{called}." not in name}


def _own_state(model: Any, before: set[int], called: str) -> list[tuple[str, Any]]:
    """Return the tensors of adapter and head, without those that a head shares with the base."""
    state = model.state_dict().items()
    return [(name, tensor) for name, tensor in state if f".{called}." in name and tensor.data_ptr() not in before]


def _groups(model: Any, before: set[int], called: str) -> list[tuple[list[str], Shape]]:
    """Return the names and shape of each tensor. A prefix has its own name and one in every layer; a file needs one."""
    names_of: dict[int, list[str]] = defaultdict(list)
    shapes: dict[int, Shape] = {}
    for name, tensor in _own_state(model, before, called):
        names_of[tensor.data_ptr()].append(name)
        shapes[tensor.data_ptr()] = tuple(tensor.shape)
    return [(names, shapes[place]) for place, names in names_of.items()]


# --- files -----------------------------------------------------------------------------------------------------------
def write_config(path: Path, model: Any, called: str, config: dict[str, Any]) -> None:
    facts = {
        "hidden_size": model.config.hidden_size,
        "model_type": model.config.model_type,
        "name": called,
        "model_class": type(model).__name__,
        "model_name": "",
    }
    path.write_text(json.dumps(facts | config))


def rewrite(folder: Folder, path: str, header: Header, loader: Path, rename: Names) -> None:
    """Write the tensors of one file under their names in the model, byte for byte."""
    entries, at = {}, 0
    for name, tensor in header.tensors.items():
        size = tensor.end - tensor.offset
        entries[rename(name)] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(entries).encode()
    with (loader / path).open("wb") as target:
        target.write(len(head).to_bytes(8, "little") + head)
        for tensor in header.tensors.values():
            for block in blocks_of(folder.files[path], tensor):
                target.write(block)
