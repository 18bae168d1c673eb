"""The changes between two sets of files in the format of `git diff`; large and binary files are only named."""

import difflib
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace

from django.core.cache import cache

from registry.bytes import blocked_files
from registry.repos import manifest
from registry.repos.contents.facts import BlobFile
from registry.repos.manifest import Entry

MAX_FILES = 300  # more are not shown
MAX_FILE, MAX_TEXT = 128 << 10, 1 << 20  # bytes of one side of a file, characters of all
MAX_COMPARED = 1_000  # lines of a side: comparing takes the product of both; longer texts are shown as replaced
KEPT_CHARACTERS, KEPT_SECONDS = 64 << 10, 3600  # of changes that are shown again without asking the store
_NOTHING = "0" * 7


def unified_diff(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> str:
    """Return the changes of all files by path, at most MAX_TEXT characters of them."""
    return "".join(diff_sections(before, after).values())


def diff_sections(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> dict[str, str]:
    """Return path → its part of the diff for each file that differs, by path, up to MAX_FILES and MAX_TEXT."""
    paths = [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    differ = [entry for path in paths[:MAX_FILES] for entry in (before.get(path), after.get(path)) if entry]
    blocked = blocked_files.blocked_among({entry.sha256 for entry in differ})

    def shown(entry: Entry | None) -> Entry | None:
        return replace(entry, is_unsearched=True) if entry and entry.sha256 in blocked else entry

    sides = [(shown(before.get(path)), shown(after.get(path))) for path in paths[:MAX_FILES]]
    key = f"diff:1:{hashlib.sha256(repr(sides).encode()).hexdigest()}"  # the digests of files say all of it
    sections: dict[str, str] | None = cache.get(key)
    if sections is None:
        sections, characters = {}, 0
        for path, (old, new) in zip(paths, sides, strict=False):
            part = "".join(_of_a_file(path, old, new))
            characters += len(part)
            if characters > MAX_TEXT:
                break
            sections[path] = part
        if characters <= KEPT_CHARACTERS:
            cache.set(key, sections, KEPT_SECONDS)
    return sections


def of_lines(old: str, new: str) -> str:
    """Return the hunks between two texts; those of more than MAX_COMPARED lines are shown as replaced."""
    return "".join(_hunks(old.splitlines(keepends=True), new.splitlines(keepends=True)))


def _of_a_file(path: str, old: Entry | None, new: Entry | None) -> Iterator[str]:
    yield f"diff --git a/{path} b/{path}\n"
    if old is None:
        yield "new file mode 100644\n"
    if new is None:
        yield "deleted file mode 100644\n"
    mode = " 100644" if old and new else ""
    yield f"index {old.git_oid[:7] if old else _NOTHING}..{new.git_oid[:7] if new else _NOTHING}{mode}\n"
    left, right = f"a/{path}" if old else "/dev/null", f"b/{path}" if new else "/dev/null"
    lines = _lines(old), _lines(new)
    if lines[0] is None or lines[1] is None:
        yield f"Binary files {left} and {right} differ\n"
    elif lines[0] or lines[1]:
        yield f"--- {left}\n+++ {right}\n"
        yield from _hunks(lines[0], lines[1])


def _lines(entry: Entry | None) -> list[str] | None:
    """Return the lines of a file, as in git of the pointer of an LFS file; None for a long or binary file."""
    if entry is None:
        return []
    if entry.is_lfs:
        data = manifest.pointer(entry.sha256, entry.size)
    else:
        is_read = entry.size <= MAX_FILE and not entry.is_unsearched
        data = BlobFile(entry.sha256, entry.size).read() if is_read else b"\0"
    try:
        return None if b"\0" in data else list(io.StringIO(data.decode()))
    except UnicodeDecodeError:
        return None


def _hunks(old: list[str], new: list[str]) -> Iterator[str]:
    if max(len(old), len(new)) > MAX_COMPARED:
        yield f"@@ -1,{len(old)} +1,{len(new)} @@\n"
        compared = [f"-{line}" for line in old] + [f"+{line}" for line in new]
    else:
        compared = list(difflib.unified_diff(old, new))[2:]  # without its own two headers
    for line in compared:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
