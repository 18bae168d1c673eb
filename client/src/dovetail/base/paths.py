"""Refuses paths from a hub that must not be written on this machine, by the rules of both POSIX and Windows."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath, PureWindowsPath

from dovetail.base.problems import Problem

_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_REFUSED = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


def check(paths: Iterable[str], source: str = "The hub") -> list[PurePosixPath]:
    """Return the paths that `source` names. Raises Problem if one would leave its folder, or if two collide."""
    path_by_key: dict[str, str] = {}
    checked = []
    for path in paths:
        if why := _why_not(path):
            raise unsafe(path, why, source)
        key = unicodedata.normalize("NFKC", path).casefold()
        if key in path_by_key:
            raise unsafe(path, f"it collides with {path_by_key[key]!r} where case does not count", source)
        path_by_key[key] = path
        checked.append(PurePosixPath(path))
    return checked


def is_chosen(path: str, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> bool:
    """Return whether patterns choose a path; they match whole paths, `*` matches slashes too, `a/` all below a."""
    return (not include or _matches(path, include)) and not _matches(path, exclude)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns)


def _why_not(path: str) -> str:
    windows = PureWindowsPath(path)
    if path.startswith("/") or windows.drive or windows.root:
        return "it is absolute"
    if _REFUSED.search(path):
        return "it holds characters that a file name may not hold"
    return next(filter(None, map(_segment_problem, path.split("/"))), "")


def _segment_problem(segment: str) -> str:
    if segment in {"", ".", ".."}:
        return "it leads out of its folder or holds an empty part"
    if segment[-1] in ". ":
        return "a part of it ends in a dot or a space"
    if _DEVICES.fullmatch(segment.partition(".")[0].rstrip()):
        return f"{segment} is a device on Windows"
    return "it reaches into .git" if segment.casefold() == ".git" else ""


def unsafe(path: str, why: str, source: str) -> Problem:
    """Return the problem of a path that `source` names and that must not be written."""
    fix = "Tell the hub's administrator." if source == "The hub" else "Write the lock file again."
    return Problem(
        f"{source} names a file {path[:200]!r}, which must not be written: {why}.",
        f"Nothing was written. {fix}",
        code="client-path-refused",
    )
