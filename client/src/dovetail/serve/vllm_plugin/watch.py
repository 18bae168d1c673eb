"""Follows the loaded names: an alias that moved gets its new version, and what is held back is unloaded.

vLLM asks a resolver once a name, and has no call by which a resolver takes a name back. Its table of loaded adapters is
what requests are answered from, so the watch changes that table, as vLLM's own routes for loading and unloading do.
"""

import asyncio
from collections.abc import Callable
from types import FrameType
from typing import Any

from dovetail.problems import Problem
from dovetail.serve.vllm_plugin.versions import LOG, HubAway, Name, Refused, Version, Versions

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
