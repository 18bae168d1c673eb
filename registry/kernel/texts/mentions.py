"""References in the text of a discussion: people as @name, discussions as #3, commits by the digits of their ids."""

import re
from dataclasses import dataclass

MAX_MENTIONS = 10  # people in one text
MAX_REFERENCES = 20  # discussions, and as many commits, in one text
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_MENTION = re.compile(r"(?<![\w@/.+-])@([A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?)(?![A-Za-z0-9_@])")
_DISCUSSION = re.compile(
    r"(?<![\w@/.+#&-])(?:((?:datasets/|spaces/)?[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}))?#([1-9]\d{0,6})(?!\w)"
)
_COMMIT = re.compile(r"(?<![\w@/.+#-])(?=[0-9a-f]*\d)([0-9a-f]{7,40})(?![\w/-])")


@dataclass(frozen=True, slots=True)
class DiscussionReference:
    """A discussion as a text names it: `written` is `#3` or `NS/NAME#3`, `repository` is "" for that of the text."""

    written: str
    repository: str
    number: int


def mentions(text: str) -> list[str]:
    """Return the names that a text mentions outside code, in lower case, at most MAX_MENTIONS."""
    names: dict[str, None] = {}
    for match in _MENTION.finditer(_CODE.sub(" ", text)):
        names.setdefault(match[1].lower())
        if len(names) == MAX_MENTIONS:
            break
    return list(names)


def discussion_references(text: str) -> list[DiscussionReference]:
    """Return the discussions that a text names outside code, at most MAX_REFERENCES."""
    found: dict[str, DiscussionReference] = {}
    for match in _DISCUSSION.finditer(_CODE.sub(" ", text)):
        found.setdefault(match[0], DiscussionReference(match[0], match[1] or "", int(match[2])))
        if len(found) == MAX_REFERENCES:
            break
    return list(found.values())


def commit_references(text: str) -> list[str]:
    """Return what may be ids of commits or begin one (7 to 40 of 0-9 and a-f) outside code, at most MAX_REFERENCES."""
    found: dict[str, None] = {}
    for match in _COMMIT.finditer(_CODE.sub(" ", text)):
        found.setdefault(match[1])
        if len(found) == MAX_REFERENCES:
            break
    return list(found)
