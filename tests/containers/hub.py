"""Starts docker-compose.yml in Docker as docs/production.md says, from a copy of this checkout with its own .env."""

import json
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.sentences import ROOT
from tests.services import free_ports, own_folder

PROJECT = "dovetail-containers"
SUBNET = "172.30.96"


@dataclass
class Hub:
    """A hub in containers: the folder that an operator would stand in, and the port that nginx is published on."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def compose(self, *arguments: str, text: str | None = None, may_fail: bool = False) -> str:
        """Run `docker compose ARGUMENTS` in the folder; return what it prints."""
        done = subprocess.run(
            ["docker", "compose", *arguments], cwd=self.folder, input=text, capture_output=True, text=True
        )
        assert may_fail or done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout if not may_fail else done.stdout + done.stderr

    def manage(self, *arguments: str, text: str | None = None) -> str:
        return self.compose("run", "--rm", "-T", "manage", *arguments, text=text)

    def python(self, service: str, program: str) -> str:
        """Run a Python program in a container of a service; return what it prints, or the end of its traceback."""
        return self.compose("exec", "-T", service, "python", "-c", program, may_fail=True).strip()

    def containers(self) -> list[dict[str, Any]]:
        """Return what `docker inspect` says of each running container."""
        ids = self.compose("ps", "-q").split()
        found: list[dict[str, Any]] = json.loads(subprocess.check_output(["docker", "inspect", *ids]))
        return found

    def of(self, service: str) -> list[dict[str, Any]]:
        """Return the containers of one service."""
        return [one for one in self.containers() if service_of(one) == service]

    def set(self, **values: object) -> None:
        """Write values into .env."""
        file = self.folder / ".env"
        text = file.read_text()
        for name, value in values.items():
            line = f"{name}={value}"
            text, count = re.subn(rf"^{name}=.*$", lambda _, line=line: line, text, flags=re.MULTILINE)
            text = text if count else f"{text}\n{line}\n"
        file.write_text(text)


def service_of(container: dict[str, Any]) -> str:
    name: str = container["Config"]["Labels"]["com.docker.compose.service"]
    return name


def wait_until(condition: Callable[[], object], what: str, seconds: float = 600) -> None:
    """Return when the condition holds; fail with `what` if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


@contextmanager
def checkout() -> Iterator[Hub]:
    """Yield a hub that is not started: the files that git knows, and .env filled in; remove everything at the end."""
    with own_folder() as folder:
        for name in subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0"):
            if name and (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        if not subprocess.run(["docker", "image", "inspect", "roots/trixie"], capture_output=True).returncode:
            for file in (folder / "docker-compose.yml", *folder.glob("deploy/*.Dockerfile")):  # bases.sh made stand-ins
                file.write_text(re.sub("@sha256:[0-9a-f]{64}", "", file.read_text()))
        folder.chmod(0o755)  # nginx's user reads its configuration from here
        hub = Hub(folder, free_ports()[0])
        shutil.copy(folder / "deploy/env.example", folder / ".env")
        words = ("DOVETAIL_SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_SECRET_KEY")
        hub.set(**{name: secrets.token_hex(32) for name in words}, DOVETAIL_PORT=hub.port)
        hub.set(SUBNET=SUBNET, COMPOSE_PROJECT_NAME=PROJECT)
        try:
            yield hub
        finally:
            hub.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20")
