"""The commands `dovetail alias`: list the aliases of an adapter, set and move them, roll them back, remove them."""

from typing import Annotated

import typer

from dovetail.answers.versions import Alias
from dovetail.base import ids
from dovetail.base.problems import usage
from dovetail.terminal.arguments import LIST, Adapter, NamesOfAdapter, Reason
from dovetail.terminal.options import Options

app = typer.Typer(cls=NamesOfAdapter, help="List and move the aliases of an adapter: names such as prod.")
Name = Annotated[str, typer.Argument(metavar="ALIAS", help="Such as prod, staging or champion.")]


@app.command(LIST)
def list_aliases(context: typer.Context, adapter: Adapter) -> None:
    """List the aliases of an adapter: name, commit, who set it."""
    options: Options = context.obj
    aliases = options.client().aliases(adapter)
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, "aliases": [dict(row) for row in aliases]})
        return
    for row in aliases:
        options.printer.line(f"{row.alias}\t{row.revision or '-'}")
        options.printer.note(_words(row))
    if not aliases:
        options.printer.note(f"{adapter} has no alias. Set one: dovetail alias set {adapter}@verified prod")


@app.command("set")
def set_alias(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(metavar="NS/NAME@REV", help="The version that it shall name.")],
    name: Name,
    reason: Reason = "",
    force: Annotated[bool, typer.Option("--force", help="Also to a version that has not passed.")] = False,
) -> None:
    """Set an alias to a version that passed, or move it there."""
    options: Options = context.obj
    full_name, _ = ids.split_exact(adapter, "verified")
    if force and not reason:
        raise usage("Forcing an alias needs a reason.", "Add --reason and a sentence that says why.")
    answer = options.client().alias(adapter, name, reason=reason, force=force)
    _print(options, full_name, answer)


@app.command("rollback")
def roll_back(context: typer.Context, adapter: Adapter, name: Name, reason: Reason = "") -> None:
    """Move an alias back to the version that it named before."""
    options: Options = context.obj
    _print(options, adapter, options.client().roll_back_alias(adapter, name, reason))


@app.command("rm")
def remove(context: typer.Context, adapter: Adapter, name: Name) -> None:
    """Remove an alias; the version that it names stays."""
    options: Options = context.obj
    options.client().remove_alias(adapter, name)
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, "alias": name, "revision": None})
        return
    options.printer.line(name)
    options.printer.note(f"{adapter} has no alias {name} any more.")


def _print(options: Options, adapter: str, answer: Alias) -> None:
    if options.printer.as_json:
        options.printer.document(answer)
        return
    options.printer.line(str(answer.get("revision")))
    options.printer.note(f"{adapter}@{answer['alias']} is {str(answer.get('revision'))[:7]} now.")


def _words(row: Alias) -> str:
    """Return who set an alias, and why another version than the chosen one is served."""
    words = f"  set by {row.get('set_by')}"
    if row.get("reason"):
        words += f": {row['reason']}"
    if row["fallback"]:
        served = "a fallback is served" if row.get("revision") else "none is served"
        words += f"\n  {served}: the chosen version is {row.get('fallback_reason')}"
    return words
