"""The commands `dovetail release`: list the releases of an adapter, make one, edit one, delete one."""

from pathlib import Path
from typing import Annotated

import typer

from dovetail.base import ids
from dovetail.base.problems import usage
from dovetail.terminal.arguments import LIST, Adapter, NamesOfAdapter
from dovetail.terminal.options import Options

app = typer.Typer(cls=NamesOfAdapter, help="List, make, edit and delete releases: tags that are versions, with notes.")
Tag = Annotated[str, typer.Argument(metavar="TAG", help="A semantic version, such as v1.2.0.")]
NotesFile = Annotated[Path | None, typer.Option("--notes-file", metavar="FILE", help="A file with the notes.")]


@app.command(LIST)
def list_releases(context: typer.Context, adapter: Adapter) -> None:
    """List the releases of an adapter, the highest version first."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    releases = options.client().releases(adapter)
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, "items": [dict(row) for row in releases]})
        return
    rows = [
        [row.tag, row.revision, row.state or "-", "latest" if row.latest else "pre-release" if row.prerelease else ""]
        for row in releases
    ]
    options.printer.rows(("tag", "commit", "verdict", ""), rows)
    if not releases:
        options.printer.note(f"{adapter} has none. Make one of verified: dovetail release create {adapter} v1.0.0")


@app.command("create")
def create(
    context: typer.Context,
    adapter: Annotated[
        str, typer.Argument(metavar="NS/NAME[@REV]", help="REV: the version. Default: what the tag names, or verified.")
    ],
    tag: Tag,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="Beside the tag on its page.")] = "",
    notes: Annotated[str, typer.Option("--notes", "-m", metavar="TEXT", help="What is new, in Markdown.")] = "",
    notes_file: NotesFile = None,
    prerelease: Annotated[bool, typer.Option("--prerelease", help="It is never the latest.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also of a version that has not passed.")] = False,
) -> None:
    """Make a release of a version that passed, and its tag."""
    options: Options = context.obj
    name, _ = ids.split(adapter)
    text = _notes(notes, notes_file) or ""
    made = options.client().release(adapter, tag, title=title, notes=text, prerelease=prerelease, force=force)
    if options.printer.as_json:
        options.printer.document({"adapter": name, **made})
        return
    options.printer.line(made.revision)
    options.printer.note(f"{name} {made.tag} is {made.revision[:7]}. Pull it: dovetail pull {name}@{made.tag}")


@app.command("edit")
def edit(
    context: typer.Context,
    adapter: Adapter,
    tag: Tag,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="Another title; '' for none.")] = None,
    notes: Annotated[
        str | None, typer.Option("--notes", "-m", metavar="TEXT", help="Other notes, in Markdown.")
    ] = None,
    notes_file: NotesFile = None,
    prerelease: Annotated[bool | None, typer.Option(help="It is never the latest, or may be.")] = None,
) -> None:
    """Change the title, the notes or the pre-release mark of a release; its version never changes."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    text = _notes(notes, notes_file)
    if title is None and text is None and prerelease is None:
        raise usage("Nothing is given to change.", "Give --title, --notes, --notes-file, --prerelease or its opposite.")
    edited = options.client().edit_release(adapter, tag, title=title, notes=text, prerelease=prerelease)
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, **edited})
        return
    options.printer.line(edited.tag)


@app.command("rm")
def remove(
    context: typer.Context,
    adapter: Adapter,
    tag: Tag,
    with_tag: Annotated[bool, typer.Option("--with-tag", help="Remove its tag too.")] = False,
) -> None:
    """Delete a release; its version stays, and its tag too."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    options.client().remove_release(adapter, tag, keep_tag=not with_tag)
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, "tag": tag, "revision": None})
        return
    options.printer.line(tag)
    options.printer.note(f"The release {tag} of {adapter} is deleted{'' if with_tag else '; its tag stays'}.")


def _notes(text: str | None, file: Path | None) -> str | None:
    """Return the notes of one of two options; None if neither is given."""
    if file is None:
        return text
    if text:
        raise usage("The notes are given twice.", "Give --notes or --notes-file.")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeError:
        raise usage(f"{file} is no text in UTF-8.", "Name a file with Markdown.") from None
