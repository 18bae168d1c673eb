"""The commands that judge an adapter: check, verdict, fit."""

from pathlib import Path
from typing import Annotated

import typer

from dovetail import client, ids
from dovetail.arguments import AdapterAt
from dovetail.options import Options
from dovetail.problems import DONE, REFUTED
from dovetail.watching import conclude, watch

Folder = Annotated[Path, typer.Argument(metavar="PATH", help="The folder with the adapter.")]


def check(context: typer.Context, path: Folder) -> None:
    """Check an adapter locally before you push it; exit 1 if a hub would refuse it."""
    options: Options = context.obj
    verdict = client.check(path)
    if options.printer.is_human:
        options.printer.checks(verdict.checks)
    options.printer.note("A hub also loads it into its frozen base, runs it and measures it.")
    conclude(options.printer, verdict)


def verdict(
    context: typer.Context,
    adapter: AdapterAt,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is finished.")] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="With --wait: exit 6 if there is no verdict by then.")
    ] = None,
) -> None:
    """Show the verdict of a revision; exit 1 if it is no, 6 if there is none yet."""
    options: Options = context.obj
    name, revision = ids.split(adapter)
    caller = options.client()
    if wait:
        answer = watch(options.printer, caller, name, revision, timeout)
    else:
        answer = caller.verdict(name, revision)
        if options.printer.is_human:
            options.printer.checks(answer.checks)
    conclude(options.printer, answer)


def fit(context: typer.Context, path: Folder) -> None:
    """List the bases of a hub that an adapter fits, without pushing it; exit 1 if it fits none."""
    options: Options = context.obj
    answer = options.client().fit(path)
    if options.printer.as_json:
        options.printer.document(answer)
    else:
        options.printer.fits(answer)
    raise typer.Exit(DONE if answer["fits"] else REFUTED)
