"""Stock clients, each in an environment of its own: the judges of the wire.

Releases of huggingface_hub live under .clients/; `e4` and `e5` are the engines' environments, which hold transformers,
peft and adapters; what a test needs beside those is installed into a folder of its own.
"""

import fcntl
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ops import environments

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ROOT / ".clients"
ENGINES = ("e4", "e5")
# The newest release, the newest of the line before, and the last one that is built on requests and asks for LFS first.
PINS = {
    "2.4.0": ["huggingface_hub==2.4.0", "hf_xet==1.8.0"],
    "1.33.0": ["huggingface_hub==1.33.0", "hf_xet==1.8.0"],
    "0.36.2": ["huggingface_hub==0.36.2", "hf_xet==1.8.0"],
}


def build(release: str) -> Path:
    """Return the bin folder of the release's environment, which is made when it is not there."""
    if release in ENGINES:
        return ROOT / ".engines" / release / "bin"
    folder = CLIENTS / f"hf-{release}"
    once(folder, lambda: _install(release, folder))
    return folder / "bin"


def beside(engine: str, *pins: str) -> Path:
    """Return a folder for PYTHONPATH with these packages, and nothing that they need, for an engine's interpreter."""
    folder = CLIENTS / pins[0].replace("==", "-")
    options = ["--quiet", "--python", build(engine) / "python", "--target", folder, "--no-deps"]
    once(folder, lambda: environments.uv("pip", "install", *options, *pins))
    return folder


def once(folder: Path, install: Callable[[], None]) -> None:
    """Install into a folder unless that was done before; of several processes one does it."""
    CLIENTS.mkdir(exist_ok=True)
    with (CLIENTS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes of one run may want it first
        if not (folder / "complete").exists():
            install()
            (folder / "complete").touch()


def _install(release: str, folder: Path) -> None:
    environments.uv("venv", "--quiet", "--clear", folder)
    environments.uv("pip", "install", "--quiet", "--python", folder / "bin" / "python", *PINS[release])


@dataclass
class Client:
    """One person at one computer with one release: a home, a token, and the hub's address."""

    release: str
    endpoint: str
    token: str
    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        ours = ("HF_", "DOVETAIL_", "DJANGO_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        chosen = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(self.home),
            "HF_TOKEN": self.token,
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_COLOR": "1",
        }
        return kept | {name: value for name, value in chosen.items() if value} | self.settings

    def hf(self, *arguments: str | Path) -> str:
        """Run the command line of this release and return what it printed; fail when it fails."""
        done = self.try_hf(*arguments)
        assert done.returncode == 0, f"hf {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def try_hf(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self._run([str(build(self.release) / "hf"), *map(str, arguments)])

    def python(self, program: str, *arguments: str | Path) -> str:
        """Run a program with this release's library and return what it printed; fail when it fails."""
        done = self._run([str(build(self.release) / "python"), "-c", program, *map(str, arguments)])
        assert done.returncode == 0, f"{program}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def program(self, file: Path, *arguments: str | Path) -> str:
        """Run a file with this release's interpreter and return what it printed; fail when it fails."""
        done = self._run([str(build(self.release) / "python"), str(file), *map(str, arguments)])
        assert done.returncode == 0, f"{file.name}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=180)


if __name__ == "__main__":  # python -m tests.clients: build them all
    for pin in PINS:
        print(build(pin))
