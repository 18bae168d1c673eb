"""The client for asyncio: the methods of `Client`, each in a thread.

Threads and not an asynchronous HTTP library: pushes, pulls and syncs are work of files and of huggingface_hub, which
block anyway, and huggingface_hub brings httpx in its releases 1 and httpx2 from 2 on. So there is one transport, with
one way to follow redirects, to wait for a rate limit and to keep a token at home.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from dovetail.api.client import Client
from dovetail.ids import MAIN
from dovetail.verdicts import Verdict

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
