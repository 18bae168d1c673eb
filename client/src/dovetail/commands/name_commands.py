"""The commands `dovetail tag` and `dovetail branch`: list, create and remove the names of versions."""

from typing import Annotated

import typer

from dovetail.api import repositories
from dovetail.base import ids
from dovetail.terminal.arguments import LIST, Adapter, NamesOfAdapter
from dovetail.terminal.options import Options

AdapterAt = Annotated[str, typer.Argument(metavar="NS/NAME[@REV]", help="REV: the version to name. Default: main.")]

tags = typer.Typer(cls=NamesOfAdapter, help="List, create and remove tags: names of versions that do not move.")
Tag = Annotated[str, typer.Argument(metavar="TAG", help="Such as v1.0.")]


@tags.command(LIST)
def list_tags(context: typer.Context, adapter: Adapter) -> None:
    """List the tags of an adapter with their commits."""
    _list(context.obj, adapter, "tag")


@tags.command("create")
def create_tag(
    context: typer.Context,
    adapter: AdapterAt,
    tag: Tag,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="What this version is.")
    ] = None,
) -> None:
    """Create a tag at a version."""
    options: Options = context.obj
    name, revision = ids.split(adapter)
    caller = options.client()
    repositories.create_tag(caller, name, tag, revision, message)
    _print(options, name, "tag", tag, caller.manifest(name, tag)["revision"])


@tags.command("rm")
def remove_tag(context: typer.Context, adapter: Adapter, tag: Tag) -> None:
    """Remove a tag; the version that it names stays."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    repositories.delete_tag(options.client(), adapter, tag)
    _print(options, adapter, "tag", tag, None)


branches = typer.Typer(cls=NamesOfAdapter, help="List, create and remove branches.")
Branch = Annotated[str, typer.Argument(metavar="BRANCH", help="Such as try-rank-16.")]


@branches.command(LIST)
def list_branches(context: typer.Context, adapter: Adapter) -> None:
    """List the branches of an adapter with their newest commits."""
    _list(context.obj, adapter, "branch")


@branches.command("create")
def create_branch(context: typer.Context, adapter: AdapterAt, branch: Branch) -> None:
    """Create a branch that begins at a version."""
    options: Options = context.obj
    name, revision = ids.split(adapter)
    caller = options.client()
    repositories.create_branch(caller, name, branch, revision)
    _print(options, name, "branch", branch, caller.manifest(name, branch)["revision"])


@branches.command("rm")
def remove_branch(context: typer.Context, adapter: Adapter, branch: Branch) -> None:
    """Remove a branch."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    repositories.delete_branch(options.client(), adapter, branch)
    _print(options, adapter, "branch", branch, None)


def _list(options: Options, adapter: str, kind: str) -> None:
    ids.check_adapter(adapter)
    facts = options.client().info(adapter)
    names = facts.get("revision_tags", {}) if kind == "tag" else facts.get("branches", {})
    items = [{kind: name, "revision": revision} for name, revision in names.items()]
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, "items": items})
        return
    options.printer.rows([kind, "commit"], [[item[kind], item["revision"]] for item in items])
    if not items:
        options.printer.note(f"{adapter} has none. Create one: dovetail {kind} create {adapter} NAME")


def _print(options: Options, adapter: str, kind: str, name: str, revision: str | None) -> None:
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, kind: name, "revision": revision})
        return
    options.printer.line(revision or name)
    state = f"is at {revision[:7]}" if revision else "is removed"
    options.printer.note(f"The {kind} {name} of {adapter} {state}.")
