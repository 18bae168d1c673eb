"""Names of base models: aliases and quantised copies of the well-known bases in bases.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

Relation = Literal["same", "alias", "quantised", ""]

# Id → {"aliases": other names of the same model, "license": as its card names it}
KNOWN: dict[str, dict[str, object]] = json.loads((Path(__file__).parent / "bases.json").read_bytes())
# unsloth's and bitsandbytes' copies, GPTQ and AWQ, with and without the number of bits
QUANTISED = re.compile(r"(-unsloth)?-bnb-[48]bit$|-(gptq|awq)(-(int)?[348](-?bits?)?)?$", re.IGNORECASE)

# Copies for MLX, which keep the name of the model; elsewhere such an end may be a part of the name.
OF_MLX = re.compile(r"(?<=.)(?:-mlx)?-(?:[2-8]-?bits?|mxfp4)(?:-(?:dwq|awq|dynamic|q\d|gs\d+)[\w.-]*)?$", re.IGNORECASE)


def _aliases(id: str) -> list[str]:
    names = KNOWN[id]["aliases"]
    return [str(name) for name in names] if isinstance(names, list) else []


_IDS = {name.casefold(): id for id in KNOWN for name in (id, *_aliases(id))}


def canonical(name: str) -> str:
    """Return the id of a well-known name; any other name unchanged."""
    return _IDS.get(name.casefold(), name)


def is_known(name: str) -> bool:
    """Return whether this is a name of a well-known base."""
    return name.casefold() in _IDS


def names_of(name: str) -> list[str]:
    """Return all names of a well-known base, its id first; of any other base the name alone."""
    id = canonical(name)
    return [id, *_aliases(id)] if id in KNOWN else [name]


def license_of(name: str) -> str:
    """Return the license of a well-known base, "" for any other."""
    return str(KNOWN.get(canonical(name), {}).get("license", ""))


def full_precision(name: str) -> str:
    """Return the name without its mark of quantisation; "" if it has none."""
    mark = QUANTISED.search(name) or (OF_MLX.search(name) if name.casefold().startswith("mlx-community/") else None)
    return name[: mark.start()] if mark else ""


def short(name: str) -> str:
    """Return the name without its namespace."""
    return name.rpartition("/")[2]


def relation(name: str, base: str, names: Iterable[str] = ()) -> Relation:
    """Return the relation of a name to a base, which may have other names; "" if it means another base.

    A quantised copy is recognised by its name alone, in any namespace.
    """
    if name.casefold() == base.casefold():
        return "same"
    base_names = {alias.casefold() for alias in (*names_of(base), *names)}
    if full := full_precision(name):
        matches = {name.casefold(), full.casefold(), canonical(full).casefold()} & base_names
        return "quantised" if matches or short(full).casefold() == short(base).casefold() else ""
    return "alias" if {name.casefold(), canonical(name).casefold()} & base_names else ""
