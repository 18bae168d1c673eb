"""Ids as people write them, NAMESPACE/NAME and NAMESPACE/NAME@REV, and the paths of files that a hub names.

A path must be safe to write on this machine. Names that hubs take can be written on POSIX; some of it not on Windows.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath, PureWindowsPath

from dovetail.problems import Problem, usage

MAIN = "main"
IS_WINDOWS = os.name == "nt"


def check_adapter(adapter: str) -> None:
    """Raise Problem unless this looks like NAMESPACE/NAME."""
    namespace, slash, name = adapter.partition("/")
    if not (namespace and slash and name) or "/" in name or {namespace, name} & {".", ".."}:
        raise usage(f"{adapter!r} is not an adapter's id.", "Write it as NAMESPACE/NAME, as in alice/reviews-lora.")


def is_commit(revision: str) -> bool:
    """Return whether this is a whole id of a commit."""
    return re.fullmatch("[0-9a-f]{40}", revision) is not None


def split(text: str, default: str = MAIN) -> tuple[str, str]:
    """Return the adapter and the revision of NS/NAME[@REV]. Raises Problem."""
    adapter, at, revision = text.partition("@")
    check_adapter(adapter)
    if at and not revision:
        raise usage(f"{text!r} names no revision after its @.", f"Write {adapter}, or {adapter}@verified.")
    return adapter, revision or default


def split_exact(text: str, example: str) -> tuple[str, str]:
    """Return the adapter and the revision of NS/NAME@REV, where the revision must be named. Raises Problem."""
    adapter, _, revision = text.partition("@")
    if not revision:
        raise usage(f"{text!r} names no revision.", f"Write {adapter}@{example}.")
    check_adapter(adapter)
    return adapter, revision


_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_REFUSED = re.compile(r"[\x00-\x1f\x7f\\]")
_REFUSED_BY_WINDOWS = re.compile('[<>:"|?*]')
# Files of editors and version control, and those that `pull` and huggingface_hub keep for themselves.
KEPT_BACK = frozenset({".git", ".cache", "__pycache__", ".DS_Store"})


def check_paths(paths: Iterable[str], source: str = "The hub") -> list[PurePosixPath]:
    """Return the paths that `source` names. Raises Problem if one would leave its folder, or if two collide."""
    path_by_key: dict[str, str] = {}
    checked = []
    for path in paths:
        if why := _why_not(path) or (windows_problem(path) if IS_WINDOWS else ""):
            raise unsafe(path, why, source)
        key = unicodedata.normalize("NFKC", path).casefold()
        if key in path_by_key:
            raise unsafe(path, f"it collides with {path_by_key[key]!r} if case is ignored", source)
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
    if path.startswith("/") or (windows.drive and len(path) > 1 and path[1] == ":") or windows.root:
        return "it is absolute"
    if _REFUSED.search(path):
        return "it contains characters that are not allowed in file names"
    return next(filter(None, map(_segment_problem, path.split("/"))), "")


def _segment_problem(segment: str) -> str:
    if segment in {"", ".", ".."}:
        return "it leaves its folder or contains an empty part"
    if segment[-1] in ". ":
        return "a part of it ends in a dot or a space"
    return "it is inside .git" if segment.casefold() == ".git" else ""


def windows_problem(path: str) -> str:
    """Return why Windows cannot have a file of this path, "" if it can."""
    if found := _REFUSED_BY_WINDOWS.search(path):
        return f"Windows allows no {found[0]} in names"
    devices = (part for part in path.split("/") if _DEVICES.fullmatch(part.partition(".")[0].rstrip()))
    return next((f"{part} is a device on Windows" for part in devices), "")


def unsafe(path: str, why: str, source: str) -> Problem:
    """Return the problem of a path that `source` names and that must not be written."""
    fix = f"Leave it out: --exclude '{path[:200]}'" if source == "The hub" else "Write the lock file again."
    return Problem(
        f"{source} names a file {path[:200]!r}, which must not be written: {why}.",
        f"Nothing was written. {fix}",
        code="client-path-refused",
    )
