"""Asks a hub which of its bases the adapter in a folder fits; config and header travel, the weights stay here."""

import base64
from pathlib import Path

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import MAX_HEADER_BYTES
from dovetail.adapters.formats.description import WEIGHTS
from dovetail.answers.adapters import FitAnswer
from dovetail.base.problems import usage
from dovetail.base.transport import Transport


def ask(transport: Transport, folder: Path) -> FitAnswer:
    """Return the hub's answer: `fits` and `misfits`, a base each with `why`, and a `note` on the limits of shapes.

    Raises Problem, also for a folder without an adapter of PEFT in safetensors.
    """
    body = {"config": _config(folder), "header": base64.b64encode(_header(folder)).decode()}
    return transport.post("/fit", body, FitAnswer)


def _config(folder: Path) -> configs.Config:
    file = folder / configs.NAME
    if not file.is_file():
        raise usage(f"{folder} holds no {configs.NAME}.", "Name the folder that save_pretrained() wrote.")
    try:
        with file.open("rb") as opened:
            return configs.read(opened)
    except configs.ConfigError as problem:
        raise usage(f"{file} cannot be used: {problem}.", "Save the adapter again.") from None


def _header(folder: Path) -> bytes:
    """Return the JSON of the safetensors header, without reading the tensors."""
    file = folder / WEIGHTS
    if not file.is_file():
        raise usage(f"{folder} holds no {WEIGHTS}.", "Save with safe_serialization=True.")
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise usage(f"{file} is not a safetensors file.", "Save the adapter again.")
        return opened.read(length)
