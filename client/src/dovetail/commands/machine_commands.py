"""The commands about this installation: doctor and version."""

import platform

import typer

from dovetail import __version__
from dovetail.base.problems import DONE
from dovetail.terminal import diagnosis, verdict_bar
from dovetail.terminal.options import Options


def doctor(context: typer.Context) -> None:
    """Examine address, network, hub, clock, token and cache, each with a fix; exit as the first failure does."""
    options: Options = context.obj
    printer = options.printer
    marks = verdict_bar.MARKS if printer.blocks else verdict_bar.PLAIN_MARKS
    findings = []
    for finding in diagnosis.examine(options.endpoint, options.token):
        findings.append(finding)
        if printer.as_json or (printer.quiet and finding.outcome != diagnosis.FAILED):
            continue
        printer.line(f"{marks[finding.outcome]:<2} {finding.name:<10} {finding.message}")
        if finding.fix:
            printer.note(f"   {'':<10} {finding.fix}")
    if printer.as_json:
        printer.document({"findings": [finding.document() for finding in findings]})
    raise typer.Exit(next((finding.exit_status for finding in findings if finding.exit_status), DONE))


def version(context: typer.Context) -> None:
    """Print the version of this client."""
    printer = context.obj.printer
    if printer.as_json:
        printer.document({"version": __version__, "python": platform.python_version()})
        return
    printer.line(__version__ if printer.quiet else f"dovetail {__version__}")
