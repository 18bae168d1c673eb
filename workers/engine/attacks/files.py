"""Attacks on files and memory outside the jail, and on the limits of their size."""

from __future__ import annotations

import os
from pathlib import Path

from workers.engine.attacks.entry import FILE_BYTES, MARK, Attacks, Targets

attack = Attacks()


@attack("A file outside can be read.")
def _read_outside(targets: Targets) -> bool:
    return targets.secret.read_bytes() == MARK


@attack("A folder outside can be listed.")
def _list_outside(targets: Targets) -> bool:
    return bool(list(targets.folder.iterdir()))


@attack("/etc/passwd can be read.")
def _read_system(targets: Targets) -> bool:
    return bool(Path("/etc/passwd").read_bytes())


@attack("/etc/passwd can be read by way of /proc.")
def _read_system_by_proc(targets: Targets) -> bool:
    return bool(Path("/proc/self/root/etc/passwd").read_bytes())


@attack("The environment of another process can be read.")
def _read_environment(targets: Targets) -> bool:
    Path(f"/proc/{os.getppid()}/environ").read_bytes()
    return True


@attack("The memory of another process can be opened.")
def _open_memory(targets: Targets) -> bool:
    with Path(f"/proc/{targets.victim}/mem").open("rb"):
        return True


@attack("A file outside can be written.")
def _write_outside(targets: Targets) -> bool:
    (targets.folder / "written").write_bytes(b"x")
    return True


@attack("A file outside can be removed.")
def _remove_outside(targets: Targets) -> bool:
    (targets.folder / "removable").unlink()
    return True


@attack("A file outside can be linked into the work folder.")
def _link_outside(targets: Targets) -> bool:
    os.link(targets.secret, targets.work / "link")
    return True


@attack("The mode of a file outside can be changed.")
def _chmod_outside(targets: Targets) -> bool:
    targets.secret.chmod(0o600)
    return True


@attack("The times of a file outside can be changed.")
def _touch_outside(targets: Targets) -> bool:
    os.utime(targets.secret, (0, 0))
    return True


@attack("A file outside can be cut short.")
def _truncate_outside(targets: Targets) -> bool:
    os.truncate(targets.secret, len(MARK))
    return True


@attack("A file grows past its limit.")
def _grow(targets: Targets) -> bool:
    with (targets.work / "large").open("wb") as file:
        file.truncate(FILE_BYTES + 1)
    return True


@attack("Memory outside every limit can be had (memfd).")
def _memfd(targets: Targets) -> bool:
    os.close(os.memfd_create("hoard"))
    return True


@attack("A device node can be made.")
def _make_device(targets: Targets) -> bool:
    os.mknod(targets.work / "device", 0o600 | 0o020000, os.makedev(1, 3))
    return True
