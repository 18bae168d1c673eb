"""The names by which requests ask for adapters, and those of the bases that vLLM serves."""

import re
from dataclasses import dataclass
from pathlib import Path

from dovetail.adapters.formats import bases

NAME = re.compile(r"(?P<adapter>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[A-Za-z0-9][\w./-]{0,199}))?")
CACHED = re.compile(r"models--(?P<namespace>[^/]+?)--(?P<name>[^/]+)/snapshots/[0-9a-f]{40}/?$")
BASE_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Name:
    """`NS/NAME` means the newest version that passed; `@` adds an alias, a tag, a branch or a commit."""

    text: str
    adapter: str
    revision: str

    @classmethod
    def parse(cls, text: str) -> "Name | None":
        """Return the parsed name, or None for what cannot be the name of an adapter on a hub."""
        parts = NAME.fullmatch(text)
        return cls(text, parts["adapter"], parts["revision"] or "verified") if parts else None


def base_id(model: str, stated: str = "") -> str:
    """Return the name of the base that vLLM was started with, "" for a folder that does not tell it."""
    if stated:
        return stated
    if cached := CACHED.search(model):
        return f"{cached['namespace']}/{cached['name']}"
    return model if BASE_ID.fullmatch(model) and not Path(model).exists() else ""


def are_one_base(one: str, other: str) -> bool:
    """Return whether two names mean the same base."""
    return bases.canonical(one).casefold() == bases.canonical(other).casefold()
