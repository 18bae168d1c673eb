"""The command `dovetail`: its global options and its commands, and the exit status of each (`problems`)."""

import sys
from typing import Annotated, Any

import typer

from dovetail import __version__
from dovetail.commands import (
    account_commands,
    arguments,
    cache_commands,
    derive_commands,
    group_commands,
    machine_commands,
    move_commands,
    name_commands,
    owner_commands,
    pull_commands,
    push_commands,
    search_commands,
    sync_commands,
    verdict_commands,
)
from dovetail.commands.arguments import Options
from dovetail.commands.printer import Printer, settle_streams
from dovetail.problems import DONE, INTERRUPTED, USAGE, Problem, interrupted, local_files, usage

HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="dovetail",
    cls=arguments.Commands,
    pretty_exceptions_enable=False,
    context_settings=HELP,
    help="Push adapters to a Dovetail hub, see their verdicts, and pull the version known to work.",
    epilog="The options above work before and after the command. Exit status: 0 done, 1 the verdict is no, 2 usage, "
    "3 not signed in or not allowed, 4 not found, 5 network or server, 6 no verdict, 7 local files, 8 held back.",
)


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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the answer.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = Options(endpoint, token, Printer(as_json=as_json, quiet=quiet))


def help(
    context: typer.Context,
    command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", help="Such as push, or alias set.")] = None,
) -> None:
    """Show the help of dovetail, or of a command."""
    words = command or []
    found: Any = typer.main.get_group(app)
    parent = typer.Context(found, info_name="dovetail", help_option_names=HELP["help_option_names"])
    for word in words:
        found = found.get_command(parent, word) if hasattr(found, "get_command") else None
        if found is None:
            raise usage(f"There is no command {' '.join(words)!r}.", "See `dovetail help`.")
        parent = typer.Context(found, info_name=word, parent=parent)
    typer.echo(found.get_help(parent))


FIND, ADAPTERS, VERSIONS = "Find", "Adapters", "Versions and their names"
MACHINES, ACCOUNT, MACHINE = "Machines that serve", "Account", "This machine"
for _panel, _commands in {
    FIND: (
        *(search_commands.search, search_commands.info, search_commands.versions, search_commands.diff),
        *(search_commands.open_, search_commands.cat),
    ),
    ADAPTERS: (
        *(verdict_commands.check, push_commands.push, pull_commands.pull, pull_commands.verify),
        *(verdict_commands.verdict, verdict_commands.try_, verdict_commands.fit, push_commands.repair),
        *(derive_commands.convert, derive_commands.combine, derive_commands.derive),
        *(move_commands.import_, move_commands.export, owner_commands.report, owner_commands.delete),
    ),
    VERSIONS: (owner_commands.yank, owner_commands.unyank, owner_commands.override),
    MACHINES: (sync_commands.lock, sync_commands.sync),
    ACCOUNT: (account_commands.login, account_commands.logout, account_commands.whoami),
    MACHINE: (machine_commands.doctor, machine_commands.mcp, machine_commands.version, help),
}.items():
    for _command in _commands:
        app.command(_command.__name__.rstrip("_"), rich_help_panel=_panel)(_command)
for _name, _group in {
    "alias": name_commands.aliases,
    "tag": name_commands.tags,
    "branch": name_commands.branches,
    "release": name_commands.releases,
    "pr": owner_commands.requests,
}.items():
    app.add_typer(_group, name=_name, rich_help_panel=VERSIONS, context_settings=HELP)
for _name, _group in group_commands.groups().items():
    _panel = ADAPTERS if _name == "repo" else ACCOUNT
    app.add_typer(_group, name=_name, rich_help_panel=_panel, context_settings=HELP)
app.add_typer(cache_commands.app, name="cache", rich_help_panel=MACHINE, context_settings=HELP)
for _typer in (app, *(group.typer_instance for group in app.registered_groups if group.typer_instance)):
    for _row in _typer.registered_commands:
        if _row.callback:
            arguments.teach(_row.callback)


# --- entry point -----------------------------------------------------------------------------------------------------
def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    words = sys.argv[1:] if argv is None else argv
    settle_streams()
    printer = Printer(as_json="--json" in words)
    try:
        status = app(arguments.globals_first(words) or ["--help"], prog_name="dovetail", standalone_mode=False)
        if status == INTERRUPTED:  # typer's answer to Ctrl-C says nothing
            status = _refuse(printer, interrupted())
    except arguments.Misuse as error:
        status = _refuse(printer, arguments.misuse(error, app))
    except OSError as error:  # of a file here: what the network raises is a Problem already
        status = _refuse(printer, local_files(error))
    except (KeyboardInterrupt, typer.Abort):
        status = _refuse(printer, interrupted())
    except Problem as problem:
        status = _refuse(printer, problem)
    sys.exit(status or (DONE if words else USAGE))


def _refuse(printer: Printer, problem: Problem) -> int:
    printer.problem(problem)
    return problem.exit_status
