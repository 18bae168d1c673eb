"""Answers that are given again while nothing has changed, without asking Django a second time.

An adapter is pulled by many at once: each machine of a job asks for the same files, and each loader asks several
times. An answer may be repeated to a request that is the same to the last header, if nothing was committed to the
database since before the answer was made. SQLite tells that by one number. So there is no second set of rules of who
may see what: whatever Django would say now, it said then. What the clock alone decides (a token that ends, an embargo)
is late by five seconds at most.

Each repeated answer counts against the rate limit of its caller, has an id of its own, and is logged and counted.
Only for a hub on SQLite: PostgreSQL would be asked across a network each time. DOVETAIL_FAST_PATHS=off repeats nothing.
"""

import functools
import hashlib
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from hub import logs, metrics
from hub.limits import TURN, Taken
from hub.receiving import Application
from registry.kernel import request_ids, tracing
from registry.kernel.errors import RegistryError

ALLOWED: str = "dovetail.repeatable"  # in META: a view said that its answer may be repeated
SOURCE: str = "dovetail.source"  # in META: opens the bytes of a large answer once more
PATIENCE_SECONDS = 0.1  # in which one request may renew an answer for the others
SECONDS = 5.0  # how late the hub may notice what no commit tells
MOST_ANSWERS, MOST_BYTES = 128, 64 << 10  # of a process, and of the body of one: 8 MiB at most
_METHODS = frozenset({"GET", "HEAD"})
_STATUSES = frozenset({200, 206, 302, 304, 307})
_LEFT_OUT = frozenset({"HTTP_X_REQUEST_ID", "HTTP_X_AMZN_TRACE_ID", "REMOTE_PORT"})  # change no answer but its id
_TOLD_ANEW = frozenset({"x-request-id", "ratelimit", "ratelimit-policy"})
Header = tuple[str, str]


class Source(Protocol):
    """Bytes of a large answer, to be read once."""

    def read(self, size: int = ..., /) -> bytes:
        """Return the next bytes, none at the end."""

    def close(self) -> None:
        """Give back what holds them."""


def allow(request: HttpRequest) -> None:
    """Let the answer to this request be repeated: it depends on the request, the database and the clock alone."""
    request.META[ALLOWED] = True


def open_again(request: HttpRequest, source: Callable[[], Source]) -> None:
    """Tell how the bytes of a large answer are opened once more; `source` raises RegistryError if they are gone."""
    request.META[SOURCE] = source


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that may be given again, and when it was made: by the clock, and by the commits before it."""

    made_at: float
    commits: int | None
    status: str
    headers: list[Header]
    body: bytes | Callable[[], Source]
    answered: logs.Answered
    turn: Callable[[], Taken | None]
    renewal: threading.Lock = field(default_factory=threading.Lock)  # held by the request that has it made anew

    def is_current(self, commits: int | None) -> bool:
        """Return whether Django would answer the same."""
        return commits is not None and self.commits == commits and time.monotonic() - self.made_at < SECONDS

    def again(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        """Give the answer to this request; None where Django has to, because it was one too many or bytes are gone."""
        began = time.monotonic()
        body = self._body(environ)
        taken = self.turn() if body is not None else None
        if body is None or (taken and taken.is_refused):
            return None
        request_id = logs.name_of(environ)
        own = [("X-Request-Id", logs.chosen_by(environ) or request_id), *(taken.headers().items() if taken else ())]
        with request_ids.working_for(request_id), tracing.request() as span:
            start_response(self.status, [*self.headers, *own])
            self.answered.tell(span, time.monotonic() - began)
        metrics.REPEATED.labels(self.answered.face).inc()
        return body

    def _body(self, environ: dict[str, Any]) -> Iterable[bytes] | None:
        if isinstance(self.body, bytes):
            return [self.body]
        try:
            source = self.body()
        except RegistryError:
            return None
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](source, 1 << 16)
        wrapped.close = metrics.busy_until(source.close)  # type: ignore[attr-defined]  # WSGI servers call it
        return wrapped


def repeating(application: Application) -> Application:
    """Return a WSGI application that repeats the answers of this one; itself where nothing is repeated."""
    database = settings.DATABASES["default"]
    if not settings.FAST_PATHS or database["ENGINE"] != "hub.sqlite":
        return application
    return Repeats(application, Commits(str(database["NAME"])))


class Commits:
    """Tells whether anything was committed to a SQLite database, by a connection that never writes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()

    def count(self) -> int | None:
        """Return a number that each commit changes (PRAGMA data_version); None if the database does not answer."""
        try:
            with self._lock:
                row: tuple[int] = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:  # Django says what is the matter
            return None
        return row[0]

    @functools.cached_property
    def _connection(self) -> sqlite3.Connection:
        """The connection of this process: opened at its first request, because SQLite must not be taken across fork."""
        return sqlite3.connect(self._path, isolation_level=None, timeout=0, check_same_thread=False)


class Repeats:
    """A WSGI application that keeps the answers of another one that may be repeated."""

    def __init__(self, application: Application, commits: Commits) -> None:
        self._application = application
        self._commits = commits
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not _is_plain(environ):
            return self._application(environ, start_response)
        key = _key_of(environ)
        known = self._answers.get(key)
        if known is None:
            return self._ask(environ, start_response, key)
        if not known.is_current(self._commits.count()):
            is_alone = (before := known).renewal.acquire(timeout=PATIENCE_SECONDS)
            try:
                known = self._answers.get(key)
                if known is None or not known.is_current(self._commits.count()):
                    return self._ask(environ, start_response, key)
            finally:
                if is_alone:
                    before.renewal.release()
        again = known.again(environ, start_response)
        return self._ask(environ, start_response, key) if again is None else again

    def _ask(self, environ: dict[str, Any], start_response: Callable[..., Any], key: bytes) -> Iterable[bytes]:
        made_at, commits = time.monotonic(), self._commits.count()  # first: a commit from here on makes it old
        said: list[tuple[str, list[Header]]] = []

        def start(status: str, headers: list[Header], *arguments: Any) -> Any:
            said[:] = [(status, headers)]
            return start_response(status, headers, *arguments)

        body = self._application(environ, start)
        if environ.get(ALLOWED):
            for status, headers in said:
                self._keep(key, environ, body, made_at=made_at, commits=commits, status=status, headers=headers)
        return body

    def _keep(
        self,
        key: bytes,
        environ: dict[str, Any],
        body: Iterable[bytes],
        **made: Any,
    ) -> None:
        answered, turn = environ[logs.ANSWERED], environ.get(TURN)
        content = body.content if isinstance(body, HttpResponse) else environ.get(SOURCE)
        is_cookie = any(name.lower() == "set-cookie" for name, _ in made["headers"])
        if content is None or turn is None or answered.status not in _STATUSES or is_cookie:
            return
        if isinstance(content, bytes) and len(content) > MOST_BYTES:
            return
        made["headers"] = [(name, value) for name, value in made["headers"] if name.lower() not in _TOLD_ANEW]
        self._answers[key] = Answer(body=content, answered=answered, turn=turn, **made)
        self._answers.move_to_end(key)
        while len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)


def _is_plain(environ: dict[str, Any]) -> bool:
    """Return whether a request only reads, without a body, and without a session, which lives outside the database."""
    return (
        environ["REQUEST_METHOD"] in _METHODS
        and "HTTP_COOKIE" not in environ
        and "HTTP_TRANSFER_ENCODING" not in environ
        and environ.get("CONTENT_LENGTH", "") in ("", "0")
    )


def _key_of(environ: dict[str, Any]) -> bytes:
    """Return a digest of everything that a client or a proxy sent, but for the names of this one request.

    `repr` keeps the parts apart: a path may hold a line break.
    """
    parts = [f"{name}={value!r}" for name, value in environ.items() if type(value) is str and name not in _LEFT_OUT]
    return hashlib.blake2b("\n".join(parts).encode()).digest()
