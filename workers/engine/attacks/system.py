"""Attacks on the kernel, and on the limits that it keeps."""

from __future__ import annotations

import mmap
import resource

from workers.engine.attacks.entry import FILE_BYTES, MEMORY_BYTES, Attacks, Targets, is_carried_out

attack = Attacks()


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


@attack("The kernel's key ring can be used.")
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
