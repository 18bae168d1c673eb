"""The command `dovetail`: parses arguments, calls `client` and prints with `printing`; `problems` has exit statuses."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from dovetail import __version__, account, aliases, arguments, client
from dovetail.options import Options
from dovetail.printing import Printer, settle_streams
from dovetail.problems import DONE, INTERRUPTED, LOCAL, REFUTED, USAGE, Problem, local_files, usage
from dovetail.push_commands import push, repair
from dovetail.watching import conclude, watch

app = typer.Typer(
    name="dovetail", cls=arguments.Commands, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Push adapters to a Dovetail hub, see their verdicts, and pull the version that is known to work.",
    epilog="The options above work before and after the command. Exit status: 0 done, 1 the verdict is no, 2 usage, "
    "3 not signed in or not allowed, 4 not found, 5 network or server, 6 no verdict, 7 local files.",
)  # fmt: skip


def _print_version(is_asked_for: bool) -> None:
    if is_asked_for:
        typer.echo(f"dovetail {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The hub. Default: DOVETAIL_ENDPOINT, HF_ENDPOINT, or the hub of your last login."
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN", help="Default: DOVETAIL_TOKEN, HF_TOKEN, or the token that `dovetail login` saved."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer and nothing else.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = Options(endpoint, token, Printer(as_json=as_json, quiet=quiet))


for _command in (account.login, account.logout, account.whoami):
    app.command()(_command)
app.add_typer(aliases.app, name="alias")


@app.command()
def check(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder with the adapter.")],
) -> None:
    """Check an adapter locally before you push it; exit 1 if a hub would refuse it."""
    options: Options = context.obj
    verdict = client.check(path)
    if options.printer.is_human:
        options.printer.checks(verdict.checks)
    options.printer.note("A hub also loads it into its frozen base, runs it and measures it.")
    conclude(options.printer, verdict)


app.command()(push)


@app.command()
def pull(
    context: typer.Context,
    adapter: Annotated[
        str, typer.Argument(metavar="NS/NAME[@REV]", help="REV: a branch, a tag, an alias, a commit, or verified.")
    ],
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder to write. Default: ./NAME.")] = None,
) -> None:
    """Download an adapter and verify every byte; the last line printed is its folder."""
    options: Options = context.obj
    name, revision = _split(adapter)
    caller = options.client()
    manifest = caller.manifest(name, revision)
    with options.printer.downloads() as progress:
        folder = caller.fetch(name, manifest, to, progress=progress)
    if yanked := manifest.get("yanked"):
        options.printer.note(f"Its owners yanked this version: {yanked['reason']}")
    if manifest.get("state") not in {"passed", None}:
        options.printer.note(
            f"Its verdict is {manifest['state']}. The version known to work is {name}@verified, if there is one."
        )
    if options.printer.as_json:
        options.printer.document(
            {key: manifest.get(key) for key in ("adapter", "revision", "state")} | {"path": str(folder)}
        )
    else:
        options.printer.line(str(folder))


@app.command()
def verdict(
    context: typer.Context,
    adapter: Annotated[
        str, typer.Argument(metavar="NS/NAME[@REV]", help="REV: a branch, a tag, an alias, a commit, or verified.")
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is finished.")] = False,
) -> None:
    """Show the verdict of a revision; exit 1 if it is no."""
    options: Options = context.obj
    name, revision = _split(adapter)
    caller = options.client()
    if wait:
        answer = watch(options.printer, caller, name, revision)
    else:
        answer = caller.verdict(name, revision)
        if options.printer.is_human:
            options.printer.checks(answer.checks)
    conclude(options.printer, answer)


@app.command()
def fit(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder with the adapter.")],
) -> None:
    """List the bases of a hub that an adapter fits, without pushing it; exit 1 if it fits none."""
    options: Options = context.obj
    answer = options.client().fit(path)
    if options.printer.as_json:
        options.printer.document(answer)
    else:
        options.printer.fits(answer)
    raise typer.Exit(DONE if answer["fits"] else REFUTED)


app.command()(repair)


@app.command()
def report(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(metavar="NS/NAME[@REV]", help="What is wrong; REV: one revision of it.")],
    reason: Annotated[
        str,
        typer.Option(
            metavar="REASON",
            help="malware, backdoor, secret, illegal, personal-data, licence, squatting, spam, broken or other.",
        ),
    ],
    text: Annotated[str, typer.Option(metavar="TEXT", help="What you saw, and how to see it.")] = "",
    file: Annotated[str, typer.Option(metavar="PATH", help="The file in which it is.")] = "",
) -> None:
    """Report an adapter to the moderators of the hub; nobody else reads it."""
    options: Options = context.obj
    name, at, revision = adapter.partition("@")
    if at and not revision:
        raise usage(f"{adapter!r} names no revision after its @.", f"Write {name}, or {name}@main.")
    filed = options.client().report(name, reason, revision=revision, file=file, text=text)
    if options.printer.as_json:
        options.printer.document(filed)
        return
    options.printer.line(str(filed["id"]))
    known = "others reported it too" if filed["merged"] else "nobody reported it before"
    options.printer.note(f"Case {filed['id']}: {known}. The hub's page /settings/reports says what comes of it.")


@app.command()
def yank(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(metavar="NS/NAME@REV", help="The version that nobody should use.")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="What is wrong with it; everybody reads this.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take the yank back.")] = False,
) -> None:
    """Advise against a version: nothing leads to it by itself any more, and its commit id still serves it."""
    options: Options = context.obj
    name, at, revision = adapter.partition("@")
    if not (at and revision):
        raise usage(f"{adapter!r} names no revision.", f"Write {name}@ and a commit id or a tag.")
    if not (reason or undo):
        raise usage("A yank needs a reason.", "Add --reason and a sentence that says what is wrong.")
    answer = options.client().yank(name, revision, reason, undo=undo)
    if options.printer.as_json:
        options.printer.document(answer)
        return
    options.printer.line(answer["revision"])
    options.printer.note(f"{name}@{answer['revision'][:7]} is {'yanked' if answer.get('yanked') else 'not yanked'}.")


def _split(adapter: str) -> tuple[str, str]:
    name, at, revision = adapter.partition("@")
    client.check_adapter(name)
    if at and not revision:
        raise usage(f"{adapter!r} names no revision after its @.", f"Write {name}, or {name}@verified.")
    return name, revision or client.MAIN


# --- entry point -----------------------------------------------------------------------------------------------------
def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    words = sys.argv[1:] if argv is None else argv
    settle_streams()
    printer = Printer(as_json="--json" in words)
    try:
        status = app(arguments.globals_first(words) or ["--help"], prog_name="dovetail", standalone_mode=False)
    except Problem as problem:
        printer.problem(problem)
        status = problem.exit_status
    except typer.TyperException as error:
        printer.problem(arguments.misuse(error, app))
        status = USAGE
    except OSError as error:  # of a file here: what the network raises is a Problem already
        printer.problem(local_files(error))
        status = LOCAL
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    sys.exit(status or (DONE if words else USAGE))
