"""Facts about bases by name: aliases, quantised copies, the duties of their licenses, who serves an architecture.

The tables are bases.json, licenses.json and architectures.json: names of the well-known bases; what a license asks of
adapters, which is no legal advice; and the architectures that each serving engine has LoRA for, which
`ops/architectures.py` reads in the sources of each.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dovetail.adapters.results.findings import some

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


@dataclass(frozen=True, slots=True)
class License:
    """One license: its name, and the duties that it puts on adapters of a base under it."""

    title: str
    needs_notice: bool = False  # its text or a notice must be passed on
    needs_name_prefix: str = ""  # the prefix that the name of a derived model must have
    non_commercial: bool = False
    share_alike: bool = False  # derived models must have the same license

    @property
    def duties(self) -> dict[str, str]:
        """Key of the table → its duty, as part of a sentence."""
        words_by_key = {
            "needs_notice": "its notice passed on" if self.needs_notice else "",
            "needs_name_prefix": self.needs_name_prefix and f"a name that begins with {self.needs_name_prefix!r}",
            "non_commercial": "no commercial use" if self.non_commercial else "",
            "share_alike": "the same license again" if self.share_alike else "",
        }
        return {key: words for key, words in words_by_key.items() if words}


LICENSES = {
    name: License(**row) for name, row in json.loads((Path(__file__).parent / "licenses.json").read_bytes()).items()
}


def find(name: str) -> License | None:
    return LICENSES.get(name.strip().lower())


def stated_license(card: Mapping[str, object]) -> str:
    """Return the license that a card names; for `other`, the card's own name for it."""
    license = card.get("license")
    if isinstance(license, list):
        license = license[0] if license else ""
    name = license.strip() if isinstance(license, str) else ""
    own_name = card.get("license_name")
    if name.lower() == "other" and isinstance(own_name, str) and own_name.strip():
        return own_name.strip()[:64]
    return name[:64]


def conflict(claimed: str, base: str) -> str:
    """Return the duties of the base's license that the claimed license does not keep; "" if one of them is unknown."""
    claimed_license, base_license = find(claimed), find(base)
    if claimed_license is None or base_license is None or claimed.lower() == base.lower():
        return ""
    return some([words for key, words in base_license.duties.items() if key not in claimed_license.duties])


ARCHITECTURES: Mapping[str, Any] = json.loads((Path(__file__).parent / "architectures.json").read_bytes())


def names(engine: str, key: str) -> frozenset[str]:
    """Return a list of an engine: `lora`, `without`, or `text_keys_lost`; empty if the engine has none."""
    return frozenset(entry.partition("=")[0] for entry in ARCHITECTURES[engine].get(key, ()))


def of_gguf(architectures: tuple[str, ...]) -> frozenset[str]:
    """Return the names that GGUF has for some architectures; empty if llama.cpp's converter has none of them."""
    pairs = (entry.partition("=") for entry in ARCHITECTURES["llama.cpp"]["lora"])
    return frozenset(name for architecture, _, name in pairs if architecture in architectures and name)
