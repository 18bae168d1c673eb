"""Chooses the device and the dtype of an engine, and the system files that the device needs inside the jail."""

import os
from pathlib import Path

import torch
from safetensors import safe_open

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# Bases are called by their size in tenths of a billion: the smallest "0.5B" has 494 million parameters.
BIG = 450_000_000
# Relative to the largest output: the error of rounding and the order of additions. bfloat16 keeps 8 bits of a value.
NOISE = {torch.float32: 1e-6, torch.bfloat16: 2.0**-8}


class NoDevice(Exception):
    """The requested device does not exist; the message is one sentence for the operator."""


def device(name: str) -> torch.device:
    """Return the device for `cpu`, `cuda`, `cuda:N`, or `auto`: the first CUDA device, else the CPU. Raises `NoDevice`.

    A child process looks for CUDA devices: a process that has used CUDA must not fork any more.
    """
    if name == "cpu":
        return torch.device("cpu")
    chosen = torch.device("cuda" if name == "auto" else name)
    if chosen.type != "cuda":
        raise NoDevice(f"An engine runs on cpu, cuda, cuda:N or auto, not on {name}.")
    if _devices() > (chosen.index or 0):
        return torch.device("cuda", chosen.index or 0)
    if name == "auto":
        return torch.device("cpu")
    raise NoDevice(f"torch {torch.__version__} finds no usable {name}. Use --device cpu.")


def _devices() -> int:
    """Return the number of CUDA devices, at most 255."""
    child = os.fork()
    if child == 0:
        count = 0
        try:
            count = min(255, torch.cuda.device_count()) if torch.cuda.is_available() else 0
        finally:
            os._exit(count)
    status = os.waitpid(child, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0


def dtype(name: str, folder: Path) -> torch.dtype:
    """Return the dtype of a base; `auto` is bfloat16 from 0.5 billion parameters, else float32."""
    if name != "auto":
        return DTYPES[name]
    return torch.bfloat16 if parameters(folder) >= BIG else torch.float32


def parameters(folder: Path) -> int:
    """Return the number of parameters in the files of a base, by their headers."""
    count = 0
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, "pt") as file:
            count += sum(torch.Size(file.get_slice(name).get_shape()).numel() for name in file.keys())  # noqa: SIM118  # safetensors' files are no iterables
    return count


def paths(device: torch.device) -> tuple[list[Path], list[Path]]:
    """Return the paths that a jailed process must read for its device, and the device files it must read and write."""
    if device.type == "cpu":
        return [], []
    needs = """
        /proc/driver/nvidia /proc/driver/nvidia-uvm /proc/devices /proc/modules /proc/sys/vm
        /sys/bus/pci /sys/devices /sys/module /usr/share/nvidia /etc/nvidia
    """
    files = [path for path in Path("/dev").glob("nvidia*") if path.is_char_device()]
    return [path for path in map(Path, needs.split()) if path.exists()], files
