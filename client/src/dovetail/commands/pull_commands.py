"""The commands about the files of an adapter on this machine: pull and verify."""

from pathlib import Path
from typing import Annotated

import typer

from dovetail import ids
from dovetail.answers.versions import Manifest
from dovetail.api.client import Client
from dovetail.commands.arguments import AdapterAt, Options
from dovetail.commands.printer import Printer
from dovetail.problems import DONE, REFUTED, interrupted, usage
from dovetail.store import transfers

Patterns = Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Only files that match, as in '*.json'.")]


def pull(
    context: typer.Context,
    adapter: AdapterAt,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder to write. Default: ./NAME.")] = None,
    include: Patterns = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Leave out files that match.")] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Use hard links to the cache instead of copies: do not edit these files.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which files would be written, and write nothing.")
    ] = False,
) -> None:
    """Download an adapter and verify every byte; the last line printed is its folder."""
    options: Options = context.obj
    name, revision = ids.split(adapter)
    caller, printer = options.client(), options.printer
    manifest = caller.manifest(name, revision)
    if manifest.as_of:
        printer.as_of(manifest.as_of)
    files = transfers.parse_files(manifest["files"], include or (), exclude or ())
    folder = to or Path(name.partition("/")[2])
    if dry_run:
        _show_plan(printer, manifest, files, folder)
        return
    try:
        with printer.downloads() as progress:
            caller.fetch(name, manifest["revision"], files, folder, is_linked=link, progress=progress)
    except KeyboardInterrupt:
        raise interrupted(
            f"Stopped: {folder} is unchanged.", "Received bytes are kept: the same command fetches the rest."
        ) from None
    _warn(printer, caller, name, manifest)
    if printer.as_json:
        members = {key: manifest.get(key) for key in ("adapter", "revision", "state")}
        members |= {"as_of": manifest.as_of} if manifest.as_of else {}
        printer.document({**members, "path": str(folder), "files": len(files)})
    else:
        printer.line(str(folder))


def _show_plan(printer: Printer, manifest: Manifest, files: list[transfers.ManifestFile], folder: Path) -> None:
    coming = {file.path for file in transfers.missing_files(files, folder)}
    rows = [{"path": str(file.path), "size": file.size, "is_here": file.path not in coming} for file in files]
    if printer.as_json:
        printer.document({"revision": manifest["revision"], "path": str(folder), "files": rows})
        return
    for row in rows:
        if not row["is_here"]:
            printer.line(f"{row['size']:>15,} {row['path']}")
    size = sum(file.size for file in files if file.path in coming)
    printer.note(f"{len(coming):,} of {len(rows):,} files would be written, {size:,} bytes. Nothing was written.")


def _warn(printer: Printer, caller: Client, name: str, manifest: Manifest) -> None:
    """Say what speaks against the version that was pulled, and where the one is that is known to work."""
    if yanked := manifest.get("yanked"):
        printer.note(f"Its owners yanked this version: {yanked['reason']}")
    if (state := manifest.get("state")) in {"passed", None}:
        return
    if manifest.as_of:
        printer.note(f"Its verdict is {state}.")
        return
    if not printer.is_human:
        return
    verified = caller.info(name).get("verified")
    known = (
        f"The version known to work is {name}@verified ({verified[:7]})."
        if verified
        else "No version of it is verified."
    )
    printer.note(f"Its verdict is {state}. {known}")


def verify(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder.")],
    adapter: AdapterAt,
) -> None:
    """Compare a folder with a version, byte by byte; exit 1 if they differ."""
    options: Options = context.obj
    name, revision = ids.split(adapter)
    if not path.is_dir():
        raise usage(f"{path} {'is a file' if path.exists() else 'does not exist'}.", "Name the folder of the adapter.")
    manifest = options.client().manifest(name, revision)
    files = {str(file.path): file for file in transfers.parse_files(manifest["files"])}
    states: dict[str, str] = {}
    with options.printer.downloads() as progress:
        for file_path, file in files.items():
            progress(file_path, 0, file.size)
            states[file_path] = _state(path, file)
            progress(file_path, file.size, file.size)
    here = (place.relative_to(path) for place in path.rglob("*") if not place.is_dir())
    extra = [part.as_posix() for part in here if not ids.KEPT_BACK.intersection(part.parts)]
    states |= {file_path: "extra" for file_path in sorted(extra) if file_path not in files}
    _print_states(options.printer, name, manifest["revision"], path, states)
    raise typer.Exit(DONE if set(states.values()) <= {"same"} else REFUTED)


def _state(folder: Path, file: transfers.ManifestFile) -> str:
    if not (folder / file.path).exists():
        return "missing"
    return "same" if transfers.digest_of(folder / file.path, file.size) == file.sha256 else "changed"


def _print_states(printer: Printer, adapter: str, revision: str, path: Path, states: dict[str, str]) -> None:
    differing = {file: state for file, state in states.items() if state != "same"}
    if printer.as_json:
        rows = [{"path": file, "state": state} for file, state in states.items()]
        members = {"adapter": adapter, "revision": revision, "path": str(path)}
        printer.document({**members, "is_equal": not differing, "files": rows})
        return
    for file, state in differing.items():
        printer.line(f"{state:<8} {file}")
    same = len(states) - len(differing)
    printer.note(f"{same:,} files match {adapter}@{revision[:12]}, {len(differing):,} differ.")
