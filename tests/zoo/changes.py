"""Changes of an adapter's files: each function returns a change, which maps files to files; no torch, no Dovetail."""

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.adapters import CARD, CONFIG, SMOKE, WEIGHTS, Files, Tensors, pack, unpack, with_header

Change = Callable[[Files], Files]
LLAMA = "base_model.model.model"
BERT = "base_model.model.bert"
QUERY = f"{BERT}.encoder.layer.0.attention.self.query"


def load(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def all_of(*changes: Change) -> Change:
    def change(files: Files) -> Files:
        for one in changes:
            files = one(files)
        return files

    return change


# --- files -----------------------------------------------------------------------------------------------------------
def file(path: str, data: bytes | str) -> Change:
    return lambda files: {**files, path: data.encode() if isinstance(data, str) else data}


def drop(*paths: str) -> Change:
    return lambda files: {path: data for path, data in files.items() if path not in paths}


def move(old: str, new: str) -> Change:
    return lambda files: {new if path == old else path: data for path, data in files.items()}


def into(folder: str) -> Change:
    """A second copy in a subfolder."""
    return lambda files: {
        **files,
        **{f"{folder}/{path}": data for path, data in files.items() if path in (CONFIG, WEIGHTS)},
    }


def raw(change: Callable[[bytes], bytes], path: str = WEIGHTS) -> Change:
    return lambda files: {**files, path: change(files[path])}


# --- config ----------------------------------------------------------------------------------------------------------
def config(**changes: Any) -> Change:
    """Sets keys; `...` removes one."""

    def change(files: Files) -> Files:
        found = {**json.loads(files[CONFIG]), **changes}
        return {**files, CONFIG: json.dumps({key: value for key, value in found.items() if value is not ...}).encode()}

    return change


def only(*keys: str, **more: Any) -> Change:
    """A config with no other keys, as an old release or a converter wrote it."""

    def change(files: Files) -> Files:
        found = json.loads(files[CONFIG])
        return {**files, CONFIG: json.dumps({**{key: found[key] for key in keys if key in found}, **more}).encode()}

    return change


def card(**changes: Any) -> Change:
    def change(files: Files) -> Files:
        facts = {**json.loads(files[CARD].decode().split("---\n")[1]), **changes}
        return {**files, CARD: f"---\n{json.dumps(facts)}\n---\n# A card\n".encode()}

    return change


def claims(value: Any, metric: str = "accuracy") -> Change:
    return card(
        **{
            "model-index": [
                {"name": "x", "results": [{"task": {"type": "t"}, "metrics": [{"type": metric, "value": value}]}]}
            ]
        }
    )


def rows(*said: Any) -> Change:
    return file(SMOKE, "".join(json.dumps(row) + "\n" for row in said))


# --- tensors ---------------------------------------------------------------------------------------------------------
def tensors(change: Callable[[Tensors], Tensors], metadata: Mapping[str, str] | None = None) -> Change:
    return lambda files: {**files, WEIGHTS: pack(change(unpack(files[WEIGHTS])), metadata)}


def values(entry: tuple[str, tuple[int, ...], bytes]) -> np.ndarray:
    return np.frombuffer(entry[2], "<f4").reshape(entry[1]).copy()


def tensor(array: Any, dtype: str = "F32") -> tuple[str, tuple[int, ...], bytes]:
    array = np.ascontiguousarray(array, dtype="<f4")
    kinds = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I8": "i1", "I64": "<i8"}
    bits = _rounded(array) if dtype == "BF16" else array.astype(kinds.get(dtype, "<f4"))
    return dtype, array.shape, bits.tobytes()


def _rounded(array: np.ndarray) -> np.ndarray:
    """To BF16 as torch does it: to the nearest, to the even one of two; what is not finite stays so."""
    wide = array.view("<u4").astype("<u8")
    rounded = (wide + 0x7FFF + ((wide >> 16) & 1)) >> 16
    return np.where(np.isfinite(array), rounded, wide >> 16).astype("<u2")


def each(change: Callable[[np.ndarray], np.ndarray], *ends: str, dtype: str = "F32") -> Change:
    """Changes the values of every tensor whose name ends so."""
    return tensors(
        lambda t: {n: tensor(change(values(e)), dtype) if n.endswith(ends or ("",)) else e for n, e in t.items()}
    )


def one(change: Callable[[np.ndarray], np.ndarray], end: str, dtype: str = "F32") -> Change:
    """Changes the first tensor whose name ends so."""

    def spoil(found: Tensors) -> Tensors:
        name = next(name for name in found if name.endswith(end))
        return {**found, name: tensor(change(values(found[name])), dtype)}

    return tensors(spoil)


def at_random(seed: int = 7) -> Change:
    dice = np.random.default_rng(seed)
    return each(lambda array: dice.normal(0, 0.3, array.shape))


def put(value: float, at: int = 3) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array.reshape(-1)[min(at, array.size - 1)] = value
        return array

    return change


def extra(name: str, array: Any = None, dtype: str = "F32") -> Change:
    return tensors(lambda t: {**t, name: tensor(np.full((32, 32), 0.1) if array is None else array, dtype)})


def without(part: Callable[[str], bool]) -> Change:
    return tensors(lambda t: {name: entry for name, entry in t.items() if not part(name)})


def renamed(rename: Callable[[str], str]) -> Change:
    return tensors(lambda t: {rename(name): entry for name, entry in t.items()})


def header(
    change: Callable[[dict[str, Any]], Any], dump: Callable[[Any], bytes] = lambda said: json.dumps(said).encode()
) -> Change:
    """Changes the header alone; the bytes behind it stay."""

    def spoil(data: bytes) -> bytes:
        length = struct.unpack("<Q", data[:8])[0]
        return with_header(dump(change(json.loads(data[8 : 8 + length]))), data[8 + length :])

    return raw(spoil)


def first(said: Mapping[str, Any]) -> str:
    return next(name for name in said if name != "__metadata__")


def of_base(bases: Path, base: str, name: str) -> np.ndarray:
    """A weight of a base, in F32."""
    found = unpack((bases / base / "model.safetensors").read_bytes())
    return values(found[name])


def names(files: Files) -> Iterable[str]:
    return unpack(files[WEIGHTS])
