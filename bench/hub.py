"""A hub for benchmarks: started by `make up` in a folder of its own, with one person who may write."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from ops.hub import DEMO_BASE, DEMO_PACKAGE
from ops.machine import free_port
from ops.sentences import ROOT
from tests.ops.production import Deployment

TOKEN = "hf_benchmark_of_a_hub"  # of a hub that lives for minutes
BIN = ROOT / ".venv" / "bin"


class Served:
    """A hub that answers at a port of this machine."""

    port: int
    url: str

    def webs(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        raise NotImplementedError

    def web_seconds(self) -> float:
        """Return the processor time that the web processes have spent so far, in seconds."""
        return float(sum(times.user + times.system for one in self.webs() for times in [one.cpu_times()]))

    def ask(self, path: str) -> dict[str, Any]:
        """GET a JSON object."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            document: dict[str, Any] = json.load(answer)
            return document


class Hub(Served):
    """One hub that can be restarted: SQLite, a folder of files, nginx."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.settings = folder, settings
        self.data = folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        people = self.folder / "people.json"
        people.write_text(json.dumps(_people()))
        self.manage("provision", str(people))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> float:
        """Run `make up` until /readyz answers 200; return the seconds it took."""
        started = time.monotonic()
        command = ["make", "up", f"PORT={self.port}", f"DATA={self.data}"]
        with (self.folder / "up.txt").open("ab") as out:
            self.process = subprocess.Popen(command, cwd=ROOT, env=os.environ | self.settings, stdout=out, stderr=out)
        while not self._is_ready():
            if self.process.poll() is not None:
                raise SystemExit((self.folder / "up.txt").read_text())
            time.sleep(0.02)
        return time.monotonic() - started

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def family(self) -> list[psutil.Process]:
        processes: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return processes

    def webs(self) -> list[psutil.Process]:
        return [one for one in self.family() if "gunicorn" in _command(one)]

    @staticmethod
    def is_engine(process: psutil.Process) -> bool:
        return "/.engines/" in _command(process)

    def manage(self, *arguments: str) -> str:
        environment = os.environ | {"DATA": str(self.data), "PORT": str(self.port)}
        command = [str(BIN / "python"), "-m", "ops", "manage", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    def hf(self, *arguments: str) -> None:
        """Run the stock client."""
        environment = {"HF_ENDPOINT": self.url, "HF_TOKEN": TOKEN, "HF_HOME": str(self.folder / "hf")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        subprocess.run([str(BIN / "hf"), *arguments], env=kept | environment, check=True, capture_output=True)


def _command(process: psutil.Process) -> str:
    """Return the command line of a process; empty for one that has ended since it was listed."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


class Production(Served):
    """What docker-compose.yml describes, without Docker: PostgreSQL, S3, Redis, nginx, one web, a worker."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.port, self.url = deployment.ports["nginx"], deployment.url
        people = deployment.folder / "people.json"
        base = {"id": DEMO_BASE, "package": DEMO_PACKAGE}
        people.write_text(json.dumps({**_people(), "bases": [base]}))
        deployment.manage("provision", str(people))

    def webs(self) -> list[psutil.Process]:
        return [
            one
            for name, process in self._deployment.processes.items()
            if name.startswith("web-")
            for one in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True))
        ]


def _people() -> dict[str, object]:
    """Return who is on the hub, as `provision` reads it."""
    token = {"name": "bench", "role": "write", "value": TOKEN}
    person = {"name": "bench", "password": "benchmark of a hub", "tokens": [token]}
    return {"users": [person], "site": {"throttle": "off"}}
