"""The shared cache of files by their sha256. A file in it, and every hard link to it, proves by its time to be whole.

The time of change that a verified file gets follows from its digest. Whoever writes into the file changes the time, so
a look at size and time shows later that the bytes are those of the digest, without reading them.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from dovetail.locks import LockedFile

PIECE = 1 << 20
_EARLIEST, _SPAN = 946_684_800, 1 << 28  # from the year 2000 on, 17 years in even seconds: what all file systems keep


def is_whole(found: os.stat_result, file: LockedFile) -> bool:
    """Return whether a file on disk is the one of this digest, by its size and its time."""
    if not stat.S_ISREG(found.st_mode) or file.size not in (None, found.st_size):
        return False
    return found.st_mtime_ns == time_of(file.sha256) * 10**9


def time_of(sha256: str) -> int:
    """Return the time of change, in seconds, that a verified file of this digest has."""
    return _EARLIEST + 2 * (int(sha256[:16], 16) % _SPAN)


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
            os.utime(place, (found.st_atime, time_of(file.sha256)))
            return True
        place.unlink()
        return False

    def part(self, sha256: str) -> Path:
        """Return a file for the bytes that arrive, which this process owns: with what an earlier download left."""
        folder = self.folder / "parts"
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{sha256}.", dir=folder)
        os.close(handle)
        # Whoever renames it owns it: two downloads of one file never write into the same part.
        with contextlib.suppress(FileNotFoundError):
            (folder / sha256).replace(name)
        return Path(name)

    def keep_part(self, part: Path, sha256: str) -> None:
        """Keep what arrived, for the next download to go on with."""
        if part.exists() and part.stat().st_size:
            part.replace(self.folder / "parts" / sha256)
        else:
            part.unlink(missing_ok=True)

    def take(self, part: Path, sha256: str) -> None:
        """Take in a file whose bytes are those of the digest."""
        place = self.place(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        part.chmod(0o444)
        os.utime(part, (time_of(sha256), time_of(sha256)))
        part.replace(place)

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
        os.utime(to, (time_of(sha256), time_of(sha256)))
