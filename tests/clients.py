"""Stock releases of huggingface_hub, each in an environment of its own under .clients/: the judges of the wire."""

import fcntl
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ROOT / ".clients"
# The newest release; and the last one that is built on requests, asks for LFS first, and has no `hf_xet` of its own.
PINS = {
    "2.4.0": ["huggingface_hub==2.4.0", "hf_xet==1.8.0"],
    "0.36.2": ["huggingface_hub==0.36.2", "hf_xet==1.8.0"],
}


def build(release: str) -> Path:
    """Return the bin folder of the release's environment, which is made when it is not there."""
    folder = CLIENTS / f"hf-{release}"
    if (folder / "complete").exists():
        return folder / "bin"
    CLIENTS.mkdir(exist_ok=True)
    with (CLIENTS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in two processes, and both may want it first
        if not (folder / "complete").exists():
            _install(release, folder)
    return folder / "bin"


def _install(release: str, folder: Path) -> None:
    uv = str(ROOT / ".venv" / "bin" / "uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", str(folder)], check=True, cwd=ROOT)
    python = str(folder / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PINS[release]], check=True, cwd=ROOT)
    (folder / "complete").touch()


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

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=180)


if __name__ == "__main__":  # python -m tests.clients: build them all
    for pin in PINS:
        print(build(pin))
