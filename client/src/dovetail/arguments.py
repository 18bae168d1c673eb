"""Arguments as people write them: options of every command anywhere, and one sentence for what was written wrongly."""

import difflib

import typer

from dovetail.problems import Problem, usage

_TAKES_VALUE, _FLAGS = ("--endpoint", "--token"), ("--json", "--quiet", "-q")


def globals_first(given: list[str]) -> list[str]:
    """Move the options that belong to every command in front of it, because people write them behind it too."""
    moved, rest = [], []
    words = iter(given)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS or word.startswith(tuple(f"{name}=" for name in _TAKES_VALUE)):
            moved.append(word)
        elif word in _TAKES_VALUE:
            value = next(words, None)
            if value is None:
                raise usage(f"{word} needs a value.", f"Write: dovetail {word} {word[2:].upper()} …")
            moved += [word, value]
        else:
            rest.append(word)
    return moved + rest


_BRACES = str.maketrans("", "", "{}")  # around the names of arguments, where nobody needs them


def misuse(error: typer.TyperException, app: typer.Typer) -> Problem:
    """Say in one sentence what was written wrongly, and how the command is written."""
    context = getattr(error, "ctx", None)
    said = error.format_message().strip().rstrip(".")
    if context is None:
        return usage(f"{said}.", "See `dovetail --help`.")
    written = context.get_usage().removeprefix("Usage:").strip()
    if context.parent is None and said.startswith("No such command"):
        return _unknown_command(said.partition("'")[2].partition("'")[0], app)
    return usage(f"{said}.", f"Write: {' '.join(written.split()).translate(_BRACES)}")


def _unknown_command(word: str, app: typer.Typer) -> Problem:
    commands = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    near = difflib.get_close_matches(word, commands, 1)
    return usage(
        f"There is no command {word!r}.",
        f"Did you mean `dovetail {near[0]}`?" if near else f"Commands: {', '.join(commands)}.",
    )
