"""The jail: a process locks itself down before it opens an uploaded byte.

Three layers, each installed by the process itself without any privilege: resource limits, `landlock` (an allow-list of
files, no TCP, nothing outside reachable by signal or abstract socket) and `seccomp` (a list of refused system calls).
A layer that cannot be installed raises `JailUnavailable`: half a jail is no jail. Standard library only.

Sources of Landlock: landlock(7), linux/include/uapi/linux/landlock.h. Seccomp is a classic BPF program over number,
architecture and arguments of each system call: seccomp(2), linux/include/uapi/linux/{seccomp,bpf_common}.h.
"""

import ctypes
import errno
import mimetypes
import os
import platform
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from workers.engine import syscalls
from workers.engine.syscalls import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_MM,
    PR_SET_PDEATHSIG,
    PR_SET_PTRACER,
    JailUnavailable,
)

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_BLOCK, TRUNCATE = 1 << 6, 1 << 7, 1 << 8, 1 << 11, 1 << 14
FILE_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many low bits of rights each Landlock ABI knows
RIGHTS_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | 1 << 15
READ = READ_FILE | READ_DIR
READ_WRITE = READ | WRITE_FILE | TRUNCATE | REMOVE_FILE | REMOVE_DIR | MAKE_DIR | MAKE_REG
CONTROL = READ_FILE | WRITE_FILE | 1 << 15  # ioctl(2) on a device file
NO_TCP, NO_TCP_CONNECTIONS, NO_SIGNALS_NO_ABSTRACT_SOCKETS = 0b11, 0b10, 0b11
ALL_BUT_PROGRAMS_AND_DEVICES = ~(EXECUTE | MAKE_CHAR | MAKE_BLOCK)

DEVICES = {"/dev/null": READ_FILE | WRITE_FILE, "/dev/zero": READ_FILE, "/dev/urandom": READ_FILE}
INTERPRETER_NEEDS = """
    /usr/lib /usr/lib64 /lib /lib64 /usr/local/lib /etc/ld.so.cache /etc/localtime /usr/share/zoneinfo
    /proc/self /proc/cpuinfo /proc/meminfo /sys/devices/system/cpu
"""


def abi_version() -> int:
    """Return the kernel's Landlock version, 0 where there is none."""
    try:
        return syscalls.system_call("landlock_create_ruleset", None, 0, 1)
    except JailUnavailable:
        return 0


def install_landlock(work: Path | None, readable: Iterable[Path], devices: Iterable[Path]) -> int:
    """Install the layer and return its ABI; `jail.lock_down` explains the arguments. Raises `JailUnavailable`."""
    rules = [(path, READ) for path in {*interpreter_paths(), *readable}]
    rules += [(Path(device), rights) for device, rights in DEVICES.items()]
    rules += [(path, CONTROL) for path in devices]
    if work is not None:
        rules.append((work, READ_WRITE))
    return _allow_only(rules, NO_TCP)


def _allow_only(rules: Iterable[tuple[Path, int]], no_tcp: int) -> int:
    """Allow these rights on these paths alone, and return Landlock's ABI. Raises `JailUnavailable`."""
    abi = abi_version()
    syscalls.require(
        abi > 0,
        f"This kernel ({platform.release()}) has no Landlock: it needs Linux 5.13 or later with `landlock` in its list "
        "of security modules, and a container profile that allows it.",
    )
    handled = _known_rights(abi)
    scopes = (handled, no_tcp if abi >= 4 else 0, NO_SIGNALS_NO_ABSTRACT_SOCKETS if abi >= 6 else 0)
    attributes = struct.pack("<QQQ", *scopes)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    ruleset = syscalls.system_call("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        for path, rights in rules:
            _open_up(ruleset, path, rights & handled)
        syscalls.system_call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
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
        syscalls.system_call("landlock_add_rule", rules, 1, struct.pack("<Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def forbid_writing() -> None:
    """Give up the right to write files, for good. Raises `JailUnavailable`."""
    rights = READ_WRITE & ~READ & _known_rights(abi_version())
    attributes = struct.pack("<Q", rights)
    rules = syscalls.system_call("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        _open_up(rules, Path("/dev/null"), WRITE_FILE)
        syscalls.system_call("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)


def interpreter_paths() -> list[Path]:
    """Return the paths that any Python child must read: its own library folders, the linker's, a few files of /proc.

    `sys.path` is not used: its first entry may be a folder with arbitrary contents.
    """
    paths = sysconfig.get_paths()
    names = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")} | set(INTERPRETER_NEEDS.split())
    candidates = [Path(sys.prefix) / "pyvenv.cfg", *(Path(name) for name in sorted(names))]
    return [path for path in candidates if path.exists()]


PRCTL_REFUSED = (PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_MM, PR_SET_CHILD_SUBREAPER, PR_SET_PTRACER)
F_SETOWN, F_SETOWN_EX, F_SETLEASE = 8, 15, 1024
# With F_SETOWN the kernel sends signals for the process; with F_SETLEASE other processes' opens wait for it.
FCNTL_REFUSED = (F_SETOWN, F_SETOWN_EX, F_SETLEASE)
# The CUDA driver makes these calls at its start. It still reaches nobody: connecting and sending stay refused.
DEVICE_CALLS = ("socket", "socketpair", "bind", "listen", "memfd_create")

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# A server that a library brings with it would end at a refusal; told that descriptors ran out, it waits for ever.
NOBODY_COMES = 0x00050000 | errno.EMFILE
WAITING = ("accept", "accept4")
ALLOW, KILL, REFUSE, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
CLONE_THREAD, CLONE_NAMESPACES = 0x00010000, 0x7E020080


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def install_seccomp(allowed: Collection[str], *, threads: bool = False) -> int:
    """Install the layer and return the number of its instructions. Raises `JailUnavailable`."""
    return _install(instructions(allowed, threads=threads))


def _install(steps: Iterable[bytes]) -> int:
    code = b"".join(steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    syscalls.system_call("seccomp", 1, 1, ctypes.byref(program))  # SET_MODE_FILTER for all threads
    return len(code) // 8


def instructions(allowed: Collection[str] = (), *, threads: bool = False) -> list[bytes]:
    """Return the BPF program. `allowed` names listed calls that are let through because a driver needs them.

    A driver may also start threads. They are refused otherwise, unless asked for: the kernel has no limit of threads
    per process.
    """
    thread = CLONE_THREAD if threads or allowed else 0  # with 0, ANY_BIT never matches
    column = syscalls.COLUMN[syscalls.ARCHITECTURE]
    judged = {name: numbers[column] for name, numbers in syscalls.JUDGED.items()}
    columns = [numbers[column] for table in syscalls.DENIED for name, numbers in table.items() if name not in allowed]
    waiting = {number for name in WAITING if (number := syscalls.NETWORK[name][column]) is not None}
    refused = {number for number in columns if number is not None} - waiting
    me = os.getpid()
    return [
        *_known_calls_alone(),
        *(step for number in sorted(waiting) for step in (_step(EQUAL, number, 0, 1), _give(NOBODY_COMES))),
        *(step for number in sorted(refused) for step in (_step(EQUAL, number, 0, 1), _give(REFUSE))),
        *_judge(judged["clone"], 0, [_step(ANY_BIT, CLONE_NAMESPACES, 1, 0), _step(ANY_BIT, thread, 1, 0)]),
        *_judge(judged["kill"], 0, [_step(EQUAL, me, 1, 0)]),
        *_judge(judged["tgkill"], 0, [_step(EQUAL, me, 1, 0)]),  # abort() signals its own thread
        *_judge(judged["prlimit64"], 2, [_step(EQUAL, 0, 1, 0)]),  # reading limits is allowed, setting them is not
        *_judge(judged["prlimit64"], 2, [_step(EQUAL, 0, 1, 0)], high=True),
        *_judge_not(judged["prctl"], 0, PRCTL_REFUSED),
        *_judge_not(judged["fcntl"], 1, FCNTL_REFUSED),
        _give(ALLOW),
    ]


def _known_calls_alone() -> list[bytes]:
    """Return the beginning of a program, which leaves the number of the call loaded."""
    clone3 = syscalls.JUDGED["clone3"][syscalls.COLUMN[syscalls.ARCHITECTURE]]
    return [
        *_load(4),
        _step(EQUAL, syscalls.AUDIT_ARCHITECTURE[syscalls.ARCHITECTURE], 1, 0),
        _give(KILL),
        *_load(0),
        _step(EQUAL, clone3, 0, 1),
        _give(UNKNOWN),  # its flags are behind a pointer
        _step(AT_LEAST, syscalls.FIRST_UNREVIEWED, 0, 1),
        _give(UNKNOWN),
    ]


def _load(offset: int) -> list[bytes]:
    return [_step(LOAD, offset, 0, 0)]


def _step(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


def _give(result: int) -> bytes:
    return _step(RETURN, result, 0, 0)


def _judge(number: int, argument: int, tests: list[bytes], *, high: bool = False) -> list[bytes]:
    """Refuse call `number` unless the last test on (half of) its argument jumps over the refusal."""
    half = 4 if high else 0  # bytes to the upper half of the 64-bit argument, little endian
    body = [*_load(16 + 8 * argument + half), *tests, _give(REFUSE), *_load(0)]
    return [_step(EQUAL, number, 0, len(body)), *body]


def _judge_not(number: int, argument: int, forbidden: tuple[int, ...]) -> list[bytes]:
    """Refuse call `number` when its argument is one of `forbidden`."""
    tests = [step for value in forbidden for step in (_step(EQUAL, value, 0, 1), _give(REFUSE))]
    body = [*_load(16 + 8 * argument), *tests, *_load(0)]
    return [_step(EQUAL, number, 0, len(body)), *body]


__all__ = [
    "JailUnavailable",
    "Layers",
    "close_all_but",
    "confine",
    "die_with_parent",
    "give_up_writing",
    "hide",
    "lock_down",
    "threads",
]

_stays = False


@dataclass(frozen=True)
class Layers:
    """The layers of the jail that hold now."""

    landlock_abi: int
    no_tcp: bool  # by Landlock too (ABI 4); seccomp refuses every socket in any case
    no_signals: bool  # by Landlock too (ABI 6); seccomp refuses signals to others in any case
    seccomp_instructions: int
    memory_bytes: int
    cpu_seconds: int
    file_bytes: int


def lock_down(
    work: Path | None,
    readable: Iterable[Path],
    *,
    memory_bytes: int,
    cpu_seconds: int,
    file_bytes: int,
    devices: Collection[Path] = (),
    stays: bool = False,
    threads_too: bool = False,
    calls: Collection[str] = (),
) -> Layers:
    """Lock this process down permanently. Call it single-threaded, before the first byte of an upload is opened.

    `work` is the only folder that may be written (None: no folder); it must not contain hard links to files that
    matter. `readable` are files and folders that may be read, besides `landlock.interpreter_paths`.
    `memory_bytes` bounds the whole address space, of which torch itself maps several GB; `file_bytes` is per file.
    `devices` are device files that may be read, written and controlled; their driver then becomes part of the trusted
    base, and may start threads. Without them threads are refused, unless there are to be `threads_too`, and so are
    listed calls, but for `calls` that a library makes at its start and that reach nobody.
    A process that `stays` takes one adapter after another: it keeps the right to write into `work`, and its limits are
    changed from outside (prlimit(2)), never by itself. Raises `JailUnavailable`: the process must not go on then.
    """
    global _stays
    syscalls.require(syscalls.ARCHITECTURE in syscalls.COLUMN and sys.platform == "linux", _wrong_machine())
    syscalls.require(threads() == 1, f"The jail binds one thread, and this process already has {threads()}.")
    mapped = _mapped_bytes()
    syscalls.require(
        memory_bytes > mapped, f"The memory limit of {memory_bytes:,} bytes is below the {mapped:,} already mapped."
    )
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1, "no_new_privs")
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0, "dumpable")
    _limit(memory_bytes, cpu_seconds, file_bytes, movable=stays)
    _drop_capabilities()
    abi = install_landlock(work, readable, devices)
    length = install_seccomp(DEVICE_CALLS if devices else calls, threads=threads_too)
    _stays = stays
    return Layers(abi, abi >= 4, abi >= 6, length, memory_bytes, cpu_seconds, file_bytes)


# Paths that processes which start jailed ones may read. Of /etc it is no more than libraries ask for, some of which
# break at a file that is there and cannot be opened.
MACHINE = """
    /usr /bin /sbin /lib /lib64 /proc /sys /etc/ld.so.cache /etc/localtime /etc/passwd /etc/group /etc/nsswitch.conf
    /etc/nvidia /etc/ssl/openssl.cnf /etc/ssl/certs /etc/pki/tls/openssl.cnf /etc/pki/tls/certs
"""
REFUSED_TO_ALL = """
    connect sendmmsg ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise
"""
# Of the kernel's calls that libraries and drivers make.
LEFT_TO_LIBRARIES = "memfd_create inotify_init inotify_init1 inotify_add_watch sync syncfs io_setup io_submit"


def confine(code: Path, readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Confine this process and all that it starts to some folders, permanently; call it single-threaded.

    It is what holds when a jail does not: from here no file of the hub can be opened, no memory or environment of a
    process outside, and no server reached. Programs can be started, which lock themselves down further.
    `readable` may be read and executed, `writable` be read and written, and `code` be listed, as an import of what lies
    in it needs. Raises `JailUnavailable`.
    """
    syscalls.require(syscalls.ARCHITECTURE in syscalls.COLUMN and sys.platform == "linux", _wrong_machine())
    syscalls.require(threads() == 1, f"Confinement binds one thread, and this process has {threads()}.")
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1, "no_new_privs")
    _drop_capabilities()
    machine = map(Path, (*MACHINE.split(), *mimetypes.knownfiles))
    devices = (path for path in (*map(Path, DEVICES), *Path("/dev").glob("nvidia*")) if path.is_char_device())
    rules = [(path, READ | EXECUTE) for path in (*machine, *readable) if path.exists()]
    rules += [(code, READ_DIR), *((path, CONTROL) for path in devices)]
    _allow_only([*rules, *((path, ALL_BUT_PROGRAMS_AND_DEVICES) for path in writable)], NO_TCP_CONNECTIONS)
    _install(_confining())


def _confining() -> list[bytes]:
    column = syscalls.COLUMN[syscalls.ARCHITECTURE]
    dangerous = (syscalls.NAMESPACES_AND_MOUNTS | syscalls.KERNEL).keys() - set(LEFT_TO_LIBRARIES.split())
    columns = {name: numbers[column] for table in syscalls.DENIED for name, numbers in table.items()}
    refused = {columns[name] for name in dangerous.union(REFUSED_TO_ALL.split())}
    return [
        *_known_calls_alone(),
        *(step for number in refused if number is not None for step in (_step(EQUAL, number, 0, 1), _give(REFUSE))),
        *_judge(syscalls.JUDGED["clone"][column], 0, [_step(ANY_BIT, CLONE_NAMESPACES, 0, 1)]),
        _give(ALLOW),
    ]


def give_up_writing() -> None:
    """Give up the right to write into the work folder once everything is written. Raises `JailUnavailable`.

    Resource limits bound the size of a file, but not the number of files. A process that stays keeps the right, and its
    parent watches the folder.
    """
    if not _stays:
        forbid_writing()


def hide() -> None:
    """Keep the environment, memory and descriptors of this process from other processes of its user, except root's."""
    if sys.platform == "linux":
        syscalls.prctl(PR_SET_DUMPABLE, 0, "dumpable")


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the thread that started it ends; `parent` is the pid it expects.

    Start such a process from a thread that lives as long as the process may: the signal follows the thread.
    """
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL, "parent-death signal")
    if os.getppid() != parent:  # the parent died before the line above took hold
        os._exit(1)


def close_all_but(keep: Collection[int]) -> None:
    """Close every inherited descriptor but those in `keep`: a descriptor passes every layer of the jail."""
    start = 0
    for descriptor in [*sorted(keep), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]:
        if descriptor > start:  # CPython 3.11 treats an empty range as an endless one (_Py_closerange)
            os.closerange(start, descriptor)
        start = descriptor + 1


def threads() -> int:
    """Return the number of threads of this process."""
    return len(list(Path("/proc/self/task").iterdir()))


# --- limits and privileges -------------------------------------------------------------------------------------------
MOVABLE = (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)


def _limit(memory_bytes: int, cpu_seconds: int, file_bytes: int, *, movable: bool) -> None:
    limits = {
        resource.RLIMIT_AS: (memory_bytes, memory_bytes),
        resource.RLIMIT_CPU: (cpu_seconds, cpu_seconds + 2),  # first SIGXCPU, then SIGKILL
        resource.RLIMIT_FSIZE: (file_bytes, file_bytes),
        resource.RLIMIT_NOFILE: (256, 256),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }
    for which, (soft, hard) in limits.items():
        ceiling = resource.getrlimit(which)[1]
        if movable and which in MOVABLE:
            hard = ceiling
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(which, (soft, hard))


def _drop_capabilities() -> None:
    """Drop every capability: with them, root could bypass the other layers."""
    header = struct.pack("<Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    syscalls.system_call("capset", header, b"\0" * 24)


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _wrong_machine() -> str:
    return f"The jail needs Linux on x86_64 or aarch64, and this is {sys.platform} on {syscalls.ARCHITECTURE}."
