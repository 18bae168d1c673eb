"""Folders that change as a whole: a new tree is built beside the old one, and takes its place in one step.

Readers of the folder find the old tree or the new one. A process that is killed leaves a tree beside
it, which the next one removes.
"""

import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from dovetail import locks
from dovetail.problems import Problem, usage
from dovetail.store import store

RECORD = ".adapters.lock"  # in the folder: the lock that it equals
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)

Wanted = Mapping[str, locks.LockedFile]  # path below the folder → file


def require_ours(to: Path) -> None:
    """Raise Problem unless the folder is missing, empty, or one that was synced before: what is in it is replaced."""
    if to.is_symlink():
        raise usage(f"{to} is a link.", f"Name the folder itself: --to {to.resolve()}")
    if to.exists() and not to.is_dir():
        raise usage(f"{to} is a file.", "Name a folder with --to.")
    if to.is_dir() and not (to / RECORD).is_file() and any(to.iterdir()):
        raise usage(
            f"{to} contains files that no sync has written, and a sync would remove them.",
            "Name an empty folder, or one that does not exist yet.",
        )


def record(to: Path) -> locks.Lock | None:
    """Return the lock that the folder was made equal to, if it has one that can be read."""
    try:
        return locks.read_file(to / RECORD)
    except (Problem, OSError):
        return None


@contextmanager
def exclusive(to: Path) -> Iterator[None]:
    """Let one process at a time change the folder, and repair what a killed one left. Raises Problem."""
    to.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(to.parent / f".{to.name}.dovetail-busy", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise Problem(
            f"Another sync is changing {to} now.",
            "Wait until it has finished, or sync into another folder.",
            code="client-sync-busy",
        ) from None
    try:
        _recover(to)
        yield
    finally:
        lock.release()


def leftovers(to: Path) -> list[Path]:
    """Return the trees beside the folder that killed processes, or one that is at work, left there."""
    names = (f".{to.name}.dovetail-tree-", _before(to).name)
    return [path for path in to.parent.iterdir() if path.name.startswith(names)] if to.parent.is_dir() else []


def _recover(to: Path) -> None:
    before = _before(to)
    if before.is_dir() and not to.exists():  # killed between the two renames of a file system without an exchange
        before.rename(to)
    for left in leftovers(to):
        shutil.rmtree(left)


def _before(to: Path) -> Path:
    return to.parent / f".{to.name}.dovetail-before"


# --- comparing -------------------------------------------------------------------------------------------------------
def whole_files(to: Path, wanted: Wanted, *, reading: bool = False) -> set[str]:
    """Return the paths below the folder whose files are the wanted ones."""
    return _whole(to, _listing(to)[0], wanted, reading=reading)


def _whole(to: Path, files: Mapping[str, os.stat_result], wanted: Wanted, *, reading: bool) -> set[str]:
    return {
        path
        for path, status in files.items()
        if path in wanted
        and store.is_whole(status, wanted[path])
        and not (reading and store.digest(to / path) != wanted[path].sha256)
    }


@dataclass(frozen=True)
class Difference:
    """Paths of files that are missing or other ones than the wanted, and of files that are not wanted.

    A folder with an empty folder in it, or with another record, differs though no file does.
    """

    is_equal: bool
    changed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def is_equal(to: Path, wanted: Wanted, record: str, *, reading: bool = False) -> bool:
    """Return whether the folder holds the wanted files, the record, and nothing else."""
    return _has_record(to, record) and compare(to, wanted, record, reading=reading).is_equal


def compare(to: Path, wanted: Wanted, record: str, *, reading: bool = False) -> Difference:
    """Return how the folder differs from the wanted files and the record."""
    files, folders, others = _listing(to)
    changed = wanted.keys() - _whole(to, files, wanted, reading=reading)
    extra = ((files.keys() - {RECORD}) | others) - wanted.keys()
    is_equal = not changed and not extra and folders == folders_of(wanted) and _has_record(to, record)
    return Difference(is_equal, tuple(sorted(changed)), tuple(sorted(extra)))


def _has_record(to: Path, record: str) -> bool:
    try:
        return (to / RECORD).read_text(encoding="utf-8") == record
    except (OSError, UnicodeDecodeError):
        return False


def folders_of(wanted: Wanted) -> set[str]:
    """Return the folders that the files lie in."""
    folders: set[str] = set()
    for path in wanted:
        while (path := path.rpartition("/")[0]) and path not in folders:
            folders.add(path)
    return folders


def _listing(to: Path) -> tuple[dict[str, os.stat_result], set[str], set[str]]:
    """Return the files, the folders and all else, such as links, below a folder."""
    files: dict[str, os.stat_result] = {}
    folders: set[str] = set()
    others: set[str] = set()
    waiting = [""]
    while waiting:
        above = waiting.pop()
        try:
            entries = list(os.scandir(to / above))
        except FileNotFoundError:
            continue
        for entry in entries:
            path = f"{above}/{entry.name}" if above else entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.add(path)
                waiting.append(path)
            elif entry.is_file(follow_symlinks=False):
                files[path] = entry.stat(follow_symlinks=False)
            else:
                others.add(path)
    return files, folders, others


# --- replacing -------------------------------------------------------------------------------------------------------
def replace(to: Path, wanted: Wanted, record: str, cache: store.Store, *, reading: bool = False) -> None:
    """Make the folder hold the wanted files and nothing else, in one step; call it within `exclusive`."""
    new = Path(tempfile.mkdtemp(prefix=f".{to.name}.dovetail-tree-", dir=to.parent))
    try:
        _build(new, to, wanted, record, cache, reading=reading)
        _put(new, to)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # the old tree, after an exchange


def _build(new: Path, to: Path, wanted: Wanted, record: str, cache: store.Store, *, reading: bool) -> None:
    for folder in sorted(folders_of(wanted)):
        (new / folder).mkdir()
    whole = whole_files(to, wanted, reading=reading) if to.is_dir() else set()
    for path, file in wanted.items():
        if path in whole:
            store.link(to / path, new / path, file.sha256)
        else:
            cache.link(file, new / path)
        if not store.is_whole((new / path).lstat(), file):
            raise Problem(
                f"{path} changed while it was being put in place.",
                "Run the same command again.",
                code="client-local-files",
            )
    (new / RECORD).write_text(record, encoding="utf-8")
    new.chmod(to.stat().st_mode & 0o7777 if to.is_dir() else 0o755)


def _put(new: Path, to: Path) -> None:
    """Give the new tree the name of the folder; the old tree gets the name of the new one, or is gone."""
    try:
        if not to.exists() or not any(to.iterdir()):
            new.rename(to)
        elif not _exchange(new, to):
            before = _before(to)
            to.rename(before)
            new.rename(to)
            before.rename(new)
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EXDEV):
            raise
        raise usage(
            f"{to} is a mount point, which cannot be replaced.", f"Sync into a folder in it: --to {to}/adapters"
        ) from None


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; return whether this system and file system can."""
    libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(first, second, _EXCHANGE)
    elif libc is not None and hasattr(libc, "renameat2"):
        here = -100  # AT_FDCWD
        failed = libc.renameat2(here, first, here, second, _EXCHANGE)
    else:
        return False
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))
