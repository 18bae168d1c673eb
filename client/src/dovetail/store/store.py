"""The store: all files that came to this machine, by their sha256. A file in it proves by its time to be whole.

The parts of a second in the time of change that a verified file gets follow from its digest; the seconds are true. A
write into the file, also by another name of it, changes the time, so a look shows later that the bytes are those of
the digest; nothing is read.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from dovetail.locks import LockedFile
from dovetail.problems import Problem

PIECE = 1 << 20
SECOND = 10**9  # nanoseconds
_STEP, _STEPS = 100, 9_999_991  # of nanoseconds, which every file system keeps that keeps parts of a second
_EARLIEST, _SPAN = 946_684_800, 1 << 28  # for the others: from the year 2000 on, 17 years in even seconds


def is_whole(found: os.stat_result, file: LockedFile) -> bool:
    """Return whether a file on disk is the one of this digest, by its size and its time."""
    if not stat.S_ISREG(found.st_mode) or file.size not in (None, found.st_size):
        return False
    part, whole = _times(file.sha256)
    return found.st_mtime_ns % SECOND == part or found.st_mtime_ns == whole


def _times(sha256: str) -> tuple[int, int]:
    """Return the part of a second that proves a file of this digest, and the time that does, both in nanoseconds."""
    number = int(sha256[:16], 16)
    return _STEP * (1 + number % _STEPS), (_EARLIEST + 2 * (number % _SPAN)) * SECOND


def _stamp(place: Path, sha256: str, used_at: int | None = None) -> None:
    """Give a file whose bytes were read the time that proves it. The time of use stays: the cache is pruned by it."""
    now = time.time_ns()
    part, whole = _times(sha256)
    os.utime(place, ns=(used_at or now, now // SECOND * SECOND + part))
    if place.lstat().st_mtime_ns % SECOND != part:  # the file system keeps whole seconds
        os.utime(place, ns=(used_at or now, whole))


def digest(place: Path) -> str:
    """Return the sha256 of a file."""
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """Files by digest below one folder; nothing in it is ever changed, only added and removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, sha256: str) -> Path:
        """Return where the file of a digest lies, if it is here."""
        return self.folder / sha256[:2] / sha256

    def has(self, file: LockedFile, *, reading: bool = False) -> bool:
        """Return whether the file is here and whole; a file of another time is read, and so are all with `reading`."""
        place = self.place(file.sha256)
        try:
            found = place.lstat()
        except FileNotFoundError:
            return False
        if is_whole(found, file) and not reading:
            return True
        if stat.S_ISREG(found.st_mode) and file.size in (None, found.st_size) and digest(place) == file.sha256:
            _stamp(place, file.sha256, found.st_atime_ns)
            return True
        place.unlink()
        return False

    def part(self, sha256: str) -> Path:
        """Return a file for the bytes that arrive, which this process owns: with what an earlier download left."""
        part = self._fresh_part(sha256)
        part.touch(mode=0o600, exist_ok=False)
        # The process that renames it owns it: two downloads of one file never write into the same part.
        with contextlib.suppress(FileNotFoundError):
            (self.parts / sha256).replace(part)
        return part

    def files(self) -> list[Path]:
        """Return all files that are here."""
        return [place for place in self.folder.glob("[0-9a-f][0-9a-f]/*") if place.is_file()]

    @property
    def answers(self) -> Path:
        """The folder of what the hub answered last, for when it does not."""
        return self.folder / "answers"

    def unfinished(self) -> list[Path]:
        """Return what arrived of files that are not whole."""
        return [place for place in self.parts.glob("*") if place.is_file()]

    @property
    def parts(self) -> Path:
        """The folder of what arrived of files that are not whole."""
        return self.folder / "parts"

    def _fresh_part(self, sha256: str) -> Path:
        self.parts.mkdir(parents=True, exist_ok=True)
        return self.parts / f"{sha256}.{uuid4().hex[:8]}"

    def keep_part(self, part: Path, sha256: str) -> None:
        """Keep what arrived, for the next download to go on with."""
        if part.exists() and part.stat().st_size:
            part.replace(self.parts / sha256)
        else:
            part.unlink(missing_ok=True)

    def take(self, part: Path, sha256: str) -> None:
        """Take in a file whose bytes are those of the digest."""
        place = self.place(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        part.chmod(0o444)
        _stamp(part, sha256)
        part.replace(place)

    def is_beside(self, folder: Path) -> bool:
        """Return whether a folder is on the disk of the store, so that files can be linked; both are made if needed."""
        for place in (folder, self.folder):
            place.mkdir(parents=True, exist_ok=True)
        return folder.stat().st_dev == self.folder.stat().st_dev

    def adopt(self, place: Path, file: LockedFile) -> bool:
        """Take in a file that lies elsewhere, as a link where possible; return whether it is the wanted one."""
        source = place.resolve()
        if not source.is_file() or file.size not in (None, source.stat().st_size):
            return False
        part = self._fresh_part(file.sha256)
        try:
            link(source, part, file.sha256)
            if digest(part) != file.sha256:
                return False
            try:
                self.take(part, file.sha256)
            except PermissionError:  # the file belongs to another user
                part.unlink()
                shutil.copyfile(source, part)
                self.take(part, file.sha256)
            return True
        finally:
            part.unlink(missing_ok=True)

    def drop(self, file: LockedFile) -> None:
        """Remove a file whose bytes are not those of its digest."""
        self.place(file.sha256).unlink(missing_ok=True)

    def link(self, file: LockedFile, to: Path) -> None:
        """Put the file at a place: a hard link, or a copy on another file system."""
        link(self.place(file.sha256), to, file.sha256)


def link(source: Path, to: Path, sha256: str) -> None:
    """Link a file to another place, or copy it where it cannot be linked."""
    try:
        os.link(source, to, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, one without links, or too many of them
        shutil.copyfile(source, to, follow_symlinks=False)
        to.chmod(0o444)
        _stamp(to, sha256)


def require_space(needs: Sequence[tuple[Path, int]]) -> None:
    """Raise Problem where files need more room than is free: folder and bytes, summed up for each disk."""
    by_disk: dict[int, tuple[Path, int]] = {}
    for folder, size in needs:
        folder.mkdir(parents=True, exist_ok=True)
        place, sum_before = by_disk.get(disk := folder.stat().st_dev, (folder, 0))
        by_disk[disk] = place, sum_before + size
    for place, needed in by_disk.values():
        if needed > (free := shutil.disk_usage(place).free):
            raise Problem(
                f"{needed:,} bytes are needed, and {free:,} are free in {place}.",
                "Free some space (`dovetail cache prune --days 30`), use --to, or set DOVETAIL_CACHE to a "
                "folder on another disk.",
                code="client-disk-full",
            )
