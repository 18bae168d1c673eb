"""The commands of owners: yank, unyank, override, delete, report, pr, import, export, repo, org, team, token, webhook.

The last five are a table of the requests that they make.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from urllib.parse import quote

import typer

from dovetail import ids
from dovetail.answers.record import MappedAnswer
from dovetail.api import edits, queries
from dovetail.commands import account_commands
from dovetail.commands.arguments import LIST, Adapter, Commands, NamesOfAdapter, Options
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


# --- repositories, organisations, teams, tokens and webhooks ---------------------------------------------------------
GROUPS = {
    "repo": "Create, list, rename, open, hide and delete repositories.",
    "org": "Found organisations, and invite and remove their members.",
    "team": "Manage the teams of an organisation.",
    "token": "Make a token, and list and revoke tokens.",
    "webhook": "List, add, test and remove your webhooks.",
}
# The words of a command, its request, the members of its body (of GET: the columns of the list), its help, and what is
# told when it is done, with its words and the members of the answer. A member is a word, or MEMBER=WORD.
TABLE = """\
repo create adapter private | POST /adapters | id=adapter private | Create an empty repository for an adapter.
  | It is empty: dovetail push DIR {adapter}
repo rename adapter new | PATCH /adapters/{adapter} | id=new | Give a repository another name or owner.
  | {adapter} is {id} now; its old address leads there.
repo visibility adapter visibility | PATCH /adapters/{adapter} | private=visibility
  | Let everybody see a repository, or only who may read it by a role. | {adapter} is {visibility}.
repo gate adapter gate | PATCH /adapters/{adapter} | gate | Let all have the files, who asks, or whom you let.
  | The gate of {adapter} is {gate}.
org create org title shown | POST /organizations | name=org full_name=title default_visibility=shown
  | Found an organisation. | You administer it: dovetail org invite {org} USER write
org members org | GET /organizations/{org}/members | name role teams | List the members of an organisation.
org invitations org | GET /organizations/{org}/invitations | name role by ends_at | List who is invited.
org invite org user role | PUT /organizations/{org}/invitations/{user} | role
  | Invite a person, who becomes a member when they accept. | {user} is invited until {ends_at}.
org role org user role | PUT /organizations/{org}/members/{user} | role | Give a member another role.
  | {user} has the role {role} in {org}.
org remove org user | DELETE /organizations/{org}/members/{user} | | Remove a member of an organisation.
  | {user} is no longer in {org}.
org delete org yes | DELETE /organizations/{org} | | Delete an organisation that has no repositories.
  | {org} is deleted; nobody else can take its name.
team list org | GET /organizations/{org}/teams | name members grants | List the teams of an organisation.
team create org team title | POST /organizations/{org}/teams | name=team full_name=title | Create a team.
  | It is empty: dovetail team add {org} {team} USER
team delete org team | DELETE /organizations/{org}/teams/{team} | | Delete a team; its members stay in {org}.
  | The team {team} is deleted.
team add org team user | PUT /organizations/{org}/teams/{team}/members/{user} | | Put a member into a team.
  | {user} is in {team}.
team remove org team user | DELETE /organizations/{org}/teams/{team}/members/{user} |
  | Take a person out of a team.
  | {user} is no longer in {team}.
team grant org team pattern role | PUT /organizations/{org}/teams/{team}/grants/any/{pattern} | role
  | Give a team a role in repositories. | {team} has the role {role} in {org}/{pattern}.
team revoke org team pattern | DELETE /organizations/{org}/teams/{team}/grants/any/{pattern} |
  | Take a role away from a team. | {team} has no role by {pattern} any more.
token list | GET /me/tokens | id name role last_used_at expires_at | List tokens: a token sees itself alone.
token revoke token | DELETE /me/tokens/{token} | | Revoke a token. | It works nowhere any more.
webhook list | GET /me/webhooks | id url watched domains disabled | List your webhooks.
webhook add url watched domain secret | POST /me/webhooks | url watched domains=domain secret
  | Have an address called when what it watches changes. | Try it: dovetail webhook test {id}
webhook test webhook | POST /me/webhooks/{webhook}/test | | Send a message to a webhook.
  | The delivery is {state}; the hub shows it at /settings/webhooks.
webhook remove webhook | DELETE /me/webhooks/{webhook} | | Delete a webhook with its deliveries.
  | The webhook {webhook} is deleted.
"""


def _argument(metavar: str, help: str, kind: Any = str) -> tuple[Any, Any]:
    return Annotated[kind, typer.Argument(metavar=metavar, help=help)], Parameter.empty


def _option(name: str, help: str, metavar: str = "", kind: Any = str | None) -> tuple[Any, Any]:
    return Annotated[kind, typer.Option(name, metavar=metavar, help=help)], None


# The type and the default of each word.
WORDS = {
    "adapter": (Adapter, Parameter.empty),
    "new": _argument("NEW", "Its new name, NAMESPACE/NAME."),
    "visibility": _argument("VISIBILITY", "public or private.", Literal["public", "private"]),
    "shown": _option("--visibility", "public or private: its new repositories.", "VISIBILITY"),
    "private": _option("--private/--public", "Default: as its owner's new ones are.", kind=bool | None),
    "gate": _argument("GATE", "none, auto (who asks) or manual (whom you let).", Literal["none", "auto", "manual"]),
    "org": _argument("ORG", "The name of the organisation."),
    "user": _argument("USER", "The name of a person."),
    "role": _argument(
        "ROLE",
        "member, read, contributor, write or admin; of a team: read, write or admin.",
        Literal["member", "read", "contributor", "write", "admin"],
    ),
    "title": _option("--title", "Its name for people.", "TEXT"),
    "team": _argument("TEAM", "The name of the team."),
    "pattern": _argument("PATTERN", "Names of repositories of the organisation; * is any characters."),
    "token": _argument("ID", "Its number, as in the list.", int),
    "webhook": _argument("ID", "Its number, as in the list.", int),
    "url": _argument("URL", "The address that is called."),
    "watched": _argument("NAME...", "NS/NAME, dataset:NS/NAME, user:NAME or org:NAME.", list[str]),
    "domain": _option(
        "--domain", "repo, discussion, verdict or release. Default: the first two.", "DOMAIN", list[str] | None
    ),
    "secret": _option("--secret", "Signs each message.", "TEXT"),
    "yes": _option("--yes", "Do not ask for the name.", kind=bool),
}


def _watched(names: list[str]) -> list[dict[str, str]]:
    pairs = [name.rpartition(":")[::2] for name in names]
    if bare := next((name for kind, name in pairs if not kind and "/" not in name), ""):
        raise usage(f"{bare!r} may be a person or an organisation.", f"Write user:{bare} or org:{bare}.")
    return [{"type": kind or "model", "name": name} for kind, name in pairs]


MADE: Mapping[str, Callable[[Any], object]] = {"visibility": lambda word: word == "private", "watched": _watched}


class _Stated(MappedAnswer):
    """What the hub answers, with all its members."""


def _command(row: str) -> tuple[str, str, Callable[..., None]]:
    """Return the group, the name and the function of a row of the table."""
    usage_words, request, members, help, *note = (part.strip() for part in row.split(" |"))
    group, name, *words = usage_words.split()
    method, path = request.split()

    def run(context: typer.Context, **given: Any) -> None:
        options: Options = context.obj
        if given.pop("yes", True) is None:
            confirm(given["org"], "")  # the one row that asks
        if "adapter" in given:
            ids.check_adapter(given["adapter"])
        names = {word: quote(str(value), safe="/" if word == "adapter" else "") for word, value in given.items()}
        place, transport = path.format(**names), options.client().transport
        if method == "GET":
            (items, _), columns = queries.every(transport, place, _Stated), members.split()
            rows = [[_cell(item.get(column)) for column in columns] for item in items]
            options.printer.listing({"items": [dict(item) for item in items]}, columns, rows, "There are none.")
            return
        pairs = {to: word or to for to, _, word in (member.partition("=") for member in members.split())}
        body = {to: MADE[word](given[word]) if word in MADE else given[word] for to, word in pairs.items()}
        answer: Mapping[str, Any] = given
        if method == "DELETE":
            transport.delete(place)
        else:
            body = {to: value for to, value in body.items() if value not in (None, [])}
            answer = getattr(transport, method.lower())(place, body, _Stated)
        first = answer.get("id") or given.get("user") or given.get("team") or next(iter(given.values()))
        options.printer.answer(answer, str(first), note[0].format(**{**answer, **given}))

    parameters = [Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    for word in words:
        kind, default = WORDS[word]
        parameters.append(Parameter(word, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind))
    run.__signature__, run.__doc__ = Signature(parameters), help  # type: ignore[attr-defined]  # typer reads them
    return group, name, run


def _cell(value: object) -> object:
    if isinstance(value, Mapping):
        return ":".join(map(str, value.values()))
    if isinstance(value, (list, tuple)):
        return " ".join(str(_cell(one)) for one in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def list_repositories(
    context: typer.Context,
    owner: Annotated[str, typer.Argument(metavar="[OWNER]", help="A person or an organisation. Default: you.")] = "",
) -> None:
    """List the adapters of an owner that you can see."""
    options: Options = context.obj
    caller = options.client()
    filters = {"author": owner or caller.whoami().name, "sort": "updated"}
    items, _ = queries.search_adapters(caller, filters, queries.MOST)
    rows = [[item.id, "private" if item.private else "public", (item.updated_at or "")[:10]] for item in items]
    document = {"items": [dict(item) for item in items]}
    options.printer.listing(document, ("adapter", "visibility", "updated"), rows, "There are none that you can see.")


def list_organizations(context: typer.Context) -> None:
    """List your organisations, with your role in each."""
    options: Options = context.obj
    items = options.client().whoami().organizations
    rows = [[item.name, item.role] for item in items]
    options.printer.listing({"items": [dict(item) for item in items]}, ("name", "role"), rows, "You are in none.")


def groups() -> dict[str, typer.Typer]:
    """Return the groups of commands by their names."""
    made = {name: typer.Typer(cls=Commands, help=help) for name, help in GROUPS.items()}
    made["repo"].command(LIST)(list_repositories)
    made["repo"].command("delete")(delete)
    made["org"].command(LIST)(list_organizations)
    made["token"].command("create")(account_commands.create_token)
    for group, name, run in map(_command, TABLE.replace("\n  |", " |").splitlines()):
        made[group].command(name)(run)
    return made
