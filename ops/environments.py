"""Builds the interpreters of this checkout with uv: .venv for the hub, .engines/NAME for each engine.

Engines that prove adapters have a number. Serving engines that are tried with adapters, such as .engines/vllm, are
built by name alone.

requirements/constraints*.txt are the lock files: they pin every release by the hashes of its files, also those that
others pull in. Of torch alone, and of what its builds pull in, they hold nothing: docs/releases.md says why.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from hub.about import VERSION
from ops import converters, machine
from ops.sentences import ROOT, Stop, near, say, say_for_now

VENV = ROOT / ".venv"
ENGINES = ROOT / ".engines"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"  # run it in uv_environment()
UV_PIN = ROOT / "requirements/uv.txt"
BUILD = ("--build-constraints", ROOT / "requirements/build.txt")  # what builds our own packages, by hashes
WHEEL = ("build", "--quiet", "--wheel", "--require-hashes", *BUILD)
DEV = "requirements/dev.txt"
VLLM = "requirements/engine-vllm.txt"
# Files by which packages get other releases than they ask for.
OVERRIDES = {VLLM: "requirements/overrides-vllm.txt"}
WHEELS = ROOT / "client" / "dist"  # what the hub serves at /simple/
# Options of pip's configuration, which uv does not read, and uv's variables for the same.
PIP_OPTIONS = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
PROBE_SECONDS = 15
EPOCH = "1704067200"  # the time of every file in the wheel


def ensure_web() -> Path:
    """Make .venv hold requirements.txt, and return its interpreter."""
    return _ensure(VENV, "requirements.txt")


def ensure_dev() -> Path:
    """Make .venv hold what tests and lint need as well, and return its interpreter."""
    return _ensure(VENV, DEV)


def ensure_engines() -> None:
    """Build an engine for every requirements/engine-N.txt, the newest first."""
    for file in sorted(ROOT.glob("requirements/engine-[0-9]*.txt"), reverse=True):
        ensure_engine(f"e{file.stem.removeprefix('engine-')}")


def ensure_engine(name: str = "e5") -> Path:
    """Make .engines/NAME hold torch and requirements/engine-N.txt, and return its interpreter."""
    requirements = requirements_of(name)
    python = _ensure(ENGINES / name, requirements, torch_pins(requirements))
    if name == "llama.cpp":
        converters.ensure(ENGINES / name, PYTHON, _require_success)
    return python


def requirements_of(engine: str) -> str:
    """Return the requirements of an engine: those of e5 are in engine-5.txt, those of vllm in engine-vllm.txt."""
    return f"requirements/engine-{re.sub(r'^e(?=[0-9]+$)', '', engine)}.txt"


def ensure_wheel() -> bool:
    """Build the wheels of the client and its format library unless they are newer than their sources.

    Return whether they are there. Their bytes depend on the sources alone, so that every machine of a hub serves the
    same ones. Wheels of other releases stay where they are.
    """
    client, version = ROOT / "client", client_version()
    library = f"{version}{'.' if '+' in version else '+'}hub"
    sources = [*client.glob("*.[tm]*"), *client.glob("adapters/*.[tm]*"), *client.glob("src/dovetail/**/*.[pj][ys]*")]
    changed = max(file.stat().st_mtime for file in sources)
    fresh = {"-".join(file.name.split("-")[:2]) for file in WHEELS.glob("*.whl") if file.stat().st_mtime > changed}
    if {f"dovetail_hub-{version}", f"dovetail_adapters-{library}"} <= fresh:
        return True
    with tempfile.TemporaryDirectory(prefix="dovetail-wheel-") as temporary:
        copy = shutil.copytree(client, Path(temporary, "client"), ignore=shutil.ignore_patterns("*.egg-info", "build"))
        for name in ("pyproject.toml", "adapters/pyproject.toml", "src/dovetail/__init__.py"):
            text = (copy / name).read_text().replace(f'{VERSION}+hub"', f'{library}"')
            (copy / name).write_text(text.replace(f'"{VERSION}"', f'"{version}"'))
        try:
            out = Path(temporary, "out")
            for project in (copy / "adapters", copy):
                uv(*WHEEL, "--out-dir", out, project, SOURCE_DATE_EPOCH=EPOCH)
        except Stop:
            say("The client's wheels were not built, so the hub serves none at /simple/; the next start tries again.")
            return False
        WHEELS.mkdir(exist_ok=True)
        for wheel in WHEELS.glob("*.dev*"):  # of another state of this checkout
            wheel.unlink()
        for wheel in out.glob("*.whl"):
            shutil.copy(wheel, WHEELS / f".{wheel.name}")
            (WHEELS / f".{wheel.name}").replace(WHEELS / wheel.name)
    return True


def client_version() -> str:
    """Return the version of the client's wheels: VERSION, or of a checkout whose client is newer one of development.

    That is 0.4.0.dev12+gSHA after 0.3.0: 12 commits to the client, the last of which is SHA. The release is its tag or,
    without tags, the commit that changed VERSION; without git every tree is the release.
    """

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    try:
        release = git("tag", "--list", f"v{VERSION}") or git("log", "-1", "--format=%H", "-G^VERSION =", "hub/about.py")
        commits = git("rev-list", "--count", f"{release}..HEAD", "--", "client")
        is_changed, last = git("status", "--porcelain", "client"), git("log", "-1", "--format=%h", "--", "client")
    except (OSError, subprocess.CalledProcessError):
        return VERSION
    if not release or (commits == "0" and not is_changed):
        return VERSION
    major, minor = VERSION.split(".")[:2]
    return f"{major}.{int(minor) + 1}.0.dev{commits}+g{last}{'.dirty' if is_changed else ''}"


def uv(*arguments: str | Path, **variables: str) -> None:
    """Run uv with the system's certificates and pip's indexes. Raises Stop when it fails."""
    _require_success([UV, *arguments], f"`uv {arguments[0]}`", uv_environment() | variables)


def install_locked(python: str | Path, lock: Path, *options: str | Path) -> None:
    """Install exactly what a lock file names, by the hashes in it. Raises Stop, also for a file with another hash."""
    uv("pip", "install", "--python", python, *options, "--no-deps", "--require-hashes", "-r", lock)


def lock_of(requirements: str) -> Path:
    """Return the lock file of a requirements file, which names it as its constraints."""
    file = ROOT / requirements
    [lock] = re.findall(r"^-c (\S+)$", file.read_text(), re.MULTILINE)
    return file.parent / str(lock)


def overrides(requirements: str) -> list[str]:
    """Return the options of uv by which packages of this environment get others than they ask for."""
    return ["--override", OVERRIDES[requirements]] if requirements in OVERRIDES else []


def main(names: Sequence[str]) -> None:
    """Build what is named: web, dev, wheel (the client and its library), e5, vllm, or engines (all that prove)."""
    builders: dict[str, Callable[[], object]] = {
        "web": ensure_web,
        "dev": ensure_dev,
        "engines": ensure_engines,
        "wheel": ensure_wheel,
    }
    for name in names:
        builders[name]() if name in builders else ensure_engine(name)


# --- one environment -------------------------------------------------------------------------------------------------


def _ensure(home: Path, requirements: str, torch: Sequence[str] = ()) -> Path:
    python = home / "bin" / "python"
    with _one_builder():
        if not _is_complete(home, requirements, torch):
            _build(home, requirements, torch)
    return python


@contextmanager
def _one_builder() -> Iterator[None]:
    # Two `make up` in one fresh checkout must not create the same folder at once.
    with (ROOT / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _starts(program: Path) -> bool:
    # A checkout that was moved, or whose interpreter was upgraded away, leaves programs that exist and do not start.
    try:
        return subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _install_uv() -> None:
    machine.require_interpreter()
    machine.require_space(ROOT, machine.BUILD_BYTES, "Building the hub and its engines")
    shutil.rmtree(VENV, ignore_errors=True)
    _require_success([sys.executable, "-m", "venv", VENV], f"Making {near(VENV)}")
    pip: list[str | Path] = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    _require_success([*pip, "install", "--quiet", "--require-hashes", "-r", UV_PIN], "Installing uv")


def _is_complete(home: Path, requirements: str, torch: Sequence[str]) -> bool:
    """Return whether the environment holds all of it; asks neither network nor cache, which may be closed to us."""
    uv_program, python = UV, home / "bin" / "python"
    if not uv_program.exists() or not _has(home, torch):
        return False
    if requirements == VLLM:  # its wheel says cp312 inside, so uv takes the installed package for one of another Python
        return _starts(python) and _has(home, re.findall(r"^\S+==\S+", (ROOT / VLLM).read_text(), re.MULTILINE))
    command: list[str | Path] = [uv_program, "pip", "install", "--offline", "--no-cache", "--python", python]
    command += ["-r", requirements, *overrides(requirements)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


def _build(home: Path, requirements: str, torch: Sequence[str]) -> None:
    started = time.monotonic()
    say(f"Building {near(home)} from {requirements} …")
    python = home / "bin" / "python"
    if not _starts(PYTHON) or not _starts(UV):
        _install_uv()
    machine.require_space(ROOT, machine.RUN_BYTES, f"Building {near(home)}")
    if not _starts(python):
        uv("venv", "--quiet", "--clear", "--python", sys.executable, home)
    # The hub's processes would compile what they import, and keep the memory that it took; engines end anyway.
    bytecode = ["--compile-bytecode"] if home == VENV else []
    install_locked(python, lock_of(requirements), *bytecode)
    if not _has(home, torch):  # all that it needs and that is no part of its build is there already
        uv("pip", "install", "--python", python, *torch_options(python, torch), *torch)
    if home == VENV:
        ours = [option for project in ("adapters", "") for option in ("-e", ROOT / "client" / project)]
        uv("pip", "install", "--python", python, *bytecode, "--no-deps", *BUILD, *ours)
    packages = len(list(home.glob("lib/python3*/site-packages/*.dist-info")))
    say(f"Built {near(home)}: {packages} packages in {time.monotonic() - started:.0f} s.")


def _has(home: Path, pins: Sequence[str]) -> bool:
    packages = home / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    return all(any(packages.glob(f"{pin.replace('-', '_').replace('==', '-')}*.dist-info")) for pin in pins)


def _require_success(command: Sequence[str | Path], doing: str, environment: dict[str, str] | None = None) -> None:
    """Run a command, and show in a terminal the last line that it wrote; show all of them only if it fails."""
    lines: list[str] = []
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None, "it is a pipe"
        for line in run.stdout:
            lines.append(line)
            say_for_now(f"  {line.strip()}")
    say_for_now("")
    if run.returncode != 0:
        say("".join(lines).rstrip())
        raise Stop(
            f"{doing} failed; the lines above say why (often: no network, or a full disk). Run the same command again."
        )


@cache
def uv_environment() -> dict[str, str]:
    """Return this process's environment with what uv needs to find what pip finds."""
    environment = {"UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never"} | os.environ
    environment.pop("VIRTUAL_ENV", None)
    configuration = _output([PYTHON, "-m", "pip", "config", "list"])
    for option, variable in PIP_OPTIONS.items():
        if value := re.search(rf"^(?:global|install|:env:)\.{option}='([^']+)'", configuration, re.MULTILINE):
            environment.setdefault(variable, value[1])
    uv_cache = Path(_output([UV, "cache", "dir"]).strip())
    uv_cache.mkdir(parents=True, exist_ok=True)
    if uv_cache.stat().st_dev != ROOT.stat().st_dev:  # links need one file system; without them torch is there twice
        environment["UV_CACHE_DIR"] = str(VENV / "uv-cache")
    return environment


def _output(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


# --- torch -----------------------------------------------------------------------------------------------------------


def torch_pins(requirements: str) -> list[str]:
    """Return the lines that pin torch, for every engine the same, and torchvision where an engine needs it."""
    text = (ROOT / "requirements/engine-common.txt").read_text() + (ROOT / requirements).read_text()
    pins = dict.fromkeys(re.findall(r"^(?:torch|torchvision)==\S+", text, re.MULTILINE))
    if not pins:
        raise Stop("requirements/engine-common.txt pins no torch: add a line like torch==2.13.0.")
    return list(pins)


def torch_options(python: Path, torch: Sequence[str]) -> list[str]:
    """Return uv's options for the CPU build of torch where no GPU is and the build can be had, else none.

    Asks TORCH_INDEX alone if it is set, else the configured indexes, then PyTorch's own.
    """
    if index := os.environ.get("TORCH_INDEX"):
        return ["--default-index", index]
    if not machine.is_linux_cpu_only():
        return []
    choices: list[list[str]] = [[], ["--torch-backend", "cpu"]]
    for options in choices:
        if _offers_cpu_build(python, [*options, *torch]):
            return options
    say(
        "torch: neither pip's own sources nor PyTorch's CPU index offer the CPU build here, so it comes from "
        "PyPI with CUDA, about 3 GB; set TORCH_INDEX=URL to an index of CPU builds to avoid that."
    )
    machine.require_space(ROOT, 8 * machine.GIB, "torch with CUDA")
    return []


def _offers_cpu_build(python: Path, arguments: list[str]) -> bool:
    ask: list[str | Path] = [UV, "pip", "install", "--dry-run", "--no-deps"]
    ask += ["--python", python, *arguments]
    environment = uv_environment() | {"UV_HTTP_RETRIES": "0"}
    try:
        done = subprocess.run(ask, env=environment, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return "+cpu" in done.stderr
