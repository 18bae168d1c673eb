"""A hub in Python: a method for each command, which is built on it; functions for the usual hub, and methods to await.

The client for asyncio has threads, not an asynchronous HTTP library: pushes, pulls and syncs are work of files and of
huggingface_hub, which block anyway, and huggingface_hub brings httpx in its releases 1 and httpx2 from 2 on. So there
is one transport, with one way to follow redirects, to wait for a rate limit and to keep a token at home.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from dovetail import ids, locks, places
from dovetail.api.edits import Edits
from dovetail.api.queries import Queries, locate, require_folder
from dovetail.ids import MAIN, check_adapter
from dovetail.locks import Lock
from dovetail.store import folder_sync, transfers
from dovetail.store.store import Store
from dovetail.store.transfers import Progress, ignore
from dovetail.verdicts import Verdict

__all__ = ["MAIN", "Client", "Pushed", "check_adapter"]


@dataclass(frozen=True)
class Pushed:
    """The result of a push: the commit, its page, and its verdict if the push waited for one."""

    adapter: str
    revision: str
    url: str
    verdict: Verdict | None = None
    pull_request: str | None = None  # its address, after a push with `create_pr`
    rewritten: tuple[str, ...] = ()  # files that were sent with another base than the folder's
    is_changed: bool = True  # False where the hub had all of it


class Client(Queries, Edits):
    """A hub as one caller sees it; endpoint and token default to the command line's. Methods raise Problem.

    `timeout` is how many seconds one request may take without a byte. An adapter is NS/NAME, or NS/NAME@REV where a
    version is meant: a branch, a tag, an alias, a commit or `verified`.
    """

    @staticmethod
    def check(path: str | Path) -> Verdict:
        """Run the static checks on the adapter in a folder, without a hub."""
        # Importing the checks and YAML would double the start-up time of every other command.
        from dovetail.api import local_checks  # noqa: PLC0415  # only a check pays for PyYAML

        return local_checks.check(require_folder(path))

    def push(
        self, path: str | Path, adapter: str, *, message: str | None = None, branch: str = MAIN,
        private: bool | None = None, base: str = "", include: Sequence[str] = (), exclude: Sequence[str] = (),
        delete: Sequence[str] = (), create_pr: bool = False, wait: bool = False, timeout: float | None = None,
        show_progress: bool = False,
    ) -> Pushed:  # fmt: skip
        """Push a folder in one commit as the next revision of an adapter, created if needed; other files stay.

        `base` is named in the configs that are sent, not in the folder; `include` and `exclude` choose files, `delete`
        the remote files that go, all by patterns. A branch is created if needed. With `wait` the result holds the
        verdict: finished, or as it is after `timeout` seconds.
        """
        check_adapter(adapter)
        folder = require_folder(path)
        self.whoami()
        # Importing huggingface_hub takes 0.3 s, more than everything else together.
        from dovetail.api import upload  # noqa: PLC0415  # only a push pays for huggingface_hub

        parcel = upload.collect(folder, include=include, exclude=exclude, base=base)
        landed = upload.push(
            self.endpoint, self.token, parcel, adapter, message=message or f"Push {folder.resolve().name}",
            branch=branch, private=private, delete=delete, create_pr=create_pr, show_progress=show_progress,
        )  # fmt: skip
        verdict = self.verdict(adapter, landed.oid, wait=True, timeout=timeout) if wait else None
        url = f"{self.endpoint}/{adapter}/tree/{landed.oid}"
        return Pushed(adapter, landed.oid, url, verdict, landed.pull_request, parcel.rewritten, landed.is_changed)

    def pull(
        self, adapter: str, to: str | Path | None = None, *, revision: str | None = None,
        include: Sequence[str] = (), exclude: Sequence[str] = (), is_linked: bool = False, progress: Progress = ignore,
    ) -> Path:  # fmt: skip
        """Download a revision to `to` (./NAME), each file checked against the manifest's sha256; return the folder.

        `include` and `exclude` choose files by patterns. The bytes come through the cache of this machine, from
        which they are copied, or with `is_linked` hard-linked: then nobody should edit them.
        """
        name, asked = locate(adapter, revision)
        manifest = self.manifest(name, asked)
        files = transfers.parse_files(manifest["files"], include, exclude)
        return self.fetch(name, manifest.revision, files, to, is_linked=is_linked, progress=progress)

    def fetch(
        self,
        adapter: str,
        commit: str,
        files: Sequence[transfers.ManifestFile],
        to: str | Path | None = None,
        *,
        is_linked: bool = False,
        progress: Progress = ignore,
    ) -> Path:
        """Download files of a commit, as `pull` does after it has asked for the manifest."""
        # The caller names the folder: a hub that could name it could have files written anywhere.
        folder = Path(to) if to is not None else Path(adapter.partition("/")[2])
        origin = transfers.Origin(self.transport, adapter, commit)
        return transfers.fetch(origin, files, folder, Store(places.cache()), progress, is_linked=is_linked)

    # --- folders of many adapters ------------------------------------------------------------------------------------
    def lock(self, *adapters: str, lock: Lock | None = None, update: bool = False) -> Lock:
        """Return a lock with these adapters (NS/NAME@REV), added to `lock` if it is given; nothing is written.

        With `update` the names that are locked already are resolved again: these, or all without any.
        """
        present = lock or Lock(self.endpoint)
        if update:
            return folder_sync.renew(self.transport, present, present.named(adapters) if adapters else None)
        return folder_sync.add(self.transport, present, [ids.split(name) for name in adapters])

    def sync(
        self,
        lock: Lock | str | Path,
        to: str | Path,
        *,
        base: bool = False,
        verify: bool = False,
        layout: str = "",
        progress: Progress = ignore,
    ) -> folder_sync.Synced:
        """Make a folder equal to a lock, or to that of a lock file, in one step; the hub gives missing bytes alone."""
        present = lock if isinstance(lock, Lock) else locks.read_file(Path(lock))
        return folder_sync.sync(
            present,
            Path(to),
            lambda: self.transport,
            Store(places.cache()),
            with_bases=base,
            is_verified=verify,
            layout=layout,
            progress=progress,
        )


# --- functions for the hub that the environment or the last login names ----------------------------------------------
def push(
    path: str | Path, adapter: str, *, endpoint: str | None = None, token: str | None = None,
    message: str | None = None, branch: str = MAIN, private: bool | None = None, base: str = "",
    include: Sequence[str] = (), exclude: Sequence[str] = (), delete: Sequence[str] = (), create_pr: bool = False,
    wait: bool = False, timeout: float | None = None,
) -> Pushed:  # fmt: skip
    """Push a folder to NAMESPACE/NAME in one commit, as Client.push does. Raises Problem."""
    return Client(endpoint, token).push(
        path, adapter, message=message, branch=branch, private=private, base=base, include=include, exclude=exclude,
        delete=delete, create_pr=create_pr, wait=wait, timeout=timeout,
    )  # fmt: skip


def pull(
    adapter: str,
    to: str | Path | None = None,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
) -> Path:
    """Download NS/NAME or NS/NAME@REV, verify every byte, and return its folder. Raises Problem."""
    return Client(endpoint, token).pull(adapter, to, revision=revision)


check = Client.check


@functools.cache
def of_default(name: str) -> Callable[..., Any]:
    """Return a method of Client as a function; for another hub, make a Client."""
    method = getattr(Client, name)

    @functools.wraps(method)
    def call(*args: Any, **keywords: Any) -> Any:
        return method(Client(), *args, **keywords)

    return call


P = ParamSpec("P")
R = TypeVar("R")


def _in_thread(
    method: Callable[Concatenate[Client, P], R],
) -> "Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]]":
    """Return a method of Client as one that is awaited."""

    async def call(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> R:
        bound = functools.partial(method, self.client, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, bound)

    call.__doc__ = method.__doc__
    return call


class AsyncClient:
    """A hub as one caller sees it, for `async with`; at most `at_once` requests run at a time. Methods raise Problem.

    A task that is cancelled stops waiting at once; its request ends in the background, within the timeout.
    """

    def __init__(
        self, endpoint: str | None = None, token: str | None = None, *, timeout: float | None = None, at_once: int = 8
    ) -> None:
        self.client = Client(endpoint, token, timeout=timeout)
        self._threads = ThreadPoolExecutor(at_once, "dovetail")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let what runs end, and start nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    whoami = _in_thread(Client.whoami)
    info = _in_thread(Client.info)
    manifest = _in_thread(Client.manifest)
    search = _in_thread(Client.search)
    diff = _in_thread(Client.diff)
    fit = _in_thread(Client.fit)
    try_text = _in_thread(Client.try_text)
    push = _in_thread(Client.push)
    pull = _in_thread(Client.pull)
    lock = _in_thread(Client.lock)
    sync = _in_thread(Client.sync)
    verdict = _in_thread(Client.verdict)
    repair = _in_thread(Client.repair)
    merge = _in_thread(Client.merge)
    report = _in_thread(Client.report)
    yank = _in_thread(Client.yank)
    override = _in_thread(Client.override)
    aliases = _in_thread(Client.aliases)
    alias = _in_thread(Client.alias)
    roll_back_alias = _in_thread(Client.roll_back_alias)
    remove_alias = _in_thread(Client.remove_alias)
    tag = _in_thread(Client.tag)
    remove_tag = _in_thread(Client.remove_tag)
    branch = _in_thread(Client.branch)
    remove_branch = _in_thread(Client.remove_branch)
    releases = _in_thread(Client.releases)
    release = _in_thread(Client.release)
    edit_release = _in_thread(Client.edit_release)
    remove_release = _in_thread(Client.remove_release)
    delete = _in_thread(Client.delete)

    async def check(self, path: str | Path) -> Verdict:
        """Run the static checks on the adapter in a folder, without a hub."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.client.check, path)

    async def verdicts(
        self, adapter: str, revision: str = MAIN, *, timeout: float | None = None
    ) -> AsyncIterator[Verdict]:
        """Yield the verdict each time it has changed, until it is finished or `timeout` seconds have gone by."""
        changes = self.client.verdicts(adapter, revision, timeout=timeout)
        loop = asyncio.get_running_loop()
        while (verdict := await loop.run_in_executor(self._threads, next, changes, None)) is not None:
            yield verdict
