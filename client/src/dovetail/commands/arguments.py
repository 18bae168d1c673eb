"""The options of every command, before and after it, and refusals whose fix is in terms of what was typed."""

import difflib
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

import typer
from typer.core import TyperGroup

from dovetail import places
from dovetail.api.client import Client
from dovetail.commands.printer import Printer
from dovetail.problems import Problem, usage

if TYPE_CHECKING:
    from dovetail.api.client import Client

Adapter = Annotated[str, typer.Argument(metavar="NS/NAME", help="The adapter.")]
AdapterAt = Annotated[
    str, typer.Argument(metavar="NS/NAME[@REV]", help="REV: a branch, a tag, an alias, a commit, or verified.")
]
Reason = Annotated[str, typer.Option("--reason", "-m", metavar="TEXT", help="Why; everyone can read this.")]
LIST = "list"
# The error of typer for wrong words: its TyperException, before 0.27 click's ClickException. Below it is Exception.
Misuse: type[Exception] = typer.BadParameter.__mro__[-4]
WORDS = "dovetail.words"  # of the command, in the context

MOST_NAMES = 8
_VERSION = re.compile(r"[\w.-]+/[\w.-]+(@.+)?")
_TAKES_VALUE, _FLAGS = ("--endpoint", "--token"), ("--json", "--quiet", "-q")


def globals_first(argv: list[str]) -> list[str]:
    """Move global options in front of the command; people write them after it too."""
    global_words, command_words = [], []
    words = iter(argv)
    for word in words:
        if word == "--":
            command_words += [word, *words]
        elif word in _FLAGS or word.startswith(tuple(f"{name}=" for name in _TAKES_VALUE)):
            global_words.append(word)
        elif word in _TAKES_VALUE:
            value = next(words, None)
            if value is None:
                raise usage(f"{word} needs a value.", f"Write: dovetail {word} {word[2:].upper()} …")
            global_words += [word, value]
        else:
            command_words.append(word)
    return global_words + command_words


class Commands(TyperGroup):
    """The commands, whose help shows flags without a type: Typer would write `<bool>` beside each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta.setdefault(WORDS, [word for word in args if word not in _FLAGS])
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Problem as problem:
            if ctx.parent is None and ctx.obj and problem.status:  # a hub's
                _advise(problem, ctx.invoked_subcommand, ctx.meta[WORDS], ctx.obj.client())
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        return _flags_without_type(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _flags_without_type(command.get_params(ctx))
        return command


class NamesOfAdapter(Commands):
    """A group about names in an adapter; without a deed (`dovetail alias NS/NAME`) they are listed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and "/" in args[0] and not args[0].startswith("-"):
            args = [LIST, *args]
        return super().parse_args(ctx, args)


# --- names of adapters: as addresses of pages, and completed ---------------------------------------------------------
# Words that the shell completes, by the name in usage lines; names of versions and adapters come from the hub.
VALUES = {
    "ORDER": "relevance updated created downloads likes trending score",
    "REASON": "malware backdoor secret illegal personal-data license squatting spam broken other",
    "STATE": "passed failed queued running errored",
    "STATUS": "open closed all",
    "DOMAIN": "repo discussion verdict release",
    "FORMAT": "peft kohya diffusers mlx gguf safetensors bin fp16 bf16 slim peft-lora",
}
OF_ADAPTER = {"ALIAS": "aliases", "TAG": "revision_tags", "BRANCH": "branches"}
COMPLETION_SECONDS = 3
PAGES_OF_VERSIONS = ("tree", "blob", "commit", "commits", "verdict")


def teach(function: Callable[..., object]) -> None:
    """Make a command take the address of a page in place of NS/NAME, and have its words completed."""
    for parameter in inspect.signature(function).parameters.values():
        for told in getattr(parameter.annotation, "__metadata__", ()):
            metavar = str(getattr(told, "metavar", None) or "")
            words = f"{metavar} {getattr(told, 'help', '')}"
            if " base " in words:
                continue
            if words.startswith(("NS/NAME", "A NS/NAME", "B NS/NAME")):
                told.callback = told.callback or _page_reader(keeps_version=metavar != "NS/NAME")
            if hasattr(told, "autocompletion"):
                told.autocompletion = told.autocompletion or _completion(metavar)


def _page_reader(*, keeps_version: bool) -> Callable[..., Any]:
    """Return what makes NS/NAME[@REV] of the address of a page of the hub, and leaves anything else as it is."""

    def named(context: typer.Context, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [named(context, one) for one in value]
        if not str(value).startswith(("http://", "https://")) or context.resilient_parsing:
            return value
        endpoint = places.endpoint(context.obj.endpoint)
        page = str(value).partition("#")[0].partition("?")[0]
        parts = [unquote(part) for part in page.removeprefix(f"{endpoint}/").strip("/").split("/")]
        if not page.startswith(f"{endpoint}/") or len(parts) < 2:
            fix = "Write NS/NAME, or name the hub of the page by --endpoint."
            raise usage(f"{value} is no page of an adapter at {endpoint}.", fix)
        has_version = keeps_version and len(parts) > 3 and parts[2] in PAGES_OF_VERSIONS
        return "/".join(parts[:2]) + (f"@{parts[3]}" if has_version else "")

    return named


def _completion(metavar: str) -> Callable[..., list[str]] | None:
    """Return what completes a word of this name in usage lines."""
    if metavar in VALUES:
        return lambda incomplete: [value for value in VALUES[metavar].split() if value.startswith(incomplete)]
    if metavar in OF_ADAPTER:
        return lambda ctx, incomplete: _of_hub(
            ctx, str(ctx.params.get("adapter") or ""), incomplete, OF_ADAPTER[metavar]
        )
    if metavar.startswith("NS/NAME"):
        return lambda ctx, incomplete: _of_hub(ctx, incomplete, incomplete)
    return None


def _of_hub(context: Any, adapter: str, incomplete: str, member: str = "") -> list[str]:
    """Return the adapters, or the names of versions of one, that begin so; [] where the hub does not tell in time."""
    given = context.find_root().params
    name, at, _ = adapter.partition("@")
    try:
        caller = Client(given.get("endpoint"), given.get("token"), timeout=COMPLETION_SECONDS)
        if member:
            names = list(caller.info(name).get(member) or {})
        elif at:
            facts = caller.info(name)
            versions = [version for kind in OF_ADAPTER.values() for version in facts.get(kind) or ()]
            names = [f"{name}@{version}" for version in [*versions, "verified"]]
        else:
            owner, slash, _ = name.partition("/")
            found = caller.search(author=owner, limit=100) if slash else caller.search(name, limit=100)
            names = [item.id for item in found]
    except Problem:
        return []
    return [name for name in names if name.startswith(incomplete)]


def _flags_without_type(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


_BRACES = str.maketrans("", "", "{}")  # around the names of arguments, where nobody needs them


def misuse(error: Any, app: typer.Typer) -> Problem:
    """Return a usage error of the command line as a Problem, with the command's usage line as the fix."""
    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split()).rstrip(".")
    if context is None:
        return usage(f"{message}.", "See `dovetail --help`.")
    written = context.get_usage().removeprefix("Usage:").strip()
    if context.parent is None and message.startswith("No such command"):
        return _unknown_command(message.partition("'")[2].partition("'")[0], app)
    return usage(f"{message}.", f"Write: {' '.join(written.split()).translate(_BRACES)}")


def _unknown_command(word: str, app: typer.Typer) -> Problem:
    commands = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    commands += [str(group.name) for group in app.registered_groups]
    near = difflib.get_close_matches(word, commands, 1)
    return usage(
        f"There is no command {word!r}.",
        f"Did you mean `dovetail {near[0]}`?" if near else f"Commands: {', '.join(commands)}.",
    )


# --- refusals of a hub -----------------------------------------------------------------------------------------------
def _advise(problem: Problem, command: str, words: Sequence[str], caller: "Client") -> None:
    """Give a problem the fix that fits the words of a command, where there is a better one than the hub's."""
    into = {word for before, word in pairwise(words) if before == "--into"}  # what is written to may be new
    versions = [word.partition("@")[::2] for word in words if _VERSION.fullmatch(word) and word not in into]
    try:
        if problem.code == "value-invalid" and "openapi.json" in problem.fix:
            problem.fix = f"See `dovetail {command} --help`."
        elif problem.code in ("adapter-not-found", "RepoNotFound"):  # of our REST, and of the Hub's routes
            _name_near_ones(problem, [adapter for adapter, _ in versions if f"'{adapter}'" in problem.detail], caller)
        elif problem.code == "revision-not-found":
            _name_versions(problem, versions, caller)
    except Problem:  # the hub said what is wrong; that it does not answer now changes nothing about it
        return


def _name_near_ones(problem: Problem, missing: Sequence[str], caller: "Client") -> None:
    for adapter in missing:
        namespace, _, name = adapter.partition("/")
        there = [*caller.search(author=namespace, limit=100), *caller.search(name)]
        near = difflib.get_close_matches(adapter, {item["id"] for item in there}, 3, 0.7)
        if near:
            problem.fix = f"Did you mean {' or '.join(near)}?"


def _name_versions(problem: Problem, versions: Sequence[tuple[str, str]], caller: "Client") -> None:
    for adapter, asked in versions:
        if problem.detail.removeprefix(f"{adapter}@{asked}: ") != f"Invalid rev id: {asked}.":
            continue
        facts = caller.info(adapter)
        names = [*(facts.get("aliases") or ()), *(facts.get("revision_tags") or ()), *(facts.get("branches") or ())]
        near = difflib.get_close_matches(asked, names, 1)
        problem.detail = f"{adapter} has no version {asked}."
        problem.fix = (
            f"Did you mean {adapter}@{near[0]}?"
            if near
            else f"It has {', '.join(names[:MOST_NAMES])}{' …' if len(names) > MOST_NAMES else ''}, and ids of commits."
        )


@dataclass
class Options:
    """The global options."""

    endpoint: str | None
    token: str | None
    printer: Printer

    def client(self) -> Client:
        return Client(self.endpoint, self.token)
