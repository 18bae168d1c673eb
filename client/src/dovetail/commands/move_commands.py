"""The commands that move adapters between hubs and folders: import and export."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from dovetail.commands.arguments import Options
from dovetail.commands.printer import Printer
from dovetail.problems import REFUTED, interrupted, usage

if TYPE_CHECKING:
    from dovetail.moves.mover import Outcome
    from dovetail.moves.records import Source

Given = TypeVar("Given")
Made = TypeVar("Made")
MOST_JOBS = 16


def import_(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="https://HUB/OWNER for all adapters, or https://HUB/OWNER/NAME."),
    ],
    to: Annotated[
        str, typer.Option(metavar="OWNER", help="Whose they become here. Default: the owner of the same name.")
    ] = "",
    only: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only repositories whose names match, as in 'ner-*'.")
    ] = None,
    source_token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="The token for the source. Default: DOVETAIL_SOURCE_TOKEN.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would come, and what would not fit and why; write nothing.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for verdicts: aliases and releases need them.")] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="With --wait: how long, for each repository.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, max=MOST_JOBS, help="How many repositories are moved at once.")
    ] = 4,
) -> None:
    """Import adapters: of another hub with history, names and gates, or folders; the same command again goes on."""
    options: Options = context.obj
    # Importing huggingface_hub takes longer than everything else together.
    from dovetail.api import upload  # noqa: PLC0415  # only an import pays for it
    from dovetail.moves.folders import open_source  # noqa: PLC0415  # as above
    from dovetail.moves.mover import Mover  # noqa: PLC0415  # as above

    origin, caller, printer = open_source(source, source_token), options.client(), options.printer
    owner = to or origin.owner
    if not owner:
        raise usage("Nobody is named who owns them here.", "Name an account or an organisation: --to OWNER.")
    caller.whoami()
    names = _chosen(printer, origin, only)
    with upload.progress(is_shown=False):
        with printer.steps(len(names)) as tell:
            mover = Mover(origin, caller, owner, tell)
            outcomes = _each(mover.plan if dry_run else mover.move, names, jobs)
        if not dry_run:
            with printer.waiting("waiting for verdicts"):
                _each(lambda outcome: mover.conclude(outcome, wait=wait, timeout=timeout), outcomes, jobs)
    _print(options, source, outcomes, is_plan=dry_run)


def _chosen(printer: Printer, source: "Source", only: Sequence[str] | None) -> list[str]:
    """Return the names that patterns choose of what a source has to move, and note what it has beside them."""
    names = []
    for name, reason in source.repositories().items():
        if only and not any(fnmatchcase(name, pattern) for pattern in only):
            continue
        if reason:
            printer.note(f"{source.origin(name)} stays: {reason}")
        else:
            names.append(name)
    return names


def export(
    context: typer.Context,
    owner: Annotated[str, typer.Argument(metavar="OWNER[/NAME]", help="All adapters of an owner, or one.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write.")],
    only: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only repositories whose names match, as in 'ner-*'.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, max=MOST_JOBS, help="How many repositories are written at once.")
    ] = 4,
) -> None:
    """Export adapters into a folder: every version, names, verdicts and discussions; the same command again goes on."""
    options: Options = context.obj
    from dovetail.api import upload  # noqa: PLC0415  # only an export pays for it
    from dovetail.moves.folders import Export  # noqa: PLC0415  # as above
    from dovetail.moves.hubs import Hub  # noqa: PLC0415  # as above

    caller, printer = options.client(), options.printer
    source = Hub(caller.endpoint, caller.token, *owner.split("/")[:2])
    names = _chosen(printer, source, only)
    with upload.progress(is_shown=False), printer.steps(len(names)) as tell:
        writer = Export(source, folder, tell)
        outcomes = _each(writer.write, names, jobs)
        writer.sum_up()
    _print(options, source.address, outcomes, is_plan=False)


def _each(deed: Callable[[Given], Made], of: Sequence[Given], jobs: int) -> list[Made]:
    """Return what a deed makes of each, several at once. Raises Problem for Ctrl-C."""
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(deed, one) for one in of]
        try:
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise interrupted("Stopped: what was moved stays.", "The same command goes on where it stopped.") from None


def _print(options: Options, source: str, outcomes: "Sequence[Outcome]", *, is_plan: bool) -> None:
    printer = options.printer
    left = [outcome for outcome in outcomes if outcome.reasons]
    if printer.as_json:
        printer.document({"source": source, "is_dry_run": is_plan, "items": [one.document() for one in outcomes]})
    else:
        columns = ("repository", "state", "commits", "names", "MB", "verdict")
        rows = []
        for one in outcomes:
            state = ("would not fit" if one.reasons else "would come") if is_plan else one.state
            rows.append((one.into, state, one.commits, one.names, f"{one.bytes / 1e6:.1f}", one.verdict))
        printer.rows(columns, rows)
        for one in left:
            for reason in one.reasons:
                printer.note(f"{one.into}: {reason}")
        printer.note(
            f"{len(outcomes) - len(left):,} of {len(outcomes):,} whole; {len(left):,} with something left out."
        )
    if left:
        raise typer.Exit(REFUTED)
