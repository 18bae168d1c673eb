"""Signs in by a browser, which may run on another machine: the device flow of RFC 8628."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from dovetail import __version__
from dovetail.base.problems import Problem, interrupted, no_hub, unreachable

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT_ID = "dovetail"
TIMEOUT_SECONDS = 30
SLOWER_SECONDS = 5  # RFC 8628, section 3.5
SECONDS_LEFT = 15 * 60  # for a hub that does not say how long its code lives


@dataclass(frozen=True)
class Request:
    """A sign-in that waits for its owner: open `page`, or `address` and type the code."""

    device_code: str
    user_code: str
    address: str
    page: str
    interval: float
    expires_in: float


def begin(endpoint: str) -> Request:
    """Ask a hub for a code. Raises Problem."""
    status, answer = _post(endpoint, "device", {"client_id": CLIENT_ID})
    words = [answer.get(name) for name in ("device_code", "user_code", "verification_uri")]
    if status != 200 or not all(isinstance(word, str) for word in words):
        raise no_hub(endpoint)
    device_code, user_code, address = map(str, words)
    page = answer.get("verification_uri_complete") or address
    lives = _seconds(answer.get("expires_in"), SECONDS_LEFT)
    return Request(device_code, user_code, address, str(page), _seconds(answer.get("interval"), SLOWER_SECONDS), lives)


def wait(endpoint: str, request: Request, sleep: Callable[[float], None] = time.sleep) -> str:
    """Return the token, once the owner has approved in the browser. Raises Problem, also where they refuse."""
    interval, deadline = request.interval, time.monotonic() + request.expires_in
    form = {"grant_type": DEVICE_CODE, "device_code": request.device_code, "client_id": CLIENT_ID}
    try:
        while time.monotonic() < deadline:
            sleep(interval)
            status, answer = _post(endpoint, "token", form)
            if status == 200 and isinstance(answer.get("access_token"), str):
                return str(answer["access_token"])
            word = answer.get("error")
            if word == "slow_down":
                interval += SLOWER_SECONDS
            elif word != "authorization_pending":
                raise _refusal(endpoint, str(word), str(answer.get("error_description") or ""))
    except KeyboardInterrupt:
        raise interrupted("Stopped: you are not signed in.", "Run `dovetail login` again.") from None
    raise _refusal(endpoint, "expired_token", "")


def open_page(page: str) -> bool:
    """Open a page in the browser of this desktop; False where there is none, or only one that runs in the terminal."""
    has_desktop = sys.platform in {"darwin", "win32"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    is_page = page.startswith(("http://", "https://"))  # the hub names it: nothing else is to be opened
    return bool(has_desktop) and is_page and webbrowser.open(page)


def _refusal(endpoint: str, word: str, sentence: str) -> Problem:
    said = {"access_denied": "The sign-in was refused.", "expired_token": "The code was not used in time."}.get(word)
    if said is None and not sentence:
        return no_hub(endpoint)
    return Problem(
        said or sentence, "Run `dovetail login` again.", code=f"client-sign-in-{word.replace('_', '-')}", status=403
    )


def _post(endpoint: str, route: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object of an answer of /oauth."""
    headers = {"User-Agent": f"dovetail-hub/{__version__}", "Accept": "application/json"}
    request = urllib.request.Request(f"{endpoint}/oauth/{route}", urlencode(form).encode(), headers)  # noqa: S310  # places.py checks the scheme
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  # as above
            return answer.status, _object(answer.read(1 << 20))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _object(error.read(1 << 20))
    except urllib.error.URLError as error:
        raise unreachable(endpoint, error.reason) from None
    except (OSError, HTTPException) as error:
        raise unreachable(endpoint, error) from None


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _seconds(value: object, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) and value > 0 else default
