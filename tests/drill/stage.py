"""The hub of a drill in the shape of production, readers who use it all the time, and the tools to break it."""

import itertools
import json
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from huggingface_hub import HfApi

from ops.sentences import ROOT
from tests import fault_proxy
from tests.ops.production import SECRETS, Deployment, program, run_deployment
from tests.ops.test_production_shape import PEOPLE, TOKEN, status, wait_until

METRICS_TOKEN = "metrics-of-the-drill"
READERS, PAUSE_SECONDS = 4, 0.5
READ = ("/", "/api/models/alice/first", "/alice/first/resolve/main/README.md", "/api/v1/adapters", "/collections")
_numbers = itertools.count(1)


@dataclass
class Stage:
    """A deployment with one adapter, `alice/first`, and another hub that it reads from."""

    deployment: Deployment
    other_hub: fault_proxy.Faults
    stack: ExitStack
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def api(self) -> HfApi:
        return HfApi(endpoint=self.deployment.url, token=TOKEN)

    @property
    def workers(self) -> list[psutil.Process]:
        running = [one for name, one in self.deployment.processes.items() if name.startswith("worker")]
        return [psutil.Process(one.pid) for one in running if one.poll() is None]

    @property
    def webs(self) -> list[psutil.Process]:
        return [psutil.Process(self.deployment.processes[f"web-{port}"].pid) for port in self.deployment.webs]

    @property
    def beat(self) -> psutil.Process:
        return psutil.Process(self.deployment.processes["beat"].pid)

    def service(self, name: str) -> psutil.Process:
        """Return the process that listens on the port of postgres, redis or s3."""
        port = self.deployment.ports[name]
        found = psutil.net_connections("tcp")
        [pid] = {one.pid for one in found if one.status == psutil.CONN_LISTEN and one.laddr.port == port}
        return psutil.Process(pid)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements in the hub's database, each in its own transaction; return the rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        with self.connect("dovetail") as connection:
            for statement in statements:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def connect(self, database: str) -> psycopg.Connection:
        port, password = self.deployment.ports["postgres"], SECRETS["POSTGRES_PASSWORD"]
        return psycopg.connect(
            host="127.0.0.1", port=port, user="dovetail", password=password, dbname=database, autocommit=True
        )

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis(port=self.deployment.ports["redis"], password=SECRETS["REDIS_PASSWORD"])

    def push(self, count: int = 1) -> None:
        """Push as many adapters, each into a repository of its own."""
        for _ in range(count):
            name = f"alice/pushed-{next(_numbers)}"
            self.api.create_repo(name)
            self.api.upload_folder(repo_id=name, folder_path=ROOT / "demo" / "reviews-lora")

    def back_up(self) -> None:
        """Make a backup of the database, which is removed with everything else."""
        self.deployment.manage("backup", str(self.deployment.folder / f"backup-{next(_numbers)}"))

    def start_worker(self) -> None:
        """Start one more worker."""
        name = f"worker-of-the-drill-{next(_numbers)}"
        command = [*self.deployment.command("worker"), "-n", f"{name}@%h"]
        self.stack.enter_context(program(self.deployment, "worker", name, command))

    @contextmanager
    def broken_engines(self) -> Iterator[None]:
        """Break the interpreters of all engines, and end those that run, so that the next job starts one."""
        engines = self.deployment.engines
        broken = engines / "broken" / "bin" / "python"
        broken.parent.mkdir(parents=True)
        broken.write_text("#!/bin/sh\nexit 1\n")
        broken.chmod(0o755)
        links = {link: link.readlink() for link in engines.iterdir() if link.is_symlink()}
        _point(dict.fromkeys(links, broken.parents[1]))
        for process in (child for worker in self.workers for child in worker.children(recursive=True)):
            if any(str(link) in word for link in links for word in process.cmdline()[:1]):
                process.kill()
        try:
            yield
        finally:
            _point(links)
            shutil.rmtree(broken.parents[1])

    def get(self, path: str) -> int:
        """Return the status of a page for alice; 0 if no answer comes."""
        try:
            return status(f"{self.deployment.url}{path}", TOKEN)
        except OSError:
            return 0

    def read_on(self) -> None:
        """Read one page after the other until the stage is taken down."""
        for path in itertools.cycle(READ):
            if self.stopping.wait(PAUSE_SECONDS):
                return
            self.get(path)


@contextmanager
def frozen(*processes: psutil.Process) -> Iterator[None]:
    """Stop processes and all their children as a hang would, and let them go on at the end."""
    family = [one for process in processes for one in (process, *process.children(recursive=True))]
    _send(family, signal.SIGSTOP)
    try:
        yield
    finally:
        _send(family, signal.SIGCONT)


def kill(process: psutil.Process) -> None:
    """Kill a process and all its children, as the kernel does for want of memory."""
    _send([process, *process.children(recursive=True)], signal.SIGKILL)
    process.wait()


def _point(links: Mapping[Path, Path]) -> None:
    for link, target in links.items():
        link.unlink()
        link.symlink_to(target)


def _send(family: list[psutil.Process], number: signal.Signals) -> None:
    for one in family:
        if one.is_running():
            one.send_signal(number)


@contextmanager
def set_up() -> Iterator[Stage]:
    """Run a deployment with readers; yield when it is ready and has proven an adapter."""
    with ExitStack() as stack:
        other_hub = stack.enter_context(fault_proxy.proxy("http://127.0.0.1:1"))
        other_hub.path, other_hub.status = "/", 404  # it is there, and has nothing
        settings = {
            "DOVETAIL_METRICS_TOKEN": METRICS_TOKEN,
            "DOVETAIL_UPSTREAM": other_hub.url,
            "DOVETAIL_WEBHOOK_ALLOW": "127.0.0.1/32",
            "DOVETAIL_THROTTLE": "off",
            "DOVETAIL_WORKER_CONCURRENCY": "1",
        }
        engines = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dovetail-engines-")))
        for engine in (ROOT / ".engines").iterdir():
            (engines / engine.name).symlink_to(engine)
        deployment = stack.enter_context(run_deployment(settings=settings, engines=engines))
        stage = Stage(deployment, other_hub, stack)
        people = deployment.folder / "people.yml"
        people.write_text(json.dumps(PEOPLE))
        deployment.manage("provision", str(people))
        wait_until(lambda: status(f"{deployment.url}/readyz") == 200)
        stage.api.create_repo("alice/first")
        stage.api.upload_folder(repo_id="alice/first", folder_path=ROOT / "demo" / "reviews-lora")
        readers = [threading.Thread(target=stage.read_on, daemon=True) for _ in range(READERS)]
        for reader in readers:
            reader.start()
        stack.callback(stage.stopping.set)
        yield stage
