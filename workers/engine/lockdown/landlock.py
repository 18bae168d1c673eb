"""The jail's layer of Landlock: an allow-list of files, no TCP, nothing outside reachable by signal or abstract socket.

Sources: landlock(7), linux/include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import os
import platform
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from workers.engine.lockdown import kernel
from workers.engine.lockdown.kernel import JailUnavailable

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_DIR, MAKE_REG, TRUNCATE = 1 << 7, 1 << 8, 1 << 14
FILE_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many low bits of rights each Landlock ABI knows
RIGHTS_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | 1 << 15
READ = READ_FILE | READ_DIR
READ_WRITE = READ | WRITE_FILE | TRUNCATE | REMOVE_FILE | REMOVE_DIR | MAKE_DIR | MAKE_REG
CONTROL = READ_FILE | WRITE_FILE | 1 << 15  # ioctl(2) on a device file
NO_TCP, NO_SIGNALS_NO_ABSTRACT_SOCKETS = 0b11, 0b11

DEVICES = {"/dev/null": READ_FILE | WRITE_FILE, "/dev/zero": READ_FILE, "/dev/urandom": READ_FILE}
INTERPRETER_NEEDS = (
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/localtime",
    "/usr/share/zoneinfo", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
)  # fmt: skip


def abi_version() -> int:
    """Return the kernel's Landlock version, 0 where there is none."""
    try:
        return kernel.system_call("landlock_create_ruleset", None, 0, 1)
    except JailUnavailable:
        return 0


def install(work: Path | None, readable: Iterable[Path], devices: Iterable[Path]) -> int:
    """Install the layer and return its ABI; `jail.lock_down` explains the arguments. Raises `JailUnavailable`."""
    abi = abi_version()
    kernel.require(
        abi > 0,
        f"This kernel ({platform.release()}) has no Landlock: it needs Linux 5.13 or later with `landlock` in its list "
        "of security modules, and a container profile that allows it.",
    )
    handled = _known_rights(abi)
    scopes = (handled, NO_TCP if abi >= 4 else 0, NO_SIGNALS_NO_ABSTRACT_SOCKETS if abi >= 6 else 0)
    attributes = struct.pack("<QQQ", *scopes)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    rules = kernel.system_call("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        for path in {*interpreter_paths(), *readable}:
            _open_up(rules, path, READ & handled)
        for device, rights in DEVICES.items():
            _open_up(rules, Path(device), rights & handled)
        for path in devices:
            _open_up(rules, path, CONTROL & handled)
        if work is not None:
            _open_up(rules, work, READ_WRITE & handled)
        kernel.system_call("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)
    return abi


def _known_rights(abi: int) -> int:
    """Return all rights on files that a kernel with this ABI knows."""
    return (1 << FILE_RIGHTS_BY_ABI[min(abi, max(FILE_RIGHTS_BY_ABI))]) - 1


def _open_up(rules: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as problem:
        raise JailUnavailable(f"The jail cannot be built around {path}: {problem.strerror}.") from problem
    try:
        if not path.is_dir():
            rights &= RIGHTS_OF_A_FILE
        kernel.system_call("landlock_add_rule", rules, 1, struct.pack("<Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def give_up_writing() -> None:
    """Give up the right to write files, for good. Raises `JailUnavailable`."""
    rights = READ_WRITE & ~READ & _known_rights(abi_version())
    attributes = struct.pack("<Q", rights)
    rules = kernel.system_call("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        _open_up(rules, Path("/dev/null"), WRITE_FILE)
        kernel.system_call("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)


def interpreter_paths() -> list[Path]:
    """Return the paths that any Python child must read: its own library folders, the linker's, a few files of /proc.

    `sys.path` is not used: its first entry may be a folder with arbitrary contents.
    """
    paths = sysconfig.get_paths()
    names = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")} | set(INTERPRETER_NEEDS)
    candidates = [Path(sys.prefix) / "pyvenv.cfg", *(Path(name) for name in sorted(names))]
    return [path for path in candidates if path.exists()]
