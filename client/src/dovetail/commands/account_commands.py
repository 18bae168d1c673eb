"""The commands about the account: login, logout, whoami.

A login goes by a browser, which may run on another machine: the device flow of RFC 8628.
"""

import os
import sys
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

import typer

from dovetail import places
from dovetail.adapters.results.records import JsonObject
from dovetail.api.client import Client
from dovetail.commands.arguments import Options
from dovetail.commands.printer import safe
from dovetail.problems import Problem, interrupted, no_hub, offline, usage
from dovetail.transport import FORM, ask, json_object

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


def begin_login(endpoint: str) -> Request:
    """Ask a hub for a code. Raises Problem."""
    status, answer = _post(endpoint, "device", {"client_id": CLIENT_ID})
    words = [answer.get(name) for name in ("device_code", "user_code", "verification_uri")]
    if status != 200 or not all(isinstance(word, str) for word in words):
        raise no_hub(endpoint)
    device_code, user_code, address = map(str, words)
    page = answer.get("verification_uri_complete") or address
    lives = _seconds(answer.get("expires_in"), SECONDS_LEFT)
    return Request(device_code, user_code, address, str(page), _seconds(answer.get("interval"), SLOWER_SECONDS), lives)


def wait_for_token(endpoint: str, request: Request, sleep: Callable[[float], None] = time.sleep) -> str:
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


def _post(endpoint: str, route: str, form: dict[str, str]) -> tuple[int, JsonObject]:
    """Return the status and the JSON object of an answer of /oauth."""
    if places.is_offline():
        raise offline()
    headers = {"Accept": "application/json", "Content-Type": FORM}
    with ask("POST", f"{endpoint}/oauth/{route}", headers, urlencode(form).encode(), TIMEOUT_SECONDS) as answer:
        return answer.status, json_object(answer)


def _seconds(value: object, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) and value > 0 else default


def login(
    context: typer.Context,
    browser: Annotated[
        bool | None,
        typer.Option(
            "--browser/--stdin",
            help="Sign in with a browser, or with a token that is read. Default: a browser if there is a terminal.",
        ),
    ] = None,
) -> None:
    """Sign in to a hub by a browser, here or on another machine, and save the token.

    A token of yours is taken from --token, or where there is no terminal from standard input.
    """
    options: Options = context.obj
    endpoint = places.endpoint(options.endpoint)
    by_browser = sys.stdin.isatty() if browser is None else browser
    token = options.token or (_ask_browser(options, endpoint) if by_browser else _read_token(endpoint))
    me = Client(endpoint, token).whoami()
    file = places.remember(endpoint, token)
    options.printer.answer(
        {"endpoint": endpoint, "name": me.name, "file": str(file)},
        f"Signed in at {endpoint} as {me.name}.",
        f"The token is saved in {file}.",
    )


def _ask_browser(options: Options, endpoint: str) -> str:
    request = begin_login(endpoint)
    error = options.printer.err  # also with --json and --quiet: without the address nobody could go on
    error.print(f"Open {safe(request.page)}", markup=False)
    error.print(f"and compare the code: {safe(request.user_code)}", markup=False)
    if sys.stdin.isatty() and not options.printer.as_json:
        open_page(request.page)
    with options.printer.waiting("waiting for you to approve in the browser"):
        return wait_for_token(endpoint, request)


def create_token(context: typer.Context) -> None:
    """Make a token: you choose read or write in a browser, here or on another machine, and it is printed, not saved."""
    options: Options = context.obj
    endpoint = places.endpoint(options.endpoint)
    token = _ask_browser(options, endpoint)
    options.printer.answer({"endpoint": endpoint, "token": token}, token, "Keep it: nobody can show it again.")


def _read_token(endpoint: str) -> str:
    token = sys.stdin.readline().strip()
    if not token:
        raise usage("No token was given.", f"Create one at {endpoint}/settings/tokens, or sign in with --browser.")
    return token


def logout(context: typer.Context) -> None:
    """Remove the saved token of a hub from this machine."""
    options: Options = context.obj
    endpoint = places.endpoint(options.endpoint)
    was_kept = places.forget(endpoint)
    if options.printer.as_json:
        options.printer.document({"endpoint": endpoint, "forgotten": was_kept})
        return
    if not was_kept:
        options.printer.line(f"There was no token for {endpoint}.")
        return
    options.printer.line(f"The token for {endpoint} is deleted here.")
    options.printer.note(f"It still works elsewhere until you revoke it at {endpoint}/settings/tokens.")


def whoami(context: typer.Context) -> None:
    """Show the account and the token that the hub sees."""
    options: Options = context.obj
    caller = options.client()
    me = caller.whoami()
    options.printer.answer({**me, "endpoint": caller.endpoint}, me.name)
    for row in me.organizations:
        options.printer.note(f"{row.role} in {row.name}")
    by_token = f", by the {me.token.role} token {me.token.name}" if me.token else ""
    options.printer.note(f"at {caller.endpoint}{by_token}")
