"""Match paths against a .gitignore: the rules of git, without backtracking on patterns that strangers write."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from registry.kernel.errors import ValueInvalid

MAX_TEXT = 64 << 10
MAX_RULES = 500
MAX_PARTS = 32
MAX_STEPS = 2_000_000  # about a second


@dataclass(frozen=True, slots=True)
class _Rule:
    parts: tuple[str, ...]  # shell patterns of path parts; ** stands for any number of them
    is_negated: bool
    is_for_folders: bool


class GitIgnore:
    """The rules of one .gitignore at the root of a repository."""

    def __init__(self, text: str) -> None:
        lines = text[:MAX_TEXT].splitlines()[:MAX_RULES]
        self._rules = [rule for rule in map(_rule, lines) if rule is not None]
        self._steps_left = MAX_STEPS

    def leaves_out(self, path: str) -> bool:
        """Return whether the file, or a folder it lies in, is ignored; nothing in an ignored folder can be re-included.

        Raises ValueInvalid after MAX_STEPS comparisons, over all calls of one object.
        """
        parts = path.split("/")
        return any(self._is_ignored(parts[:depth], depth < len(parts)) for depth in range(1, len(parts) + 1))

    def _is_ignored(self, parts: Sequence[str], is_folder: bool) -> bool:
        ignored = False
        for rule in self._rules:
            self._steps_left -= len(rule.parts) * len(parts)
            if self._steps_left < 0:
                raise ValueInvalid("This .gitignore is too much work for so many files.", fix="Use fewer patterns.")
            if (is_folder or not rule.is_for_folders) and _matches(rule.parts, parts):
                ignored = not rule.is_negated
        return ignored


def _rule(line: str) -> _Rule | None:
    pattern = line.rstrip()
    if not pattern or pattern.startswith("#"):
        return None
    is_negated = pattern.startswith("!")
    pattern = pattern.removeprefix("!").removeprefix("\\")
    is_for_folders, pattern = pattern.endswith("/"), pattern.rstrip("/")
    # Without a slash inside, a pattern means the name at any depth.
    parts = pattern.removeprefix("/").split("/") if "/" in pattern else ["**", pattern]
    return _Rule(tuple(parts), is_negated, is_for_folders) if pattern and len(parts) <= MAX_PARTS else None


def _matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    # reached[i]: the patterns so far can use up exactly the first i parts.
    reached = [True, *(False for _ in parts)]
    for shell in pattern:
        if shell == "**":
            first = reached.index(True) if True in reached else len(reached)
            reached = [at >= first for at in range(len(reached))]
        else:
            # fnmatch compiles * to atomic groups, so no pattern makes it backtrack.
            reached = [False, *(reached[at] and fnmatchcase(part, shell) for at, part in enumerate(parts))]
    return reached[-1]
