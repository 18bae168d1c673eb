"""The commands that judge an adapter: check, verdict, fit."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from dovetail.api import client
from dovetail.base import ids, reports
from dovetail.base.problems import DONE, REFUTED
from dovetail.base.verdicts import Verdict
from dovetail.terminal.arguments import AdapterAt
from dovetail.terminal.options import Options
from dovetail.terminal.verdict_watch import conclude, status_of, watch

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
        for line in _stated_lines(verdict.training):
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


def _stated_lines(stated: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each file with facts, one for the losses, and one for the trigger words."""
    for file, facts in groupby(stated.get("facts") or (), key=lambda fact: str(fact["source"]).partition(":")[0]):
        pairs = [f"{fact['name']} {_plain(fact['value'])}" for fact in facts]
        yield f"  stated  {file}: {', '.join(pairs)}"
    if losses := stated.get("losses"):
        (first, loss), (last, end) = losses[0], losses[-1]
        source = str(stated.get("losses_source")).partition(":")[0]
        yield f"  stated  {source}: loss {loss:.4g} at step {first:.0f}, {end:.4g} at step {last:.0f}"
    if words := stated.get("words"):
        yield f"  words   {', '.join(words)}"


def _plain(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
