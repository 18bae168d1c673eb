"""Builds the interpreters of this checkout, .venv for the hub and .engines/NAME for the engines, when they are not."""

import csv
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ops import machine
from ops.sentences import ROOT, Stop, complain, near, say

VENV = ROOT / ".venv"
ENGINES = ROOT / ".engines"
PYTHON = VENV / "bin" / "python"
UV = "uv==0.13.9"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
WEB = [ROOT / "requirements.txt", ROOT / "requirements/constraints.txt", ROOT / "client/pyproject.toml"]
DEV = [*WEB, ROOT / "requirements/dev.txt"]


def ensure_web() -> Path:
    """Make .venv hold requirements.txt and the client, and return its interpreter."""
    return _ensure(VENV, WEB, "the hub (.venv)", lambda: _install_web("requirements.txt"), also_fine=[_digest(DEV)])


def ensure_dev() -> Path:
    """Make .venv hold what tests and lint need as well, and return its interpreter."""
    return _ensure(VENV, DEV, "the hub and its tests (.venv)", lambda: _install_web("requirements/dev.txt"))


def ensure_engines() -> None:
    """Build an engine for every requirements/engine-N.txt, the newest first."""
    for file in sorted(ROOT.glob("requirements/engine-[0-9]*.txt"), reverse=True):
        ensure_engine(f"e{file.stem.removeprefix('engine-')}")


def ensure_engine(name: str = "e5") -> Path:
    """Make .engines/NAME hold torch and requirements/engine-N.txt, and return its interpreter."""
    ensure_web()  # uv lives there
    home, file = ENGINES / name, ROOT / f"requirements/engine-{name.removeprefix('e')}.txt"
    files = [file, ROOT / "requirements/engine-common.txt"]
    return _ensure(home, files, f"engine {name} ({near(home)}, about 1 GB)", lambda: _install_engine(home, file))


# --- one environment -------------------------------------------------------------------------------------------------


def _ensure(
    home: Path, files: Sequence[Path], what: str, install: Callable[[], None], also_fine: Sequence[str] = ()
) -> Path:
    wanted, stamp, python = _digest(files), home / "dovetail-stamp", home / "bin" / "python"
    if _is_built(stamp, python, [wanted, *also_fine]):
        return python
    with _only_builder():
        if _is_built(stamp, python, [wanted, *also_fine]):
            return python
        machine.require_interpreter()
        machine.require_space(
            ROOT, machine.BUILD_BYTES if not python.exists() else machine.RUN_BYTES, f"Building {what}"
        )
        say(f"Building {what} …")
        started = time.monotonic()
        if not _runs(python):
            _make_venv(home)
        install()
        stamp.write_text(wanted)
        say(f"Built {what} in {time.monotonic() - started:.0f} s.")
    return python


def _digest(files: Sequence[Path]) -> str:
    hasher = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for file in files:
        hasher.update(file.read_bytes() if file.exists() else b"")
    return hasher.hexdigest()


def _is_built(stamp: Path, python: Path, accepted: Sequence[str]) -> bool:
    return stamp.exists() and stamp.read_text() in accepted and python.exists()


@contextmanager
def _only_builder() -> Iterator[None]:
    # Two `make up` in one fresh checkout must not install into the same folder at once.
    with (ROOT / "Makefile").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another command is building the environments of this checkout; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _runs(python: Path) -> bool:
    # A checkout that was moved, or whose interpreter was upgraded away, leaves a venv that exists and does not start.
    try:
        return subprocess.run([python, "-c", ""], check=False).returncode == 0
    except OSError:
        return False


def _make_venv(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(home)], f"making {near(home)}")


def _run(command: Sequence[str | Path], doing: str, environment: dict[str, str] | None = None) -> None:
    if subprocess.run(list(command), cwd=ROOT, env=environment, check=False).returncode != 0:
        raise Stop(
            f"{doing.capitalize()} failed; the lines above say why (often: no network, or a full disk). "
            f"Run the same command again."
        )


def _pip(home: Path) -> list[str | Path]:
    return [home / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _uv_install(home: Path, *arguments: str | Path) -> None:
    uv = VENV / "bin" / "uv"
    _run(
        [uv, "pip", "install", "--python", home / "bin" / "python", *arguments],
        f"installing into {near(home)}",
        _uv_env(),
    )


def _uv_env() -> dict[str, str]:
    """Return an environment in which uv asks the index that pip is configured for; it reads no pip.conf itself."""
    environment = dict(os.environ)
    environment.setdefault("UV_SYSTEM_CERTS", "1")
    environment.pop("VIRTUAL_ENV", None)
    listed = subprocess.run([*_pip(VENV), "config", "list"], capture_output=True, text=True, check=False).stdout
    if index := re.search(r"^(?:global|install|:env:)\.index-url='([^']+)'", listed, re.MULTILINE):
        environment.setdefault("UV_DEFAULT_INDEX", index[1])
    return environment


# --- what goes in ----------------------------------------------------------------------------------------------------


def _install_web(requirements: str) -> None:
    if not (VENV / "bin" / "uv").exists():
        _run([*_pip(VENV), "install", "--quiet", UV], "installing uv")
    _uv_install(VENV, "-r", requirements, "-c", "requirements/constraints.txt", "-e", "client")


def _install_engine(home: Path, requirements: Path) -> None:
    pin = _torch_pin(requirements)
    if not _has_torch(home, pin):
        _install_torch(home, pin)
    _uv_install(home, "-r", requirements)
    _check_torch(home)


def _torch_pin(requirements: Path) -> str:
    for file in (requirements, ROOT / "requirements/engine-common.txt"):
        if found := re.search(r"^torch==\S+", file.read_text(), re.MULTILINE):
            return found[0]
    raise Stop(f"{near(requirements)} pins no torch: add a line like torch==2.13.0.")


def _has_torch(home: Path, pin: str) -> bool:
    version = pin.partition("==")[2]
    return any(home.glob(f"lib/python3*/site-packages/torch-{version}*.dist-info"))


def _install_torch(home: Path, pin: str) -> None:
    """Install torch, as its CPU build where one can be had; asks pip's own sources, then the CPU index, then PyPI.

    Where another engine holds that release, its files are linked: a gigabyte is there once, on disk and in memory.
    """
    twin = next((other for other in ENGINES.glob("*") if other != home and _has_torch(other, pin)), None)
    if twin:
        say(f"torch: the one of {near(twin)}.")
        _link_torch(twin, home)
    elif _pip_finds_cpu_build(home, pin):
        say("torch: the CPU build, from where pip is configured to look.")
        _run([*_pip(home), "install", "--no-deps", pin], "installing torch")
    elif machine.is_linux_cpu_only() and (index := _cpu_index()):
        say(f"torch: the CPU build, from {index}.")
        _run([*_pip(home), "install", "--no-deps", "--index-url", index, pin], "installing torch")
    else:
        if machine.is_linux_cpu_only():
            say(
                "torch: neither pip's own sources nor PyTorch's CPU index offer the CPU build here, so it comes from "
                "PyPI with CUDA, about 3 GB; set TORCH_INDEX=URL to an index of CPU builds to avoid that."
            )
            machine.require_space(ROOT, 8 * machine.GIB, "torch with CUDA")
        _uv_install(home, pin)


def _link_torch(twin: Path, home: Path) -> None:
    """Link every file that torch's own record names from one engine into another."""
    (record,) = twin.glob("lib/python3*/site-packages/torch-*.dist-info/RECORD")
    source = record.parents[1]
    target = home / source.relative_to(twin)
    for line in csv.reader(record.read_text().splitlines()):
        here, there = source / line[0], target / line[0]
        if ".." in line[0] or not here.exists() or here.suffix == ".pyc":
            continue  # command line tools name the interpreter they were made for
        there.parent.mkdir(parents=True, exist_ok=True)
        there.unlink(missing_ok=True)
        os.link(here, there)


def _pip_finds_cpu_build(home: Path, pin: str) -> bool:
    ask = [
        *_pip(home),
        "--timeout",
        "5",
        "--retries",
        "0",
        "install",
        "--dry-run",
        "--no-deps",
        "--quiet",
        "--report",
        "-",
        pin,
    ]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=False)
        return any(item["metadata"]["version"].endswith("+cpu") for item in json.loads(answer.stdout)["install"])
    except (subprocess.TimeoutExpired, json.JSONDecodeError, KeyError):
        return False


def _cpu_index() -> str:
    """Return TORCH_INDEX, else PyTorch's CPU index when it answers within three seconds, else an empty string."""
    if given := os.environ.get("TORCH_INDEX"):
        return given
    host = CPU_INDEX.split("/")[2]
    # In a process of its own: a resolver that hangs obeys no timeout of ours.
    probe = f"import urllib.request as u; u.urlopen(u.Request('{CPU_INDEX}/torch/', method='HEAD'), timeout=3)"
    try:
        done = subprocess.run([sys.executable, "-c", probe], capture_output=True, timeout=3, check=False)
        return CPU_INDEX if done.returncode == 0 else ""
    except subprocess.TimeoutExpired:
        say(f"torch: {host} does not answer.")
        return ""


def _check_torch(home: Path) -> None:
    if not machine.is_linux_cpu_only():
        return
    line = "import torch; print(torch.version.cuda or '')"
    done = subprocess.run([home / "bin" / "python", "-c", line], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Stop(
            f"torch does not start in {near(home)}: {done.stderr.strip().splitlines()[-1]}. "
            f"Remove that folder and run this again."
        )
    if done.stdout.strip():
        complain(
            f"Note: {near(home)} holds torch for CUDA {done.stdout.strip()} on a host without a GPU: "
            f"it works, and takes 3 GB more than the CPU build."
        )


def pin() -> None:
    """Resolve what the hub and its tests need into requirements/constraints.txt; existing pins stay where they fit."""
    ensure_web()
    constraints = ROOT / "requirements/constraints.txt"
    first = constraints.read_text().splitlines()[0]
    wanted = [line for file in (ROOT / "requirements.txt", DEV[-1]) for line in file.read_text().splitlines()]
    direct = "\n".join(line for line in wanted if not line.startswith(("-r", "-c")))
    options = [
        "--quiet",
        "--no-header",
        "--no-annotate",
        "--universal",
        "--python-version",
        "3.11",
        "-o",
        str(constraints),
    ]
    command = [str(VENV / "bin" / "uv"), "pip", "compile", "-", *options]
    if subprocess.run(command, input=direct, text=True, cwd=ROOT, env=_uv_env(), check=False).returncode != 0:
        raise Stop("The requirements do not resolve; the lines above say why.")
    constraints.write_text(f"{first}\n{constraints.read_text()}")


def main(names: Sequence[str]) -> None:
    """Build the environments that are named: web, dev, an engine such as e5, or engines for all of them."""
    builders: dict[str, Callable[[], object]] = {"web": ensure_web, "dev": ensure_dev, "engines": ensure_engines}
    for name in names:
        builders[name]() if name in builders else ensure_engine(name)
