"""A diff for reading: each file that differs, with numbered lines; large and binary files by their sizes alone."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from registry.repos.contents import diffs
from registry.repos.manifest import Entry

MAX_LINES = 3_000  # on a page
NO_ROOM = _("There is not enough space for it here.")
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a hunk; `kind` is added, removed, kept or hunk, and a number is None on the side it is not on."""

    kind: str
    old: int | None
    new: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Patch:
    """One file that differs; without lines `why` says what stands against showing them."""

    what: str
    path: str
    old: int  # bytes
    new: int
    lines: list[Line] = field(default_factory=list)
    why: str = ""

    @property
    def added(self) -> int:
        return sum(line.kind == "added" for line in self.lines)

    @property
    def removed(self) -> int:
        return sum(line.kind == "removed" for line in self.lines)


def patches(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[Patch]:
    """The changed files by path; those that come after MAX_LINES are named without their lines."""
    small = [{path: entry for path, entry in side.items() if not entry.is_lfs} for side in (before, after)]
    room, lines = MAX_LINES, dict[str, list[Line]]()
    for path, text in diffs.diff_sections(*small).items():
        found = list(numbered(text))
        room -= len(found)
        if room < 0:
            break
        lines[path] = found
    return [
        Patch(what, path, old, new, lines.get(path, []), _why(after.get(path) or before[path], lines.get(path)))
        for what, path, old, new in changes(before, after)
    ]


def changes(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[tuple[str, str, int, int]]:
    """(what happened, path, size before, size after) for every file that differs, by path."""
    found = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None and new is not None:
            found.append(("added", path, 0, new.size))
        elif new is None and old is not None:
            found.append(("removed", path, old.size, 0))
        elif old is not None and new is not None and old.sha256 != new.sha256:
            found.append(("changed", path, old.size, new.size))
    return found


def _why(entry: Entry, lines: list[Line] | None) -> str:
    if lines:
        return ""
    if entry.is_lfs:
        return gettext("A large file: its digest and size differ. Its lines are not shown.")
    return str(NO_ROOM) if lines is None else gettext("It is not text, too long to show, or empty.")


def numbered(section: str) -> Iterator[Line]:
    """The lines of a file's part of a diff from its first hunk on, with their numbers before and after."""
    old = new = 0
    in_hunk = False
    for text in section.split("\n")[:-1]:
        if found := _HUNK.match(text):
            old, new, in_hunk = int(found[1]), int(found[2]), True
            yield Line("hunk", None, None, text)
        elif not in_hunk:
            continue
        elif text.startswith("+"):
            yield Line("added", None, new, text[1:])
            new += 1
        elif text.startswith("-"):
            yield Line("removed", old, None, text[1:])
            old += 1
        elif text.startswith(" "):
            yield Line("kept", old, new, text[1:])
            old, new = old + 1, new + 1
        else:
            yield Line("hunk", None, None, text[1:])  # no new line at the end
