"""Formats that are recognised and looked at but run by no engine here: what is checked of them, and said."""

from __future__ import annotations

from dovetail.adapters import config as configs
from dovetail.adapters.checks import card, files, privacy
from dovetail.adapters.findings import Check, Finding, failed, skipped, warned
from dovetail.adapters.folder import Folder, blocks_of
from dovetail.adapters.formats import PICKLES, detect
from dovetail.adapters.header import HeaderError
from dovetail.adapters.values import has_not_finite

TITLES = {
    "diffusers": "a LoRA of diffusers, for images",
    "kohya": "a LoRA of kohya's trainer, for images",
    "lycoris": "a LyCORIS adapter, for images",
    "mlx": "an adapter of MLX",
    "gguf": "a LoRA in GGUF, for llama.cpp",
    "nemo": "an adapter of NeMo",
    "loralib": "a LoRA of loralib, which says neither its base nor its alpha",
}
TO_PEFT = "Push the PEFT adapter as well where there is one: that is run and measured."


class Foreign(Folder):
    """Files of a family that no engine here runs; `weights` is the file that tells the family."""

    family = ""

    @property
    def has_header(self) -> bool:
        return self.weights.endswith(".safetensors") and self.weights in self.files

    @property
    def base_id(self) -> str | None:
        return configs.text(self.config, "model") if configs.NAME in self.files else None


def settle(folder: Foreign, family: str) -> None:
    """Says which family it is and where its weights lie."""
    told = next(path for name, _, path in detect(folder.files) if name == family)
    folder.family = family
    folder.weights = "adapters.safetensors" if told.endswith(".json") else told


def pickle(folder: Foreign) -> str | Finding:
    found = files.pickle(folder)
    own = folder.weights.endswith(PICKLES)
    if isinstance(found, Finding) and found.outcome == "warned" and own:
        return warned(f"{folder.weights} is a pickle of tensors; it was not opened.", files.TO_SAFETENSORS)
    return found


def missing(folder: Foreign) -> str | Finding:
    if folder.weights in folder.files:
        return f"{folder.weights} is here, {folder.sizes[folder.weights]:,} bytes."
    return failed(f"There is no {folder.weights} beside {configs.NAME}.", "Push the weights too.")


def header(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped(f"{folder.weights} is no safetensors file.")
    try:
        found = folder.header
    except HeaderError as error:
        return failed(f"{folder.weights} is not a sound safetensors file: {error}.", "Save and push it again.")
    return f"{len(found.tensors):,} tensors with {found.parameters:,} values; they cover the file exactly."


def not_finite(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped(f"{folder.weights} is no safetensors file.")
    for name, tensor in folder.header.tensors.items():
        if any(has_not_finite(tensor.dtype, block) for block in blocks_of(folder.files[folder.weights], tensor)):
            return failed(f"{name} holds NaN or infinity.", "Train again with a smaller learning rate.", tensor=name)
    return f"All {folder.header.parameters:,} values are finite."


def kind(folder: Foreign) -> str | Finding:
    return failed(
        f"{folder.weights} is {TITLES[folder.family]}. Its files were looked at; no engine of this hub runs it, so it "
        "is proven no further than that.",
        TO_PEFT,
        format=folder.family, proven="static",
    )  # fmt: skip


def training_data(folder: Foreign) -> str | Finding:
    return privacy.training_data(folder) if folder.has_header else skipped(f"{folder.weights} has no such notes.")


CHECKS: tuple[Check[Foreign], ...] = (
    Check("file.pickle", pickle),
    Check("file.missing", missing, ("file.pickle",)),
    Check("file.header", header, ("file.pickle", "file.missing")),
    Check("tensors.not-finite", not_finite, ("file",)),
    Check("config.kind", kind, ("file", "tensors")),
    Check("card.license", card.licence),
    Check("privacy.training-data", training_data, ("file",)),
    Check("privacy.secret", privacy.secret),
)
