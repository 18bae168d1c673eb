"""Attacks on other processes, and starts of new ones."""

from __future__ import annotations

import os
import threading

from workers.engine.attacks.entry import Attacks, Targets, is_carried_out
from workers.engine.lockdown import kernel

attack = Attacks()


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
    return is_carried_out("prctl", kernel.PR_SET_PDEATHSIG, 0)


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
