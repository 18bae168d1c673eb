"""The commands about the account: login, logout, whoami."""

import getpass
import sys

import typer

from dovetail import places
from dovetail.client import Client
from dovetail.options import Options
from dovetail.problems import usage


def login(context: typer.Context) -> None:
    """Save a token for a hub; it is prompted for, or read from standard input."""
    options: Options = context.obj
    endpoint = places.endpoint(options.endpoint)
    token = options.token or _ask_token(endpoint)
    me = Client(endpoint, token).me()
    file = places.remember(endpoint, token)
    if options.printer.as_json:
        options.printer.document({"endpoint": endpoint, "name": me["name"]})
        return
    options.printer.line(f"Signed in at {endpoint} as {me['name']}.")
    options.printer.note(f"The token is saved in {file}.")


def _ask_token(endpoint: str) -> str:
    if not sys.stdin.isatty():
        token = sys.stdin.readline().strip()
    else:
        token = getpass.getpass(
            f"Token (create one at {endpoint}/settings/tokens; nothing is shown as you type): "
        ).strip()
    if not token:
        raise usage("No token was given.", f"Create one at {endpoint}/settings/tokens.")
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
    me = caller.me()
    if options.printer.as_json:
        options.printer.document({**me, "endpoint": caller.endpoint})
        return
    options.printer.line(me["name"])
    for row in me["organizations"]:
        options.printer.note(f"{row['role']} in {row['name']}")
    by_token = f", by the {me['token']['role']} token {me['token']['name']}" if me["token"] else ""
    options.printer.note(f"at {caller.endpoint}{by_token}")
