"""An engine whose loading stage has been taken over: what a job's folder names in `attack` is done in place of loading.

It stands for a stranger's bytes that found a hole in a loader, and is run by an engine's interpreter as __main__.py is.
An attack that is refused says so by a failed load.error; one that says `worked` is a hole.
"""

import ctypes
import errno
import json
import mmap
import os
import signal
import stat
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "client" / "src")]

from workers.engine import syscalls
from workers.engine.processes import child
from workers.engine.processes.serve import main
from workers.engine.processes.validation import ROWS, RUN_IDS

honest, honest_static = child.loaded, child.static
libc = ctypes.CDLL(None, use_errno=True)


def taken(job, frozen, task, labels, work, say):
    named = job.folder / "attack"
    if not named.exists():
        honest(job, frozen, task, labels, work, say)
        return
    attack = globals()[named.read_text()]
    try:
        attack(say, work, frozen)
    except (OSError, MemoryError, RuntimeError, ValueError) as problem:
        report(say, f"refused: {problem}")


def taken_early(job, frozen, say):
    """The same of the stage that reads files: there, `early` names the checks that it leaves out."""
    left_out = (job.folder / "early").read_text().split() if (job.folder / "early").exists() else []

    def some(frame):
        if frame.get("check", {}).get("id") not in left_out and not frame.keys() & {*left_out}:
            say(frame)

    honest_static(job, frozen, some if left_out else say)


def report(say, message, name="load.error", outcome="failed"):
    say({"check": {"id": name, "outcome": outcome, "message": message, "fix": "x", "where": {}, "duration_ms": 1}})


def passes(say, *left_out):
    """Says what an honest process says of an adapter that passes."""
    for name in RUN_IDS:
        if name not in (*left_out, ROWS):
            report(say, "All is well.", name, "passed")
    say({"ran": True})


def raw(call, *arguments):
    """A system call past Python; raises OSError when it is refused."""
    call = syscalls.OTHER_PROCESSES[call][syscalls.COLUMN[syscalls.ARCHITECTURE]]
    if libc.syscall(ctypes.c_long(call), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)) < 0:
        raise OSError(ctypes.get_errno(), errno.errorcode[ctypes.get_errno()])


def pipe():
    """The end of the pipe to the parent."""
    for number in range(3, 64):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode) and os.write(number, b"") == 0:
                return number
        except OSError:
            continue
    raise AssertionError("no pipe")


# --- what it says ----------------------------------------------------------------------------------------------------
def floods(say, work, frozen):
    while True:
        report(say, "x" * 1900, outcome="passed")


def drips(say, work, frozen):
    """Never lets the pipe run dry, and never ends a line."""
    while True:
        os.write(pipe(), b" ")


def speaks_for_the_static_checks(say, work, frozen):
    report(say, "All is well.", "file.header", "passed")


def claims_another_job(say, work, frozen):
    os.write(pipe(), json.dumps({"event": "verdict", "job": "1", "verdict": {"state": "passed"}}).encode() + b"\n")


def sends_evals_without_number(say, work, frozen):
    for _ in range(5000):
        say({"eval": {"name": "smoke", "rows": 8, "metric": "accuracy", "base": 0.5, "adapter": 1.0}})
    say({"eval": {"name": "smoke", "base_id": "tiny/llama", "adapter": 1.0}})


def nests(say, work, frozen):
    os.write(pipe(), b'{"facts": ' + b"[" * 100_000 + b"\n")


def says_it_has_done_before_it_began(say, work, frozen):
    say({"done": True})


def says_the_base_changed(say, work, frozen):
    say({"changed": ["everything"] * 10_000})


def leaves_the_last_check_out(say, work, frozen):
    passes(say, RUN_IDS[-1])


def leaves_the_base_out(say, work, frozen):
    passes(say, "load.changed-base")


def says_at_once_that_it_ran(say, work, frozen):
    say({"ran": True})
    passes(say)


def speaks_twice(say, work, frozen):
    report(say, "All is well.", RUN_IDS[0], "passed")
    passes(say)


def says_who_serves_it(say, work, frozen):
    """The last word of the other stage."""
    say({"serving": []})


def says_numbers_beyond_all_others(say, work, frozen):
    named = b'{"check": {"id": "load.error", "outcome": "passed", "message": "", "fix": "", "duration_ms": 1, "where": '
    os.write(pipe(), named + b'{"a": 1e999}}}\n')


def measures_without_measure(say, work, frozen):
    say({"eval": {"name": "smoke", "rows": 8, "metric": "accuracy", "base": 10**400, "better": "higher"}})


def digs_in_its_words(say, work, frozen):
    deep = {"id": "load.error", "outcome": "passed", "message": "", "fix": "", "where": {"a": [[[[1]]]]}}
    say({"check": deep | {"duration_ms": 1}})


def speaks_in_letters_that_grow(say, work, frozen):
    for name in RUN_IDS:
        frame = {"id": name, "outcome": "passed", "message": "\u00e9" * 1900, "fix": "", "where": {}, "duration_ms": 1}
        os.write(pipe(), json.dumps({"check": frame}, ensure_ascii=False).encode() + b"\n")


def invents_facts(say, work, frozen):
    say({"facts": {"format": {}, "kind": [], "task": "LIBRARY", "labels": True, "bytes": "many"}})


# --- how it ends -----------------------------------------------------------------------------------------------------
def leaves_early(say, work, frozen):
    os._exit(0)


def raises_the_end(say, work, frozen):
    raise SystemExit(0)


def stops_itself(say, work, frozen):
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


def closes_the_pipe_and_lives_on(say, work, frozen):
    os.close(pipe())
    time.sleep(60)


def hangs_in_its_teardown(say, work, frozen):
    """All is said, but it takes its time, by a clock that nobody limits."""
    passes(say)
    while time.monotonic():
        time.sleep(0.01)


def spins_deaf(say, work, frozen):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while True:
        pass


def crashes(say, work, frozen):
    ctypes.string_at(0)


# --- whom it reaches -------------------------------------------------------------------------------------------------
def forks(say, work, frozen):
    if os.fork() == 0:
        time.sleep(60)
    report(say, "worked")


def executes(say, work, frozen):
    os.execv("/bin/true", ["true"])


def executes_from_memory(say, work, frozen):
    os.memfd_create("program")
    report(say, "worked")


def exhausts_process_ids(say, work, frozen):
    import threading

    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def kills_everybody(say, work, frozen):
    os.kill(-1, signal.SIGTERM)


def kills_the_group(say, work, frozen):
    os.kill(0, signal.SIGTERM)


def kills_the_parent(say, work, frozen):
    os.kill(os.getppid(), signal.SIGTERM)


def traces_the_parent(say, work, frozen):
    raw("ptrace", 16, os.getppid(), 0, 0)  # PTRACE_ATTACH


def writes_the_parents_memory_by_call(say, work, frozen):
    raw("process_vm_writev", os.getppid(), 0, 0, 0, 0, 0)


def writes_the_parents_memory_by_file(say, work, frozen):
    Path(f"/proc/{os.getppid()}/mem").open("r+b").close()
    report(say, "worked")


def writes_what_it_shares(say, work, frozen):
    """Every writable page it can find, but those whose loss would end it at once; the parent must not see any of it."""
    shared = [line for line in Path("/proc/self/maps").read_text().splitlines() if line.split()[1].startswith("rw-s")]
    report(say, f"worked: {shared}" if shared else "refused: nothing is shared")


def changes_the_base(say, work, frozen):
    for parameter in frozen.backbone.parameters():
        parameter.data.zero_()
    passes(say)


def raises_its_limits(say, work, frozen):
    import resource

    for which in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):
        resource.setrlimit(which, (1 << 40, resource.getrlimit(which)[1]))
    report(say, "worked")


# --- what it takes ---------------------------------------------------------------------------------------------------
def makes_a_sparse_file(say, work, frozen):
    with (work / "sparse").open("wb") as file:
        file.truncate(2 << 30)
    report(say, "worked")


def fills_the_disk(say, work, frozen):
    number = 0
    while True:
        (work / f"{number}").write_bytes(bytes(1 << 16))
        number += 1


def digs_deep(say, work, frozen):
    os.chdir(work)
    for _ in range(1500):
        Path("d").mkdir()
        os.chdir("d")
    time.sleep(60)


def opens_everything(say, work, frozen):
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(100_000)]
    report(say, f"worked: {len(held)}")


def makes_many_tensors(say, work, frozen):
    import torch

    held = [torch.zeros(1) for _ in range(100_000)]
    report(say, f"refused: {len(held)} are no harm")


def maps_memory(say, work, frozen):
    held = [mmap.mmap(-1, 1 << 28) for _ in range(1000)]
    report(say, f"worked: {len(held)}")


child.loaded, child.static = taken, taken_early

if __name__ == "__main__":
    main(sys.argv[2:])  # after the module, which __main__.py would import
