"""Starts what docker-compose.yml describes without Docker: the same programs, flags and settings, on free ports."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ops.sentences import ROOT
from ops.services import SYSTEM_PATH
from tests.ops import compose
from tests.services import answers, bundled_postgres, free_ports, new_cluster, own_folder, running

SECRETS = {
    "DOVETAIL_SECRET_KEY": "production-shape-of-the-tests-" * 3,
    "POSTGRES_PASSWORD": "pgpassword1",
    "REDIS_PASSWORD": "redispassword1",
    "S3_ACCESS_KEY": "s3access",
    "S3_SECRET_KEY": "s3secretsecret",
}

OUTER_PROXY = "127.0.0.9"  # of this machine's own addresses, the one that a proxy before nginx speaks from


@dataclass
class Deployment:
    """A running deployment: the ports of its services, and the local paths of their containers."""

    folder: Path
    ports: dict[str, int]
    webs: list[int]
    settings: Mapping[str, str] = field(default_factory=dict)  # what .env holds beside `variables`
    engines: Path = ROOT / ".engines"
    overrides: dict[str, dict[str, str]] = field(default_factory=dict)  # environment of one process at its next start
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)
    _starts: dict[str, Callable[[], AbstractContextManager[subprocess.Popen]]] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def add(self, name: str, start: Callable[[], AbstractContextManager[subprocess.Popen]]) -> None:
        """Start a process that `start` can start again, and end it with the deployment."""
        self._starts[name] = start
        self.start(name)

    def start(self, name: str) -> None:
        """Start a process, as Docker does again after it was killed, and wait until it is ready."""
        self.processes[name] = self._stack.enter_context(self._starts[name]())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['nginx']}"

    def here(self, text: str) -> str:
        """Translate what the compose file says inside containers into what is true on this machine."""
        for theirs, ours in {
            "@postgres:5432": f"@127.0.0.1:{self.ports['postgres']}",
            "@redis:6379": f"@127.0.0.1:{self.ports['redis']}",
            "http://s3:8333": f"http://127.0.0.1:{self.ports['s3']}",
            "http://127.0.0.1:8333": f"http://127.0.0.1:{self.ports['s3']}",
            "http://127.0.0.1:8080": self.url,
            "172.30.97.2": "127.0.0.1",
            "/app/.engines": str(self.engines),
            "/app/collected": str(self.folder / "collected"),
            "/metrics": str(self.folder / "metrics"),
            "/tmp/beat": str(self.folder / "beat"),
            "/scratch": str(self.folder / "scratch"),
        }.items():
            text = text.replace(theirs, ours)
        return re.sub(r"(?<![\w.])/data\b", str(self.folder / "data"), text)

    def variables(self) -> dict[str, str]:
        blobs = f"s3://dovetail-blobs?endpoint=http://s3:8333&public={self.url}&seconds=60"  # a test may run slowly
        return {
            **SECRETS,
            "DOVETAIL_PUBLIC_URL": self.url,
            "DOVETAIL_BLOBS": blobs,
            "OUTER_PROXIES": OUTER_PROXY,
            "DOVETAIL_PLANE_URL": f"{self.url}/dovetail-blobs/plane",
            "PLANE": f"http://127.0.0.1:{self.ports['s3']}/dovetail-blobs/plane",
            **self.settings,
        }

    def command(self, name: str) -> list[str]:
        words = [self.here(word) for word in compose.command(name, self.variables())]
        return [str(ROOT / ".venv/bin/python"), *words[1:]] if words[0] == "python" else words

    def environment(self, name: str) -> dict[str, str]:
        given = {key: self.here(value) for key, value in compose.environment(name, self.variables()).items()}
        return {"PATH": SYSTEM_PATH, "HOME": str(self.folder), "LANG": "C.UTF-8", **given}

    def manage(self, *arguments: str) -> str:
        """Run `docker compose run manage ARGUMENTS`."""
        command = [*self.command("manage")[:2], *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment("manage"), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def is_well(self, name: str) -> bool:
        """Run the health check of a service once."""
        test = [self.here(word) for word in compose.services()[name]["healthcheck"]["test"][1:]]
        test[0] = str(ROOT / ".venv/bin/python") if test[0] == "python" else test[0]
        if name == "web":
            test = [word.replace(":8000", f":{self.webs[0]}") for word in test]
        if name == "redis":
            test += ["-p", str(self.ports["redis"])]
            test = [test[0], *test[2:], test[1]]
        environment = self.environment(name)
        return subprocess.run(test, cwd=ROOT, env=environment, capture_output=True).returncode == 0


def nginx_program() -> str | None:
    return shutil.which("nginx", path=SYSTEM_PATH)


@contextmanager
def run_deployment(
    webs: int = 2, workers: int = 2, settings: Mapping[str, str] | None = None, engines: Path = ROOT / ".engines"
) -> Iterator[Deployment]:
    """Run all services, with these settings in .env; yield when all of them are started."""
    with own_folder() as folder, ExitStack() as stack:
        names = ["nginx", "postgres", "redis", "s3"]
        ports = free_ports(len(names) + webs)
        deployment = Deployment(
            folder, dict(zip(names, ports, strict=False)), ports[len(names) :], settings or {}, engines, _stack=stack
        )
        for name in ("data/shelf", "metrics", "collected", "scratch"):
            (folder / name).mkdir(parents=True)
        _add_postgres(deployment)
        _add_redis(deployment)
        _add_s3(deployment)
        subprocess.run(
            deployment.command("migrate"),
            cwd=ROOT,
            env=deployment.environment("migrate"),
            check=True,
            capture_output=True,
        )
        deployment.manage("collectstatic", "--no-input", "--verbosity", "0")  # as deploy/web.Dockerfile does
        for port in deployment.webs:
            command = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in deployment.command("web")]
            start = partial(program, deployment, "web", f"web-{port}", command, lambda port=port: answers(port))
            deployment.add(f"web-{port}", start)
        _add_nginx(deployment)
        for number in range(workers):
            command = [*deployment.command("worker"), "-n", f"{number}@%h"]
            deployment.add(f"worker-{number}", partial(program, deployment, "worker", f"worker-{number}", command))
        deployment.add("beat", partial(program, deployment, "beat", "beat", deployment.command("beat")))
        yield deployment


@contextmanager
def program(
    deployment: Deployment, service: str, name: str, command: list[str], ready=lambda: True
) -> Iterator[subprocess.Popen]:
    """Run one of our own programs in the checkout, with its output in the folder of that name."""
    folder = deployment.folder / name
    folder.mkdir(exist_ok=True)
    environment = deployment.environment(service) | {"PYTHONPATH": str(ROOT)} | deployment.overrides.get(name, {})
    command = [str(ROOT / word) if word.startswith("deploy/") else word for word in command]
    with running(command, folder, ready, patience=30, env=environment) as process:
        deployment.processes[name] = process
        yield process


def postgres_programs() -> Path:
    """Return the folder of PostgreSQL's programs: Debian's, of the release that production has, if it is there."""
    debian = Path("/usr/lib/postgresql/17/bin")
    return debian if debian.exists() else bundled_postgres()


def _add_postgres(deployment: Deployment) -> None:
    programs = postgres_programs()
    given = deployment.environment("postgres")
    environment = {"PGPASSWORD": given["POSTGRES_PASSWORD"], "PATH": SYSTEM_PATH}
    with tempfile.NamedTemporaryFile("w") as secret:
        secret.write(given["POSTGRES_PASSWORD"])
        secret.flush()
        Path(secret.name).chmod(0o644)
        initdb = ["-A", "scram-sha-256", f"--pwfile={secret.name}"]
        server, port = deployment.command("postgres")[1:], deployment.ports["postgres"]
        made = new_cluster(programs, given["POSTGRES_USER"], initdb, server, port)
        cluster = deployment._stack.enter_context(made)
    deployment.add("postgres", cluster.serve)
    subprocess.run([*cluster.client("createdb"), given["POSTGRES_DB"]], check=True, env=environment)


def _add_redis(deployment: Deployment) -> None:
    command, port = deployment.command("redis"), deployment.ports["redis"]
    command[-1] += f" --bind 127.0.0.1 --port {port}"
    folder, environment = deployment.folder / "redis", deployment.environment("redis")
    folder.mkdir()
    deployment.add("redis", lambda: running(command, folder, lambda: answers(port), env=environment))


def _add_s3(deployment: Deployment) -> None:
    weed = str(ROOT / ".venv/bin/weed")
    flags = [word for word in deployment.command("s3") if not word.startswith(("-ip", "-s3.port"))]
    names = [
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port.grpc",
    ]
    flags += [f"-{name}={port}" for name, port in zip(names, free_ports(len(names)), strict=True)]
    flags += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={deployment.ports['s3']}"]
    flags += ["-s3.port.iceberg=0", "-s3.port.lance=0"]  # catalogs on fixed ports, which two runs would share
    folder = deployment.folder / "s3"
    folder.mkdir()
    environment = deployment.environment("s3")
    deployment.add(
        "s3",
        lambda: running([weed, *flags], folder, lambda: deployment.is_well("s3"), patience=0.5, env=environment),
    )


def _add_nginx(deployment: Deployment) -> None:
    folder = deployment.folder / "nginx"
    folder.mkdir()
    deployment.folder.chmod(0o755)  # nginx's own processes run as somebody else
    given = deployment.environment("nginx") | {
        "HUB_SERVERS": " ".join(f"127.0.0.1:{port}" for port in deployment.webs),
        "S3_SERVERS": f"127.0.0.1:{deployment.ports['s3']}",
        "NGINX_LISTEN": f"127.0.0.1:{deployment.ports['nginx']}",
        "NGINX_RESOLVER": "",  # addresses need none
        "TMPDIR": str(folder),
    }
    [shell, script, run] = deployment.command("nginx")
    command = [shell, script.replace("/etc/dovetail", str(ROOT / "deploy/nginx")), run]
    port = deployment.ports["nginx"]
    deployment.add("nginx", lambda: running(command, folder, lambda: answers(port), env=given))
