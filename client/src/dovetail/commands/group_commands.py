"""The commands repo, org, team, token and webhook: most of them are a row, which is a request to the hub."""

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote

import typer

from dovetail import ids
from dovetail.answers.record import MappedAnswer
from dovetail.api import queries
from dovetail.commands import account_commands
from dovetail.commands.arguments import LIST, Adapter, Commands, Options
from dovetail.commands.owner_commands import confirm, delete
from dovetail.problems import usage

GROUPS = {
    "repo": "Create, list, rename, open, hide and delete repositories.",
    "org": "Found organisations, and invite and remove their members.",
    "team": "Manage the teams of an organisation.",
    "token": "Make a token, and list and revoke tokens.",
    "webhook": "List, add, test and remove your webhooks.",
}


class Row(NamedTuple):
    """A command that is one request.

    `words` are its group, its name and its words of WORDS. `members` are those of the body, each a word or MEMBER=WORD;
    of GET they are the columns of the list. `note` is printed at the end, with words and the answer filled in.
    """

    words: str
    request: str
    help: str
    members: str = ""
    note: str = ""


ROWS = (
    Row(
        "repo create adapter private",
        "POST /adapters",
        "Create an empty repository for an adapter.",
        members="id=adapter private",
        note="It is empty: dovetail push DIR {adapter}",
    ),
    Row(
        "repo rename adapter new",
        "PATCH /adapters/{adapter}",
        "Give a repository another name or owner.",
        members="id=new",
        note="{adapter} is {id} now; its old address leads there.",
    ),
    Row(
        "repo visibility adapter visibility",
        "PATCH /adapters/{adapter}",
        "Let everybody see a repository, or only who may read it by a role.",
        members="private=visibility",
        note="{adapter} is {visibility}.",
    ),
    Row(
        "repo gate adapter gate",
        "PATCH /adapters/{adapter}",
        "Let all have the files, who asks, or whom you let.",
        members="gate",
        note="The gate of {adapter} is {gate}.",
    ),
    Row(
        "org create org title shown",
        "POST /organizations",
        "Found an organisation.",
        members="name=org full_name=title default_visibility=shown",
        note="You administer it: dovetail org invite {org} USER write",
    ),
    Row(
        "org members org",
        "GET /organizations/{org}/members",
        "List the members of an organisation.",
        members="name role teams",
    ),
    Row(
        "org invitations org",
        "GET /organizations/{org}/invitations",
        "List who is invited.",
        members="name role by ends_at",
    ),
    Row(
        "org invite org user role",
        "PUT /organizations/{org}/invitations/{user}",
        "Invite a person, who becomes a member when they accept.",
        members="role",
        note="{user} is invited until {ends_at}.",
    ),
    Row(
        "org role org user role",
        "PUT /organizations/{org}/members/{user}",
        "Give a member another role.",
        members="role",
        note="{user} has the role {role} in {org}.",
    ),
    Row(
        "org remove org user",
        "DELETE /organizations/{org}/members/{user}",
        "Remove a member of an organisation.",
        note="{user} is no longer in {org}.",
    ),
    Row(
        "org delete org yes",
        "DELETE /organizations/{org}",
        "Delete an organisation that has no repositories.",
        note="{org} is deleted; nobody else can take its name.",
    ),
    Row(
        "team list org",
        "GET /organizations/{org}/teams",
        "List the teams of an organisation.",
        members="name members grants",
    ),
    Row(
        "team create org team title",
        "POST /organizations/{org}/teams",
        "Create a team.",
        members="name=team full_name=title",
        note="It is empty: dovetail team add {org} {team} USER",
    ),
    Row(
        "team delete org team",
        "DELETE /organizations/{org}/teams/{team}",
        "Delete a team; its members stay in {org}.",
        note="The team {team} is deleted.",
    ),
    Row(
        "team add org team user",
        "PUT /organizations/{org}/teams/{team}/members/{user}",
        "Put a member into a team.",
        note="{user} is in {team}.",
    ),
    Row(
        "team remove org team user",
        "DELETE /organizations/{org}/teams/{team}/members/{user}",
        "Take a person out of a team.",
        note="{user} is no longer in {team}.",
    ),
    Row(
        "team grant org team pattern role",
        "PUT /organizations/{org}/teams/{team}/grants/any/{pattern}",
        "Give a team a role in repositories.",
        members="role",
        note="{team} has the role {role} in {org}/{pattern}.",
    ),
    Row(
        "team revoke org team pattern",
        "DELETE /organizations/{org}/teams/{team}/grants/any/{pattern}",
        "Take a role away from a team.",
        note="{team} has no role by {pattern} any more.",
    ),
    Row(
        "token list",
        "GET /me/tokens",
        "List tokens: a token sees itself alone.",
        members="id name role last_used_at expires_at",
    ),
    Row("token revoke token", "DELETE /me/tokens/{token}", "Revoke a token.", note="It works nowhere any more."),
    Row("webhook list", "GET /me/webhooks", "List your webhooks.", members="id url watched domains disabled"),
    Row(
        "webhook add url watched domain secret",
        "POST /me/webhooks",
        "Have an address called when what it watches changes.",
        members="url watched domains=domain secret",
        note="Try it: dovetail webhook test {id}",
    ),
    Row(
        "webhook test webhook",
        "POST /me/webhooks/{webhook}/test",
        "Send a message to a webhook.",
        note="The delivery is {state}; the hub shows it at /settings/webhooks.",
    ),
    Row(
        "webhook remove webhook",
        "DELETE /me/webhooks/{webhook}",
        "Delete a webhook with its deliveries.",
        note="The webhook {webhook} is deleted.",
    ),
)


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
    """An answer of the hub with all its members."""


def _command(row: Row) -> tuple[str, str, Callable[..., None]]:
    """Return the group, the name and the function of a row."""
    group, name, *words = row.words.split()
    method, path = row.request.split()

    def run(context: typer.Context, **given: Any) -> None:
        options: Options = context.obj
        if given.pop("yes", True) is None:
            confirm(given["org"], "")  # the one row that asks
        if "adapter" in given:
            ids.check_adapter(given["adapter"])
        names = {word: quote(str(value), safe="/" if word == "adapter" else "") for word, value in given.items()}
        place, transport = path.format(**names), options.client().transport
        if method == "GET":
            (items, _), columns = queries.every(transport, place, _Stated), row.members.split()
            rows = [[_cell(item.get(column)) for column in columns] for item in items]
            options.printer.listing({"items": [dict(item) for item in items]}, columns, rows, "There are none.")
            return
        pairs = {to: word or to for to, _, word in (member.partition("=") for member in row.members.split())}
        body = {to: MADE[word](given[word]) if word in MADE else given[word] for to, word in pairs.items()}
        answer: Mapping[str, Any] = given
        if method == "DELETE":
            transport.delete(place)
        else:
            body = {to: value for to, value in body.items() if value not in (None, [])}
            answer = getattr(transport, method.lower())(place, body, _Stated)
        first = answer.get("id") or given.get("user") or given.get("team") or next(iter(given.values()))
        options.printer.answer(answer, str(first), row.note.format(**{**answer, **given}))

    parameters = [Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    for word in words:
        kind, default = WORDS[word]
        parameters.append(Parameter(word, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind))
    run.__signature__, run.__doc__ = Signature(parameters), row.help  # type: ignore[attr-defined]  # typer reads them
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
    for group, name, run in map(_command, ROWS):
        made[group].command(name)(run)
    return made
