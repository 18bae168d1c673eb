"""The commands that judge an adapter: check, verdict, fit."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dovetail.api import client
from dovetail.base import ids, reports
from dovetail.base.problems import DONE, REFUTED
from dovetail.base.verdicts import Verdict
from dovetail.terminal import training_printing
from dovetail.terminal.arguments import AdapterAt
from dovetail.terminal.options import Options
from dovetail.terminal.watching import conclude, status_of, watch

Folder = Annotated[Path, typer.Argument(metavar="PATH", help="The folder with the adapter.")]


class Format(StrEnum):
    """The names of `reports.FORMATS`."""

    JUNIT, SARIF, MARKDOWN = "junit", "sarif", "markdown"


AsReport = Annotated[Format | None, typer.Option("--format", help="Print a report that other tools read.")]


def check(context: typer.Context, path: Folder, form: AsReport = None) -> None:
    """Check an adapter locally before you push it; exit 1 if a hub would refuse it."""
    options: Options = context.obj
    verdict = client.check(path)
    if form:
        _print_report(form, verdict, str(path))
    if options.printer.is_human:
        options.printer.checks(verdict.checks)
        for line in training_printing.lines(verdict.training):
            options.printer.line(line)
    options.printer.note("A hub also loads it into its frozen base, runs it and measures it.")
    conclude(options.printer, verdict)


def verdict(
    context: typer.Context,
    adapter: AdapterAt,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is finished.")] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="With --wait: exit 6 if there is no verdict by then.")
    ] = None,
    form: AsReport = None,
) -> None:
    """Show the verdict of a revision; exit 1 if it is no, 6 if there is none yet, 8 if it is held back."""
    options: Options = context.obj
    if form:
        options.printer.quiet = True
    name, revision = ids.split(adapter)
    caller = options.client()
    if wait:
        answer = watch(options.printer, caller, name, revision, timeout)
    else:
        answer = caller.verdict(name, revision)
        if options.printer.is_human:
            options.printer.checks(answer.checks)
    if form:
        _print_report(form, answer, adapter)
    conclude(options.printer, answer)


def _print_report(form: Format, verdict: Verdict, place: str) -> NoReturn:
    typer.echo(reports.FORMATS[form](verdict, place))
    raise typer.Exit(status_of(verdict))


def fit(context: typer.Context, path: Folder) -> None:
    """List the bases of a hub that an adapter fits, without pushing it; exit 1 if it fits none."""
    options: Options = context.obj
    answer = options.client().fit(path)
    if options.printer.as_json:
        options.printer.document(answer)
    else:
        options.printer.fits(answer)
    raise typer.Exit(DONE if answer["fits"] else REFUTED)
