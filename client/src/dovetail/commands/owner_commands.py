"""The commands of owners: yank, unyank, override, delete and pr; and report."""

import sys
from typing import Annotated

import typer

from dovetail import ids
from dovetail.api import edits
from dovetail.commands.arguments import LIST, Adapter, NamesOfAdapter, Options
from dovetail.problems import usage

Version = Annotated[str, typer.Argument(metavar="NS/NAME@REV", help="The version that nobody should use.")]


def yank(
    context: typer.Context,
    adapter: Version,
    reason: Annotated[
        str, typer.Option("--reason", "-m", metavar="TEXT", help="What is wrong with it; everyone can read this.")
    ] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Undo the yank, like `dovetail unyank`.")] = False,
) -> None:
    """Advise against a version: nothing leads to it by itself any more, and its commit id still serves it."""
    if not (reason or undo):
        raise usage("A yank requires a reason.", "Add --reason and a sentence that says what is wrong.")
    _yank(context.obj, adapter, reason, undo=undo)


def unyank(
    context: typer.Context, adapter: Annotated[str, typer.Argument(metavar="NS/NAME@REV", help="The yanked version.")]
) -> None:
    """Take a yank back."""
    _yank(context.obj, adapter, "", undo=True)


def _yank(options: Options, adapter: str, reason: str, *, undo: bool) -> None:
    answer = options.client().yank(adapter, reason, undo=undo)
    options.printer.answer(answer, answer.revision)
    name, state = adapter.partition("@")[0], "yanked" if answer.yanked else "not yanked"
    options.printer.note(f"{name}@{answer.revision[:7]} is {state}.")


def override(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(metavar="NS/NAME@REV", help="The version that is held back.")],
    reason: Annotated[
        str, typer.Option("--reason", "-m", metavar="TEXT", help="Why the score is right; everyone can read this.")
    ] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Undo the override.")] = False,
) -> None:
    """Let a version become `verified` though it scored worse than the one before, or adds nothing."""
    if not (reason or undo):
        raise usage("An override needs a reason.", "Add --reason and explain why the score is right.")
    options: Options = context.obj
    answer = options.client().override(adapter, reason, undo=undo)
    options.printer.answer(answer, answer.revision)
    is_held = answer.regression is not None and answer.regression.state == "held"
    stays = not answer.verified.may if answer.verified else is_held  # older hubs do not say whether it may
    options.printer.note(f"It {'is held back from' if stays else 'may become'} `verified`.")


def delete(
    context: typer.Context,
    adapter: Adapter,
    is_confirmed: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for the name.")] = False,
) -> None:
    """Delete an adapter with all its versions; asks for its name first."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    caller = options.client()
    caller.info(adapter)  # a name that is not there is said before anything is typed
    if not is_confirmed:
        confirm(adapter, " with all its versions")
    caller.delete(adapter)
    options.printer.answer({"adapter": adapter, "deleted": True}, adapter, f"{adapter} is deleted.")


def confirm(name: str, also: str) -> None:
    """Ask for the name of what is to be deleted. Raises Problem for another one, and where nobody can type."""
    if not sys.stdin.isatty():
        raise usage(f"Deleting {name} needs a confirmation.", "Add --yes where nobody can type the name.")
    typed = typer.prompt(f"Type {name} to delete it{also}", err=True).strip()
    if typed != name:
        raise usage(f"{typed!r} is not {name}: nothing was deleted.", "Type the whole name.")


def report(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(metavar="NS/NAME[@REV]", help="What is wrong; REV: one revision of it.")],
    reason: Annotated[
        str,
        typer.Option(
            metavar="REASON",
            help="Such as malware, license or broken; the hub refuses one that it does not know, and lists its own.",
        ),
    ],
    text: Annotated[str, typer.Option(metavar="TEXT", help="What you saw, and how to see it.")] = "",
    file: Annotated[str, typer.Option(metavar="PATH", help="The file that contains it.")] = "",
) -> None:
    """Report an adapter to the moderators of the hub; nobody else reads it."""
    options: Options = context.obj
    filed = options.client().report(adapter, reason, file=file, text=text)
    options.printer.answer(filed, str(filed["id"]))
    known = "it was reported before" if filed["merged"] else "nobody reported it before"
    options.printer.note(f"Case {filed['id']}: {known}. The hub shows the outcome at /settings/reports.")


STATUSES = ("open", "closed", "all")

requests = typer.Typer(cls=NamesOfAdapter, help="List, merge and close pull requests.")
Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Its number in the list.")]


@requests.command(LIST)
def list_requests(
    context: typer.Context,
    adapter: Adapter,
    status: Annotated[str, typer.Option(metavar="STATUS", help="open, closed or all.")] = "open",
) -> None:
    """List the pull requests of an adapter."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    if status not in STATUSES:
        raise usage(f"There is no status {status!r}.", f"Write one of {', '.join(STATUSES)}.")
    items = edits.pull_requests(options.client(), adapter, status)
    columns = ("number", "status", "author", "title")
    rows = [[item[column] for column in columns] for item in items]
    none = f"{adapter} has no pull request with the status {status}."
    options.printer.listing({"adapter": adapter, "items": items}, columns, rows, none)


@requests.command("merge")
def merge_request(context: typer.Context, adapter: Adapter, number: Number) -> None:
    """Merge a pull request into main."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    revision = options.client().merge(adapter, number)
    options.printer.answer(
        {"adapter": adapter, "number": number, "revision": revision},
        revision,
        f"Pull request #{number} is merged: {adapter} is at {revision[:7]}.",
    )


@requests.command("close")
def close_request(context: typer.Context, adapter: Adapter, number: Number) -> None:
    """Close a pull request without merging it."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    edits.close_request(options.client(), adapter, number)
    options.printer.answer(
        {"adapter": adapter, "number": number, "revision": None},
        str(number),
        f"Pull request #{number} of {adapter} is closed.",
    )
