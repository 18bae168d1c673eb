"""An upgrade and a rollback under load: two web processes behind nginx, on PostgreSQL, replaced one by one.

The older release is the one before this, and the newer one is this; in the first release they are code of today and a
made-up next release (tests/upgrade). Clients pull, ask and push all the time; nothing may fail.
"""

import http.client
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import psycopg
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils.tqdm import disable_progress_bars

from bench.line import Line
from ops.sentences import ROOT
from tests import live
from tests.ops.production import nginx_program
from tests.services import answers, free_ports, postgres, running
from tests.upgrade import releases

ROWS = 100_000  # of the table that the migration changes
WEIGHTS = 1 << 20
PULLERS = 6
PHASE_SECONDS = 5
REPOSITORY = "alice/reviews"
PATHS = (
    f"/{REPOSITORY}/resolve/main/adapter_model.safetensors",
    f"/api/models/{REPOSITORY}",
    "/api/models?limit=20",
    f"/{REPOSITORY}",
)


class Load:
    """Clients that begin again at once; `counts` has, for each phase, what succeeded and what failed and why."""

    def __init__(self, port: int) -> None:
        self.port, self.phase = port, "before"
        self.counts: Counter[tuple[str, str]] = Counter()
        self.problems: Counter[str] = Counter()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._pull, args=(number,)) for number in range(PULLERS)]
        self._threads.append(threading.Thread(target=self._push))

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _count(self, kind: str, deed: Callable[[], object]) -> None:
        try:
            deed()
            self.counts[self.phase, kind] += 1
        except (OSError, http.client.HTTPException, httpx.HTTPError, HfHubHTTPError, AssertionError) as problem:
            self.counts[self.phase, f"failed {kind}"] += 1
            self.problems[f"{self.phase}: {kind}: {problem!r}"[:300]] += 1

    def _pull(self, number: int) -> None:
        while not self._end.is_set():
            number += 1
            self._count("pulls", partial(self._get, PATHS[number % len(PATHS)]))

    def _get(self, path: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {live.TOKENS['alice']}"})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, f"{answer.status} {path}"
            assert not path.endswith(".safetensors") or len(body) == WEIGHTS, f"{len(body)} bytes"
        finally:
            connection.close()

    def _push(self) -> None:
        hub = HfApi(endpoint=f"http://127.0.0.1:{self.port}", token=live.TOKENS["alice"])
        number = 0
        while not self._end.wait(0.2):
            number += 1
            file = CommitOperationAdd("notes.txt", f"step {number}".encode())
            self._count("pushes", partial(hub.create_commit, REPOSITORY, [file], commit_message="Step"))


@contextmanager
def nginx(folder: Path, webs: list[int], port: int) -> Iterator[None]:
    """Run nginx as deploy/nginx configures it, before these web processes."""
    assert nginx_program(), "install nginx: make services"
    (folder / "nginx").mkdir()
    folder.chmod(0o755)  # nginx's own processes run as somebody else
    given = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HUB_SERVERS": " ".join(f"127.0.0.1:{web}" for web in webs),
        "S3_SERVERS": "",
        "NGINX_LISTEN": f"127.0.0.1:{port}",
        "NGINX_RESOLVER": "",
        "TMPDIR": str(folder / "nginx"),
    }
    command = ["sh", str(ROOT / "deploy/nginx/configure.sh"), "run"]
    with running(command, folder / "nginx", lambda: answers(port), env=given):
        yield


def fill(database: str) -> None:
    """Copy the row of the repository, so that building an index over its table takes a while."""
    with psycopg.connect(database, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'registry_repository'"
        )
        columns = [f'"{name}"' for (name,) in rows if name not in {"id", "name", "stored_bytes"}]
        listed = ", ".join(columns)
        connection.execute(
            f"INSERT INTO registry_repository (name, {listed}) "  # names of our own columns
            f"SELECT 'copy-' || n, {listed} FROM registry_repository, generate_series(1, {ROWS}) n "
            "WHERE name = 'reviews'"
        )


def lines() -> Iterator[Line]:
    """Yield what succeeded and what failed in each phase."""
    disable_progress_bars()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dovetail-upgrade-")))
        database = stack.enter_context(postgres())
        older, newer = releases.older(folder), releases.newer()
        [port, *webs] = free_ports(3)
        hub = _prepare(folder, database, older, port)
        stack.enter_context(nginx(folder, webs, port))
        slots = [_Slot(hub, web) for web in webs]
        for slot in slots:
            stack.callback(slot.stop)
            slot.serve(older)
        _push_adapter(port)
        fill(database)
        load = Load(port)
        with load:
            time.sleep(PHASE_SECONDS)
            load.phase = "migrate"
            began = time.monotonic()
            done = newer.manage(hub, "migrate")
            seconds = time.monotonic() - began
            assert done.returncode == 0, done.stdout + done.stderr
            for phase, release in (("upgrade", newer), ("both done", None), ("rollback", older), ("after", None)):
                load.phase = phase
                if release:
                    for slot in slots:
                        slot.serve(release)
                time.sleep(PHASE_SECONDS)
        yield Line("migrate, beside the load", seconds, "s", note=f"{ROWS} repositories")
        for phase in ("before", "migrate", "upgrade", "both done", "rollback", "after"):
            for kind in ("pulls", "pushes"):
                failed, count = load.counts[phase, f"failed {kind}"], load.counts[phase, kind]
                yield Line(f"{phase}: failed {kind}", failed, f"of {count + failed}", most=0)
        for problem, times in load.problems.most_common(5):
            print(f"  {times} × {problem}")


def _prepare(folder: Path, database: str, older: releases.Release, port: int) -> live.Hub:
    chosen = {"DATA": str(folder / "data"), "SECRET_KEY": live.SECRET_KEY, "BROKER_URL": live.NO_BROKER}
    chosen |= {"DATABASE_URL": database, "PUBLIC_URL": f"http://127.0.0.1:{port}", "TRUSTED_PROXIES": "127.0.0.1"}
    hub = live.Hub("", folder / "data", live.environment_of({**chosen, "WEB_PROCESSES": "1"}))
    (hub.data / "run").mkdir(parents=True)
    for command in (("migrate", "--verbosity", "0"), ("collectstatic", "--noinput", "--verbosity", "0")):
        done: subprocess.CompletedProcess[str] = older.manage(hub, *command)
        assert done.returncode == 0, done.stderr
    live.provision(hub, live.PEOPLE)
    return hub


def _push_adapter(port: int) -> None:
    hub = HfApi(endpoint=f"http://127.0.0.1:{port}", token=live.TOKENS["alice"])
    hub.create_repo(REPOSITORY)
    weights = (b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ").ljust(WEIGHTS, b"w")
    hub.upload_file(path_or_fileobj=weights, path_in_repo="adapter_model.safetensors", repo_id=REPOSITORY)


class _Slot:
    """The place of one web process: `serve` replaces the release that runs there, as an operator does."""

    def __init__(self, hub: live.Hub, port: int) -> None:
        self.hub, self.port, self.number = hub, port, 0
        self.running = ExitStack()

    def serve(self, release: releases.Release) -> None:
        self.stop()
        self.number += 1
        self.running.enter_context(release.serving(self.hub, self.port, f"web-{self.port}-{self.number}"))

    def stop(self) -> None:
        self.running.close()


if __name__ == "__main__":
    for one in lines():
        print(one, flush=True)
