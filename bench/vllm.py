"""vLLM with the plugin of the client: adapters by alias; how long moves, holds and a stopped hub take to be seen.

It builds .engines/vllm, and installs Dovetail's client from this checkout into a folder beside it.
"""

import http.cookiejar
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.hub import BIN, TOKEN, Hub
from bench.line import Line
from ops import environments
from ops.machine import free_port
from ops.sentences import ROOT

BASE_ID = "bench/tiny-llama"
PROMPT = [first + step for first in (10, 12, 11, 13, 14) for step in (0, 20, 40, 60)]  # longer than one cached block
MOVED_SECONDS, HELD_SECONDS = 30, 60
ADAPTERS = 5


def lines() -> Iterator[Line]:
    python = environments.ensure_engine("vllm")
    with tempfile.TemporaryDirectory(prefix="dovetail-vllm-") as name:
        folder = Path(name)
        made = folder / "made"
        _run([ROOT / ".engines/e5/bin/python", "-P", ROOT / "bench/make_vllm_models.py", made, str(ADAPTERS)])
        _install_client(python, folder / "packages")
        hub = Hub(folder)
        with _server(python, hub, made / "base", folder) as server, hub:  # both take long to start
            _fill(hub, made)
            server.wait()
            yield from _walk(hub, server)


def _install_client(python: Path, folder: Path) -> None:
    """Install the client beside vLLM as a wheel, since vLLM finds plugins among the installed packages."""
    environments.ensure_wheel()
    wheel = max(environments.WHEELS.glob("*.whl"), key=lambda file: file.stat().st_mtime)
    environments.uv("pip", "install", "-q", "--python", python, "--no-deps", "--target", folder, wheel)


def _fill(hub: Hub, made: Path) -> None:
    moderator = {"name": "mona", "password": "benchmark of a hub", "role": "moderator"}
    people = hub.folder / "moderator.json"
    people.write_text(json.dumps({"users": [moderator]}))
    hub.manage("provision", str(people))
    hub.manage("shelf", "add", BASE_ID, "--path", str(made / "base"))
    for number, name in enumerate(("red", "green", "blue")):
        _push(hub, made / f"adapter-{number}", f"bench/{name}")
        _alias(hub, f"bench/{name}")
    other = made / "other"
    _run(["cp", "-r", made / "adapter-4", other])
    for file in ("adapter_config.json", "README.md"):
        (other / file).write_text((other / file).read_text().replace(BASE_ID, "bench/other-llama"))
    hub.manage("shelf", "add", "bench/other-llama", "--path", str(made / "base"))
    _push(hub, other, "bench/other")


def _push(hub: Hub, folder: Path, name: str) -> str:
    return str(json.loads(_dovetail(hub, "push", str(folder), name, "--wait", "--json"))["revision"])


def _alias(hub: Hub, name: str) -> None:
    _dovetail(hub, "alias", "set", f"{name}@verified", "prod")


def _dovetail(hub: Hub, *arguments: str) -> str:
    environment = {"DOVETAIL_ENDPOINT": hub.url, "DOVETAIL_TOKEN": TOKEN, "PYTHONPATH": str(ROOT / "client/src")}
    command = [str(BIN / "python"), "-m", "dovetail", *arguments]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stdout} {done.stderr}")
    return done.stdout


# --- vLLM ------------------------------------------------------------------------------------------------------------


class Server:
    """vLLM's API server."""

    def __init__(self, url: str, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.url, self.log, self.process = url, log, process

    def wait(self) -> None:
        """Wait until it answers."""
        for _ in range(1200):
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None:
                    break
            time.sleep(0.5)
        raise SystemExit(self.log.read_text()[-6000:])

    def answer(self, model: str) -> tuple[int, str, str]:
        """Return the status, the text or the error, and the name of the adapter that answered."""
        body = {"model": model, "prompt": PROMPT, "max_tokens": 8, "temperature": 0}
        request = urllib.request.Request(
            f"{self.url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                document = json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), ""
        return 200, document["choices"][0]["text"], document["model"]

    def until(self, model: str, is_so: Any, seconds: float) -> float:
        """Ask until the answer is so; return the seconds that took, or infinity."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if is_so(self.answer(model)):
                return time.monotonic() - began
            time.sleep(0.25)
        return float("inf")


@contextmanager
def _server(python: Path, hub: Hub, base: Path, folder: Path) -> Iterator[Server]:
    port = free_port()
    settings = {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "HF_HUB_OFFLINE": "1",
        "DOVETAIL_ENDPOINT": hub.url,
        "DOVETAIL_TOKEN": TOKEN,
        "DOVETAIL_VLLM_BASE": BASE_ID,
        "DOVETAIL_VLLM_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(folder / "packages"),
    }
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(base), "--port", str(port)]
    command += ["--dtype", "float32", "--enforce-eager", "--max-model-len", "64", "--enable-lora", "--max-loras", "8"]
    command += ["--max-lora-rank", "16", "--host", "127.0.0.1", "--served-model-name", BASE_ID]
    log = folder / "vllm.txt"
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=out, stderr=out, cwd=folder)
    try:
        yield Server(f"http://127.0.0.1:{port}", log, process)
    finally:
        process.terminate()
        process.wait(60)


# --- what is measured ------------------------------------------------------------------------------------------------


def _walk(hub: Hub, server: Server) -> Iterator[Line]:
    _, base, _ = server.answer(BASE_ID)
    began = time.monotonic()
    first = {name: server.answer(f"bench/{name}@prod") for name in ("red", "green", "blue")}
    yield Line("first answers of three adapters, downloads included", time.monotonic() - began, "s")
    texts = {base, *(text for _, text, _ in first.values())}
    yield Line("different answers of three adapters by alias and the base", len(texts), "", least=4, note=str(first))
    status, message, _ = server.answer("bench/other")
    refused = status == 400 and "bench/other-llama" in message and BASE_ID in message
    yield Line("another base's adapter is refused in words", float(refused), "", least=1, note=message[:200])
    yield Line("a name that is not there", server.answer("bench/nothing@prod")[0], "status", note="400 or 404")

    commit = _push(hub, hub.folder / "made/adapter-3", "bench/red")
    _alias(hub, "bench/red")
    seconds = server.until("bench/red@prod", lambda said: said[2].endswith(f"@{commit[:7]}"), 60)
    moved = server.answer("bench/red@prod")
    fresh = server.answer(f"bench/red@{commit}")
    yield Line("an alias that moved leads to its new version after", seconds, "s", most=MOVED_SECONDS, note=str(moved))
    yield Line(
        "its answer is that of the commit, of no cached prefix",
        float(moved[1] == fresh[1] != first["red"][1]),
        "",
        least=1,
    )

    _quarantine(hub, "bench/green")
    seconds = server.until("bench/green@prod", lambda said: said[0] != 200, 90)
    yield Line(
        "what was held back is refused after",
        seconds,
        "s",
        most=HELD_SECONDS,
        note=server.answer("bench/green@prod")[1][:200],
    )

    hub.stop()
    time.sleep(40)  # several rounds of questions that nobody answers
    same = server.answer("bench/blue@prod")[:2] == first["blue"][:2] and server.answer("bench/red@prod") == moved
    yield Line("answers as before while the hub is stopped", float(same), "", least=1)
    hub.start()

    commit = _push(hub, hub.folder / "made/adapter-4", "bench/blue")
    _alias(hub, "bench/blue")
    seconds = server.until("bench/blue@prod", lambda said: said[2].endswith(f"@{commit[:7]}"), 60)
    yield Line("an alias that moved once the hub was back leads there after", seconds, "s", most=MOVED_SECONDS)


def _quarantine(hub: Hub, name: str) -> None:
    """Hold an adapter back in a moderator's session, as no token can."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    page = browser.open(f"{hub.url}/login").read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    form = {"csrfmiddlewaretoken": token[1] if token else "", "username": "mona", "password": "benchmark of a hub"}
    browser.open(
        urllib.request.Request(f"{hub.url}/login", urllib.parse.urlencode(form).encode(), {"Referer": hub.url})
    )
    cookie = next(cookie.value or "" for cookie in jar if "csrf" in cookie.name)
    headers = {"Content-Type": "application/json", "X-CSRFToken": cookie, "Referer": hub.url}
    body = json.dumps({"reason": "malware"}).encode()
    browser.open(urllib.request.Request(f"{hub.url}/api/v1/moderation/adapters/{name}/quarantine", body, headers))


def _run(command: list[Any]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stdout}{done.stderr}")
