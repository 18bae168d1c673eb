"""HTTP to one hub with the standard library: JSON, streams, problems as exceptions. The token goes to that hub only."""

import json
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage, HTTPResponse
from threading import Event
from typing import IO, Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit

from dovetail import __version__
from dovetail.answers.record import Answer, read
from dovetail.locks import Source
from dovetail.problems import Problem, interrupted, no_hub, refusal, unreachable

TIMEOUT_SECONDS = 60
LONGEST_WAIT_SECONDS = 90  # for a hub's rate limit, whose window is one minute
MAX_ANSWER_BYTES = 32 << 20

_AWAY = (500, 502, 503, 504)

T = TypeVar("T", bound=Answer)


class Transport:
    """Sends requests to one hub. Every method raises Problem."""

    def __init__(self, endpoint: str, token: str | None = None, timeout: float | None = None) -> None:
        self.endpoint, self.token, self._timeout = endpoint, token, timeout or TIMEOUT_SECONDS
        self._is_patient = True  # waits for a hub that says when it is back
        self._opener = urllib.request.build_opener(_Redirects(endpoint, token))

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

    def _object(self, opened: HTTPResponse, shape: type[T]) -> T:
        with opened as answer:
            try:
                return read(shape, json.loads(answer.read(MAX_ANSWER_BYTES)))
            except ValueError:
                raise no_hub(self.endpoint) from None
            except (OSError, HTTPException) as error:
                raise unreachable(self.endpoint, error) from None

    def open(self, path: str, body: bytes | None = None, method: str | None = None) -> HTTPResponse:
        """Request a path below /api/v1, following redirects; the caller closes the response.

        Without a method it is a GET, with a body a POST.
        """
        url = f"{self.endpoint}/api/v1{path}"
        request = urllib.request.Request(url, body, method=method)  # noqa: S310  # places.py checks the scheme
        return self._patiently(request)

    def download(self, source: Source, offset: int = 0, is_stopped: Event | None = None) -> HTTPResponse:
        """Request the bytes of a file by a route of the Hub, from an offset on; the caller closes the response.

        These routes have the wide limits that `hf download` has. A hub may answer with the whole file all the same.
        A wait that the hub asks for ends at once when another thread stops the download.
        """
        request = urllib.request.Request(f"{self.endpoint}{source.route}")  # noqa: S310  # as above
        if offset:
            request.add_header("Range", f"bytes={offset}-")
        return self._patiently(request, is_stopped)

    def _patiently(self, request: urllib.request.Request, is_stopped: Event | None = None) -> HTTPResponse:
        """Send a request, and once more after the wait that the hub asks for."""
        try:
            return self._send(request)
        except Problem as problem:
            if problem.wait_seconds is None or problem.wait_seconds > LONGEST_WAIT_SECONDS:
                raise
            if is_away(problem) and not self._is_patient:
                raise
            if is_stopped is None:
                time.sleep(problem.wait_seconds)
            elif is_stopped.wait(problem.wait_seconds):
                raise interrupted() from None
        return self._send(request)

    def _send(self, request: urllib.request.Request) -> HTTPResponse:
        request.add_header("User-Agent", f"dovetail-hub/{__version__}")
        request.add_header("Accept", "application/json, */*;q=0.5")
        if request.data is not None:
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=self._timeout)
        except HTTPError as error:
            with error:
                problem = refusal(error.code, _stated(error), self.endpoint)
                if (wait := error.headers.get("Retry-After") or "").isdecimal():
                    problem.wait_seconds = int(wait)
                raise problem from None
        except URLError as error:
            raise unreachable(self.endpoint, error.reason) from None
        except (OSError, HTTPException, ValueError) as error:
            raise unreachable(self.endpoint, error) from None
        return answer


def is_away(problem: Problem) -> bool:
    """Return whether a hub does not answer, or only a proxy in front of it does, or it has lost its database."""
    return problem.code == "client-unreachable" or problem.status in _AWAY


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; the token goes to the hub alone, and nothing goes from https to http."""

    def __init__(self, endpoint: str, token: str | None) -> None:
        self._home, self._token = _origin(urlsplit(endpoint)), token

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        parts = urlsplit(newurl)
        if urlsplit(req.full_url).scheme == "https" and parts.scheme != "https":
            raise URLError(f"it redirects from https to {parts.scheme}")
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and self._token and _origin(parts) == self._home:
            following.add_unredirected_header("Authorization", f"Bearer {self._token}")
        return following


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _stated(error: HTTPError) -> dict[str, object]:
    """Return what a refusal states: in its body, on the routes of the Hub in headers."""
    document = _document(error)
    if "code" not in document and (code := error.headers.get("X-Error-Code")):
        detail = error.headers.get("X-Error-Message") or document.get("error") or code
        return {"code": code, "detail": unquote(str(detail))}
    return document


def _document(error: HTTPError) -> dict[str, object]:
    try:
        document = json.loads(error.read(1 << 20))
    except (ValueError, OSError, HTTPException):
        return {}
    return document if isinstance(document, dict) else {}
