"""Attempts to escape from the jail; `selftest` runs them, `jail` must stop them. Standard library only."""

import ctypes
import errno
import mmap
import os
import resource
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers.engine import syscalls

MEMORY_BYTES, CPU_SECONDS, FILE_BYTES = 1 << 30, 5, 1 << 20  # of the jail that is tested
MARK = b"a secret of the hub"


@dataclass(frozen=True)
class Targets:
    """The files and processes that the child tries to reach; they are made for the test and removed after it."""

    folder: Path
    work: Path
    victim: int
    tcp: int
    udp: int

    @property
    def secret(self) -> Path:
        return self.folder / "secret"

    @property
    def abstract(self) -> str:
        return f"\0dovetail-{self.victim}"


SOCKET = "socket"  # its name in the folder
Attack = Callable[[Targets], bool]  # True: the attack worked, which is a hole. An OSError: it was refused.


class Attacks(dict[str, Attack]):
    """Attacks by the sentence that an operator reads if one works; as a decorator it adds one."""

    def __call__(self, sentence: str) -> Callable[[Attack], Attack]:
        def keep(function: Attack) -> Attack:
            self[sentence] = function
            return function

        return keep


def is_carried_out(name: str, *arguments: int | bytes) -> bool:
    """Return whether the kernel would carry out a call: an error about its arguments means that it would."""
    denied = {key: numbers for table in syscalls.DENIED for key, numbers in table.items()}
    numbers = denied.get(name) or syscalls.JUDGED[name]
    libc = ctypes.CDLL(None, use_errno=True)
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    number = numbers[syscalls.COLUMN[syscalls.ARCHITECTURE]]
    if libc.syscall(ctypes.c_long(-1 if number is None else number), *passed) >= 0:
        return True
    return ctypes.get_errno() in (errno.EFAULT, errno.EINVAL, errno.EBADF, errno.E2BIG)


attack = ATTACKS = Attacks()


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


@attack("A TCP connection can be made.")
def _tcp(targets: Targets) -> bool:
    with socket.create_connection(("127.0.0.1", targets.tcp), timeout=1):
        return True


@attack("A TCP port can be opened.")
def _listen(targets: Targets) -> bool:
    with socket.create_server(("127.0.0.1", 0)):
        return True


@attack("A datagram can be sent.")
def _udp(targets: Targets) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(MARK, ("127.0.0.1", targets.udp)) > 0


@attack("A Unix socket can be reached by its path.")
def _unix_path(targets: Targets) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        os.chdir(targets.folder)  # the path of a socket has 107 bytes at most, that of a folder any number
        caller.connect(SOCKET)
        return True


@attack("An abstract Unix socket can be reached.")
def _unix_abstract(targets: Targets) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(targets.abstract)
        return True


@attack("A netlink socket can be opened.")
def _netlink(targets: Targets) -> bool:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW):
        return True


@attack("A process can be started by fork.")
def _fork(targets: Targets) -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return True


@attack("Another program can be executed.")
def _execute(targets: Targets) -> bool:
    return is_carried_out("execve", 0, 0, 0)


@attack("The process group can be left.")
def _leave_group(targets: Targets) -> bool:
    os.setsid()
    return True


@attack("A process outside can be signalled.")
def _signal(targets: Targets) -> bool:
    os.kill(targets.victim, 0)
    return True


@attack("A process outside can be stopped through a file descriptor of it.")
def _pidfd(targets: Targets) -> bool:
    os.close(os.pidfd_open(targets.victim))
    return True


@attack("The kill at the parent's death can be cancelled.")
def _outlive(targets: Targets) -> bool:
    return is_carried_out("prctl", syscalls.PR_SET_PDEATHSIG, 0)


@attack("A process outside can be traced.")
def _trace(targets: Targets) -> bool:
    return is_carried_out("ptrace", 0x4206, targets.victim, 0, 0)  # PTRACE_SEIZE, which does not stop it


@attack("The memory of a process outside can be read by a call.")
def _read_memory(targets: Targets) -> bool:
    return is_carried_out("process_vm_readv", targets.victim, 0, 0, 0, 0, 0)


@attack("The priority of a process outside can be changed.")
def _renice(targets: Targets) -> bool:
    os.setpriority(os.PRIO_PROCESS, targets.victim, 0)
    return True


@attack("A thread can be started.")
def _start_thread(targets: Targets) -> bool:
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError:  # Python raises it when the kernel refuses
        return False
    thread.join()
    return True


@attack("Semaphores of other processes can be reached by their number.")
def _semaphores(targets: Targets) -> bool:
    return is_carried_out("semctl", 0, 0, 0)


@attack("A file system can be mounted.")
def _mount(targets: Targets) -> bool:
    folder = bytes(targets.work)
    return is_carried_out("mount", b"none", folder, b"tmpfs", 0, 0) and is_carried_out("umount2", folder, 0)


@attack("A user namespace can be made.")
def _user_namespace(targets: Targets) -> bool:
    return is_carried_out("unshare", 0x10000000)


@attack("io_uring can be used.")
def _io_uring(targets: Targets) -> bool:
    return is_carried_out("io_uring_setup", 0, 0)


@attack("Contexts of asynchronous input and output can be used up.")
def _io_contexts(targets: Targets) -> bool:
    return is_carried_out("io_setup", 0, 0)


@attack("The kernel's keyring can be used.")
def _keys(targets: Targets) -> bool:
    return is_carried_out("keyctl", 0, -3, 0)


@attack("BPF programs can be loaded.")
def _bpf(targets: Targets) -> bool:
    return is_carried_out("bpf", 0, 0, 0)


@attack("Performance counters can be opened.")
def _perf(targets: Targets) -> bool:
    return is_carried_out("perf_event_open", 0, 0, -1, -1, 0)


@attack("A resource limit can be raised.")
def _raise_limit(targets: Targets) -> bool:
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    return True


@attack("Memory past the limit can be had.")
def _hoard(targets: Targets) -> bool:
    mmap.mmap(-1, MEMORY_BYTES).close()
    return True


@attack("There is no limit on processor time.")
def _no_cpu_limit(targets: Targets) -> bool:
    return resource.getrlimit(resource.RLIMIT_CPU)[1] == resource.RLIM_INFINITY
