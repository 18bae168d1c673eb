"""Requests that hold a thread while nothing happens, few of a process and of a caller: long polls, server-sent events.

Of long polls only few wait at once; the others are answered as if they had not asked to wait, and ask again. A wish to
wait is therefore never refused and never a promise.

A stream of events holds a thread, and no connection to the database while nothing happens. It asks again who its
reader is before each event and at each heartbeat, and ends when they may not read it any more, when they went away,
when the process stops, and after some minutes. The id of an event says where the next stream goes on.
"""

import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import OperationalError, connection
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_vary_headers
from rest_framework import serializers as s
from rest_framework.request import Request

from hub import identity
from hub.addresses import network_of
from hub.api import problems, views
from hub.api.pages import Data
from hub.api.records import Renderer
from hub.server.worker import is_stopping
from registry.kernel.capacity import held_threads
from registry.kernel.errors import RegistryError, StreamsFull, TooManyStreams
from registry.kernel.policy import Caller


class NoPlace(Exception):
    """No place is free: in the whole process (`is_full`), or of those that one caller or network may have."""

    def __init__(self, *, is_full: bool) -> None:
        super().__init__()
        self.is_full = is_full


class Places:
    """Counts the requests of one kind that wait in this process. Strangers are counted by network alone."""

    def __init__(self, most: int, *, of_caller: int, of_network: int) -> None:
        self.most, self.of_caller, self.of_network = most, of_caller, of_network
        self._taken: Counter[str] = Counter()  # by caller, by network, and "" for all
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """The number of places that are taken now."""
        return self._taken[""]

    def take(self, request: Request) -> Callable[[], None]:
        """Take a place, and return the function that gives it back, at most once. Raises NoPlace."""
        limits = self._limits(request)
        with self._lock:
            if self._taken[""] >= self.most:
                raise NoPlace(is_full=True)
            if any(self._taken[holder] >= limit for holder, limit in limits.items()):
                raise NoPlace(is_full=False)
            if not held_threads.take():
                raise NoPlace(is_full=True)
            self._taken.update(["", *limits])
        held = ["", *limits]

        def give_back() -> None:
            with self._lock:
                if held:
                    held_threads.give_back()
                while held:
                    holder = held.pop()
                    self._taken[holder] -= 1
                    if not self._taken[holder]:
                        del self._taken[holder]

        return give_back

    def _limits(self, request: Request) -> dict[str, int]:
        caller, network = request.auth, network_of(request._request)
        user = caller.user if isinstance(caller, Caller) else None
        if user is None:
            return {f"network {network}": self.of_caller}
        return {f"user {user.pk}": self.of_caller, f"network {network}": self.of_network}


MAX_SECONDS = 25  # proxies give up after 30
POLL_SECONDS = 0.5
waiting_places = Places(16, of_caller=8, of_network=12)  # of a process that has 64 threads (deploy/gunicorn.conf.py)


class Wait(s.Serializer[Data]):
    wait = s.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_SECONDS,
        default=0,
        help_text="seconds to wait for news; a busy hub answers at once",
    )


def wait_until(has_happened: Callable[[], bool], seconds: int, request: Request) -> None:
    """Return once it has happened, when the time is over, or at once if too many wait already."""
    if not seconds or has_happened():
        return
    try:
        give_back = waiting_places.take(request)
    except NoPlace:
        return
    try:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not is_stopping():
            release_connection()
            time.sleep(min(POLL_SECONDS, left))
            if has_happened():
                return
    finally:
        give_back()


def release_connection() -> None:
    """Let others use this thread's place in the pool while it sleeps; SQLite has no pool, and opening a file costs."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()


KIND, JSON = "text/event-stream", "application/json"
LIFE_SECONDS = 300
HEARTBEAT_SECONDS = 15  # proxies give up after 30 without a byte
RETRY_MS = 2000
SEND_SECONDS = 30  # for a reader that takes no bytes
HEADERS = {
    "Cache-Control": "private, no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx would keep events until they fill a page
}
stream_places = Places(16, of_caller=4, of_network=8)  # of a process that has 64 threads (deploy/gunicorn.conf.py)


@dataclass(frozen=True)
class Message:
    """One event: `id` is where a stream goes on that begins behind it."""

    kind: str
    id: str
    data: bytes  # JSON

    def __bytes__(self) -> bytes:
        return f"id: {self.id}\nevent: {self.kind}\ndata: ".encode() + self.data + b"\n\n"


class Source(Protocol):
    """The source of a stream: what it tells, and how far it has come."""

    is_over: bool  # nothing more will come

    @property
    def position(self) -> str:
        """The id of what was read last, or of what the reader may not see behind it; empty for none."""

    def has_news(self) -> bool:
        """Return whether there may be something to read; cheap."""

    def read(self, by: Caller) -> list[Message]:
        """Return what is new and may be seen by the caller. Raises RegistryError where they lost the right."""


class View(views.View):
    # A route that answers by events where Accept prefers them, or always. No docstring, as in the class above it.

    always_streams = False

    @property
    def is_stream(self) -> bool:
        return self.always_streams or self.request._request.get_preferred_type([JSON, KIND]) == KIND

    @property
    def last_event_id(self) -> str:
        return self.request.headers.get("Last-Event-ID", "")

    def stream(self, source: Source, first: list[Message]) -> HttpResponseBase:
        """Return the events of a source, beginning with those that were read already.

        Raises TooManyStreams, and StreamsFull where others hold all places of this process.
        """
        if self.request.method == "HEAD":
            return HttpResponse(content_type=KIND, headers=HEADERS)
        try:
            give_back = stream_places.take(self.request)
        except NoPlace as refusal:
            if refusal.is_full:
                raise StreamsFull("This hub has no free streams at the moment.") from None
            raise TooManyStreams("You, or others on your network, have too many open streams.") from None
        events = _Stream(self.request, self.caller, source, first, give_back)
        return StreamingHttpResponse(events, content_type=KIND, headers=HEADERS)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(answer, ["Accept"])
        return answer


def render(data: object) -> bytes:
    """Return the JSON of an event, the same as in a plain answer."""
    text: bytes = Renderer().render(data)
    return text


class _Stream(Iterator[bytes]):
    """The bytes of one stream; `close`, which the server calls even before the first of them, gives its place back."""

    def __init__(
        self, request: Request, by: Caller, source: Source, first: list[Message], give_back: Callable[[], None]
    ) -> None:
        self._request, self._by, self._source, self._give_back = request, by, source, give_back
        self._connection: socket.socket | None = request.META.get("gunicorn.socket")
        self._pieces: Generator[bytes, None, None] = self._go_on(first)

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        self._pieces.close()
        self._give_back()

    def _go_on(self, first: list[Message]) -> Generator[bytes, None, None]:
        source, last_id, end = self._source, self._source.position, time.monotonic() + LIFE_SECONDS
        with _sending_within(self._connection, SEND_SECONDS):
            release_connection()  # sending may take long, too
            start = f"id: {last_id}\n" if last_id and not first else ""
            yield f"retry: {RETRY_MS}\n{start}\n".encode() + b"".join(map(bytes, first))
            due = time.monotonic() + HEARTBEAT_SECONDS
            while not source.is_over and time.monotonic() < end and not is_stopping():
                is_due = time.monotonic() >= due
                try:
                    messages = self._look(is_due=is_due)
                except (RegistryError, OperationalError) as problem:
                    yield self._refusal(problem)
                    return
                if messages or is_due:
                    moved = f"id: {source.position}\n\n" if source.position != last_id else ""
                    yield b"".join(map(bytes, messages)) or f": alive\n{moved}".encode()
                    last_id, due = source.position, time.monotonic() + HEARTBEAT_SECONDS
                elif not self._rest():
                    return

    def _look(self, *, is_due: bool) -> list[Message]:
        """Return what is new for the reader as they are now, who are asked for where something may be, or it is due."""
        try:
            if not is_due and not self._source.has_news():
                return []
            return self._source.read(identity.caller_again(self._request._request, self._by))
        finally:
            release_connection()

    def _refusal(self, problem: Exception) -> bytes:
        document = problems.answer(problem, {"request": self._request}).data
        return b"event: refusal\ndata: " + render(document) + b"\n\n"

    def _rest(self) -> bool:
        """Wait a moment; return False at once when the reader goes away."""
        if self._connection is None:  # another server than gunicorn
            time.sleep(POLL_SECONDS)
            return True
        poll = select.poll()
        poll.register(self._connection, getattr(select, "POLLRDHUP", 0))  # Linux; a broken connection is told always
        return not poll.poll(POLL_SECONDS * 1000)


@contextmanager
def _sending_within(connection: socket.socket | None, seconds: int) -> Iterator[None]:
    """Break a connection whose reader takes no bytes for so long: it would keep the thread for ever."""

    def limit(seconds: int) -> None:
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", seconds, 0))

    limit(seconds)
    try:
        yield
    finally:
        limit(0)  # the next request of this connection may be a large download
