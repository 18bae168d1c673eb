"""The commands `dovetail tag`, `branch`, `alias` and `release`: list, set and remove the names of versions."""

from pathlib import Path
from typing import Annotated

import typer

from dovetail import ids
from dovetail.answers.versions import Alias
from dovetail.commands.arguments import LIST, Adapter, NamesOfAdapter, Options, Reason
from dovetail.problems import usage

AdapterAt = Annotated[str, typer.Argument(metavar="NS/NAME[@REV]", help="REV: the version to name. Default: main.")]

tags = typer.Typer(cls=NamesOfAdapter, help="List, create and remove tags: names of versions that do not move.")
Tag = Annotated[str, typer.Argument(metavar="TAG", help="Such as v1.0.")]


@tags.command(LIST)
def list_tags(context: typer.Context, adapter: Adapter) -> None:
    """List the tags of an adapter with their commits."""
    _list(context.obj, adapter, "tag")


@tags.command("create")
def create_tag(
    context: typer.Context,
    adapter: AdapterAt,
    tag: Tag,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="What this version is.")
    ] = None,
) -> None:
    """Create a tag at a version."""
    options: Options = context.obj
    name, _ = ids.split(adapter)
    caller = options.client()
    caller.tag(adapter, tag, message)
    _print(options, name, "tag", tag, caller.manifest(name, tag)["revision"])


@tags.command("rm")
def remove_tag(context: typer.Context, adapter: Adapter, tag: Tag) -> None:
    """Remove a tag; the version that it names stays."""
    options: Options = context.obj
    options.client().remove_tag(adapter, tag)
    _print(options, adapter, "tag", tag, None)


branches = typer.Typer(cls=NamesOfAdapter, help="List, create and remove branches.")
Branch = Annotated[str, typer.Argument(metavar="BRANCH", help="Such as try-rank-16.")]


@branches.command(LIST)
def list_branches(context: typer.Context, adapter: Adapter) -> None:
    """List the branches of an adapter with their newest commits."""
    _list(context.obj, adapter, "branch")


@branches.command("create")
def create_branch(context: typer.Context, adapter: AdapterAt, branch: Branch) -> None:
    """Create a branch that begins at a version."""
    options: Options = context.obj
    name, _ = ids.split(adapter)
    caller = options.client()
    caller.branch(adapter, branch)
    _print(options, name, "branch", branch, caller.manifest(name, branch)["revision"])


@branches.command("rm")
def remove_branch(context: typer.Context, adapter: Adapter, branch: Branch) -> None:
    """Remove a branch."""
    options: Options = context.obj
    options.client().remove_branch(adapter, branch)
    _print(options, adapter, "branch", branch, None)


def _list(options: Options, adapter: str, kind: str) -> None:
    ids.check_adapter(adapter)
    facts = options.client().info(adapter)
    names = facts.get("revision_tags", {}) if kind == "tag" else facts.get("branches", {})
    items = [{kind: name, "revision": revision} for name, revision in names.items()]
    rows = [[item[kind], item["revision"]] for item in items]
    none = f"{adapter} has none. Create one: dovetail {kind} create {adapter} NAME"
    options.printer.listing({"adapter": adapter, "items": items}, (kind, "commit"), rows, none)


def _print(options: Options, adapter: str, kind: str, name: str, revision: str | None) -> None:
    options.printer.answer({"adapter": adapter, kind: name, "revision": revision}, revision or name)
    state = f"is at {revision[:7]}" if revision else "is removed"
    options.printer.note(f"The {kind} {name} of {adapter} {state}.")


aliases = typer.Typer(cls=NamesOfAdapter, help="List and move the aliases of an adapter: names such as prod.")
AliasName = Annotated[str, typer.Argument(metavar="ALIAS", help="Such as prod, staging or champion.")]


@aliases.command(LIST)
def list_aliases(context: typer.Context, adapter: Adapter) -> None:
    """List the aliases of an adapter: name, commit, who set it."""
    options: Options = context.obj
    aliases = options.client().aliases(adapter)
    if options.printer.as_json:
        options.printer.document({"adapter": adapter, "aliases": [dict(row) for row in aliases]})
        return
    for row in aliases:
        options.printer.line(f"{row.alias}\t{row.revision or '-'}")
        options.printer.note(_words(row))
    if not aliases:
        options.printer.note(f"{adapter} has no alias. Set one: dovetail alias set {adapter}@verified prod")


@aliases.command("set")
def set_alias(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(metavar="NS/NAME@REV", help="The version that it will name.")],
    name: AliasName,
    reason: Reason = "",
    force: Annotated[bool, typer.Option("--force", help="Also if the version has not passed.")] = False,
) -> None:
    """Set an alias to a version that passed, or move it there."""
    options: Options = context.obj
    full_name, _ = ids.split_exact(adapter, "verified")
    if force and not reason:
        raise usage("Forcing an alias requires a reason.", "Add --reason and a sentence that explains it.")
    answer = options.client().alias(adapter, name, reason=reason, force=force)
    _print_alias(options, full_name, answer)


@aliases.command("rollback")
def roll_back(context: typer.Context, adapter: Adapter, name: AliasName, reason: Reason = "") -> None:
    """Move an alias back to the version that it named before."""
    options: Options = context.obj
    _print_alias(options, adapter, options.client().roll_back_alias(adapter, name, reason))


@aliases.command("rm")
def remove_alias(context: typer.Context, adapter: Adapter, name: AliasName) -> None:
    """Remove an alias; the version that it names stays."""
    options: Options = context.obj
    options.client().remove_alias(adapter, name)
    options.printer.answer(
        {"adapter": adapter, "alias": name, "revision": None}, name, f"{adapter} no longer has an alias {name}."
    )


def _print_alias(options: Options, adapter: str, answer: Alias) -> None:
    options.printer.answer(
        answer,
        str(answer.get("revision")),
        f"{adapter}@{answer['alias']} now points to {str(answer.get('revision'))[:7]}.",
    )


def _words(row: Alias) -> str:
    """Return who set an alias, and why another version than the chosen one is served."""
    words = f"  set by {row.get('set_by')}"
    if row.get("reason"):
        words += f": {row['reason']}"
    if row["fallback"]:
        served = "a fallback is served" if row.get("revision") else "none is served"
        words += f"\n  {served}: the chosen version is {row.get('fallback_reason')}"
    return words


releases = typer.Typer(
    cls=NamesOfAdapter, help="List, make, edit and delete releases: tags that are versions, with notes."
)
ReleaseTag = Annotated[str, typer.Argument(metavar="TAG", help="A semantic version, such as v1.2.0.")]
NotesFile = Annotated[Path | None, typer.Option("--notes-file", metavar="FILE", help="A file with the notes.")]


@releases.command(LIST)
def list_releases(context: typer.Context, adapter: Adapter) -> None:
    """List the releases of an adapter, the highest version first."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    releases = options.client().releases(adapter)
    rows = [
        [row.tag, row.revision, row.state or "-", "latest" if row.latest else "pre-release" if row.prerelease else ""]
        for row in releases
    ]
    document = {"adapter": adapter, "items": [dict(row) for row in releases]}
    none = f"{adapter} has none. Make one from verified: dovetail release create {adapter} v1.0.0"
    options.printer.listing(document, ("tag", "commit", "verdict", ""), rows, none)


@releases.command("create")
def create_release(
    context: typer.Context,
    adapter: Annotated[
        str,
        typer.Argument(
            metavar="NS/NAME[@REV]", help="REV: the version. Default: the one that the tag names, or verified."
        ),
    ],
    tag: ReleaseTag,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="The title beside the tag on its page.")] = "",
    notes: Annotated[str, typer.Option("--notes", "-m", metavar="TEXT", help="What is new, in Markdown.")] = "",
    notes_file: NotesFile = None,
    prerelease: Annotated[bool, typer.Option("--prerelease", help="It never becomes the latest.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also if the version has not passed.")] = False,
) -> None:
    """Make a release of a version that passed, and its tag."""
    options: Options = context.obj
    name, _ = ids.split(adapter)
    text = _notes(notes, notes_file) or ""
    made = options.client().release(adapter, tag, title=title, notes=text, prerelease=prerelease, force=force)
    options.printer.answer(
        {"adapter": name, **made},
        made.revision,
        f"{name} {made.tag} is {made.revision[:7]}. Pull it: dovetail pull {name}@{made.tag}",
    )


@releases.command("edit")
def edit_release(
    context: typer.Context,
    adapter: Adapter,
    tag: ReleaseTag,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="A new title; '' for none.")] = None,
    notes: Annotated[str | None, typer.Option("--notes", "-m", metavar="TEXT", help="New notes, in Markdown.")] = None,
    notes_file: NotesFile = None,
    prerelease: Annotated[bool | None, typer.Option(help="It never becomes the latest, or it may again.")] = None,
) -> None:
    """Change the title, the notes or the pre-release mark of a release; its version never changes."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    text = _notes(notes, notes_file)
    if title is None and text is None and prerelease is None:
        raise usage("No change is given.", "Give --title, --notes, --notes-file, --prerelease or its opposite.")
    edited = options.client().edit_release(adapter, tag, title=title, notes=text, prerelease=prerelease)
    options.printer.answer({"adapter": adapter, **edited}, edited.tag)


@releases.command("rm")
def remove_release(
    context: typer.Context,
    adapter: Adapter,
    tag: ReleaseTag,
    with_tag: Annotated[bool, typer.Option("--with-tag", help="Remove its tag too.")] = False,
) -> None:
    """Delete a release; its version stays, and its tag too."""
    options: Options = context.obj
    ids.check_adapter(adapter)
    options.client().remove_release(adapter, tag, keep_tag=not with_tag)
    options.printer.answer(
        {"adapter": adapter, "tag": tag, "revision": None},
        tag,
        f"The release {tag} of {adapter} is deleted{'' if with_tag else '; its tag stays'}.",
    )


def _notes(text: str | None, file: Path | None) -> str | None:
    """Return the notes of one of two options; None if neither is given."""
    if file is None:
        return text
    if text:
        raise usage("The notes are given twice.", "Give --notes or --notes-file.")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeError:
        raise usage(f"{file} is not UTF-8 text.", "Name a file with Markdown.") from None
