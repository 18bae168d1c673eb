"""Requirements on this machine before anything is built or started; each that is missing is one sentence."""

import importlib.util
import os
import platform
import shutil
import socket
import stat
import sys
import tempfile
from pathlib import Path

from ops.sentences import Stop, near, say

GIB = 1 << 30
BUILD_BYTES = 3 * GIB
RUN_BYTES = GIB // 4


def require_interpreter() -> None:
    """Refuse a Python that is too old, or that lacks the venv module, which Debian packages separately."""
    if sys.version_info < (3, 11):  # noqa: UP036  # this file also runs under older interpreters
        raise Stop(
            f"Dovetail needs Python 3.11 or newer; {sys.executable} is {platform.python_version()}. Install python3.11."
        )
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        name = f"python{sys.version_info.major}.{sys.version_info.minor}"
        raise Stop(
            f"{name} cannot make virtual environments here: install the package {name}-venv (apt install {name}-venv)."
        )


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Refuse a file system with less than `wanted` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Stop(
            f"{purpose} needs {needed / GIB:.2g} GB of disk, and {near(folder)} has {free / GIB:.2g} GB free: "
            f"make room, or move the checkout or DATA to a larger disk."
        )


def require_writable(folder: Path) -> None:
    """Create the folder if it is missing, and refuse one that cannot be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds private adapters and password digests
        _close_to_others(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Stop(f"The data folder {folder} cannot be written ({reason}): choose another with DATA=DIR.") from None


def _close_to_others(folder: Path) -> None:
    """Take the right to enter from all other accounts where an earlier start has given it; a group keeps its own.

    A folder without a key was not made by a hub: it may be one that others need.
    """
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IRWXO and (folder / "secret_key").exists() and folder.stat().st_uid == os.getuid():
        folder.chmod(mode & ~stat.S_IRWXO)
        say(f"Every account of this machine could read {folder}; now only yours and its group can.")


def require_port(host: str, port: int) -> None:
    """Refuse an address that this process could not listen on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise Stop(f"Port {port} needs root: choose one above 1023 with PORT=N.") from None
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == 99:
                raise Stop(f"{host} is not an address of this machine: choose another with HOST=ADDRESS.") from None
            raise Stop(
                f"Port {port} on {host} is in use by another program: stop that one, or choose another with PORT=N."
            ) from None


def port_number(text: str) -> int:
    """Parse a port number."""
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise Stop(f"PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def has_gpu() -> bool:
    """Return whether an NVIDIA driver is loaded; any other host counts as CPU-only."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def is_linux_cpu_only() -> bool:
    """Return whether PyPI's default build of torch would install gigabytes of CUDA that cannot be used."""
    return sys.platform == "linux" and not has_gpu()


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_root() -> bool:
    """Return whether this process may use apt."""
    return os.geteuid() == 0
