"""A hub as one caller sees it, and the methods of a client that only look: search, facts, manifests, verdicts, fit."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from dovetail import ids, places, verdicts
from dovetail.answers.adapters import AdapterDetail, FitAnswer, Tryout
from dovetail.answers.record import MappedAnswer, Page
from dovetail.answers.versions import Manifest, Me
from dovetail.api.comparison import Difference
from dovetail.hub_reader import ReadingHub
from dovetail.problems import UNAUTHORIZED, Problem, no_hub, not_signed_in, usage
from dovetail.transport import Transport
from dovetail.verdicts import Verdict


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


LARGEST_PAGE, MOST = 100, 10_000
T = TypeVar("T")
Filters = Mapping[str, str | int | list[str] | None]


def search_adapters(caller: "Connection", filters: Filters, limit: int) -> tuple[list[AdapterDetail], bool]:
    """Return at most `limit` adapters, and whether the hub has more. Values of one filter are alternatives."""
    query = {name: value for name, value in filters.items() if value not in (None, "", [])}
    query["limit"] = min(LARGEST_PAGE, limit)
    return every(caller.transport, f"/adapters?{urlencode(query, doseq=True)}", AdapterDetail, limit)


def every(transport: Transport, path: str, answer: type[T], most: int = MOST) -> tuple[list[T], bool]:
    """Return the items of the pages of a list below /api/v1, at most so many, and whether the hub has more."""
    items: list[T] = []
    place, before = path, ""
    while True:
        page = transport.get(place, Page[answer])  # type: ignore[valid-type]  # a type, as mypy cannot know
        items += page.items
        cursor = next_cursor(page.next)
        if not cursor or len(items) >= most:
            return items[:most], bool(cursor) or len(items) > most
        if cursor == before or not page.items:
            raise no_hub(transport.endpoint)  # a page that leads to itself would be read forever
        place, before = f"{path}{'&' if '?' in path else '?'}cursor={quote(cursor, safe='')}", cursor


def next_cursor(address: str | None) -> str:
    """Return the cursor of a next page, of whose address nothing else counts."""
    return parse_qs(urlsplit(address or "").query).get("cursor", [""])[0]


FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds between two looks at an unfinished verdict
TRY_SECONDS = 5  # of one request for an answer, less than its timeout
TRY_PAUSE_SECONDS = 0.5  # where a busy hub answers at once
UNFINISHED_TRIES = ("queued", "running")
PATIENCE_SECONDS = 30.0  # how long a wait tolerates a hub that does not answer, as during a restart

Values = str | Sequence[str] | None


class VerdictAnswer(MappedAnswer, needs="state checks"):
    """A verdict; `verdicts.read` reads the rest of it."""

    state: str
    checks: tuple[object, ...]  # a newer hub may have other ones


class Queries(Connection):
    """The reading half of a client. An adapter is NS/NAME or, where a version is meant, NS/NAME@REV."""

    def whoami(self) -> Me:
        """Return the account that the token belongs to."""
        try:
            return self.transport.get("/me", Me)
        except Problem as problem:  # asked without a token too: an address that does not answer is the first mistake
            if self.token is None and problem.status == UNAUTHORIZED:
                raise not_signed_in(self.endpoint) from None
            raise

    def search(
        self, words: str = "", *, base: Values = None, kind: Values = None, task: Values = None,
        license: Values = None, language: Values = None, tag: Values = None, author: Values = None,
        engine: Values = None, verdict: Values = None, rank_min: int | None = None, rank_max: int | None = None,
        size_min: int | None = None, size_max: int | None = None, sort: str = "", limit: int = 20,
    ) -> tuple[AdapterDetail, ...]:  # fmt: skip
        """Return the adapters that match; several values of one filter are alternatives."""
        several = {
            "base": base, "kind": kind, "task": task, "license": license, "language": language, "tag": tag,
            "author": author, "engine": engine, "verdict": verdict,
        }  # fmt: skip
        filters: dict[str, str | int | list[str] | None] = {
            name: [values] if values and isinstance(values, str) else list(values or ())
            for name, values in several.items()
        }
        filters |= {"q": words, "rank_min": rank_min, "rank_max": rank_max, "sort": sort}
        filters |= {"size_min": size_min, "size_max": size_max}
        return tuple(search_adapters(self, filters, limit)[0])

    def info(self, adapter: str) -> AdapterDetail:
        """Return the facts of an adapter."""
        return self.transport.get(path(adapter), AdapterDetail)

    def manifest(self, adapter: str, revision: str | None = None) -> Manifest:
        """Return a revision's manifest: its commit, files with size in bytes and sha256, config, base.

        While the hub does not answer, it is the one of its read plane, with the time `as_of` which it is.
        """
        name, asked = locate(adapter, revision)
        ids.check_adapter(name)
        return self.transport.manifest(name, asked)

    def diff(self, a: str, b: str) -> Difference:
        """Return what differs between two versions, each NS/NAME@REV; `b` may be @REV of the same adapter."""
        from dovetail.api import comparison  # noqa: PLC0415  # as in fit

        first = locate(a)
        return comparison.compare(self, first, locate(f"{first[0]}{b}" if b.startswith("@") else b))

    def fit(self, folder: str | Path) -> FitAnswer:
        """Return the hub's bases that the adapter in a folder fits, and why not the others; nothing is pushed."""
        from dovetail.api import local_checks  # noqa: PLC0415  # no other method needs the format library

        return local_checks.ask_fit(self.transport, require_folder(folder))

    def try_text(
        self, adapter: str, text: str, other: str = "", *, tokens: int = 32, timeout: float | None = None
    ) -> Tryout:
        """Return what NS/NAME@REV (without @REV: `verified`) and its base make of a text; the hub keeps it an hour.

        `other` is a second text, where the task has one; `tokens` is how many a model for generation writes. Raises
        Problem with the reason of a try that failed, or is not done within `timeout` seconds.
        """
        name, revision = ids.split(adapter, default="verified")
        body = {"text": text, "other": other, "new_tokens": tokens}
        tried = self.transport.post(f"{path(name, revision)}/try", body, Tryout)
        place = f"{path(name, tried.revision)}/try/{tried.id}"
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while tried.state in UNFINISHED_TRIES:
            left = deadline - time.monotonic()
            if left <= 0:
                fix = "Try again with a longer --timeout."
                raise Problem("The try is not answered yet.", fix, code="client-try-late")
            tried = self.transport.get(f"{place}?wait={int(min(TRY_SECONDS, left))}", Tryout)
            if tried.state in UNFINISHED_TRIES:
                time.sleep(min(TRY_PAUSE_SECONDS, left))
        if tried.state == "failed":
            raise Problem(tried.reason or "It could not be tried.", code="client-try-failed")
        if tried.answer is None:
            raise Problem(tried.reason or "No worker answered it.", "Try again later.", code="client-try-late")
        return tried

    # --- verdicts ----------------------------------------------------------------------------------------------------
    def verdict(
        self, adapter: str, revision: str | None = None, *, wait: bool = False, timeout: float | None = None
    ) -> Verdict:
        """Return the verdict of a revision; with `wait`, once it is finished, or as it is after `timeout` seconds."""
        if not wait:
            return self._verdict(*locate(adapter, revision))
        *_, last = self.verdicts(adapter, revision, timeout=timeout)
        return last

    def verdicts(self, adapter: str, revision: str | None = None, *, timeout: float | None = None) -> Iterator[Verdict]:
        """Yield the verdict each time it has changed, until it is finished or `timeout` seconds have gone by."""
        name, asked = locate(adapter, revision)
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        previous: Verdict | None = None
        pause = FIRST_PAUSE
        while True:
            # A branch may move while we wait: keep waiting for the commit that it pointed to at first.
            current = self._patient_verdict(name, previous.revision if previous else asked)
            if current != previous:
                yield current
                pause = FIRST_PAUSE
            if current.finished or time.monotonic() >= deadline:
                return
            previous = current
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 1.3, LONGEST_PAUSE)

    def _verdict(self, adapter: str, revision: str) -> Verdict:
        answer = self.transport.get(f"{path(adapter, revision)}/verdict", VerdictAnswer)
        return verdicts.read(answer.document)

    def _patient_verdict(self, adapter: str, revision: str) -> Verdict:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._verdict(adapter, revision)
            except Problem as problem:
                restarting = problem.code == "client-unreachable" or problem.status in {502, 503, 504}
                if not restarting or time.monotonic() > deadline:
                    raise
            time.sleep(LONGEST_PAUSE)


def require_folder(given: str | Path) -> Path:
    """Return the path of a folder. Raises Problem if there is none."""
    folder = Path(given)
    if not folder.is_dir():
        why = "is a file" if folder.exists() else "does not exist"
        raise usage(f"{folder} {why}.", "Name the folder that contains adapter_config.json.")
    return folder
