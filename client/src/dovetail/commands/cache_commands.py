"""The commands `dovetail cache`: how much this machine keeps of adapters, of pulls and of syncs, and removing it."""

from typing import Annotated, Any

import typer

from dovetail.base import places
from dovetail.base.problems import usage
from dovetail.store.cache_contents import Contents, size_of
from dovetail.store.store import Store
from dovetail.terminal.arguments import Commands
from dovetail.terminal.options import Options

app = typer.Typer(cls=Commands, help="List, measure and empty the cache of downloaded adapters.")
Everything = Annotated[bool, typer.Option("--all", help="Base models and all else too, not adapters alone.")]


def _contents(*, everything: bool) -> Contents:
    return Contents(Store(places.cache()), everything=everything)


def _rest(contents: Contents) -> dict[str, Any]:
    """Return the members about the files that no version names."""
    return {
        "store": {"path": str(places.cache()), "files": len(contents.files), "size": size_of(contents.files)},
        "parts": {"files": len(contents.parts), "size": size_of(contents.parts)},
    }


@app.command("list")
def list_versions(context: typer.Context, everything: Everything = False) -> None:
    """List the versions in the cache, those used most recently first."""
    options: Options = context.obj
    contents = _contents(everything=everything)
    rest = _rest(contents)
    if options.printer.as_json:
        options.printer.document({"items": [row.document() for row in contents.versions], **rest})
        return
    cells = [
        [f"{row.repository}@{row.revision[:12]}", f"{row.size:,}", row.document()["used_at"]]
        for row in contents.versions
    ]
    options.printer.rows(("version", "bytes", "used"), cells)
    if not cells:
        options.printer.note("The cache holds no version.")
    for name, words in (("store", "files of versions and of synced folders"), ("parts", "parts of broken downloads")):
        if files := rest[name]["files"]:
            options.printer.note(f"{files:,} {words}, {rest[name]['size']:,} bytes.")


@app.command("size")
def size(context: typer.Context, everything: Everything = False) -> None:
    """Print how many bytes the cache holds, and where it is."""
    from huggingface_hub import constants  # noqa: PLC0415  # imports take 0.3 s, and other commands need it not

    options: Options = context.obj
    contents = _contents(everything=everything)
    total, versions = contents.size(), len(contents.versions)
    if options.printer.as_json:
        members = {"path": constants.HF_HUB_CACHE, "size": total, "versions": versions}
        options.printer.document({**members, **_rest(contents)})
        return
    options.printer.line(str(total) if options.printer.quiet else f"{total:,} bytes, {versions:,} versions")
    options.printer.note(f"in {constants.HF_HUB_CACHE} and {places.cache()}, what both have counted once")


@app.command("prune")
def prune(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NS/NAME[@COMMIT]", help="Remove these versions alone.")
    ] = None,
    days: Annotated[
        float | None, typer.Option("--days", metavar="N", min=0, help="Remove what was not used for so long.")
    ] = None,
    everything: Everything = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and remove nothing.")] = False,
) -> None:
    """Remove versions from the cache: those of these names, or all that was not used for some days."""
    options: Options = context.obj
    if not names and days is None:
        raise usage("Nothing says what to remove.", "Write: dovetail cache prune --days 30, or name adapters.")
    plan = _contents(everything=everything).plan(names or (), days)
    if not dry_run:
        plan.execute()
    if options.printer.as_json:
        counts = {"files": len(plan.files), "parts": len(plan.parts), "size": plan.freed}
        items = [row.document() for row in plan.versions]
        options.printer.document({"items": items, **counts, "is_removed": not dry_run})
        return
    for row in plan.versions:
        options.printer.line(f"{row.repository}@{row.revision}")
    options.printer.note(
        f"{len(plan.versions):,} versions, {len(plan.files):,} files and {len(plan.parts):,} parts of downloads "
        f"{'would go' if dry_run else 'are removed'}, {plan.freed:,} bytes."
    )
