"""The commands that bring adapters to this machine: pull."""

from pathlib import Path
from typing import Annotated

import typer

from dovetail import ids
from dovetail.arguments import AdapterAt
from dovetail.options import Options


def pull(
    context: typer.Context,
    adapter: AdapterAt,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder to write. Default: ./NAME.")] = None,
) -> None:
    """Download an adapter and verify every byte; the last line printed is its folder."""
    options: Options = context.obj
    name, revision = ids.split(adapter)
    caller = options.client()
    manifest = caller.manifest(name, revision)
    with options.printer.downloads() as progress:
        folder = caller.fetch(name, manifest, to, progress=progress)
    if yanked := manifest.get("yanked"):
        options.printer.note(f"Its owners yanked this version: {yanked['reason']}")
    if manifest.get("state") not in {"passed", None}:
        options.printer.note(
            f"Its verdict is {manifest['state']}. The version known to work is {name}@verified, if there is one."
        )
    if options.printer.as_json:
        options.printer.document(
            {key: manifest.get(key) for key in ("adapter", "revision", "state")} | {"path": str(folder)}
        )
    else:
        options.printer.line(str(folder))
