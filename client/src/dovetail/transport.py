"""HTTP to one hub: JSON, streams, problems as exceptions. Connections are kept; the token goes to that hub only."""

import functools
import json
import os
import time
from collections.abc import Mapping
from threading import Event
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError

from dovetail import __version__, places
from dovetail.answers.record import Answer, read
from dovetail.locks import Source
from dovetail.problems import Problem, interrupted, no_hub, offline, refusal, unreachable

TIMEOUT_SECONDS = 60
LONGEST_WAIT_SECONDS = 90  # for a hub's rate limit, whose window is one minute
MAX_ANSWER_BYTES = 32 << 20
MOST_REDIRECTS = 10
KEPT_CONNECTIONS = 8  # to one host: as many as files come at once
READ_ERRORS = (OSError, HTTPError)  # of a response that breaks off

FORM = "application/x-www-form-urlencoded"
_AWAY = (500, 502, 503, 504)

Response = urllib3.BaseHTTPResponse
T = TypeVar("T", bound=Answer)


def ask(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, timeout: float = TIMEOUT_SECONDS
) -> Response:
    """Send one request, through the proxy that the environment names; redirects are answers. Raises Problem.

    The caller closes the response; one that was read to its end leaves its connection for the next request.
    """
    proxy = _proxy_of(url)
    sent = {"User-Agent": f"dovetail-hub/{__version__}", **headers}
    options: Any = {"headers": sent, "timeout": timeout, "retries": False, "redirect": False, "preload_content": False}
    try:
        send = functools.partial(_pool(proxy).request, method, url, body, **options)
        try:
            return send()
        except ProtocolError:  # a kept connection that the hub has closed meanwhile
            if method != "GET":
                raise
            return send()
    except (OSError, HTTPError, ValueError) as error:
        raise unreachable(_shown(url), _reason(error, timeout), proxy and _shown(proxy)) from None


@functools.cache
def _pool(proxy: str) -> urllib3.PoolManager:
    if not proxy:
        return urllib3.PoolManager(maxsize=KEPT_CONNECTIONS)
    parts = urlsplit(proxy)
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    headers = urllib3.make_headers(proxy_basic_auth=secret)
    return urllib3.ProxyManager(proxy, proxy_headers=headers, maxsize=KEPT_CONNECTIONS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # two processes never write into one connection


def _proxy_of(url: str) -> str:
    """Return the address of the proxy for a URL, or ""."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _shown(url: str) -> str:
    """Return the part of an address that holds no secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _reason(error: BaseException, timeout: float) -> str:
    """Return what the system says of a request that failed, which urllib3 wraps."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, (TimeoutError, urllib3.exceptions.TimeoutError)):
        return f"no answer in {timeout:g} s"
    return str(error) or type(error).__name__


class Transport:
    """Sends requests to one hub. Every method raises Problem."""

    def __init__(self, endpoint: str, token: str | None = None, timeout: float | None = None) -> None:
        self.endpoint, self.token, self._timeout = endpoint, token, timeout or TIMEOUT_SECONDS
        self.is_offline = places.is_offline()
        self._is_patient = True  # waits for a hub that says when it is back

    def get(self, path: str, answer: type[T]) -> T:
        """Return the JSON answer of a GET below /api/v1, an object with the required members of that answer."""
        return self._object(self.open(path), answer)

    def post(self, path: str, body: Mapping[str, Any], answer: type[T]) -> T:
        """Return the JSON answer of a POST below /api/v1, as `get` does."""
        return self._object(self.open(path, json.dumps(body).encode()), answer)

    def put(self, path: str, body: Mapping[str, Any], answer: type[T]) -> T:
        """Return the JSON answer of a PUT below /api/v1, as `get` does."""
        return self._object(self.open(path, json.dumps(body).encode(), "PUT"), answer)

    def patch(self, path: str, body: Mapping[str, Any], answer: type[T]) -> T:
        """Return the JSON answer of a PATCH below /api/v1, as `get` does."""
        return self._object(self.open(path, json.dumps(body).encode(), "PATCH"), answer)

    def withdraw(self, path: str, answer: type[T]) -> T:
        """Return the JSON answer of a DELETE below /api/v1, as `get` does."""
        return self._object(self.open(path, method="DELETE"), answer)

    def delete(self, path: str) -> None:
        """Send a DELETE below /api/v1."""
        self.open(path, method="DELETE").close()

    def _object(self, opened: Response, shape: type[T]) -> T:
        with opened as answer:
            try:
                return read(shape, json.loads(answer.read(MAX_ANSWER_BYTES)))
            except ValueError:
                raise no_hub(self.endpoint) from None
            except READ_ERRORS as error:
                raise unreachable(self.endpoint, error) from None

    def open(self, path: str, body: bytes | None = None, method: str | None = None) -> Response:
        """Request a path below /api/v1, following redirects; the caller closes the response.

        Without a method it is a GET, with a body a POST.
        """
        method = method or ("GET" if body is None else "POST")
        return self._patiently(method, f"{self.endpoint}/api/v1{path}", body=body)

    def download(self, source: Source, offset: int = 0, is_stopped: Event | None = None) -> Response:
        """Request the bytes of a file by a route of the Hub, from an offset on; the caller closes the response.

        These routes have the wide limits that `hf download` has. A hub may answer with the whole file all the same.
        A wait that the hub asks for ends at once when another thread stops the download.
        """
        return self._patiently("GET", f"{self.endpoint}{source.route}", offset=offset, is_stopped=is_stopped)

    def _patiently(
        self, method: str, url: str, *, body: bytes | None = None, offset: int = 0, is_stopped: Event | None = None
    ) -> Response:
        """Send a request, and once more after the wait that the hub asks for."""
        try:
            return self._send(method, url, body, offset)
        except Problem as problem:
            if problem.wait_seconds is None or problem.wait_seconds > LONGEST_WAIT_SECONDS:
                raise
            if is_away(problem) and not self._is_patient:
                raise
            if is_stopped is None:
                time.sleep(problem.wait_seconds)
            elif is_stopped.wait(problem.wait_seconds):
                raise interrupted() from None
        return self._send(method, url, body, offset)

    def _send(self, method: str, url: str, body: bytes | None, offset: int) -> Response:
        """Send a request and follow redirects; the token goes to the hub alone, and nothing goes from https to http."""
        if self.is_offline:
            raise offline()
        headers = {"Accept": "application/json, */*;q=0.5"} | ({"Range": f"bytes={offset}-"} if offset else {})
        for _ in range(MOST_REDIRECTS):
            is_home = _origin(urlsplit(url)) == _origin(urlsplit(self.endpoint))
            secret = {"Authorization": f"Bearer {self.token}"} if self.token and is_home else {}
            kind = {"Content-Type": "application/json"} if body is not None else {}
            answer = ask(method, url, headers | secret | kind, body, self._timeout)
            if answer.status >= 400:
                raise self._refused(answer)
            place = answer.get_redirect_location()
            if not place:
                return answer
            with answer:
                answer.read(1 << 16)  # so that its connection is kept
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, body = "GET", None
            url = self._following(url, place, method)
        raise unreachable(self.endpoint, f"it redirects more than {MOST_REDIRECTS} times")

    def _following(self, url: str, place: str, method: str) -> str:
        """Return the address that a redirect leads to. Raises Problem for one that must not be followed."""
        before, after = urlsplit(url), urlsplit(urljoin(url, place))
        if after.scheme not in {"http", "https"} or (before.scheme == "https" and after.scheme != "https"):
            raise unreachable(self.endpoint, f"it redirects from {before.scheme} to {after.scheme}")
        if method != "GET" and _origin(after) != _origin(before):
            raise unreachable(self.endpoint, f"it redirects what is sent to it to {after.hostname}")
        return after.geturl()

    def _refused(self, answer: Response) -> Problem:
        with answer:
            problem = refusal(answer.status, _stated(answer), self.endpoint)
        if (wait := answer.headers.get("Retry-After") or "").isdecimal():
            problem.wait_seconds = int(wait)
        return problem


def is_away(problem: Problem) -> bool:
    """Return whether a hub does not answer, or only a proxy in front of it does, or it has lost its database."""
    return problem.code == "client-unreachable" or problem.status in _AWAY


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _stated(answer: Response) -> dict[str, object]:
    """Return what a refusal states: in its body, on the routes of the Hub in headers."""
    document = json_object(answer)
    if "code" not in document and (code := answer.headers.get("X-Error-Code")):
        detail = answer.headers.get("X-Error-Message") or document.get("error") or code
        return {"code": code, "detail": unquote(str(detail))}
    return document


def json_object(answer: Response) -> dict[str, object]:
    """Return the JSON object of a response, {} for anything else."""
    try:
        document = json.loads(answer.read(1 << 20))
    except (ValueError, *READ_ERRORS):
        return {}
    return document if isinstance(document, dict) else {}
