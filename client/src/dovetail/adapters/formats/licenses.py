"""The duties that the license of a base puts on its adapters; the table is licenses.json. No legal advice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dovetail.adapters.results.findings import some


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
            "needs_notice": "its notice handed on" if self.needs_notice else "",
            "needs_name_prefix": self.needs_name_prefix and f"a name that begins with {self.needs_name_prefix!r}",
            "non_commercial": "no commercial use" if self.non_commercial else "",
            "share_alike": "the same license again" if self.share_alike else "",
        }
        return {key: words for key, words in words_by_key.items() if words}


TABLE = {
    name: License(**row) for name, row in json.loads((Path(__file__).parent / "licenses.json").read_bytes()).items()
}


def find(name: str) -> License | None:
    return TABLE.get(name.strip().lower())


def stated(card: Mapping[str, object]) -> str:
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
