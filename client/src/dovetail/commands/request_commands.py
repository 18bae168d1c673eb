"""The commands `dovetail pr`: list the pull requests of an adapter, merge one, close one."""

from typing import Annotated

import typer

from dovetail.api import repositories
from dovetail.base import ids
from dovetail.base.problems import usage
from dovetail.terminal.arguments import LIST, Adapter, NamesOfAdapter
from dovetail.terminal.options import Options

STATUSES = ("open", "closed", "all")

app = typer.Typer(cls=NamesOfAdapter, help="List, merge and close pull requests.")
Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Its number in the list.")]


@app.command(LIST)
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
    items = repositories.pull_requests(options.client(), adapter, status)
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, "items": items})
        return
    columns = ("number", "status", "author", "title")
    options.printer.rows(columns, [[item[column] for column in columns] for item in items])
    if not items:
        options.printer.note(f"{adapter} has no pull request with the status {status}.")


@app.command("merge")
def merge(context: typer.Context, adapter: Adapter, number: Number) -> None:
    """Merge a pull request into main."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    revision = options.client().merge(adapter, number)
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, "number": number, "revision": revision})
        return
    options.printer.line(revision)
    options.printer.note(f"Pull request #{number} is merged: {adapter} is at {revision[:7]}.")


@app.command("close")
def close(context: typer.Context, adapter: Adapter, number: Number) -> None:
    """Close a pull request without merging it."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    repositories.close(options.client(), adapter, number)
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, "number": number, "revision": None})
        return
    options.printer.line(str(number))
    options.printer.note(f"Pull request #{number} of {adapter} is closed.")
