"""The shared part of all methods of a client: the hub, the token, and the addresses of repositories."""

from types import TracebackType
from typing import Self
from urllib.parse import quote

from dovetail.base import ids, places
from dovetail.base.hub_reader import ReadingHub
from dovetail.base.problems import usage


class Connection:
    """A hub as one caller sees it; endpoint and token default to the command line's. Usable in `with`."""

    def __init__(self, endpoint: str | None = None, token: str | None = None, *, timeout: float | None = None) -> None:
        self.endpoint = places.endpoint(endpoint)
        self.token = places.token(self.endpoint, token)
        self.transport = ReadingHub(self.endpoint, self.token, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Do nothing: no connection stays open between two requests."""


def locate(adapter: str, revision: str | None = None) -> tuple[str, str]:
    """Return the adapter and the revision of NS/NAME@REV, or of NS/NAME and a revision; main without one."""
    if revision is not None and "@" in adapter:
        raise usage(f"{adapter!r} and {revision!r} both name a revision.", "Name it once.")
    name, in_name = ids.split(adapter)
    return name, revision or in_name


def path(adapter: str, revision: str | None = None) -> str:
    """Return the address of an adapter, or of a revision, below /api/v1."""
    ids.check_adapter(adapter)
    of_adapter = f"/adapters/{quote(adapter)}"
    return of_adapter if revision is None else f"{of_adapter}/revisions/{quote(revision, safe='')}"
