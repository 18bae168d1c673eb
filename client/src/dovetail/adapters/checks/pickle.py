"""The check of pickles, and of other files that run code when they are loaded."""

from __future__ import annotations

import re

from dovetail.adapters.files import pickles
from dovetail.adapters.files.header import POINTER, Opener
from dovetail.adapters.files.pickle_imports import MEMBER, PLAIN_IMPORTS, TENSOR_IMPORTS, Pickle
from dovetail.adapters.formats import twins
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import Finding, failed, some, warned

PUSH_IT = "Push the file itself: git lfs push --all, or huggingface_hub.upload_file()."  # of a pointer of Git LFS
TRAINING_STATE = ("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt")
# Imports that the pickled state of a training may make: classes of settings of these libraries, and holders of numbers.
# No library is trusted whole: torch, numpy and transformers have functions that run a text or fetch code from a hub.
TRAINERS = (
    "accelerate", "alignment", "axolotl", "llamafactory", "llmtuner", "peft", "sentence_transformers", "setfit",
    "swift", "torch.distributed", "transformers", "trl",
)  # fmt: skip
SETTINGS = re.compile(
    r"[A-Z]\w*(?:Arguments|Config|Constants|Kwargs|Loss|Method|Mode|Names|Option|Plugin|Policy|Prefetch|Samplers|State"
    r"|Strategy|Type)"
)
NUMBERS = frozenset({
    "_codecs encode", "collections OrderedDict", "collections defaultdict", "collections deque", "datetime timedelta",
    "numpy dtype", "numpy ndarray", "pathlib PosixPath", "pathlib PurePosixPath", "pathlib WindowsPath", "torch Size",
    "torch device",
    *(f"numpy.{core}.multiarray {name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *(f"{module} {name}" for module in ("builtins", "__builtin__") for name in ("dict", "list", "object", "set")),
    *(f"{module} _reconstructor" for module in ("copy_reg", "copyreg")),
})  # fmt: skip


def pickle(folder: Folder) -> str | Finding:
    tensors: list[str] = []
    for path, opener in folder.files.items():
        scanned = scan(path, opener)
        if scanned and not scanned.is_data and is_pointer(opener):
            message = f"{path} is a pointer of Git LFS, and the file it stands for was not pushed."
            return failed(message, PUSH_IT, file=path)
        if scanned and not scanned.is_data:
            return unsafe(path, scanned, folder.to_safetensors)
        if scanned and scanned.only_tensors:
            tensors.append(path)
    for path, reason in folder.joined.refused.items():
        return failed(f"{path} cannot be used: {reason}.", way_out(path, folder.to_safetensors), file=path)
    converted = {pickle: twin for twin, pickle in folder.joined.made.items()}
    unconverted = [path for path in tensors if path not in converted and twins.safe_path(path) not in folder.files]
    if folder.weights in unconverted:
        return warned(f"{folder.weights} is a pickle of tensors; it was not opened.", folder.to_safetensors)
    if unconverted:
        return warned(
            f"{some(unconverted)} is a pickle of tensors, which no loader of this format opens.",
            "Delete it, or keep it where the training goes on.",
            files=unconverted,
        )
    if converted:
        safe = some(converted.values())
        return f"{some(converted)} holds tensors and nothing else; it was not opened, but read as {safe}."
    return "No file is a pickle that a loader would open."


def scan(path: str, opener: Opener) -> Pickle | None:
    """Return the pickle in a file, or None if there is none, or one that a Trainer keeps and no loader opens."""
    with opener() as file:
        scanned = pickles.read(path, file)
    return None if scanned and _is_training_state(path) and _from_trainer(scanned) else scanned


def is_pointer(opener: Opener) -> bool:
    """Return whether a file is a pointer of Git LFS."""
    with opener() as file:
        return file.read(len(POINTER)) == POINTER


def unsafe(path: str, pickle: Pickle, to_safetensors: str) -> Finding:
    """Return the refusal of a file that may run code; `to_safetensors` says how weights are saved without a pickle."""
    more = pickle.imports - TENSOR_IMPORTS - PLAIN_IMPORTS
    inside = f"holds {pickle.member[:120]}, which " if pickle.member else ""
    what = f"is a pickle and would import {some(more)}" if more else f"counts as a pickle, and {pickle.reason}"
    return failed(
        f"{path} {inside}{what}; it was not opened.",
        way_out(path, to_safetensors), file=path, imports=sorted(more)[:20], quarantine=True,
    )  # fmt: skip


def way_out(path: str, instead: str) -> str:
    """Return what to do about a pickle that is held back; `instead` says how weights are saved without one."""
    if _is_training_state(path):
        return f"Delete {path} from the repository: it is state of the training, of no use to others."
    if twins.safe_path(path):
        return instead if path in instead else f"{instead} Delete {path}."
    return f"Delete {path}, push its tensors as safetensors, or give data that is no pickle a name of another kind."


def _is_training_state(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name in TRAINING_STATE or name.startswith("rng_state")


def _from_trainer(pickle: Pickle) -> bool:
    return not pickle.reason and all(map(is_of_trainer, pickle.imports))


def is_of_trainer(name: str) -> bool:
    """Return whether a trainer pickles an import; a dotted name would lead on, as in `torch os.system`."""
    if name == MEMBER or name in NUMBERS or name in TENSOR_IMPORTS:
        return True
    module, _, member = name.partition(" ")
    of_trainer = any(module == trainer or module.startswith(f"{trainer}.") for trainer in TRAINERS)
    return of_trainer and bool(SETTINGS.fullmatch(member))
