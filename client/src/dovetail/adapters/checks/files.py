"""Checks of which files there are and whether they are what they seem; their contents are for the other checks."""

from __future__ import annotations

from dovetail.adapters import config as configs
from dovetail.adapters import formats, pickles
from dovetail.adapters.findings import Finding, failed, some, warned
from dovetail.adapters.folder import Folder
from dovetail.adapters.header import HeaderError

LARGE_BYTES = 2 * 2**30
TO_SAFETENSORS = (
    "Save the adapter again with save_pretrained(..., safe_serialization=True) and push adapter_model.safetensors."
)
TRAINING_STATE = ("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt")
TRAINER_MODULES = ("transformers.", "trl.", "accelerate.", "torch", "numpy", "collections", "peft.", "_codecs")
NEVER = frozenset({"torch.hub load", "torch.serialization load", "torch load", "numpy load"})


def pickle(folder: Folder) -> str | Finding:
    unsafe: list[tuple[str, pickles.Pickle]] = []
    tensors: list[tuple[str, pickles.Pickle]] = []
    for path, opener in folder.files.items():
        with opener() as file:
            found = pickles.read(path, file)
        if found and not (_is_training_state(path) and _from_trainer(found)):
            (tensors if found.only_tensors else unsafe).append((path, found))
    if unsafe:
        return _unsafe(*unsafe[0])
    if tensors and folder.pickled_only:
        return failed(
            f"{some(path for path, _ in tensors)} holds tensors in a pickle, which this hub never opens; "
            "tensor-only pickles come in a later version.",
            TO_SAFETENSORS,
            files=[path for path, _ in tensors],
        )
    if tensors:
        names = [path for path, _ in tensors]
        return warned(f"{some(names)} is a pickle beside {folder.weights}; nobody needs it.", "Delete it.", files=names)
    return "No file is a pickle that a loader would open."


def _unsafe(path: str, found: pickles.Pickle) -> Finding:
    more = found.imports - pickles.TENSOR_IMPORTS
    what = f"would import {some(more)}" if more else found.reason
    delete = f"Delete {path} from the repository: it is state of the training, of no use to others."
    return failed(
        f"{path} is a pickle and {what}; it was not opened.",
        delete if _is_training_state(path) else TO_SAFETENSORS,
        file=path, imports=sorted(more)[:20],
    )  # fmt: skip


def _is_training_state(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name in TRAINING_STATE or name.startswith("rng_state")


def _from_trainer(found: pickles.Pickle) -> bool:
    return (
        not found.reason
        and not found.imports & NEVER
        and all(name.startswith(TRAINER_MODULES) for name in found.imports)
    )


def missing(folder: Folder) -> str | Finding:
    if folder.weights in folder.files:
        return f"{folder.weights} is here, {folder.sizes[folder.weights]:,} bytes."
    others = [path for path in folder.files if path.endswith(".safetensors")]
    hint = f"; it found {some(others)}" if others else ""
    return failed(
        f"There is no {folder.weights} at the top of the repository{hint}.",
        f"Save the adapter and push both files, {configs.NAME} and {folder.weights}, to the top level.",
        found=others[:5],
    )


def ambiguous(folder: Folder) -> str | Finding:
    own = (folder.weights, folder.pickled_weights)
    shards = [path for path in folder.files if path.startswith("adapter_model") and path not in own]
    if shards:
        return failed(
            f"Next to {folder.weights} there is {some(shards)}: PEFT reads one file only, so a part would be left out.",
            f"Join the parts into one {folder.weights} and delete the others.",
            files=shards[:20],
        )
    whole = sorted({"model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"} & folder.files.keys())
    if whole:
        return warned(
            f"{some(whole)} lies beside the adapter: some loaders take the folder for a full model.",
            "Keep the adapter alone in its repository.",
            files=whole,
        )
    others = sorted(f"{family} ({path})" for family, _, path in formats.detect(folder.files)[1:])
    return (
        f"The adapter at the top is meant; there is also {some(others)}." if others else "There is one set of weights."
    )


def header(folder: Folder) -> str | Finding:
    try:
        found = folder.header
    except HeaderError as error:
        return failed(
            f"{folder.weights} is not a sound safetensors file: {error}.",
            "Save the adapter again and push the new file.",
        )
    if not found.tensors:
        return failed(f"{folder.weights} holds no tensor at all.", "Save the trained adapter and push it again.")
    return f"{len(found.tensors):,} tensors with {found.parameters:,} values; they cover the file exactly."


def size(folder: Folder) -> str | Finding:
    total = folder.sizes[folder.weights]
    if total <= LARGE_BYTES:
        return f"{total / 1e6:.1f} MB."
    return warned(
        f"{folder.weights} has {total / 1e9:.1f} GB: that is more than an adapter needs.",
        "Look for whole embeddings or base weights inside, and save without them.",
        bytes=total,
    )
