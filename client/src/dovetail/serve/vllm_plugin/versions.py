"""Asks the hub which commit a name means and whether it is proven for vLLM and this base, and keeps its files.

The watch does so for the loaded names: an alias that moved gets its new version, and what is held back is unloaded.
vLLM asks a resolver once a name, and has no call by which a resolver takes a name back. Its table of loaded adapters is
what requests are answered from, so the watch changes that table, as vLLM's own routes for loading and unloading do.

Files lie in CACHE/HUB/NS/NAME/COMMIT: a commit has a folder of its own, which never changes. The last meaning of each
name is kept beside them, so that a server that starts while the hub is away serves the last good version.
"""

import asyncio
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

from dovetail import places
from dovetail.adapters.formats import bases
from dovetail.answers.versions import Manifest
from dovetail.api.client import Client
from dovetail.problems import Problem, local_files, unreachable, usage
from dovetail.serve.server_start import SHORT_OID
from dovetail.store import transfers
from dovetail.transport import READ_ERRORS
from dovetail.verdicts import UNFINISHED, Verdict

NAME = re.compile(r"(?P<adapter>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[A-Za-z0-9][\w./-]{0,199}))?")
CACHED = re.compile(r"models--(?P<namespace>[^/]+?)--(?P<name>[^/]+)/snapshots/[0-9a-f]{40}/?$")
BASE_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Name:
    """`NS/NAME` means the newest version that passed; `@` adds an alias, a tag, a branch or a commit."""

    text: str
    adapter: str
    revision: str

    @classmethod
    def parse(cls, text: str) -> "Name | None":
        """Return the parsed name, or None for what cannot be the name of an adapter on a hub."""
        parts = NAME.fullmatch(text)
        return cls(text, parts["adapter"], parts["revision"] or "verified") if parts else None


def base_id(model: str, stated: str = "") -> str:
    """Return the name of the base that vLLM was started with, "" for a folder that does not tell it."""
    if stated:
        return stated
    if cached := CACHED.search(model):
        return f"{cached['namespace']}/{cached['name']}"
    return model if BASE_ID.fullmatch(model) and not Path(model).exists() else ""


def are_one_base(one: str, other: str) -> bool:
    """Return whether two names mean the same base."""
    return bases.canonical(one).casefold() == bases.canonical(other).casefold()


DAY = 86400.0
LOG = logging.getLogger("vllm.dovetail")  # below vLLM's own logger, which prints it


@dataclass(frozen=True)
class Settings:
    """`base` names the base where vLLM was started with a folder; a silent hub is trusted for `keep_seconds`."""

    endpoint: str
    token: str | None
    cache: Path
    base: str = ""
    keep_seconds: float = DAY
    check_seconds: float = 10.0

    @property
    def checks_a_minute(self) -> int:
        """The rate of questions about loaded names: half of what it allows one caller."""
        return 300 if self.token else 30


def read_settings() -> Settings:
    """Read the environment. Raises Problem."""
    endpoint = places.endpoint(os.environ["DOVETAIL_ENDPOINT"])
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Settings(
        endpoint,
        places.token(endpoint),
        Path(os.environ.get("DOVETAIL_VLLM_CACHE") or f"{home}/dovetail/vllm").expanduser(),
        os.environ.get("DOVETAIL_VLLM_BASE", ""),
        _seconds("DOVETAIL_VLLM_KEEP_SECONDS", DAY),
        _seconds("DOVETAIL_VLLM_CHECK_SECONDS", 10.0),
    )


def _seconds(name: str, default: float) -> float:
    value = os.environ.get(name, "")
    try:
        seconds = float(value) if value else default
    except ValueError:
        seconds = -1
    if not 0 < seconds < float("inf"):
        raise usage(f"{name}={value} is no number of seconds above 0.", f"Leave it out for {default:g}.")
    return seconds


SAYS_NO = (401, 403, 404, 410)  # the hub's answers that mean: not for you, or not there, or held back
PRUNE_SECONDS = 86400
PIECE = 1 << 20
NEEDED = re.compile(r"adapter_[^/]*")  # the files that vLLM reads of an adapter


class Refused(ValueError):
    """The hub does not serve this to this base; vLLM answers a ValueError with 400 and its text."""


class HubAway(Exception):
    """The hub does not answer, or not with an answer."""


@dataclass(frozen=True)
class Version:
    """A proven commit of an adapter in a folder of this machine."""

    name: str
    adapter: str
    commit: str
    base: str
    folder: str

    @property
    def served_name(self) -> str:
        """The name for vLLM: it hashes prefixes by name and path, so another commit never meets this one's cache."""
        return f"{self.name}@{self.commit[:SHORT_OID]}"


class Versions:
    """The versions that names mean, as the hub says, or as it said last."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.settings, self._clock = settings, clock
        self._client = Client(settings.endpoint, settings.token)
        # HF_HUB_OFFLINE is for vLLM's base; and what a name meant last is kept here, with the verdict, for so long.
        self._client.transport.is_offline = self._client.transport.keeps_answers = False
        self._home = settings.cache / re.sub(r"[^\w.-]", "_", settings.endpoint.partition("://")[2])
        self._kept = _Kept(self._home / "names")

    def resolve(self, name: Name, base: str) -> Version:
        """Return the version that the name means now, downloaded; while the hub is away, the last good one.

        Raises Refused, HubAway where nothing is kept or the hub was away for too long, and Problem for local files.
        """
        try:
            version = self._ask(name, base)
        except HubAway as silence:
            return self._last_good(name, base, silence)
        self._kept.put(version, self._clock())
        self._prune(name.adapter)
        return version

    def _ask(self, name: Name, base: str) -> Version:
        manifest: Manifest = self._asked(lambda: self._client.manifest(name.adapter, name.revision), name)
        commit = manifest.revision
        known, _ = self._kept.read(name.text) or (None, 0.0)
        is_good = manifest.state in ("passed", *UNFINISHED)  # it passed once, and may be proven again just now
        if known and known.commit == commit and is_good and _is_usable(known, base):
            return known
        verdict = self._asked(lambda: self._client.verdict(name.adapter, commit), name)
        proven_on = _require_proven(name, verdict, base)
        place = str(verdict.document.get("path") or "")
        folder = self._download(name, manifest, commit, place)
        return Version(name.text, name.adapter, commit, proven_on, folder)

    def _asked(self, question: Callable[[], Any], name: Name) -> Any:
        try:
            return question()
        except Problem as problem:
            if problem.status in SAYS_NO:
                self._kept.drop(name.text)
                raise Refused(f"{name.text} at {self.settings.endpoint}: {problem.detail}") from None
            raise HubAway(problem.detail) from None

    def _download(self, name: Name, manifest: Manifest, commit: str, place: str) -> str:
        prefix = f"{place}/" if place else ""
        files = [
            file
            for file in manifest["files"]
            if file["path"].startswith(prefix) and NEEDED.fullmatch(file["path"].removeprefix(prefix))
        ]
        folder = self._home / name.adapter / commit
        if not folder.is_dir():
            self._asked(lambda: self._fetch(f"/adapters/{name.adapter}/revisions/{commit}/files/", files, folder), name)
        return str(folder / place) if place else str(folder)

    def _fetch(self, route: str, files: list[Any], folder: Path) -> None:
        """Download files by REST; the folder appears whole. Raises Problem."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as stage:
            for file in transfers.parse_files(files):
                place = Path(stage) / "files" / file.path
                place.parent.mkdir(parents=True, exist_ok=True)
                self._save(route + quote(str(file.path)), file, place)
            try:
                (Path(stage) / "files").rename(folder)
            except OSError as error:
                if not folder.is_dir():  # else another name of this commit was faster
                    raise local_files(error) from None

    def _save(self, route: str, file: transfers.ManifestFile, place: Path) -> None:
        digest = hashlib.sha256()
        try:
            with self._client.transport.open(route) as answer, place.open("xb") as out:
                while piece := answer.read(PIECE):
                    digest.update(piece)
                    out.write(piece)
        except READ_ERRORS as error:
            raise unreachable(self.settings.endpoint, error) from None
        if digest.hexdigest() != file.sha256:
            raise unreachable(self.settings.endpoint, f"{file.path} arrived with another sha256")

    def _last_good(self, name: Name, base: str, silence: HubAway) -> Version:
        known, at = self._kept.read(name.text) or (None, 0.0)
        if known is None or not _is_usable(known, base):
            raise HubAway(f"{self.settings.endpoint} does not answer, and {name.text} is not kept here: {silence}")
        if self._clock() - at > self.settings.keep_seconds:
            hours = self.settings.keep_seconds / 3600
            raise HubAway(f"{self.settings.endpoint} has not answered for {name.text} for more than {hours:g} h.")
        return known

    def _prune(self, adapter: str) -> None:
        """Remove versions that no name means; not at once, because requests that are running may read them."""
        meant = self._kept.folders()
        for folder in (self._home / adapter).iterdir():
            is_meant = any(f"{used}/".startswith(f"{folder}/") for used in meant)
            if not is_meant and self._clock() - folder.stat().st_mtime > PRUNE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _is_usable(version: Version, base: str) -> bool:
    return are_one_base(version.base, base) and Path(version.folder).is_dir()


def _require_proven(name: Name, verdict: Verdict, base: str) -> str:
    """Return the base on which it was proven. Raises Refused unless it passed, vLLM serves it, and the base is ours."""
    where = f"{name.text} ({verdict.revision[:SHORT_OID]})"
    if not verdict.passed:
        raise Refused(f"{where} has not passed: its verdict is {verdict.state}.")
    proven_on = str((verdict.document.get("base") or {}).get("id") or "")
    if not proven_on or not are_one_base(proven_on, base):
        raise Refused(f"{where} is for the base {proven_on or 'that nobody named'}; this server serves {base}.")
    for answer in verdict.serving:
        if answer.engine == "vllm":
            if answer.outcome != "serves":
                raise Refused(f"{where} is not served by vLLM: {answer.reason}")
            return proven_on
    raise Refused(f"{where}: its verdict does not say whether vLLM serves it.")


class _Kept:
    """A small file for each name: what it meant last, and when the hub said so. Several processes may share them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> tuple[Version, float] | None:
        try:
            entry = json.loads(self._file(name).read_text())
            return Version(**entry["version"]), float(entry["at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, version: Version, at: float) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".new", delete=False) as file:
            json.dump({"version": asdict(version), "at": at}, file)
        Path(file.name).replace(self._file(version.name))

    def drop(self, name: str) -> None:
        self._file(name).unlink(missing_ok=True)

    def folders(self) -> set[str]:
        """Return the folders of all versions that a name means."""
        texts = [file.read_text() for file in self._folder.glob("*.json")]
        return {str(json.loads(text)["version"]["folder"]) for text in texts}

    def _file(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}.json"


# --- the watch over loaded adapters ----------------------------------------------------------------------------------
TABLE = "OpenAIServingModels"  # vLLM's class that holds the loaded adapters of an API server
MakeRequest = Callable[[str, str, int], Any]


class Watch:
    """Asks the hub about each followed name in turn; one in each API server, in its event loop."""

    def __init__(self, versions: Versions, base: str, models: Any, make_request: MakeRequest) -> None:
        self._versions, self._base, self._models, self._make_request = versions, base, models, make_request
        self._followed: dict[Name, Version] = {}
        self._requests: dict[tuple[str, str], Any] = {}  # what vLLM was given for a name and a commit
        self._task: asyncio.Task[None] | None = None

    def follow(self, name: Name, version: Version) -> None:
        """Follow a name from now on, in the event loop that calls this."""
        self._followed[name] = version
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def pause(self) -> float:
        """Seconds between two questions: each name is asked about every `check_seconds`, or as often as allowed."""
        settings = self._versions.settings
        each = settings.check_seconds / max(1, len(self._followed))
        return max(each, 60 / settings.checks_a_minute)

    async def _run(self) -> None:
        while self._followed:
            for name in list(self._followed):
                await asyncio.sleep(self.pause)
                await self.check(name)

    async def check(self, name: Name) -> None:
        """Ask the hub about one name, and do what it says."""
        before = self._followed.get(name)
        if before is None:
            return
        try:
            version = await asyncio.to_thread(self._versions.resolve, name, self._base)
        except (Refused, HubAway) as reason:
            await self._unload(name, str(reason))
        except Problem as problem:  # the files of another version cannot be written: the one that is loaded stays
            LOG.warning("%s stays at %s: %s", name.text, before.commit, problem.detail)
        else:
            if version.commit != before.commit:
                await self._move(name, version)

    async def _move(self, name: Name, version: Version) -> None:
        models, key = self._models, (name.text, version.commit)
        async with models.lora_resolver_lock[name.text]:
            if name.text not in models.lora_requests:  # unloaded by vLLM's own route
                del self._followed[name]
                return
            if key not in self._requests:
                number = models.lora_id_counter.inc(1)
                self._requests[key] = self._make_request(version.served_name, version.folder, number)
            try:
                await models.engine_client.add_lora(self._requests[key])
            except (RuntimeError, ValueError) as error:  # such as a rank above the server's
                LOG.warning("%s stays at its version: vLLM does not load %s: %s", name.text, version.commit, error)
                return
            models.lora_requests[name.text] = self._requests[key]
        self._followed[name] = version
        LOG.info("%s moved to %s", name.text, version.commit)

    async def _unload(self, name: Name, reason: str) -> None:
        async with self._models.lora_resolver_lock[name.text]:
            self._models.lora_requests.pop(name.text, None)
        del self._followed[name]
        LOG.warning("%s was unloaded: %s", name.text, reason)


def table_of(frame: FrameType | None) -> Any:
    """Return vLLM's table of loaded adapters, which is calling: a resolver is not told by whom it is asked.

    Looking for it among live objects finds nothing: vLLM takes those of its start away from the garbage collector.
    """
    while frame is not None:
        caller = frame.f_locals.get("self")
        if type(caller).__name__ == TABLE:
            return caller
        frame = frame.f_back
    return None
