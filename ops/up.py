"""`make up`: builds what is missing, brings the state up to date, runs the hub in the foreground, stops all of it."""

import fcntl
import hashlib
import http.client
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ops import environments, machine
from ops.hub import PARTLY, Hub, ensure_secret_key, why_no_nginx
from ops.sentences import ROOT, Stop, near, say
from ops.supervisor import StopAsked, Supervisor, end_with_parent, listen_for_stop

READY_SECONDS = 120.0


def up(hub: Hub, arguments: Sequence[str] = ()) -> None:
    """Run the hub until it is stopped; with --end-with-parent also until the parent ends, as make may by SIGKILL.

    Raises Stop with a sentence when it cannot run or a part of it dies.
    """
    check(hub)
    with only_hub_on(hub):  # also during the build: a `make demo` beside it waits
        environments.ensure_web()
        environments.ensure_engines()
        environments.ensure_wheel()
        listen_for_stop()
        if "--end-with-parent" in arguments:
            end_with_parent()
        ensure_secret_key(hub.data)
        supervisor = Supervisor(hub.logs, hub.environment(), ROOT)
        try:
            start(hub, supervisor)
            announce(hub)
            supervisor.wait()
        except StopAsked as asked:
            say(f"\n{asked}: stopping …")
        finally:
            supervisor.stop()
    say("Stopped.")


def check(hub: Hub) -> None:
    """Raise Stop for requirements that are not met, before anything is built."""
    machine.require_interpreter()
    machine.require_writable(hub.data)
    machine.require_space(hub.data, machine.RUN_BYTES, "The data folder")
    with only_hub_on(hub):
        machine.require_port(hub.host, hub.port)


@contextmanager
def only_hub_on(hub: Hub) -> Iterator[None]:
    """Lock DATA for this process; the kernel releases it however the process ends, so no lock is ever stale."""
    hub.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (hub.run / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            process = lock.readline().strip() or "unknown"
            raise Stop(
                f"Another hub (process {process}) runs on the data folder {near(hub.data)}: "
                f"stop it, or choose another folder with DATA=DIR."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n{hub.port}\n")
        lock.flush()
        yield


def is_taken(hub: Hub) -> bool:
    """Return whether a hub runs on DATA, or is being started there."""
    try:
        with only_hub_on(hub):
            return False
    except Stop:
        return True


def port_of_holder(hub: Hub) -> int | None:
    """Return the port that the holder of DATA's lock was given, or None before it is written; call it while taken."""
    lines = (hub.run / "lock").read_text().split()
    return int(lines[1]) if len(lines) == 2 else None


# --- starting --------------------------------------------------------------------------------------------------------


def start(hub: Hub, supervisor: Supervisor) -> None:
    """Bring the state up to date, start every program and wait until /readyz says yes."""
    prepare(hub)
    shutil.rmtree(hub.metrics, ignore_errors=True)  # counters of processes that have ended
    hub.metrics.mkdir()
    hub.scratch.mkdir(exist_ok=True)
    say("Starting its programs …")
    for program in hub.programs():
        supervisor.start(program)
    deadline = time.monotonic() + READY_SECONDS
    answer: dict[str, object] = {}
    while not answer.get("ready"):
        supervisor.require_all_alive()
        if time.monotonic() > deadline:
            reasons = f"{_reasons(answer)}; the logs are in {near(hub.logs)}"
            raise Stop(f"The hub did not become ready in {READY_SECONDS:.0f} s: {reasons}.")
        time.sleep(0.1)
        if why_no_nginx() or hub.web_socket.exists():  # nginx would log a question before that as an error
            answer = readiness(hub)


def readiness(hub: Hub) -> dict[str, object]:
    """Return the answer of /readyz, or an empty dictionary if there is none."""
    connection = http.client.HTTPConnection(*hub.local_address, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = json.loads(connection.getresponse().read())
        return answer if isinstance(answer, dict) and "ready" in answer else {}
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        return {}
    finally:
        connection.close()


def _reasons(answer: dict[str, object]) -> str:
    parts = answer.get("parts")
    if not isinstance(parts, dict):
        return "the web does not answer"
    return "; ".join(f"{name}: {part.get('reason')}" for name, part in parts.items() if not part["ok"])


def announce(hub: Hub) -> None:
    """Print the address of the hub and how to stop it."""
    say(f"\nDovetail runs at {hub.url}")
    say(f"  push to it   HF_ENDPOINT={hub.url} hf upload YOU/NAME DIR   (a token: {hub.url}/settings/tokens)")
    say(f"  its state    {near(hub.data)}   its logs: {near(hub.logs)}")
    if reason := why_no_nginx():
        say(f"  no nginx     {reason}: slow clients hold its threads")
    say("  stop it      Ctrl-C")


# --- state -----------------------------------------------------------------------------------------------------------


def prepare(hub: Hub) -> None:
    """Migrate, collect static files, create an administrator, add the demo base; no-op if the state is current."""
    stamp, digest = hub.run / "prepared", _state_digest()
    # A database that the user provides may have been emptied or restored, so it is always migrated.
    own_database = "DOVETAIL_DATABASE_URL" not in os.environ
    if own_database and (hub.data / "db.sqlite3").exists() and stamp.exists() and stamp.read_text() == digest:
        return
    say("Bringing the state up to date …")
    password = secrets.token_urlsafe(12)
    done = subprocess.run(
        [environments.PYTHON, "-m", "ops.prepare"],
        cwd=ROOT,
        env=hub.environment(),
        input=password,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        stamp.write_text(digest)
    elif done.returncode != PARTLY:
        raise Stop("The state could not be brought up to date; the lines above say why.")


def _state_digest() -> str:
    hasher = hashlib.sha256()
    watched = [*ROOT.glob("registry/migrations/*.py"), *ROOT.glob("static/**/*"), ROOT / "requirements/constraints.txt"]
    for file in sorted(watched):
        stat = file.stat()
        hasher.update(f"{file.relative_to(ROOT)} {stat.st_size} {stat.st_mtime_ns}".encode())
    hasher.update((ROOT / "ops/prepare.py").read_bytes())
    return hasher.hexdigest()


def manage(hub: Hub, arguments: list[str]) -> None:
    """Replace this process by `manage.py ARGUMENTS` on the hub's state."""
    environments.ensure_web()
    machine.require_writable(hub.data)
    ensure_secret_key(hub.data)
    os.chdir(ROOT)
    os.execve(environments.PYTHON, [str(environments.PYTHON), "manage.py", *arguments], hub.environment())
