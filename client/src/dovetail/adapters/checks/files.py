"""Checks of the presence and the form of files; other checks judge their contents."""

from __future__ import annotations

import re

from dovetail.adapters.checks.pickle import PUSH_IT
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.gguf import GgufError
from dovetail.adapters.files.header import HeaderError, NotGathered, Pointer
from dovetail.adapters.files.pickle_interpreter import Refused
from dovetail.adapters.formats import formats, twins
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import Finding, failed, skipped, some, warned, within

LARGE_BYTES = 2 * 2**30
MAX_JUDGED = 8  # adapters in folders of one repository that are proven
SHARD = re.compile(r"adapter_model-\d+(?:-of-\d+)?\.(?:safetensors|bin)")


def twins_differ(folder: Folder) -> str | Finding:
    """Compare a pickle with its safetensors: PEFT loads the safetensors file, the adapters library the pickle."""
    compared = 0
    for path in sorted(folder.files):
        safe = twins.safe_path(path)
        if safe is None or safe not in folder.files or safe in folder.joined.made:
            continue
        try:
            names = twins.differences(twins.Twin(folder.files[path]), folder.files[safe])
        except (Refused, HeaderError) as problem:
            return warned(f"{path} cannot be compared with {safe}: {problem}.", f"Delete {path}.", file=path)
        if names:
            return warned(
                f"{path} and {safe} do not hold the same: {some(names)}. Some libraries load the one, some the other; "
                f"proven is {safe}.",
                f"Save both again from the same weights, or delete {path}.",
                file=path,
                tensors=names[:20],
            )
        compared += 1
    return f"{compared} pickle and its safetensors hold the same." if compared else "No weights are here in two forms."


def missing(folder: Folder) -> str | Finding:
    if folder.missing_head:
        return failed(
            f"The weights of the head are missing: its config is here, and {folder.missing_head} is not beside it, so "
            "that loaders make up an untrained head.",
            f"{folder.again} The weights of the head belong to it; without a head, delete its config.",
            missing=[folder.missing_head],
        )
    if folder.weights in folder.files:
        source = folder.joined.made.get(folder.weights)
        derived = f" as {source}" if source else ""
        return f"{folder.weights} is here{derived}, {folder.sizes[folder.weights]:,} bytes."
    candidates = [path for path in folder.files if path.endswith(".safetensors")]
    if parts := sorted(path for path in folder.files if SHARD.fullmatch(path)):
        return failed(
            f"The weights are in {len(parts)} parts ({some(parts)}), and PEFT reads one file, {folder.weights}.",
            f"Join the parts: load each with safetensors.torch.load_file() and save all tensors in {folder.weights}. "
            "On a hub `dovetail repair` does that.",
            found=parts[:20],
        )
    hint = f"; it found {some(candidates)}" if candidates else ""
    return failed(
        f"There is no {folder.weights} at the top of the repository{hint}.",
        f"Save the adapter and push both files, {configs.NAME} and {folder.weights}, to the top level.",
        found=candidates[:5],
    )


def ambiguous(folder: Folder) -> str | Finding:
    index = f"{folder.weights}.index.json"
    shards = sorted(path for path in folder.files if SHARD.fullmatch(path) or path == index)
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
    return _others(folder, formats.detect(folder.files)[1:])


def _others(folder: Folder, others: list[formats.Found]) -> str | Finding:
    subject = f"The adapter in {folder.place}/" if folder.place else "The adapter at the top"
    descriptions = [f"{family} ({path})" for family, _, path in others]
    folders = {path.rpartition("/")[0] for _, _, path in others}
    if folder.place and len(folders) >= MAX_JUDGED:
        return warned(
            f"Adapters lie in {len(folders) + 1} folders: {MAX_JUDGED} of them are proven, the others are only listed.",
            "Push adapters that belong to nothing in common to repositories of their own.",
            folders=len(folders) + 1,
        )
    return (
        f"{subject} is meant; there is also {some(descriptions)}." if descriptions else "There is one set of weights."
    )


WAYS_OUT: dict[type[Exception], str] = {
    Pointer: PUSH_IT,
    NotGathered: "Set stage3_gather_16bit_weights_on_model_save to true and save again, or gather the checkpoint with "
    "its zero_to_fp32.py.",
}
FORMS = {".gguf": "GGUF", ".safetensors": "safetensors", ".npz": "numpy"}


def header(folder: Folder) -> str | Finding:
    if not folder.sources:
        return skipped(f"{folder.weights} is an archive, which was not unpacked.")
    tensors = values = of_heads = 0
    for source in folder.sources:
        form = next((form for end, form in FORMS.items() if source.path.endswith(end)), "pickle")
        try:
            content = source.header()
        except (HeaderError, GgufError, Refused) as error:
            what = "holds no values" if isinstance(error, NotGathered) else f"is not a sound {form} file"
            message = f"{source.path} {what}: {error}."
            return within(failed(message, WAYS_OUT.get(type(error), folder.again)), source.place)
        if not content.tensors:
            return within(failed(f"{source.path} holds no tensor at all.", folder.again), source.place)
        if source.is_head:
            of_heads += len(content.tensors)
        else:
            tensors, values = tensors + len(content.tensors), values + content.parameters
    more = f" The head has {of_heads:,} more." if of_heads else ""
    return f"{tensors:,} tensors with {values:,} values; they lie in the file as its header says.{more}"


def size(folder: Folder) -> str | Finding:
    total = sum(source.size for source in folder.sources)
    if total <= LARGE_BYTES:
        return f"{total / 1e6:.1f} MB."
    return warned(
        f"The weights have {total / 1e9:.1f} GB: that is more than an adapter needs.",
        "Look for whole embeddings or base weights inside, and save without them.",
        bytes=total,
    )
