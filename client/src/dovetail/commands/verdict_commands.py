"""The commands that judge an adapter: check, verdict, fit, and try, which has it answer a text of one's own.

Waiting for a verdict, printing it, and the exit status that it stands for are those of a push too.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from dovetail import ids, verdicts
from dovetail.adapters.files import config as configs
from dovetail.adapters.results.report import Content
from dovetail.adapters.results.usage import Answer, Share, Side
from dovetail.api import client
from dovetail.api.client import Client
from dovetail.commands.arguments import AdapterAt, Options
from dovetail.commands.printer import Printer
from dovetail.problems import DONE, HELD_BACK, REFUTED, UNDECIDED, Problem, interrupted, usage
from dovetail.verdicts import Verdict

# Of a state that is not here, the verdict has not been reached, or a newer hub says more than we know.
STATUSES = {"passed": DONE, "failed": REFUTED, "errored": REFUTED}


def watch_if_judged(
    printer: Printer, caller: Client, adapter: str, revision: str, timeout: float | None = None
) -> Verdict | None:
    """Return the finished verdict, or None for a revision without an adapter, which gets no verdict."""
    try:
        return watch(printer, caller, adapter, revision, timeout)
    except Problem as problem:
        if problem.code != "verdict-not-applicable":
            raise
        printer.note(f"{problem.detail} There is no verdict.")
        return None


def watch(printer: Printer, caller: Client, adapter: str, revision: str, timeout: float | None = None) -> Verdict:
    """Print checks as they arrive and return the verdict: finished, or as it is after `timeout` seconds."""
    try:
        with printer.waiting(f"waiting for the verdict of {adapter}"):
            return _watch(printer, caller, adapter, revision, timeout)
    except KeyboardInterrupt:
        raise interrupted(
            "Stopped waiting: the hub continues.", f"Ask again: dovetail verdict {adapter}@{revision} --wait"
        ) from None


def _watch(printer: Printer, caller: Client, adapter: str, revision: str, timeout: float | None) -> Verdict:
    printed, reason = 0, ""
    for verdict in caller.verdicts(adapter, revision, timeout=timeout):
        waits = str(verdict.renewal.get("reason") or "") or (verdict.reason if verdict.state == "queued" else "")
        if waits and reason != waits:
            reason = waits
            printer.note(reason)
        if len(verdict.checks) < printed:  # another attempt began
            printer.note("The attempt was lost; a new one starts.")
            printed = 0
        if printer.is_human and not verdict.renewal:  # these are the checks of the one in force
            printer.checks(verdict.checks[printed:])
            printed = len(verdict.checks)
    return verdict


def conclude(printer: Printer, verdict: Verdict, pushed: Mapping[str, object] | None = None) -> None:
    """Print the verdict, inside the push's document after a push, and exit with its status."""
    if printer.as_json:
        printer.document({**pushed, "verdict": verdict.document} if pushed else verdict.document)
    elif printer.quiet:
        printer.line(verdict.state)
        for check in verdict.failed_checks:
            printer.line(check.id)
    else:
        printer.conclusion(verdict)
        for part, line in _parts(verdict):
            printer.line(line)
            printer.serving(part.serving or ())
        if verdict.errored_renewal:
            printer.line(f"the newest validation errored: {verdict.errored_renewal.get('reason')}")
            printer.line("the previous verdict, above, stays in force")
        if failed := verdict.failed_checks:
            printer.line("failed: " + " ".join(check.id for check in failed))
        if verdict.passed and (reason := verdict.verified.get("reason")):
            printer.line(f"not verified: {reason}")
            printer.line(f"fix: {verdict.verified.get('fix')}")
        elif verdict.held_back:
            printer.line("held back: verified stays at the version before it, which scored better")
    raise typer.Exit(status_of(verdict))


def _parts(verdict: Verdict) -> list[tuple[Content, str]]:
    """Return each of several adapters in one repository, and a line with its own part of the verdict."""
    proven = [part for part in verdict.contents if part.proven and part.state]
    ends = [f" by {' '.join(part.failed)}" if part.failed else "" for part in proven]
    lines = [f"{part.path or 'the top'}: {part.state}{end}" for part, end in zip(proven, ends, strict=True)]
    return list(zip(proven, lines, strict=True)) if len(lines) > 1 else []


def status_of(verdict: Verdict) -> int:
    """Return the exit status that a verdict stands for."""
    return HELD_BACK if verdict.held_back else STATUSES.get(verdict.state, UNDECIDED)


Folder = Annotated[Path, typer.Argument(metavar="PATH", help="The folder with the adapter.")]


class Format(StrEnum):
    """The names of `verdicts.REPORTS`."""

    JUNIT, SARIF, MARKDOWN = "junit", "sarif", "markdown"


AsReport = Annotated[Format | None, typer.Option("--format", help="Print a report for other tools.")]


def check(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Folders with an adapter each, or files in them.")
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Check every folder below that has an adapter_config.json.")
    ] = False,
    form: AsReport = None,
) -> None:
    """Check adapters locally before you push them; exit 1 if a hub would refuse one."""
    options: Options = context.obj
    printer = options.printer
    folders = list(dict.fromkeys(folder for path in paths for folder in _folders(path, is_deep=recursive)))
    if len(folders) > 1:
        if form:
            raise usage("A report is about one folder.", f"Write: dovetail check {folders[0]} --format {form}")
        _check_all(printer, folders)
    [folder] = folders
    verdict = client.check(folder)
    if form:
        _print_report(form, verdict, str(folder))
    if printer.is_human:
        printer.checks(verdict.checks)
        for line in _stated_lines(verdict.training):
            printer.line(line)
    printer.note("A hub also loads it into its frozen base, runs it and measures it.")
    printer.names(place.relative_to(folder).as_posix() for place in folder.rglob("*"))
    conclude(printer, verdict)


def _folders(path: Path, *, is_deep: bool) -> list[Path]:
    """Return the folders that a path of the command line means. Raises Problem where there is none below it."""
    if path.is_file():
        return [path.parent]
    if not is_deep or not path.is_dir():
        return [path]
    found = sorted({file.parent for file in path.rglob(configs.NAME) if not ids.KEPT_BACK.intersection(file.parts)})
    if not found:
        raise usage(f"No folder in {path} has an {configs.NAME}.", "Name the folder of an adapter.")
    return found


def _check_all(printer: Printer, folders: Sequence[Path]) -> NoReturn:
    """Check several folders, a headline each, with the failed checks below it; exit 1 if one failed."""
    checked = [(folder, client.check(folder)) for folder in folders]
    for folder, verdict in checked:
        if not printer.as_json:
            printer.line(f"{verdict.state:<7} {folder}")
            printer.checks(verdict.failed_checks if printer.is_human else ())
    if printer.as_json:
        printer.document({"folders": [verdict.document for _, verdict in checked]})
    raise typer.Exit(max(status_of(verdict) for _, verdict in checked))


def verdict(
    context: typer.Context,
    adapter: AdapterAt,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is finished.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="With --wait: exit 6 if there is no verdict after this time."),
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
    typer.echo(verdicts.REPORTS[form](verdict, place))
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


def try_(
    context: typer.Context,
    adapter: AdapterAt,
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="The text; for a question, the question. -: read it from standard input."),
    ],
    other: Annotated[
        str,
        typer.Option(
            "--other", metavar="TEXT", help="The second text: the one to compare, or the one that a question is about."
        ),
    ] = "",
    tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens that a model for generation writes.")] = 32,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Exit 6 if there is no answer after this time.")
    ] = None,
) -> None:
    """Have a hub answer a text with an adapter and with its base, side by side."""
    options: Options = context.obj
    ids.split(adapter)
    given = sys.stdin.read() if text == "-" else text
    with options.printer.waiting(f"waiting for the answer of {adapter}"):
        tried = options.client().try_text(adapter, given, other, tokens=tokens, timeout=timeout)
    if options.printer.as_json:
        options.printer.document(tried)
    else:
        _print(options.printer, Answer.read(tried.answer or {}), given)


def _print(printer: Printer, answer: Answer, text: str) -> None:
    """Print what belongs to the task, one line for a label, a mark, a text or a number."""
    sides = {"base": answer.base, "adapter": answer.adapter}
    if answer.base.labels or answer.adapter.labels:
        printer.rows(("label", *sides), _labels(answer.base.labels, answer.adapter.labels))
    for name, side in sides.items():
        for mark in side.marks:
            printer.line(f"{name}\t{text[int(mark.start) : int(mark.end)]}\t{mark.label} {mark.value:.3f}")
    printer.pairs({name: _shown(side) for name, side in sides.items() if _shown(side)})
    if answer.moved is not None:
        printer.pairs({"likeness": f"{answer.moved:.4f}"})
    if answer.tokens_read < answer.tokens:
        printer.note(f"{answer.tokens_read:g} of {answer.tokens:g} tokens were read.")
    if answer.guessed:
        printer.note("The card names no labels; the names here are a guess.")


def _labels(base: tuple[Share, ...], adapter: tuple[Share, ...]) -> list[tuple[str, str, str]]:
    values: list[Mapping[str, Any]] = [
        {share.label: f"{share.value:.3f}" for share in side} for side in (base, adapter)
    ]
    names = dict.fromkeys([*values[1], *values[0]])
    return [(name, values[0].get(name, "-"), values[1].get(name, "-")) for name in names]


def _shown(side: Side) -> str:
    return side.text if side.text is not None else "" if side.similarity is None else f"{side.similarity:.4f}"
