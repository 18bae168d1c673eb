"""Changes valid files of torch.save at random and compares what our reader takes with what torch takes.

.engines/e4/bin/python tests/pickles/fuzz.py FOLDER COUNT      FOLDER has .bin files; prints one JSON object
"""

import io
import json
import random
import struct
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "client" / "src"))

from dovetail.adapters.files import pickles
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.files.pickle_interpreter import Refused
from dovetail.adapters.formats import twins

warnings.simplefilter("ignore")


def bytes_changed(data: bytes, dice: random.Random) -> bytes:
    """A few bytes anywhere."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4))):
        changed[dice.randrange(len(changed))] = dice.choice((dice.randrange(256), 0, 0xFF, 0x80))
    return bytes(changed)


def cut_or_doubled(data: bytes, dice: random.Random) -> bytes:
    """A piece taken out, repeated, or put elsewhere."""
    start = dice.randrange(len(data))
    piece = data[start : start + dice.choice((1, 2, 8, 64))]
    rest = data[:start] + data[start + len(piece) :] if dice.random() < 0.5 else data
    at = dice.randrange(len(rest))
    return rest if dice.random() < 0.3 else rest[:at] + piece + rest[at:]


def instructions_changed(data: bytes, dice: random.Random) -> bytes:
    """The instructions changed, in an archive whose checksums hold again: what gets past the zip."""
    if data[:4] != b"PK\x03\x04":
        return bytes_changed(data, dice)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename.endswith("data.pkl"):
                content = dice.choice((bytes_changed, cut_or_doubled, number_changed))(content, dice)
            new.writestr(zipfile.ZipInfo(info.filename), content)
    return made.getvalue()


def number_changed(data: bytes, dice: random.Random) -> bytes:
    """One small number of the instructions: offsets, shapes, strides, sizes, places in the memo."""
    places = [at for at, byte in enumerate(data[:-1]) if byte in b"KMJqhr"]
    at = dice.choice(places)
    width = {ord("K"): 1, ord("q"): 1, ord("h"): 1, ord("M"): 2}.get(data[at], 4)
    number = dice.choice((0, 1, 2, 3, 4, 5, 8, 127, 255))
    return data[: at + 1] + struct.pack("<I", number)[:width] + data[at + 1 + width :]


def ours(data: bytes) -> dict[str, torch.Tensor] | None:
    twin = twins.Twin(lambda: io.BytesIO(data))
    return None if twins.why_not(twin) else load(twin().read())


def theirs(data: bytes) -> dict[str, torch.Tensor] | None:
    try:
        return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception:  # noqa: BLE001 - torch raises what it likes
        return None


def same(mine: dict[str, torch.Tensor], real: object) -> bool:
    if not isinstance(real, dict) or not mine.keys() <= real.keys():
        return False
    return all(bits(mine[name]) == bits(real[name]) and mine[name].shape == real[name].shape for name in mine)


def bits(tensor: torch.Tensor) -> tuple[str, bytes]:
    flat = tensor.detach().contiguous().reshape(-1)
    return str(tensor.dtype), bytes(flat.view(torch.uint8).tolist()) if flat.numel() else b""


def main(folder: Path, count: int) -> None:
    dice = random.Random(7)
    valid = [path.read_bytes() for path in sorted(folder.rglob("*.bin")) if path.stat().st_size < 100_000]
    told: dict[str, Any] = {"tried": 0, "accepted": 0, "refused by torch": 0, "raised": [], "different": 0}
    for number in range(count):
        change = (instructions_changed, bytes_changed, cut_or_doubled)[number % 3]
        data = change(dice.choice(valid), dice)
        told["tried"] += 1
        try:
            mine = ours(data)
            pickles.read("x.bin", io.BytesIO(data))
        except Exception as problem:  # noqa: BLE001 - this is what is looked for
            expected = isinstance(problem, Refused | HeaderError)
            told["raised"].append(f"{type(problem).__name__}: {problem}"[:200] + (" (late)" if expected else ""))
            continue
        if mine is not None:
            real = theirs(data)
            told["accepted"] += 1
            told["refused by torch"] += real is None
            told["different"] += real is not None and not same(mine, real)
    print(json.dumps(told))


main(Path(sys.argv[1]), int(sys.argv[2]))
