"""Weight passports: the time that one takes, and how well they tell copies in disguise from strangers.

    make bench ARGS=weights

A copy has other factors of the same matrices, another scale in each module, other names and another dtype. Milliseconds
of processor time of one core.
"""

import io
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bench.line import Line, median_ms
from dovetail.adapters import header as headers
from dovetail.adapters import passport
from dovetail.adapters.passport import Passport

COUNT = 1000
# Modules of a layer of Qwen2.5-0.5B (in, out), and of the small adapters of which there are many.
QWEN = {"q_proj": (896, 896), "k_proj": (896, 128), "v_proj": (896, 128), "o_proj": (896, 896),
        "gate_proj": (896, 4864), "up_proj": (896, 4864), "down_proj": (4864, 896)}  # fmt: skip
SMALL = {"q_proj": (256, 256), "v_proj": (256, 128)}
Pair = tuple[Any, Any]


def lines() -> Iterator[Line]:
    random = np.random.default_rng(20)
    large = saved(pairs(random, QWEN, layers=24, rank=16), "BF16")
    with large as file:
        header = headers.read(file)
        took = median_ms(lambda: passport.measure(file, header), times=9)
    yield Line("a passport, rank 16 on all modules of a 0.5 B base", took, "ms", most=50)
    originals = [pairs(random, SMALL, layers=6, rank=8) for _ in range(COUNT)]
    known = [measured(saved(one)) for one in originals]
    dtypes = random.choice(["F32", "F16", "BF16"], COUNT)
    copies = [measured(saved(disguised(one, random), dtypes[at])) for at, one in enumerate(originals)]
    strangers = [measured(saved(pairs(random, SMALL, layers=6, rank=8))) for _ in range(COUNT)]
    index: dict[int, set[int]] = {}
    for at, one in enumerate(known):
        for band in passport.bands_of(one.fingerprint):
            index.setdefault(band, set()).add(at)
    found = sum(at in similar(one, known, index) for at, one in enumerate(copies))
    yield Line("disguised copies that are found", found / COUNT, "of 1", least=0.99, note=f"of {COUNT:,}")
    taken = sum(bool(similar(one, known, index)) for one in strangers)
    yield Line("strangers that are taken for copies", taken, "", most=0, note=f"of {COUNT:,}")


def similar(one: Passport, known: list[Passport], index: Mapping[int, set[int]]) -> set[int]:
    """Return the places of the passports that the index finds and that are copies, as the hub does it."""
    candidates = set().union(*(index.get(band, set()) for band in passport.bands_of(one.fingerprint)))
    return {at for at in candidates if passport.cosine(known[at].fingerprint, one.fingerprint) >= passport.COPY}


def pairs(
    random: np.random.Generator, shapes: Mapping[str, tuple[int, int]], layers: int, rank: int
) -> dict[str, Pair]:
    return {
        f"model.layers.{layer}.{kind}": (
            0.02 * random.standard_normal((rank, inner), dtype="f4"),
            0.01 * random.standard_normal((outer, rank), dtype="f4"),
        )
        for layer in range(layers)
        for kind, (inner, outer) in shapes.items()
    }


def disguised(original: Mapping[str, Pair], random: np.random.Generator) -> dict[str, Pair]:
    made = {}
    for name, (down, up) in original.items():
        rotation, _ = np.linalg.qr(random.standard_normal((len(down), len(down))))
        mixed = rotation * random.uniform(0.2, 5, len(down))
        made[f"other.{name}"] = (np.linalg.inv(mixed) @ down, random.uniform(0.1, 10) * up @ mixed)
    return made


def saved(values: Mapping[str, Pair], dtype: str = "F32") -> io.BytesIO:
    """Return a safetensors file."""
    header: dict[str, Any] = {}
    data = []
    place = 0
    for name, pair in values.items():
        for factor, array in zip(("lora_A", "lora_B"), pair, strict=True):
            raw = encoded(array.astype("<f4"), dtype)
            header[f"{name}.{factor}.weight"] = {
                "dtype": dtype, "shape": list(array.shape), "data_offsets": [place, place + len(raw)],
            }  # fmt: skip
            place += len(raw)
            data.append(raw)
    text = json.dumps(header).encode()
    return io.BytesIO(struct.pack("<Q", len(text)) + text + b"".join(data))


def encoded(array: Any, dtype: str) -> bytes:
    if dtype == "F32":
        return bytes(array.tobytes())
    if dtype == "F16":
        return bytes(array.astype("<f2").tobytes())
    bits = array.view("<u4")
    return bytes(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes())


def measured(file: io.BytesIO) -> Passport:
    return passport.measure(file, headers.read(file))
