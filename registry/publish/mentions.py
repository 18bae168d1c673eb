"""Mentions of people as @name in the text of a discussion."""

import re

MAX_MENTIONS = 10  # in one text
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_MENTION = re.compile(r"(?<![\w@/.+-])@([A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?)(?![A-Za-z0-9_@])")


def mentions(text: str) -> list[str]:
    """Return the names that a text mentions outside code, in lower case, at most MAX_MENTIONS."""
    names: dict[str, None] = {}
    for match in _MENTION.finditer(_CODE.sub(" ", text)):
        names.setdefault(match[1].lower())
        if len(names) == MAX_MENTIONS:
            break
    return list(names)
