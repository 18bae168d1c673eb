"""The load: the stock client pushes and pulls, others ask, and each acknowledged write goes into the ledger."""

import json
import random
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import httpx2 as httpx
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download, set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils._http import default_client_factory
from huggingface_hub.utils.tqdm import disable_progress_bars

from ops.sentences import ROOT
from tests.chaos.answers import Answers
from tests.chaos.ledger import Alias, Ledger, Write, digest
from tests.chaos.steps import Steps
from tests.ops.production import Deployment

TOKEN = "hf_chaos_of_a_hub"
OWNER = "chaos"
ASKERS = 3
PAUSE_SECONDS = 0.1  # between two acts of one client: the machine is to break at the faults, not under the load
PATIENCE_SECONDS = 30
SHARED = random.Random(1).randbytes(600_000)  # chunks that all Xet files have
FAILURES = (OSError, RuntimeError, ValueError, httpx.HTTPError, HfHubHTTPError)  # of clients; RuntimeError: hf_xet
WITHOUT_STORE = ("livez", "page", "list", "info", "head")  # kinds of questions that need no stored file


class Load:
    """Clients that go on until the end of the block."""

    def __init__(self, deployment: Deployment, name: str) -> None:
        self.deployment, self.name = deployment, name
        self.answers, self.ledger, self.steps = Answers(), Ledger(), Steps()
        self.done: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        self._end = threading.Event()
        self._stack = ExitStack()
        self._threads: list[threading.Thread] = []
        self.api = HfApi(endpoint=deployment.url, token=TOKEN)

    def __enter__(self) -> Self:
        disable_progress_bars()
        set_client_factory(self._client)
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="dovetail-chaos-")))
        for kind, repository in (("dataset", self._named("text")), ("dataset", self._named("xet"))):
            self.api.create_repo(repository, repo_type=kind)
        self.api.create_repo(self._named("adapter"))
        self._push_adapter(0)
        self._push_text(0)
        self._push_xet(0)
        actors = [self._push_text, self._push_xet, self._push_adapter, self._move_alias, self._read]
        for actor in actors:
            self._start(self._repeat, actor)
        for number in range(ASKERS):
            self._start(self._ask, number)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        self._stack.close()

    def wait(self, seconds: float) -> None:
        """Let the load go on for this time."""
        self._end.wait(seconds)

    def wait_for_push(self, seconds: float) -> bool:
        """Wait until another push is acknowledged; return False if none is in this time."""
        before, ends = self.done["text"], time.monotonic() + seconds
        while self.done["text"] == before and time.monotonic() < ends:
            self.wait(0.1)
        return self.done["text"] > before

    def _named(self, what: str) -> str:
        return f"{OWNER}/{self.name}-{what}"

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _repeat(self, act: Callable[[int], None]) -> None:
        number = 0
        while not self._end.wait(PAUSE_SECONDS):
            number += 1
            what = act.__name__.removeprefix("_")
            try:
                act(number)
            except FAILURES as problem:
                self.done[f"failed {what}"] += 1
                self.problems[f"{what}: {type(problem).__name__}: {problem}"[:160].replace("\n", " ")] += 1

    # --- the stock client ------------------------------------------------------------------------------------------

    def _client(self) -> httpx.Client:
        """Make the client of huggingface_hub, whose answers are recorded."""
        client = default_client_factory()
        client.timeout = httpx.Timeout(60)
        began: dict[httpx.Request, tuple[float, str]] = {}  # threads share it; each has requests of its own

        def asked(request: httpx.Request) -> None:
            step = "commit" if "/commit/" in request.url.path else "push"
            began[request] = (self.steps.begin(step), step)

        def answered(response: httpx.Response) -> None:
            if response.status_code >= 400:
                response.read()
            since, step = began.pop(response.request)
            self.steps.end(step, since)
            self.answers.add(step, response, time.monotonic() - since)

        client.event_hooks["request"].append(asked)
        client.event_hooks["response"].append(answered)
        return client

    def _push(self, kind: str, repository: str, files: dict[str, bytes]) -> list[Write]:
        """Push files in one commit, and note that it was acknowledged."""
        writes = self.ledger.intend(kind, repository, files)
        commit = self.api.create_commit(
            repository,
            [CommitOperationAdd(path, content) for path, content in files.items()],
            commit_message="Step",
            repo_type=kind.removesuffix("s"),
        )
        for write in writes:
            write.revision = commit.oid
        return writes

    def _push_text(self, number: int) -> None:
        text = random.randbytes(random.randrange(500, 10_000)).hex().encode()
        self._push("datasets", self._named("text"), {f"notes/{number}.txt": text})
        self.done["text"] += 1

    def _push_xet(self, number: int) -> None:
        with self.steps.within("xet"):
            content = SHARED + random.randbytes(random.randrange(200_000, 1_500_000))
            self._push("datasets", self._named("xet"), {f"data/{number}.bin": content})
        self.done["xet"] += 1

    def _push_adapter(self, number: int) -> None:
        folder = _variant(self._folder / f"adapter-{number}", random.randrange(1 << 30))
        files = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
        revision = self._push("models", self._named("adapter"), files)[0].revision
        self.done["adapter"] += 1
        with self.steps.within("validation"):
            ends = time.monotonic() + PATIENCE_SECONDS
            while not self._end.wait(0.3) and time.monotonic() < ends:
                if self.state(self._named("adapter"), revision) in ("passed", "failed", "errored"):
                    return

    def _move_alias(self, _: int) -> None:
        """Point an alias to a version that was acknowledged."""
        revision = random.choice(sorted(self.ledger.revisions("models")))[1]
        if not self.ledger.aliases:
            self.ledger.aliases.append(Alias(self._named("adapter"), "prod"))
        [alias] = self.ledger.aliases
        address = f"{self.deployment.url}/api/v1/adapters/{alias.repository}/aliases/{alias.name}"
        alias.open.append(revision)
        with self.steps.within("alias"):
            began = time.monotonic()
            body = {"revision": revision, "force": True, "reason": "Chaos."}
            answer = httpx.put(address, json=body, headers=_AUTHORIZED, timeout=60)
        self.answers.add("alias", answer, time.monotonic() - began)
        answer.raise_for_status()
        alias.acknowledged, alias.open = revision, []
        self.done["alias"] += 1

    def _read(self, number: int) -> None:
        """Pull a file that was acknowledged, by Xet, and compare its bytes."""
        write = random.choice([one for one in self.ledger.acknowledged() if one.path.endswith(".bin")])
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            file = hf_hub_download(
                write.repository, write.path, repo_type="dataset", revision=write.revision, local_dir=folder,
                endpoint=self.deployment.url, token=TOKEN,
            )  # fmt: skip
            content = Path(file).read_bytes()
        self.done["read" if digest(content) == write.sha256 else "read other bytes"] += 1

    # --- questions -------------------------------------------------------------------------------------------------

    def _ask(self, number: int) -> None:
        paths = {
            "livez": "/livez",
            "page": f"/{self._named('adapter')}",
            "list": "/api/models?limit=20",
            "info": f"/api/models/{self._named('adapter')}",
            "head": f"/{self._named('adapter')}/resolve/main/adapter_model.safetensors",
            "file": f"/datasets/{self._named('text')}/resolve/main/notes/0.txt",
        }
        kinds = list(paths)
        with httpx.Client(base_url=self.deployment.url, headers=_AUTHORIZED, timeout=PATIENCE_SECONDS) as client:
            while not self._end.wait(PAUSE_SECONDS / 2):
                number += 1
                kind = kinds[number % len(kinds)]
                self._ask_once(client, kind, paths[kind])

    def _ask_once(self, client: httpx.Client, kind: str, path: str) -> None:
        began = time.monotonic()
        accept = "text/html" if kind == "page" else "*/*"
        try:
            answer = client.request("HEAD" if kind == "head" else "GET", path, headers={"Accept": accept})
        except httpx.HTTPError:
            self.answers.add(kind, None, time.monotonic() - began)
        else:
            self.answers.add(kind, answer, time.monotonic() - began)

    def state(self, repository: str, revision: str) -> str:
        """Return the state of a verdict, or the status of the answer."""
        address = f"{self.deployment.url}/api/v1/adapters/{repository}/revisions/{revision}/verdict"
        try:
            answer = httpx.get(address, headers=_AUTHORIZED, timeout=PATIENCE_SECONDS)
        except httpx.HTTPError:
            return "no answer"
        return str(answer.json()["state"]) if answer.status_code == 200 else str(answer.status_code)

    # --- the clock's work, faster ----------------------------------------------------------------------------------

    def sweep(self, process: subprocess.Popen[str]) -> None:
        """Note the steps that a sweeper prints."""
        self._start(self._follow, process)

    def _follow(self, process: subprocess.Popen[str]) -> None:
        began = 0.0
        for line in process.stdout or ():
            verb, _, name = line.strip().partition(" ")
            if verb == "begin":
                began = self.steps.begin(name)
            elif verb == "end":
                self.steps.end(name, began)
                self.done[name] += 1
            elif verb == "failed":
                self.problems[line.strip()[:160]] += 1
            else:
                self.done[verb] += sum(map(int, name.split()))


_AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def _variant(folder: Path, seed: int) -> Path:
    """Copy the demo adapter with slightly changed weights, so that it is a new version and still passes."""
    shutil.copytree(ROOT / "demo" / "reviews-lora", folder)
    weights = folder / "adapter_model.safetensors"
    raw = bytearray(weights.read_bytes())
    begin = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:begin])
    dice = random.Random(seed)
    name = sorted(key for key in header if "lora_A" in key)[0]
    at = begin + header[name]["data_offsets"][0]
    value = struct.unpack_from("<f", raw, at)[0]
    struct.pack_into("<f", raw, at, value + dice.uniform(-1e-3, 1e-3))
    weights.write_bytes(raw)
    return folder
