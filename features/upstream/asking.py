"""Requests to the hubs that DOVETAIL_UPSTREAM names: no header of a client goes along, and no answer is unbounded.

A hub may redirect: to itself, to hosts of DOVETAIL_UPSTREAM_HOSTS, or, without that setting, to public addresses by
https. Its token goes to itself alone. After a failure a hub is left alone for a moment, so that threads do not pile up.
"""

import hashlib
import json
import logging
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from http.client import HTTPException, HTTPResponse
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from django.conf import settings
from django.core.cache import cache

from features.upstream.models import UpstreamRepository
from registry.kernel import outbound_http
from registry.kernel.errors import AccessRequired, Forbidden, Unavailable, ValueInvalid, WrongElsewhere
from registry.kernel.outbound_http import Unreachable

log = logging.getLogger(__name__)
SECONDS = 15.0  # for a whole answer of JSON
IMPATIENT_SECONDS = 7.0  # where an older answer is here: the Hub's clients wait for ten
READ_SECONDS = 20.0  # without a byte of a file
MAX_JSON = 32 << 20
MAX_REDIRECTS, MAX_HOPS = 5, 3
MAX_URL = 8000  # signed addresses of stores are long
REST_SECONDS, MAX_REST = 5.0, 300.0  # how long a hub is left alone after it failed
REST_SHARE = 4  # or so many times as long as the failure took: else requests would wait most of the time
SILENCE_SECONDS = 7 * 24 * 3600  # for which it is remembered since when a hub fails
LOOK_PATH = "/api/models?limit=1"  # any answer will do
OVERLOADED = frozenset({429, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HOPS_HEADER = "X-Dovetail-Hops"

hops: ContextVar[int] = ContextVar("hops", default=0)  # hubs that a request passed before this one
_seconds: ContextVar[float] = ContextVar("seconds", default=SECONDS)
_resting: dict[str, float] = {}  # address of a hub → the time until which it is left alone
_asking = threading.BoundedSemaphore(settings.UPSTREAM.streams or 1)


class UpstreamUnavailable(Unavailable):
    """Another hub, from which repositories are read here, does not answer."""

    code = "upstream-unavailable"
    default_fix = "Try again in a minute; what was read here before is still served."
    retry_seconds = 30


class UpstreamArriving(Unavailable):
    """An adapter of another hub that a worker is about to record here, so that it can be proven."""

    code = "upstream-arriving"
    default_fix = "Ask again in some seconds."


class UpstreamWrong(WrongElsewhere):
    """Another hub answered something that cannot be right."""

    code = "upstream-wrong"
    default_fix = "Tell the administrator of this hub: nothing of that answer was kept."


class UpstreamRefused(Forbidden):
    """The rules of this hub keep a repository of another hub from being read here."""

    code = "upstream-refused"
    default_fix = "Ask the administrator of this hub."


class UpstreamGated(AccessRequired, UpstreamRefused):
    """Another hub gives it to some people alone."""

    code = "upstream-gated"
    default_fix = UpstreamRefused.default_fix


class Hub(Protocol):
    """Another hub as the settings describe it."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...


@dataclass(frozen=True)
class Reply:
    """An answer whose JSON was read; `value` is None where it is none."""

    status: int
    value: Any
    code: str  # X-Error-Code
    link: str  # of the next page


@contextmanager
def impatiently() -> Iterator[None]:
    """Wait less for answers meanwhile."""
    token = _seconds.set(IMPATIENT_SECONDS)
    try:
        yield
    finally:
        _seconds.reset(token)


def ask(hub: Hub, path: str, question: object = None) -> Reply:
    """GET a JSON document, or POST a question, which changes nothing. Raises UpstreamUnavailable and UpstreamWrong."""
    if not _asking.acquire(blocking=False):
        raise UpstreamUnavailable("This hub already waits for many answers of other hubs.")
    deadline = time.monotonic() + min(_seconds.get(), SECONDS)
    try:
        with _opened(hub, path, {"Accept": "application/json"}, deadline, question) as response:
            content = response.read(MAX_JSON + 1)
            if response.length or time.monotonic() >= deadline:
                raise Unreachable("cut")
    finally:
        _asking.release()
    if len(content) > MAX_JSON:
        raise UpstreamWrong(f"{hub.url} answered more than {MAX_JSON:,} bytes of JSON.")
    header = response.headers.get
    return Reply(response.status, _parsed(hub, response, content), header("X-Error-Code", ""), header("Link", ""))


def look_again() -> None:
    """Ask the hubs that failed: somebody should know that they answer again, also while nobody reads from them."""
    for hub in settings.UPSTREAM.hubs:
        if silent_since(hub.url) and not settings.UPSTREAM.offline:
            with suppress(UpstreamUnavailable, UpstreamWrong):
                ask(hub, LOOK_PATH)


def silent_since(url: str) -> datetime | None:
    """Return when the hub at this address began to fail; None if it answered last, or nobody asked."""
    moment = cache.get(_silence(url))
    return datetime.fromtimestamp(moment, UTC) if moment else None


def _silence(url: str) -> str:
    return f"upstream:silent:{hashlib.sha256(url.encode()).hexdigest()}"


def _leave_alone(hub: Hub, seconds: float) -> None:
    _resting[hub.url] = time.monotonic() + seconds
    if cache.add(_silence(hub.url), time.time(), SILENCE_SECONDS):
        log.warning("%s does not answer; what was read of it before is served", hub.url)


def forgive(hub: Hub) -> None:
    """Let a hub be asked again at once: a download that broke off goes on."""
    _resting.pop(hub.url, None)


def _parsed(hub: Hub, response: HTTPResponse, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        if response.status == 200:
            raise UpstreamWrong(f"{hub.url} answered something that is no JSON.") from None
        return None


@contextmanager
def open_file(hub: Hub, path: str, start: int) -> Iterator[HTTPResponse]:
    """GET the bytes of a file from `start` on. Raises UpstreamUnavailable and UpstreamWrong."""
    ranges = {"Range": f"bytes={start}-"} if start else {}
    with _opened(hub, path, {"Accept": "*/*", **ranges}) as response:
        if response.status not in ({206} if start else {200}):
            raise UpstreamWrong(f"{hub.url} answered {response.status} for a file that it lists.")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise UpstreamWrong(f"{hub.url} sent a file in another encoding than asked for.")
        if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise UpstreamWrong(f"{hub.url} sent other bytes than asked for.")
        yield response


@contextmanager
def _opened(
    hub: Hub, path: str, headers: dict[str, str], deadline: float = 0, question: object = None
) -> Iterator[HTTPResponse]:
    """Send a request, follow redirects, and yield the last response, which ends at the deadline if that is not 0."""
    rest = _resting.get(hub.url, 0) - time.monotonic()
    if rest > 0:
        raise UpstreamUnavailable(f"{hub.url} did not answer a moment ago.")
    url, began = hub.url + path, time.monotonic()
    with ExitStack() as ends:
        try:
            for _ in range(MAX_REDIRECTS + 1):
                ends.close()  # the connection that redirected
                response = _sent(ends, hub, url, headers, deadline, question)
                location = response.headers.get("Location", "")
                if response.status not in REDIRECTS or not location:
                    break
                url = _joined(hub, url, location)
            else:
                raise UpstreamWrong(f"{hub.url} redirects without an end.")
            _refuse_failure(hub, response, is_hub=_same(urlsplit(url), urlsplit(hub.url)))
            if cache.delete(_silence(hub.url)):
                log.info("%s answers again", hub.url)
            yield response
        except (OSError, HTTPException, Unreachable) as problem:
            if _same(urlsplit(url), urlsplit(hub.url)):  # not where it redirects to
                waited = time.monotonic() - began if deadline else 0  # a file may arrive for hours before it breaks off
                _leave_alone(hub, max(REST_SECONDS, REST_SHARE * waited))
            raise UpstreamUnavailable(f"{hub.url} does not answer ({type(problem).__name__}).") from None


def _refuse_failure(hub: Hub, response: HTTPResponse, *, is_hub: bool) -> None:
    """Raise UpstreamUnavailable for a failure; a hub that has too much to do is left alone, not one with a bad page."""
    if response.status == 429 or response.status >= 500:
        if is_hub and response.status in OVERLOADED:
            wait = response.headers.get("Retry-After", "")
            seconds = min(float(wait), MAX_REST) if wait.isdecimal() else REST_SECONDS
            _leave_alone(hub, seconds)
        raise UpstreamUnavailable(f"{hub.url} answered {response.status}.")


def _sent(
    ends: ExitStack, hub: Hub, url: str, headers: dict[str, str], deadline: float, question: object
) -> HTTPResponse:
    """Send a request and return the response, whose connection `ends` closes. Raises Unreachable and UpstreamWrong."""
    parts, is_trusted = _allowed(hub, url)
    connection = outbound_http.connect(parts, is_trusted=is_trusted)
    ends.callback(connection.close)
    if deadline:  # a socket's timeout restarts with each byte: only this timer ends a connection that drips
        seconds = max(0.0, deadline - time.monotonic())
        alarm = threading.Timer(seconds, outbound_http.hang_up, [connection.sock])
        ends.callback(alarm.cancel)
        alarm.start()
    try:
        connection.sock.settimeout(READ_SECONDS)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        ours = {"Host": parts.netloc, "Connection": "close", "Accept-Encoding": "identity", "User-Agent": "dovetail"}
        if _same(parts, urlsplit(hub.url)):
            ours[HOPS_HEADER] = str(hops.get() + 1)
            if hub.token:
                ours["Authorization"] = f"Bearer {hub.token}"
        if question is None:
            connection.request("GET", path, None, ours | headers)
        else:
            ours["Content-Type"] = "application/json"
            connection.request("POST", path, json.dumps(question), ours | headers)
        response = connection.getresponse()
    except (OSError, HTTPException, ValueError, ssl.SSLError) as problem:
        raise Unreachable(type(problem).__name__) from None
    ends.callback(response.close)
    return response


def _allowed(hub: Hub, url: str) -> tuple[SplitResult, bool]:
    """Return the parts of an address that may be called, and whether the operator named its host."""
    if _same(urlsplit(url), urlsplit(hub.url)):
        return urlsplit(url), True
    try:
        parts = outbound_http.check_shape(url, MAX_URL)
    except ValueInvalid:
        raise UpstreamWrong(f"{hub.url} redirects to an address that cannot be called.") from None
    names = {(parts.hostname or "").lower(), parts.netloc.lower()}
    if names & set(settings.UPSTREAM.hosts):
        return parts, True
    is_listed = any(fnmatchcase(name, pattern) for pattern in settings.UPSTREAM.hosts for name in names)
    if parts.scheme != "https" or not (is_listed or not settings.UPSTREAM.hosts):
        raise UpstreamWrong(
            f"{hub.url} redirects to {parts.netloc}, which it may not.",
            fix="An administrator can name that host in DOVETAIL_UPSTREAM_HOSTS.",
        )
    return parts, False


def _joined(hub: Hub, url: str, location: str) -> str:
    """Return where a redirect leads. Raises UpstreamWrong."""
    try:
        joined = urljoin(url, location)
        urlsplit(joined)
    except ValueError:
        raise UpstreamWrong(f"{hub.url} redirects to an address that cannot be read.") from None
    return joined


def _same(parts: SplitResult, other: SplitResult) -> bool:
    return (parts.scheme, parts.netloc.lower()) == (other.scheme, other.netloc.lower())


def hub_of(repository: UpstreamRepository) -> Hub:
    """Return the hub of a repository. Raises UpstreamUnavailable for one that the settings name no more."""
    for hub in settings.UPSTREAM.hubs:
        if hub.url == repository.origin:
            return hub
    raise UpstreamUnavailable(f"{repository.full_name} came from {repository.origin}, which is not asked any more.")


def may_ask() -> bool:
    """Return whether other hubs may be asked now, for a request that passed few of them before."""
    return not settings.UPSTREAM.offline and hops.get() < MAX_HOPS


def ask_about(repository: UpstreamRepository, rest: str, question: object = None) -> Reply:
    """Ask the hub of a repository for something below its address in the API. Raises what asking.ask raises."""
    return ask(hub_of(repository), f"{api_path(repository.type, repository.full_name)}{rest}", question)


def api_path(type: str, full_name: str) -> str:
    """Return the path of a repository in a hub's API."""
    return f"/api/{type}s/{quote(full_name)}"


def file_path(repository: UpstreamRepository, oid: str, path: str) -> str:
    """Return the path at which a hub serves a file."""
    prefix = "" if repository.type == "model" else f"{repository.type}s/"
    return f"/{prefix}{quote(repository.full_name)}/resolve/{oid}/{quote(path)}"


def require_license(info: Mapping[str, Any]) -> None:
    """Raise UpstreamRefused for a repository whose license the operator did not list."""
    card = info.get("cardData")
    stated = card.get("license") if isinstance(card, dict) else None
    names = stated if isinstance(stated, list) else [stated]
    lower = {name.lower() for name in names if isinstance(name, str)}
    allowed = settings.UPSTREAM.licenses
    if allowed and not (lower and lower <= set(allowed)):
        named = ", ".join(sorted(lower)) or "no license"
        raise UpstreamRefused(f"{info.get('id')} states {named}, and this hub reads {', '.join(allowed)} only.")
