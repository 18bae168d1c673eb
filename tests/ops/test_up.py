"""`make up` as a person runs it: from nothing to ready, two at once, stopped in every way, killed in every way."""

import contextlib
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from ops.sentences import ROOT
from tests.ops.processes import assert_gone, command_line
from tests.services import free_ports

pytestmark = [pytest.mark.merge, pytest.mark.slow]
START_SECONDS = 180
STOP_SECONDS = 120
BARE = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass
class Up:
    """One `make up` and everything it started."""

    data: Path
    port: int
    process: subprocess.Popen
    output: Path

    @property
    def printed(self) -> str:
        # A shell that redirects to this file creates it a moment later.
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def ready(self) -> int:
        """Return the status of /readyz, 0 when nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_ready(self) -> "Up":
        deadline = time.monotonic() + START_SECONDS
        while "Dovetail runs at" not in self.printed:
            assert self.process.poll() is None, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.05)
        return self

    def family(self) -> list[psutil.Process]:
        """Return every process that this command has started, of any depth."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def program(self, name: str) -> psutil.Process:
        """Return the main process of one program."""
        [program] = [child for child in self.supervisor().children() if name in " ".join(command_line(child))]
        return program

    def supervisor(self) -> psutil.Process:
        [supervisor] = [
            process
            for process in self.family()
            if command_line(process)[1:5] == ["-m", "ops", "up", "--end-with-parent"]
        ]
        return supervisor


def hear_interrupts() -> None:
    """Undo what a shell does to its background commands, for a suite that runs as one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def make_up(folder: Path, data: Path, **environment: str) -> Up:
    [port] = free_ports()
    output = folder / f"up-{port}.txt"
    command = ["make", "up", f"PORT={port}", f"DATA={data}"]
    with output.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**BARE, "HOME": str(folder), **environment},
            stdout=out,
            stderr=out,
            preexec_fn=hear_interrupts,
        )
    return Up(data, port, process, output)


@contextlib.contextmanager
def running(folder: Path, data: Path, **environment: str) -> Iterator[Up]:
    """Run `make up` until it is ready; afterwards nothing of it may be left."""
    up = make_up(folder, data, **environment)
    try:
        yield up.wait_ready()
    finally:
        family = up.family() if up.process.poll() is None else []
        up.process.terminate()
        up.process.wait(STOP_SECONDS)
        assert_gone(family)


def processes_on(data: Path) -> list[psutil.Process]:
    """Return every process of a hub with its state in this folder: make, the supervisor, and its programs."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            environment = process.environ()
            if str(data) in (environment.get("DATA"), environment.get("DOVETAIL_DATA")):
                found.append(process)
    return found


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Up:
    """The first `make up` on a new folder, which made its state; it has ended."""
    folder = tmp_path_factory.mktemp("prepared")
    with running(folder, folder / "data") as up:
        return up


@pytest.fixture
def prepared(first_start: Up) -> Iterator[Path]:
    """The state of `first_start`. A hub that a failed test leaves on it is killed: the next test needs the folder."""
    yield first_start.data
    for process in processes_on(first_start.data):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_the_first_start_says_once_how_to_sign_in(first_start: Up, prepared: Path, tmp_path: Path) -> None:
    assert re.search(r"To sign in: +administrator +\S{12,}", first_start.printed)
    with running(tmp_path, prepared) as up:
        assert "To sign in" not in up.printed
        assert f"http://127.0.0.1:{up.port}" in up.printed


def test_a_later_start_builds_nothing(prepared: Path, tmp_path: Path) -> None:
    with running(tmp_path, prepared) as up:
        assert up.ready() in (200, 503)
        assert "Building" not in up.printed


def test_what_is_secret_is_for_its_owner_alone(prepared: Path) -> None:
    assert (prepared / "secret_key").stat().st_mode & 0o777 == 0o600
    assert (prepared / "run").stat().st_mode & 0o777 == 0o700


def test_all_state_is_under_data(prepared: Path) -> None:
    assert {"db.sqlite3", "blobs", "shelf", "secret_key", "run"} <= {file.name for file in prepared.iterdir()}
    before = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    assert "db.sqlite3" not in before


def test_two_hubs_run_side_by_side_and_one_folder_has_one_hub(prepared: Path, tmp_path: Path) -> None:
    with running(tmp_path, prepared) as first:
        # A socket's path has 107 bytes at most, so the second one also has a name that is longer.
        with running(tmp_path, tmp_path / ("deep" * 20) / ("deeper" * 20)) as second:
            until = (
                time.monotonic() + START_SECONDS
            )  # the other web process may remember for a moment that it was not ready
            while not first.ready() == second.ready() == 200:
                assert time.monotonic() < until
        third = make_up(tmp_path, prepared)
        assert third.process.wait(STOP_SECONDS) != 0
        assert re.search(
            r"Another hub \(process \d+\) runs on the data folder .*: stop it, or choose another", third.printed
        )
        assert "Traceback" not in third.printed
        assert first.ready() == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_make_stops_all_of_it(prepared: Path, tmp_path: Path, number: signal.Signals) -> None:
    up = make_up(tmp_path, prepared).wait_ready()
    family = up.family()
    assert len(family) >= 5
    up.process.send_signal(number)
    up.process.wait(STOP_SECONDS)
    assert_gone(family)
    assert "Traceback" not in up.printed


def test_control_c_in_a_terminal_stops_all_of_it(prepared: Path, tmp_path: Path) -> None:
    [port] = free_ports()
    command = ["make", "up", f"PORT={port}", f"DATA={prepared}"]
    output = tmp_path / "output"
    with output.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=BARE, stdout=out, stderr=out, preexec_fn=hear_interrupts, start_new_session=True
        )
    up = Up(prepared, port, process, output).wait_ready()
    family = up.family()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to make and to the supervisor
    process.wait(STOP_SECONDS)
    assert_gone(family)
    assert "Stopped." in up.printed
    assert "Traceback" not in up.printed


def test_a_hub_in_the_background_of_a_script_goes_on(prepared: Path, tmp_path: Path) -> None:
    [port] = free_ports()
    # A shell has its background commands ignore SIGINT, and make inherits that.
    script = f"make up PORT={port} DATA={prepared} > {tmp_path}/output 2>&1 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], cwd=ROOT, env=BARE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        make = psutil.Process(int(shell.stdout.readline()))
        up = Up(prepared, port, shell, tmp_path / "output").wait_ready()
        family = up.family()
        time.sleep(1.5)  # longer than the supervisor's look at its programs
        assert "stopping" not in up.printed
        make.terminate()
    assert_gone(family)


@pytest.mark.parametrize(
    ("program", "name"), [("gunicorn", "web"), ("ops.forks", "workers"), ("valkey", "broker"), ("nginx", "nginx")]
)
def test_a_program_that_dies_stops_the_rest_and_is_named(
    prepared: Path, tmp_path: Path, program: str, name: str
) -> None:
    up = make_up(tmp_path, prepared).wait_ready()
    family = up.family()
    up.program(program).kill()
    assert up.process.wait(STOP_SECONDS) != 0
    assert_gone(family)
    assert f"The {name} was killed by SIGKILL, so everything else was stopped too; its log is" in up.printed
    assert "Traceback" not in up.printed


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_a_worker_that_dies_stops_the_rest_and_is_named(prepared: Path, tmp_path: Path, name: str) -> None:
    up = make_up(tmp_path, prepared).wait_ready()
    family = up.family()
    [worker] = [one for one in up.program("ops.forks").children() if one.name() == name]
    worker.kill()
    assert up.process.wait(STOP_SECONDS) != 0
    assert_gone(family)
    assert "The workers ended with status 1, so everything else was stopped too; its log is" in up.printed
    assert f"The {name} was killed by SIGKILL." in up.printed
    assert "Traceback" not in up.printed


def test_a_worker_that_hangs_does_not_keep_a_hub_whose_other_one_died(prepared: Path, tmp_path: Path) -> None:
    up = make_up(tmp_path, prepared).wait_ready()
    family = up.family()
    workers = {one.name(): one for one in up.program("ops.forks").children()}
    workers["worker"].suspend()
    workers["beat"].kill()
    assert up.process.wait(STOP_SECONDS) != 0
    assert_gone(family)
    assert "The beat was killed by SIGKILL." in up.printed


def test_workers_share_the_memory_of_what_they_import(prepared: Path, tmp_path: Path) -> None:
    with running(tmp_path, prepared) as up:
        forks = up.program("ops.forks")
        workers = {one.name(): one for one in forks.children()}
        assert set(workers) == {"worker", "beat"}
        memory = workers["beat"].memory_full_info()
        assert memory.rss - memory.uss > 45 << 20  # 30 MiB if it has in common with others only what is read from files


def test_a_supervisor_killed_outright_leaves_nobody_and_blocks_nobody(prepared: Path, tmp_path: Path) -> None:
    up = make_up(tmp_path, prepared).wait_ready()
    family = up.family()
    up.supervisor().kill()
    up.process.wait(STOP_SECONDS)
    assert_gone(family)
    # The client's own variables are no settings, and disturb nobody.
    with running(tmp_path, prepared, DOVETAIL_ENDPOINT="http://elsewhere", DOVETAIL_TOKEN="hf_elsewhere") as again:
        assert again.ready() in (200, 503)


def test_without_nginx_the_web_listens_itself_and_says_so(prepared: Path, tmp_path: Path) -> None:
    with running(tmp_path, prepared, DOVETAIL_PROXY_HEADER="Forwarded") as up:
        assert up.ready() in (200, 503)
        assert "no nginx     nginx does not read the header Forwarded" in up.printed
        assert not [child for child in up.family() if "nginx" in " ".join(command_line(child))]


def test_a_setting_that_nobody_reads_is_one_clear_stop(prepared: Path, tmp_path: Path) -> None:
    for data in (prepared, tmp_path / "new"):
        up = make_up(tmp_path, data, DOVETAIL_MAX_FILE_BITES="1")
        assert up.process.wait(STOP_SECONDS) != 0
        assert "Unknown setting DOVETAIL_MAX_FILE_BITES" in up.printed
        assert "Traceback" not in up.printed


def test_management_commands_act_on_the_named_folder(prepared: Path) -> None:
    command = ["make", "-s", "manage", f"DATA={prepared}", "ARGS=shelf list"]
    done = subprocess.run(command, cwd=ROOT, env=BARE, capture_output=True, text=True, timeout=STOP_SECONDS)
    assert "sentence-transformers/all-MiniLM-L6-v2" in done.stdout, done.stderr


def test_an_idle_hub_takes_a_twentieth_of_a_core_at_most(prepared: Path, tmp_path: Path) -> None:
    with running(tmp_path, prepared) as up:
        shares = []
        for _ in range(12):  # the engine loads its base first, which takes longer on a busy machine
            before = spent(up.family())
            time.sleep(10)
            shares.append((spent(up.family()) - before) / 10)
            if shares[-1] <= 0.05:
                break
        assert shares[-1] <= 0.05, shares
        assert "This clock runs the schedule" in (prepared / "run" / "log" / "workers.log").read_text()


def spent(family: list[psutil.Process]) -> float:
    """Return the CPU seconds these processes have used."""
    total = 0.0
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total
