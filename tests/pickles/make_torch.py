"""Saves tensors of many kinds with torch.save, and what they are with safetensors; run by an engine's interpreter.

.engines/e4/bin/python tests/pickles/make_torch.py FOLDER      writes FOLDER/<name>.bin and FOLDER/<name>.safetensors
"""

import sys
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file


def tables() -> dict[str, object]:
    torch.manual_seed(5)
    cube = torch.arange(60.0).reshape(3, 4, 5)
    linear = torch.nn.Linear(3, 4)
    shared = torch.randn(4, 4)
    return {
        "plain": {"a.weight": torch.randn(4, 3), "b.weight": torch.randn(2)},
        "module": torch.nn.Sequential(linear, torch.nn.LayerNorm(4)).state_dict(),
        "ordered": OrderedDict(z=torch.ones(2), a=torch.zeros(3)),
        "parameters": {"p": torch.nn.Parameter(torch.randn(3, 2)), "q": torch.nn.Parameter(torch.ones(2), False)},
        "turned": {"t": cube.permute(2, 0, 1), "m": torch.randn(5, 7).t(), "one": torch.ones(1, 3, 1).transpose(0, 2)},
        "sliced": {"step": cube[:, ::2, 1], "row": cube[1], "late": cube.reshape(-1)[7:11], "wide": cube[..., 1:3]},
        "spread": {"e": cube[1, 2].expand(3, 5), "v": torch.ones(1).expand(8), "two": cube[:, :1].expand(3, 4, 5)},
        "shared": {"x": shared, "y": shared, "top": shared[:2]},
        "dtypes": {
            str(kind).removeprefix("torch."): torch.arange(6).reshape(2, 3).to(kind)
            for kind in (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.int16,
                         torch.int32, torch.int64, torch.uint8, torch.bool)
        },
        "halves": {"h": torch.randn(5, 3).half().t(), "b": torch.randn(4, 6).bfloat16()[:, ::3]},
    }  # fmt: skip


def main(folder: Path) -> None:
    for name, table in tables().items():
        values = {key: value.detach().clone().contiguous() for key, value in table.items()}
        for kind, is_new in (("zip", True), ("old", False)):
            torch.save(table, folder / f"{name}-{kind}.bin", _use_new_zipfile_serialization=is_new)
            save_file(values, folder / f"{name}-{kind}.safetensors")


main(Path(sys.argv[1]))
