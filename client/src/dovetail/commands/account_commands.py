"""The commands about the account: login, logout, whoami."""

import sys
from typing import Annotated

import typer

from dovetail.api.client import Client
from dovetail.base import places
from dovetail.base.problems import usage
from dovetail.terminal import browser_login
from dovetail.terminal.options import Options
from dovetail.terminal.printer import safe


def login(
    context: typer.Context,
    browser: Annotated[
        bool | None,
        typer.Option(
            "--browser/--stdin", help="By a browser, or by a token that is read. Default: as there is a terminal."
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
    if options.printer.as_json:
        options.printer.document({"endpoint": endpoint, "name": me.name, "file": str(file)})
        return
    options.printer.line(f"Signed in at {endpoint} as {me.name}.")
    options.printer.note(f"The token is saved in {file}.")


def _ask_browser(options: Options, endpoint: str) -> str:
    request = browser_login.begin(endpoint)
    error = options.printer.err  # also with --json and --quiet: without the address nobody could go on
    error.print(f"Open {safe(request.page)}", markup=False)
    error.print(f"and compare the code: {safe(request.user_code)}", markup=False)
    if sys.stdin.isatty() and not options.printer.as_json:
        browser_login.open_page(request.page)
    with options.printer.waiting("waiting for you to approve in the browser"):
        return browser_login.wait(endpoint, request)


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
    options.printer.line(f"The token for {endpoint} is forgotten.")
    options.printer.note(f"It still works elsewhere until you revoke it at {endpoint}/settings/tokens.")


def whoami(context: typer.Context) -> None:
    """Show the account and the token that the hub sees."""
    options: Options = context.obj
    caller = options.client()
    me = caller.whoami()
    if options.printer.as_json:
        options.printer.document({**me, "endpoint": caller.endpoint})
        return
    options.printer.line(me.name)
    for row in me.organizations:
        options.printer.note(f"{row.role} in {row.name}")
    by_token = f", by the {me.token.role} token {me.token.name}" if me.token else ""
    options.printer.note(f"at {caller.endpoint}{by_token}")
