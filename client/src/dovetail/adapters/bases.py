"""Names of base models: which mean the same, and which are quantised copies; the well-known ones are in bases.json."""

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


def _aliases(id: str) -> list[str]:
    found = KNOWN[id]["aliases"]
    return [str(name) for name in found] if isinstance(found, list) else []


_IDS = {name.casefold(): id for id in KNOWN for name in (id, *_aliases(id))}


def canonical(name: str) -> str:
    """The id that a well-known name stands for; any other name as it is."""
    return _IDS.get(name.casefold(), name)


def is_known(name: str) -> bool:
    """Whether this is a well-known base, by any of its names."""
    return name.casefold() in _IDS


def names_of(name: str) -> list[str]:
    """Every well-known name of the same model, its id first; the name alone where it is none of them."""
    id = canonical(name)
    return [id, *_aliases(id)] if id in KNOWN else [name]


def license_of(name: str) -> str:
    """The license of a well-known base, "" for any other."""
    return str(KNOWN.get(canonical(name), {}).get("license", ""))


def full_precision(name: str) -> str:
    """The name without what marks it as quantised; "" where nothing does."""
    found = QUANTISED.search(name)
    return name[: found.start()] if found else ""


def short(name: str) -> str:
    """The name without its namespace."""
    return name.rpartition("/")[2]


def relation(name: str, base: str, others: Iterable[str] = ()) -> Relation:
    """How a name stands to a base with these other names: "" where it means another one.

    A quantised copy is also known by its name alone, in whatever namespace it was made.
    """
    if name.casefold() == base.casefold():
        return "same"
    meant = {one.casefold() for one in (*names_of(base), *others)}
    if full := full_precision(name):
        known = {name.casefold(), full.casefold(), canonical(full).casefold()} & meant
        return "quantised" if known or short(full).casefold() == short(base).casefold() else ""
    return "alias" if {name.casefold(), canonical(name).casefold()} & meant else ""
