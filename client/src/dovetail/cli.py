"""The command `dovetail`: reads arguments, asks `client`, lets `printing` answer; statuses are those of `problems`."""

import getpass
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dovetail import __version__, arguments, client, places
from dovetail.client import Client
from dovetail.printing import Printer, settle_streams
from dovetail.problems import DONE, REFUTED, USAGE, Problem, usage
from dovetail.verdict import Verdict

app = typer.Typer(
    name="dovetail", add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Push adapters to a Dovetail hub, see what was proven about them, pull the version that is known to work.",
    epilog="The options above work before and after the command. Exit status: 0 done, 1 the verdict is no, 2 usage, "
    "3 not signed in or not allowed, 4 not found, 5 network or server.",
)  # fmt: skip


@dataclass
class Options:
    """What the options before the command say."""

    endpoint: str | None
    token: str | None
    printer: Printer

    def client(self) -> Client:
        return Client(self.endpoint, self.token)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dovetail {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The hub; else DOVETAIL_ENDPOINT, HF_ENDPOINT, or where you signed in last."),
    ] = None,
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Else DOVETAIL_TOKEN, HF_TOKEN, or the one of `dovetail login`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer and nothing else.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = Options(endpoint, token, Printer(as_json=as_json, quiet=quiet))


@app.command()
def login(context: typer.Context) -> None:
    """Keep a token for a hub; it is asked for, or read from standard input."""
    asked: Options = context.obj
    endpoint = places.endpoint(asked.endpoint)
    token = asked.token or _ask_token(endpoint)
    me = Client(endpoint, token).me()
    file = places.remember(endpoint, token)
    if asked.printer.as_json:
        asked.printer.document({"endpoint": endpoint, "name": me["name"]})
        return
    asked.printer.line(f"Signed in at {endpoint} as {me['name']}.")
    asked.printer.note(f"The token is kept in {file}.")


def _ask_token(endpoint: str) -> str:
    if not sys.stdin.isatty():
        token = sys.stdin.readline().strip()
    else:
        token = getpass.getpass(
            f"Token (make one at {endpoint}/settings/tokens; nothing is shown as you type): "
        ).strip()
    if not token:
        raise usage("No token was given.", f"Make one at {endpoint}/settings/tokens.")
    return token


@app.command()
def logout(context: typer.Context) -> None:
    """Forget the token of a hub on this machine."""
    asked: Options = context.obj
    endpoint = places.endpoint(asked.endpoint)
    gone = places.forget(endpoint)
    if asked.printer.as_json:
        asked.printer.document({"endpoint": endpoint, "forgotten": gone})
        return
    asked.printer.line(f"The token for {endpoint} is forgotten." if gone else f"There was no token for {endpoint}.")
    asked.printer.note(f"It still works elsewhere until you revoke it at {endpoint}/settings/tokens." if gone else "")


@app.command()
def whoami(context: typer.Context) -> None:
    """Say who you are to the hub."""
    asked: Options = context.obj
    caller = asked.client()
    me = caller.me()
    if asked.printer.as_json:
        asked.printer.document({**me, "endpoint": caller.endpoint})
        return
    asked.printer.line(me["name"])
    for row in me["organizations"]:
        asked.printer.note(f"{row['role']} in {row['name']}")
    asked.printer.note(
        f"at {caller.endpoint}" + (f", by the {me['token']['role']} token {me['token']['name']}" if me["token"] else "")
    )


@app.command()
def check(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder with the adapter.")],
) -> None:
    """Look at an adapter here, before it is pushed; exit 1 when a hub would refuse it."""
    asked: Options = context.obj
    found = client.check(path)
    if asked.printer.is_human:
        asked.printer.checks(found.checks)
    asked.printer.note("A hub also loads it into its frozen base, runs it and measures it.")
    _conclude(asked.printer, found)


@app.command()
def push(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder with the adapter.")],
    adapter: Annotated[str, typer.Argument(metavar="NS/NAME", help="Where it goes; it is made if it is not there.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the verdict; exit 1 when it is no.")] = False,
    message: Annotated[str | None, typer.Option("--message", "-m", help="What changed.")] = None,
    private: Annotated[
        bool | None, typer.Option("--private/--public", help="Who may see it, if it is made now.")
    ] = None,
) -> None:
    """Push a folder as the next revision of an adapter."""
    asked: Options = context.obj
    if Path(adapter).is_dir() and not path.exists():  # the order of `hf upload`
        raise usage(f"{path} is no folder, and {adapter} is one.", f"Write: dovetail push {adapter} {path}")
    if path.is_dir() and not any(path.iterdir()):
        raise usage(f"{path} is empty: there is nothing to push.", "Name the folder that holds the adapter.")
    printer, caller = asked.printer, asked.client()
    pushed = caller.push(
        path, adapter, message=message, private=private, show_progress=printer.is_human and sys.stderr.isatty()
    )
    document = {"adapter": pushed.adapter, "revision": pushed.revision, "url": pushed.url}
    if printer.is_human:
        printer.line(f"{pushed.adapter} is at {pushed.revision}\n{pushed.url}")
    found = _watch_if_judged(printer, caller, adapter, pushed.revision) if wait else None
    if found:
        _conclude(printer, found, document)
    elif printer.as_json:
        printer.document(document)
    elif printer.quiet:
        printer.line(pushed.revision)


@app.command()
def pull(
    context: typer.Context,
    adapter: Annotated[
        str, typer.Argument(metavar="NS/NAME[@REV]", help="REV: a branch, a tag, a commit, or verified.")
    ],
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder to write; else ./NAME.")] = None,
) -> None:
    """Bring an adapter here, every byte checked; the last line is its folder."""
    asked: Options = context.obj
    name, revision = _split(adapter)
    caller = asked.client()
    manifest = caller.manifest(name, revision)
    with asked.printer.downloads() as progress:
        folder = caller.fetch(name, manifest, to, progress=progress)
    if manifest.get("state") not in {"passed", None}:
        asked.printer.note(
            f"Its verdict is {manifest['state']}. What is known to work is {name}@verified, once there is one."
        )
    if asked.printer.as_json:
        asked.printer.document(
            {key: manifest.get(key) for key in ("adapter", "revision", "state")} | {"path": str(folder)}
        )
    else:
        asked.printer.line(str(folder))


@app.command()
def verdict(
    context: typer.Context,
    adapter: Annotated[
        str, typer.Argument(metavar="NS/NAME[@REV]", help="REV: a branch, a tag, a commit, or verified.")
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is finished.")] = False,
) -> None:
    """Show what was proven about a revision; exit 1 when the verdict is no."""
    asked: Options = context.obj
    name, revision = _split(adapter)
    caller = asked.client()
    if wait:
        found = _watch(asked.printer, caller, name, revision)
    else:
        found = caller.verdict(name, revision)
        if asked.printer.is_human:
            asked.printer.checks(found.checks)
    _conclude(asked.printer, found)


@app.command()
def fit(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder with the adapter.")],
) -> None:
    """Say which of a hub's bases an adapter fits, without pushing it; exit 1 when it fits none."""
    asked: Options = context.obj
    found = asked.client().fit(path)
    if asked.printer.as_json:
        asked.printer.document(found)
    else:
        asked.printer.fits(found)
    raise typer.Exit(DONE if found["fits"] else REFUTED)


@app.command()
def repair(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(metavar="NS/NAME", help="The adapter whose config names no base.")],
    base: Annotated[str, typer.Option(metavar="NS/NAME", help="Which base is meant, where it fits several.")] = "",
) -> None:
    """Open a pull request that names the base an adapter fits; nothing changes until it is merged."""
    asked: Options = context.obj
    made = asked.client().repair(adapter, base)
    if asked.printer.as_json:
        asked.printer.document(made)
        return
    asked.printer.line(made["url"])
    asked.printer.note(f"Pull request #{made['number']} of {adapter}: {made['title']}.")


def _watch_if_judged(printer: Printer, caller: Client, adapter: str, revision: str) -> Verdict | None:
    """Return the finished verdict, or None for a revision that holds no adapter: it was pushed, and that is all."""
    try:
        return _watch(printer, caller, adapter, revision)
    except Problem as problem:
        if problem.code != "verdict-not-applicable":
            raise
        printer.note(f"{problem.detail} So there is no verdict.")
        return None


def _watch(printer: Printer, caller: Client, adapter: str, revision: str) -> Verdict:
    """Print checks as they arrive and return the finished verdict."""
    shown, told = 0, ""
    for found in caller.verdicts(adapter, revision):
        if found.state == "queued" and told != found.reason:
            told = found.reason
            printer.note(found.reason)
        if len(found.checks) < shown:  # another attempt began
            printer.note("The attempt was lost; another one begins.")
            shown = 0
        if printer.is_human:
            printer.checks(found.checks[shown:])
            shown = len(found.checks)
    return found


def _conclude(printer: Printer, found: Verdict, pushed: Mapping[str, str] | None = None) -> None:
    """Answer with the verdict, in a document about what was pushed if something was; leave with its exit status."""
    if printer.as_json:
        printer.document({**pushed, "verdict": found.document} if pushed else found.document)
    elif printer.quiet:
        printer.line(found.state)
        for check in found.failed_checks:
            printer.line(check.id)
    else:
        printer.conclusion(found)
        if failed := found.failed_checks:
            printer.line("failed: " + " ".join(check.id for check in failed))
    raise typer.Exit(REFUTED if found.state in {"failed", "errored"} else DONE)


def _split(adapter: str) -> tuple[str, str]:
    name, at, revision = adapter.partition("@")
    client.check_adapter(name)
    if at and not revision:
        raise usage(f"{adapter!r} names no revision behind its @.", f"Write {name}, or {name}@verified.")
    return name, revision or client.MAIN


# --- the way in ------------------------------------------------------------------------------------------------------
def main(written: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status."""
    given = sys.argv[1:] if written is None else written
    settle_streams()
    printer = Printer(as_json="--json" in given)
    try:
        status = app(arguments.globals_first(given) or ["--help"], prog_name="dovetail", standalone_mode=False)
    except Problem as problem:
        printer.problem(problem)
        status = problem.exit_status
    except typer.TyperException as error:
        printer.problem(arguments.misuse(error, app))
        status = USAGE
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    sys.exit(status or (DONE if given else USAGE))
