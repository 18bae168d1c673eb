"""Answers that are given again while nothing has changed, without asking Django a second time.

An adapter is pulled by many at once: each machine of a job asks for the same files, and each loader asks several
times. An answer may be repeated to a request with the same headers, if nothing was committed to the database since
before the answer was made. SQLite tells that by one number. So there is one set of rules for who may see what. What no
commit tells, such as the end of a token by the clock, or what caches of seconds hold, is late by five seconds more.

Each repeated answer counts against the rate limit of its caller, has an id of its own, and is logged and counted.
Only for a hub on SQLite: PostgreSQL would be asked across a network each time. DOVETAIL_FAST_PATHS=off repeats nothing.
"""

import functools
import hashlib
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse

from hub.configuration.proxies import client_in
from hub.limits import COUNT_AGAIN, Taken
from hub.monitoring import logs, metrics
from hub.monitoring.logs import AnswerRecord
from hub.server.downloads import DOWNLOAD_AGAIN
from hub.server.receiving import Application
from registry.kernel.errors import RegistryError
from registry.kernel.outbound import request_ids, tracing

REPEATABLE: str = "dovetail.repeatable"  # in META: a view said that its answer may be repeated
OPEN_AGAIN: str = "dovetail.open_again"  # in META: opens the bytes of a large answer once more
CHECK_AGAIN: str = "dovetail.check_again"  # in META: raises where the answer may not be repeated
SECONDS = 5.0  # after which an answer is made anew, whatever the database says
PATIENCE_SECONDS = 0.1  # in which one request may renew an answer for the others
MOST_BYTES = 8 << 20  # of the answers that a process keeps
MOST_BODY_BYTES = 64 << 10  # of one answer; larger files are opened again
HEAD_BYTES = 2 << 10  # about what an answer takes beside its body
_METHODS = frozenset({"GET", "HEAD"})
_STATUSES = frozenset({200, 206, 302, 304})
# Headers that change nothing in an answer but its id, that say which machine and program asks, which no repeatable view
# reads, or that proxies.py reads for us.
_LEFT_OUT = frozenset(
    {
        "HTTP_X_REQUEST_ID",
        "HTTP_X_AMZN_TRACE_ID",
        "HTTP_USER_AGENT",
        "REMOTE_ADDR",
        "REMOTE_PORT",
        "HTTP_FORWARDED",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PROTO",
    }
)
_OF_ONE_REQUEST = frozenset({"x-request-id", "ratelimit", "ratelimit-policy"})  # headers of answers
Environ = dict[str, Any]
Header = tuple[str, str]
Start = Callable[..., Any]


class Source(Protocol):
    """Bytes of a large answer, to be read once."""

    def read(self, size: int = ..., /) -> bytes:
        """Return the next bytes, none at the end."""

    def close(self) -> None:
        """Release the file behind them."""


def allow(request: HttpRequest) -> None:
    """Let the answer to this request be repeated: it depends on the request, the database, the clock and short caches.

    It must not depend on the address or the program of the client (_LEFT_OUT).
    """
    request.META[REPEATABLE] = True


def open_again(request: HttpRequest, source: Callable[[], Source]) -> None:
    """Say how the bytes of a large answer are opened once more."""
    request.META[OPEN_AGAIN] = source


def check_again(request: HttpRequest, check: Callable[[], object]) -> None:
    """Say what is asked before an answer is repeated; it raises if Django has to answer."""
    request.META[CHECK_AGAIN] = check


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that may be given again, and when it was made: by the clock, and by the commits before it."""

    made_at: float
    commits: int | None
    status: str
    headers: list[Header]
    body: bytes | Callable[[], Source]
    record: AnswerRecord
    count: Callable[[Mapping[str, Any]], Taken | None]
    count_download: Callable[[Mapping[str, Any]], None] | None
    check: Callable[[], object] | None
    renewal: threading.Lock = field(default_factory=threading.Lock)  # held by the request that makes it anew

    @property
    def size(self) -> int:
        """The bytes that it takes, about."""
        return HEAD_BYTES + (len(self.body) if isinstance(self.body, bytes) else 0)

    def again(self, environ: Environ, start_response: Start) -> Iterable[bytes] | None:
        """Give the answer to this request; None where Django has to refuse it, or to say what is the matter."""
        began = time.monotonic()
        try:
            taken = self.count(environ)
            if taken and taken.is_refused:
                return None
            if self.check:
                self.check()
            if self.count_download:
                self.count_download(environ)
            body = self._body(environ)
        except (RegistryError, OSError, DatabaseError):
            return None
        request_id = logs.name_of(environ)
        own = [("X-Request-Id", logs.chosen_by(environ) or request_id), *(taken.headers().items() if taken else ())]
        with request_ids.working_for(request_id), tracing.request() as span:
            start_response(self.status, [*self.headers, *own])
            self.record.report(span, time.monotonic() - began)
        metrics.REPEATED.labels(self.record.face).inc()
        return body

    def _body(self, environ: Environ) -> Iterable[bytes]:
        """Return the bytes; the thread counts as busy until the server has sent them and closes what sends them."""
        if isinstance(self.body, bytes):
            whole = _Whole([self.body])
            whole.close = metrics.busy_until()
            return whole
        source = self.body()
        sent: Iterable[bytes] = environ["wsgi.file_wrapper"](source, 1 << 16)
        sent.close = metrics.busy_until(source.close)  # type: ignore[attr-defined]  # WSGI servers call it
        return sent


class _Whole(list[bytes]):
    """A body in one piece."""

    close: Callable[[], None]


def repeating(application: Application) -> Application:
    """Return a WSGI application that repeats the answers of this one; itself where nothing is repeated."""
    database = settings.DATABASES["default"]
    if not settings.FAST_PATHS or database["ENGINE"] != "hub.server.sqlite":
        return application
    return Repeats(application, Commits(Path(database["NAME"])))


class Commits:
    """Tells whether anything was committed to a SQLite database, by a connection that never writes."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._lock = threading.Lock()

    def count(self) -> int | None:
        """Return a number that each commit changes (PRAGMA data_version); None if the database does not answer."""
        try:
            with self._lock:
                row: tuple[int] = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return row[0]

    @functools.cached_property
    def _connection(self) -> sqlite3.Connection:
        """The connection of this process: opened at its first request, because SQLite must not be taken across fork."""
        address = f"{self._database.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(address, uri=True, isolation_level=None, timeout=0, check_same_thread=False)


class Repeats:
    """A WSGI application that keeps the answers of another one that may be repeated."""

    def __init__(self, application: Application, commits: Commits) -> None:
        self._application = application
        self._commits = commits
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()  # the one that was asked for last at the end
        self._bytes = 0
        self._lock = threading.Lock()  # of the two

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        if not _is_plain(environ):
            return self._application(environ, start_response)
        key = _key_of(environ)
        known = self._find(key)
        if known and not self._is_current(known):
            if known.renewal.acquire(blocking=False):
                try:
                    return self._ask(environ, start_response, key)
                finally:
                    known.renewal.release()
            if known.renewal.acquire(timeout=PATIENCE_SECONDS):
                known.renewal.release()
            known = self._find(key)
        again = known.again(environ, start_response) if known and self._is_current(known) else None
        return self._ask(environ, start_response, key) if again is None else again

    def _ask(self, environ: Environ, start_response: Start, key: bytes) -> Iterable[bytes]:
        made_at, commits = time.monotonic(), self._commits.count()  # first: a commit from here on makes it old
        started: list[tuple[str, list[Header]]] = []

        def start(status: str, headers: list[Header], *arguments: Any) -> Any:
            started.append((status, headers))
            return start_response(status, headers, *arguments)

        body = self._application(environ, start)
        content = body.content if isinstance(body, HttpResponse) else environ.get(OPEN_AGAIN)
        if content is None or not started or not _may_be_kept(environ, started[-1][1], content):
            self._keep(key, None)
            return body
        status, headers = started[-1]
        answer = Answer(
            made_at=made_at,
            commits=commits,
            status=status,
            headers=[(name, value) for name, value in headers if name.lower() not in _OF_ONE_REQUEST],
            body=content,
            record=environ[logs.RECORD],
            count=environ[COUNT_AGAIN],
            count_download=environ.get(DOWNLOAD_AGAIN),
            check=environ.get(CHECK_AGAIN),
        )
        self._keep(key, answer)
        return body

    def _is_current(self, known: Answer) -> bool:
        """Return whether Django would answer the same."""
        is_young = time.monotonic() - known.made_at < SECONDS
        return is_young and known.commits is not None and known.commits == self._commits.count()

    def _find(self, key: bytes) -> Answer | None:
        with self._lock:
            if known := self._answers.get(key):
                self._answers.move_to_end(key)
            return known

    def _keep(self, key: bytes, answer: Answer | None) -> None:
        """Keep the answer in place of the one before, or none."""
        with self._lock:
            if before := self._answers.pop(key, None):
                self._bytes -= before.size
            if answer:
                self._answers[key] = answer
                self._bytes += answer.size
            while self._bytes > MOST_BYTES:
                _, oldest = self._answers.popitem(last=False)
                self._bytes -= oldest.size


def _is_plain(environ: Environ) -> bool:
    """Return whether a request only reads, without a body, and without a session, which lives outside the database."""
    return (
        environ["REQUEST_METHOD"] in _METHODS
        and "HTTP_COOKIE" not in environ
        and "HTTP_TRANSFER_ENCODING" not in environ
        and environ.get("CONTENT_LENGTH", "") in ("", "0")
    )


def _may_be_kept(environ: Environ, headers: list[Header], content: bytes | Callable[[], Source]) -> bool:
    return (
        REPEATABLE in environ
        and COUNT_AGAIN in environ
        and environ[logs.RECORD].status in _STATUSES
        and not any(name.lower() == "set-cookie" for name, _ in headers)
        and not (isinstance(content, bytes) and len(content) > MOST_BODY_BYTES)
    )


def _key_of(environ: Environ) -> bytes:
    """Return a digest of everything in a request that an answer may depend on.

    `repr` keeps the parts apart: a path may hold a line break.
    """
    client = client_in(environ)
    parts = [f"{name}={value!r}" for name, value in environ.items() if type(value) is str and name not in _LEFT_OUT]
    return hashlib.blake2b("\n".join([*parts, repr((client.scheme, client.host))]).encode()).digest()
