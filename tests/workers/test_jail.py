"""The jail holds, notices when it does not, and lets real work through."""

import json
import os
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workers.engine import jail, selftest, syscalls
from workers.engine.attacks import ATTACKS

ROOT = Path(jail.__file__).parents[2]
# What a kernel's own settings, a container's profile or a plain user's lack of rights may refuse without any jail.
MAY_FAIL_ANYWHERE = {
    "A device node can be made.",
    "A file system can be mounted.",
    "A process outside can be traced.",
    "A user namespace can be made.",
    "BPF programs can be loaded.",
    "Performance counters can be opened.",
    "The kernel's keyring can be used.",
    "The memory of a process outside can be read by a call.",
    "The memory of another process can be opened.",
    "io_uring can be used.",
}
LIMITS = {"memory_bytes": 2 << 30, "cpu_seconds": 5, "file_bytes": 1 << 20}


def in_jail(code: str, work: Path, *readable: Path, **limits: int) -> subprocess.CompletedProcess:
    """Run Python code in a fresh process that locked itself down first; `limits` replace those of LIMITS."""
    setup = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from workers.engine import jail
jail.lock_down(Path({str(work)!r}), map(Path, {[str(path) for path in readable]!r}), **{LIMITS | limits!r})
"""
    return python("-I", "-c", setup + code)


def python(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=30, cwd=ROOT)


def attack(*, spoilt: str = "", lock: str = "lambda targets: vars(selftest._lock(targets))") -> selftest.Findings:
    """Try every attack from a fresh process, as a worker does; `spoilt` is code that breaks the jail first.

    A fork of the process that runs all tests would not do: more is mapped there than the attacks' memory limit.
    """
    code = f"""
import dataclasses, json, sys
sys.path.insert(0, {str(ROOT)!r})
from workers.engine import jail, selftest
{spoilt}
print(json.dumps(dataclasses.asdict(selftest.attack_from({lock}))))
"""
    done = python("-I", "-c", code)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return selftest.Findings(**found | {"holes": tuple(found["holes"])})


def test_no_attack_gets_out_of_the_jail():
    findings = attack()
    assert findings.holes == ()
    assert findings.attacks >= 38
    assert findings.layers["landlock_abi"] >= 1
    assert findings.layers["seccomp_instructions"] > 200


def test_every_attack_works_without_the_jail():
    """Else an attack proves nothing by failing."""
    findings = attack(lock="lambda targets: {}")
    assert set(ATTACKS) - MAY_FAIL_ANYWHERE <= set(findings.holes)


def test_a_jail_without_seccomp_is_noticed():
    assert "A process can be started by fork." in attack(spoilt="jail.install_seccomp = lambda *_, **__: 0").holes


def test_a_jail_without_landlock_is_noticed():
    assert "A file outside can be read." in attack(spoilt="jail.install_landlock = lambda *_: 0").holes


def test_a_kernel_without_landlock_fails_closed_with_a_sentence():
    (hole,) = attack(spoilt="jail.abi_version = lambda: 0").holes
    assert "Landlock" in hole
    assert "Linux 5.13" in hole


def test_another_architecture_fails_closed_with_a_sentence(monkeypatch):
    monkeypatch.setattr(syscalls, "ARCHITECTURE", "riscv64")
    with pytest.raises(jail.JailUnavailable, match="x86_64 or aarch64"):
        jail.lock_down(None, [], **LIMITS)


# --- the filter, on both architectures -------------------------------------------------------------------------------
ALLOW, REFUSE, UNKNOWN, KILL = jail.ALLOW, jail.REFUSE, jail.UNKNOWN, jail.KILL
THREAD, ME = 0x3D0F00, os.getpid()  # the flags with which glibc starts a thread


def decide(
    architecture: str,
    name_or_number: str | int,
    *arguments: int,
    audit: int | None = None,
    allowed: tuple = (),
    threads: bool = False,
) -> int:
    """Run the filter of an architecture over one system call, as the kernel would (man 2 seccomp)."""
    column = syscalls.COLUMN[architecture]
    named = {name: numbers[column] for table in (*syscalls.DENIED, syscalls.JUDGED) for name, numbers in table.items()}
    number = named[name_or_number] if isinstance(name_or_number, str) else name_or_number
    packed = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, audit or syscalls.AUDIT_ARCHITECTURE[architecture], 0, *packed)
    accumulator, at = 0, 0
    program = [struct.unpack("<HBBI", step) for step in jail.instructions(allowed, threads=threads)]
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == jail.RETURN:
            return value
        if code == jail.LOAD:
            accumulator = struct.unpack_from("<I", data, value)[0]
            continue
        holds = {
            jail.EQUAL: accumulator == value,
            jail.AT_LEAST: accumulator >= value,
            jail.ANY_BIT: bool(accumulator & value),
        }[code]
        at += if_true if holds else if_false


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_the_filter_refuses_what_is_listed_and_judges_by_arguments(architecture, monkeypatch):
    monkeypatch.setattr(syscalls, "ARCHITECTURE", architecture)
    column = syscalls.COLUMN[architecture]
    for table in syscalls.DENIED:
        for name, numbers in table.items():
            if numbers[column] is not None:
                waits = name in ("accept", "accept4")
                assert decide(architecture, name) == (jail.NOBODY_COMES if waits else REFUSE), name
    read, write, mmap, futex = {"x86_64": (0, 1, 9, 202), "aarch64": (63, 64, 222, 98)}[architecture]
    assert [decide(architecture, call) for call in (read, write, mmap, futex)] == [ALLOW] * 4
    expected = [
        ("clone", (THREAD,), REFUSE),
        ("clone", (17,), REFUSE),  # a fork
        ("clone", (THREAD | 0x10000000,), REFUSE),  # a thread in a new user namespace
        ("clone3", (), UNKNOWN),
        ("kill", (ME, 9), ALLOW),
        ("kill", (1, 9), REFUSE),
        ("kill", (0xFFFFFFFFFFFFFFFF, 9), REFUSE),  # everybody
        ("tgkill", (ME, ME, 6), ALLOW),
        ("tgkill", (1, 1, 6), REFUSE),
        ("prlimit64", (0, 1, 0, 4096), ALLOW),
        ("prlimit64", (0, 1, 4096, 0), REFUSE),
        ("prlimit64", (0, 1, 1 << 32, 0), REFUSE),  # a pointer whose lower half is zero
        ("prctl", (15, 4096), ALLOW),  # naming a thread
        ("prctl", (syscalls.PR_SET_PDEATHSIG, 0), REFUSE),
        ("fcntl", (0, 3), ALLOW),
        ("fcntl", (0, jail.F_SETOWN, 1), REFUSE),
        ("fcntl", (0, jail.F_SETLEASE, 1), REFUSE),
        (syscalls.FIRST_UNREVIEWED, (), UNKNOWN),
        (0x40000000 | 41, (), UNKNOWN),  # socket by its x32 number
    ]
    for call, arguments, decision in expected:
        assert decide(architecture, call, *arguments) == decision, (call, arguments)
    assert decide(architecture, read, audit=0x40000003) == KILL  # int 0x80 has other numbers


def test_a_library_that_needs_threads_gets_these_alone():
    assert decide("x86_64", "clone", THREAD, threads=True) == ALLOW
    assert decide("x86_64", "clone", 17, threads=True) == REFUSE
    assert [decide("x86_64", call, threads=True) for call in ("socket", "bind", "memfd_create")] == [REFUSE] * 3


def test_a_driver_of_a_device_gets_its_threads_and_its_own_sockets_and_reaches_nobody_with_them():
    allowed = jail.DEVICE_CALLS
    assert decide("x86_64", "clone", THREAD, allowed=allowed) == ALLOW
    assert decide("x86_64", "clone", 17, allowed=allowed) == REFUSE
    assert [decide("x86_64", call, allowed=allowed) for call in allowed] == [ALLOW] * len(allowed)
    for call in ("connect", "sendto", "sendmsg", "sendmmsg", "execve", "ptrace", "process_vm_writev"):
        assert decide("x86_64", call, allowed=allowed) == REFUSE


FIND = (
    f"import sys, json; sys.path.insert(0, {str(ROOT)!r}); from workers.engine import selftest; "
    "print(json.dumps(selftest.run().holes))"
)


def test_the_self_test_runs_as_a_program_in_little_time():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = python("-I", selftest.__file__)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["milliseconds"] > 0
    # CPU seconds, which no other program adds to: 0.06 on a desktop.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3


def test_the_self_test_leaves_no_process_and_no_folder(tmp_path):
    code = f"""
import os, sys, tempfile
sys.path.insert(0, {str(ROOT)!r})
from workers.engine import selftest
tempfile.tempdir = {str(tmp_path)!r}
assert selftest.run().holes == ()
print(open(f"/proc/self/task/{{os.getpid()}}/children").read())
"""
    done = python("-I", "-c", code)
    assert (done.stdout.strip(), done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_the_self_test_runs_where_temporary_files_have_a_long_path(tmp_path):
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    done = python("-I", "-c", f"import tempfile; tempfile.tempdir = {str(deep)!r}; {FIND}")
    assert json.loads(done.stdout) == [], done.stderr
    assert list(deep.iterdir()) == []


def test_libraries_and_the_work_folder_are_there_inside(tmp_path):
    code = f"""
import ssl, sqlite3, decimal, json, zoneinfo
Path({str(tmp_path / "out")!r}).write_text("written")
print(open("/dev/urandom", "rb").read(4) != b"")
"""
    done = in_jail(code, tmp_path)
    assert done.stdout == "True\n", done.stderr
    assert (tmp_path / "out").read_text() == "written"


def test_what_may_be_read_cannot_be_written(tmp_path):
    work, files = tmp_path / "work", tmp_path / "files"
    work.mkdir(), files.mkdir()
    (files / "a").write_text("adapter")
    done = in_jail(f"print(open('{files}/a').read())\nopen('{files}/a', 'w')", work, files)
    assert done.stdout == "adapter\n"
    assert "PermissionError" in done.stderr
    assert (files / "a").read_text() == "adapter"


def test_memory_beyond_the_limit_is_a_memory_error(tmp_path):
    assert "MemoryError" in in_jail("bytearray(3 << 30)", tmp_path).stderr


def test_processor_time_beyond_the_limit_ends_the_process(tmp_path):
    assert in_jail("while True: pass", tmp_path, cpu_seconds=1).returncode == -24  # SIGXCPU


def test_a_process_with_threads_is_not_locked_down():
    code = f"""
import threading, time
from workers.engine import jail
threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
jail.lock_down(None, [], **{LIMITS!r})
"""
    assert "already has 2" in python("-c", code).stderr


def test_closing_descriptors_keeps_exactly_those_that_are_named():
    code = """
import os
from workers.engine import jail
reader, writer = os.pipe()
jail.close_all_but({0, 1, 2, writer})
os.fstat(writer)
try:
    os.fstat(reader)
except OSError:
    print("closed")
"""
    assert python("-c", code).stdout == "closed\n"


def test_a_child_dies_with_its_parent(tmp_path):
    code = """
import os, sys, time
from workers.engine import jail
me = os.getpid()
child = os.fork()
if child == 0:
    jail.die_with_parent(me)
    time.sleep(60)
print(child, flush=True)
time.sleep(0.3)
os.kill(me, 9)
"""
    child = Path("/proc", python("-c", code).stdout.strip())
    deadline = time.monotonic() + 180
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_what_has_given_up_writing_makes_no_file_any_more_and_reads_on(tmp_path):
    """The size of each file is bounded, but a child could make as many as it likes."""
    work = tmp_path / "work"
    work.mkdir()
    code = """
mine = Path({work!r})
(mine / "loader").write_text("written in time")
jail.give_up_writing()
for attack in (
    lambda: (mine / "more").write_text("x"), lambda: (mine / "loader").write_text("x"), lambda: (mine / "more").mkdir(),
    lambda: (mine / "loader").unlink(), lambda: os.truncate(mine / "loader", 0),
):
    try:
        attack()
        print("hole")
    except PermissionError:
        print("refused")
print((mine / "loader").read_text())
open("/dev/null", "w").write("x")
"""
    done = in_jail(code.replace("{work!r}", repr(str(work))), work)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["refused"] * 5 + ["written in time"]
