"""The commands of owners: yank, unyank, override, delete, pr, import and export; and report."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from dovetail import ids
from dovetail.api import edits
from dovetail.commands.arguments import LIST, Adapter, NamesOfAdapter, Options
from dovetail.commands.printer import Printer
from dovetail.problems import REFUTED, interrupted, usage

if TYPE_CHECKING:
    from dovetail.moves.mover import Outcome
    from dovetail.moves.records import Source

Given = TypeVar("Given")
Made = TypeVar("Made")
MOST_JOBS = 16

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


# --- import and export ------------------------------------------------------------------------------------------------
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
