"""The duties that the license of a base puts on its adapters; the table is licenses.json. No legal advice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dovetail.adapters.findings import some


@dataclass(frozen=True, slots=True)
class License:
    """One license: its name, and what it asks of adapters of a base that is under it."""

    title: str
    needs_notice: bool = False  # its text, or a notice, goes along
    needs_name_prefix: str = ""  # the name of what is made from it begins so
    non_commercial: bool = False
    share_alike: bool = False  # what is made from it comes under the same license

    @property
    def duties(self) -> dict[str, str]:
        """Key of the table → what it asks, as part of a sentence."""
        found = {
            "needs_notice": "its notice handed on" if self.needs_notice else "",
            "needs_name_prefix": self.needs_name_prefix and f"a name that begins with {self.needs_name_prefix!r}",
            "non_commercial": "no commercial use" if self.non_commercial else "",
            "share_alike": "the same license again" if self.share_alike else "",
        }
        return {key: words for key, words in found.items() if words}


TABLE = {
    name: License(**said) for name, said in json.loads((Path(__file__).parent / "licenses.json").read_bytes()).items()
}


def find(name: str) -> License | None:
    return TABLE.get(name.strip().lower())


def stated(card: Mapping[str, object]) -> str:
    """The license that a card names; where it says `other`, the name that it gives that one."""
    found = card.get("license")
    if isinstance(found, list):
        found = found[0] if found else ""
    said = found.strip() if isinstance(found, str) else ""
    other = card.get("license_name")
    return other.strip()[:64] if said.lower() == "other" and isinstance(other, str) and other.strip() else said[:64]


def conflict(claimed: str, base: str) -> str:
    """Return the duties of the base's license that the claimed license does not keep; "" if one of them is unknown."""
    here, there = find(claimed), find(base)
    if here is None or there is None or claimed.lower() == base.lower():
        return ""
    return some([words for key, words in there.duties.items() if key not in here.duties])
