"""Every address of the hub × every method says here who may use it, and is asked to prove it.

Somebody who adds a route without a line in TABLE makes this fail, and so does a route that answers a method which its
line does not name. What each permission means for whom is the table of test_policy.py.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver, resolve

import features
from registry.kernel import site_settings
from registry.kernel.policy import Permission
from registry.kernel.texts import names
from registry.models import (
    Base,
    BaseFile,
    Blob,
    BlockedFile,
    Repository,
    Token,
    TrustedPublisher,
    User,
)
from registry.people import accounts
from registry.people.tokens import tokens
from tests.api.document import document
from tests.cast import Cast
from tests.of_features import rows as of_features
from tests.sweep import at_merge, sweep

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")  # HEAD and OPTIONS do what GET does, or less

# anyone · person: by session or token · session: never by token · organisation: who administers it · create: who may
# make adapters in the namespace · moderator and admin: in a session · ticket: only with what another route handed out ·
# moderators-page, admins-page: in a session, and for everybody else a page that does not exist ·
# like: a person who sees the adapter · owner: who may configure it, in a session · member: of the organisation ·
# collection: who writes in the namespace that it is in ·
# moderator-of: moderators in a session, about rows that the walk does not make · moderator-final: moderators in a
# session that has proven lately who acts ·
# +proof: a session must have proven lately who asks (test_recent_proof.py) ·
# machine: this machine, or the token of the metrics · nothing: whatever is asked, nothing is done · and the permissions
# on the adapter that the address names. {kind} is models or datasets, {of} the same for pages, {type} model or dataset.
TABLE = """
livez                                                        GET anyone
readyz                                                       GET anyone
metrics                                                      GET machine

api/v1/adapters                                              GET anyone
api/v1/adapters/<ns>/<name>                                  GET adapter:read
api/v1/adapters/<ns>/<name>/revisions                        GET adapter:read
api/v1/adapters/<ns>/<name>/revisions/<rev>                  GET adapter:read
api/v1/adapters/<ns>/<name>/revisions/<rev>/files/<path>     GET adapter:download
api/v1/adapters/<ns>/<name>/revisions/<rev>/lock             GET adapter:read
api/v1/adapters/<ns>/<name>/revisions/<rev>/verdict          GET adapter:read
api/v1/adapters/<ns>/<name>/revisions/<rev>/validate         POST adapter:push
api/v1/adapters/<ns>/<name>/revisions/<rev>/regression-override POST adapter:configure  DELETE adapter:configure
api/v1/adapters/<ns>/<name>/aliases                          GET adapter:browse
api/v1/adapters/<ns>/<name>/aliases/<alias>                  GET adapter:browse  PUT adapter:push  DELETE adapter:push
api/v1/adapters/<ns>/<name>/aliases/<alias>/history          GET adapter:browse
api/v1/adapters/<ns>/<name>/aliases/<alias>/rollback         POST adapter:push
api/v1/adapters/<ns>/<name>/yank                             POST adapter:push
api/v1/adapters/<ns>/<name>/unyank                           POST adapter:push
api/v1/adapters/<ns>/<name>/deprecation                      PUT adapter:configure  DELETE adapter:configure
api/v1/adapters/<ns>/<name>/archive                          PUT adapter:archive  DELETE adapter:archive
api/v1/adapters/<ns>/<name>/downloads                        GET adapter:browse
api/v1/bases                                                 GET anyone
api/v1/search                                                GET anyone
api/v1/lookup                                                POST anyone
api/v1/bases/<base>                                          GET anyone
api/v1/bases/<base>/adapters                                 GET anyone
api/v1/changes                                               GET anyone
api/v1/me                                                    GET person
api/v1/me/usage                                              GET person
api/v1/me/tokens                                             GET person  POST session+proof
api/v1/me/tokens/<id>                                        GET person  DELETE session
api/v1/me/sessions                                           GET session
api/v1/me/sessions/<id>                                      DELETE session
api/v1/me/invitations                                        GET person
api/v1/me/invitations/<org>/accept                           POST person
api/v1/me/invitations/<org>/decline                          POST person
api/v1/organizations                                         POST person
api/v1/organizations/<org>                                   GET anyone  PATCH organisation+proof  DELETE organisation
api/v1/organizations/<org>/invitations                       GET organisation
api/v1/organizations/<org>/invitations/<user>                PUT organisation+proof  DELETE organisation
api/v1/organizations/<org>/members                           GET organisation
api/v1/organizations/<org>/usage                             GET organisation
api/v1/organizations/<org>/members/<user>              GET organisation  PUT organisation+proof  DELETE organisation
api/v1/site                                                  GET anyone
api/v1/                                                      * nothing


api/whoami-v2                                                GET person
api/credentials/revoke                                       POST anyone
api/agent-harnesses                                          GET anyone
api/telemetry/<topic>                                        GET anyone
api/validate-yaml                                            POST anyone
api/repos/create                                             POST create
api/repos/delete                                             DELETE adapter:configure
api/repos/move                                               POST adapter:configure
api/models-tags-by-type                                      GET anyone
api/datasets-tags-by-type                                    GET anyone
api/lfs/uploads                                              PUT ticket
api/lfs/uploads/verify                                       POST ticket
api/lfs/uploads/parts/<number>                               PUT ticket
api/lfs/uploads/complete                                     POST ticket
api/lfs/downloads                                            GET ticket
api/{kind}                                                   GET anyone
api/{kind}/<ns>/<name>                                       GET adapter:browse
api/{kind}/<ns>/<name>/revision/<rev>                        GET adapter:browse
api/{kind}/<ns>/<name>/auth-check                            GET adapter:download
api/{kind}/<ns>/<name>/auth-check/write                      GET adapter:push
api/{kind}/<ns>/<name>/settings                              PUT adapter:configure
api/{kind}/<ns>/<name>/preupload/<rev>                       POST adapter:push
api/{kind}/<ns>/<name>/commit/<rev>                          POST adapter:push
api/{kind}/<ns>/<name>/tree/<tail>                           GET adapter:browse
api/{kind}/<ns>/<name>/paths-info/<rev>                      POST adapter:browse
api/{kind}/<ns>/<name>/safetensors-metadata/<path>           GET adapter:download
api/{kind}/<ns>/<name>/refs                                  GET adapter:browse
api/{kind}/<ns>/<name>/commits/<rev>                         GET adapter:browse
api/{kind}/<ns>/<name>/branch/<rev>                          POST adapter:push  DELETE adapter:push
api/{kind}/<ns>/<name>/tag/<rev>                             POST adapter:push  DELETE adapter:push
api/{kind}/<ns>/<name>/user-access-request/<status>          GET adapter:archive
api/{kind}/<ns>/<name>/user-access-request/handle            POST adapter:archive
api/{kind}/<ns>/<name>/user-access-request/grant             POST adapter:archive
api/{kind}/<ns>/<name>/duplicate                             POST adapter:download
api/{kind}/<ns>/<name>/super-squash/<rev>                    POST adapter:push
api/{kind}/<ns>/<name>/lfs-files                             GET adapter:inspect
api/{kind}/<ns>/<name>/lfs-files/batch                       POST adapter:configure
api/{kind}/<ns>/<name>/lfs-files/duplicate                   POST adapter:download
api/{kind}/<ns>/<name>/lfs-files/<sha256>                    DELETE adapter:configure
oauth/token                                                  POST anyone
api/organizations/<name>/members                             GET anyone
api/organizations/<name>/settings/repositories               GET member
api/settings/repositories                                    GET person
{of}<ns>/<name>/resolve/<tail>                               GET adapter:download
{of}<ns>/<name>/raw/<tail>                                   GET adapter:download
{of}<ns>/<name>.git/info/lfs/objects/batch                   POST adapter:discuss
<name>/resolve/<rest>                                        * nothing

/                                                            GET anyone
adapters                                                     GET anyone
datasets                                                     GET anyone
spaces                                                       GET anyone
bases                                                        GET anyone
bases/<name>                                                 GET anyone
search                                                       GET anyone
docs                                                         GET anyone
docs/<name>                                                  GET anyone
avatars/<name>.webp                                          GET anyone
avatars/<name>.svg                                           GET anyone
join                                                         GET anyone  POST anyone
login                                                        GET anyone  POST anyone
login/second-factor                                          GET anyone  POST anyone
login/passkey                                                GET anyone  POST anyone
password/reset                                               GET anyone  POST anyone
password/reset/sent                                          GET anyone
password/reset/changed                                       GET anyone
password/reset/<uidb36>-<key>                                GET anyone  POST anyone
settings/account/address/confirm/<key>                       GET anyone  POST anyone
login/once/<key>                                             GET anyone  POST anyone
logout                                                       POST anyone
organizations/new                                            GET session  POST session
organizations/<ns>/settings                                  GET organisation
organizations/<ns>/settings/details                          GET organisation
organizations/<ns>/settings/details/change                   POST organisation
organizations/<ns>/settings/details/second-factor            POST organisation+proof
organizations/<ns>/settings/usage                            GET organisation
organizations/<ns>/settings/role                             POST organisation+proof
organizations/<ns>/settings/remove                           POST organisation
organizations/<ns>/settings/invite                           POST organisation+proof
organizations/<ns>/settings/withdraw                         POST organisation
organizations/<ns>/settings/details/rename                   POST organisation
organizations/<ns>/settings/details/delete                   POST organisation
settings                                                     GET anyone
settings/organizations                                       GET session
settings/organizations/<ns>/accept                           POST session
settings/organizations/<ns>/decline                          POST session
settings/organizations/<ns>/leave                            POST session
settings/profile                                             GET session  POST session
settings/account                                             GET session
settings/account/delete                                      POST session+proof
settings/profile/picture                                     POST session
settings/profile/picture/remove                              POST session
settings/invitations                                         GET admins-page  POST admins-page+proof
settings/invitations/<number>/revoke                         POST admins-page
settings/account/address                                     POST session+proof
settings/account/address/resend                              POST session
settings/security                                            GET session
settings/security/confirm                                    GET session  POST session
settings/security/confirm/code                               GET session  POST session
settings/security/confirm/passkey                            GET session  POST session
settings/security/app                                        GET session  POST session+proof
settings/security/app/remove                                 GET session  POST session+proof
settings/security/passkeys/add                               GET session  POST session+proof
settings/security/passkeys/<pk>/rename                       GET session  POST session+proof
settings/security/passkeys/<pk>/remove                       GET session  POST session+proof
settings/security/recovery-codes                             GET session
settings/security/recovery-codes/new                         GET session  POST session+proof
settings/security/confirm/provider                           GET session
settings/security/sessions/<number>/end                      POST session
settings/security/sessions/end-others                        POST session
settings/password                                            GET session  POST session
settings/language                                            POST anyone
settings/usage                                               GET session
settings/repositories                                        GET anyone
settings/repositories/<number>/restore                       POST session
settings/repositories/<number>/delete                        POST session+proof
settings/tokens                                              GET session  POST session+proof
settings/tokens/<token_id>/revoke                            POST session
.well-known/security.txt                                     GET anyone
favicon.ico                                                  GET anyone
feeds/new.atom                                               GET anyone
feeds/adapters.atom                                          GET anyone
feeds/datasets.atom                                          GET anyone
feeds/spaces.atom                                            GET anyone
<ns>                                                         GET anyone
{of}<ns>/<name>                                              GET adapter:read
{of}<ns>/<name>/versions.atom                                GET adapter:read
{of}<ns>/<name>/feed.atom                                    GET adapter:read
{of}<ns>/<name>/security                                     GET adapter:read
{of}<ns>/<name>/ask-access                                   POST like
{of}<ns>/<name>/access                                       GET owner
{of}<ns>/<name>/access/gate                                  POST owner
{of}<ns>/<name>/access/grant                                 POST owner
{of}<ns>/<name>/access/requests/<number>/accept              POST owner
{of}<ns>/<name>/access/requests/<number>/reject              POST owner
{of}<ns>/<name>/settings                                     GET owner
{of}<ns>/<name>/settings/visibility                          POST owner
{of}<ns>/<name>/settings/move                                POST owner
{of}<ns>/<name>/settings/deprecate                           POST owner
{of}<ns>/<name>/settings/undeprecate                         POST owner
{of}<ns>/<name>/settings/archive                             POST owner
{of}<ns>/<name>/settings/unarchive                           POST owner
{of}<ns>/<name>/settings/delete                              POST owner
{of}<ns>/<name>/tree/<rev>                                   GET adapter:download
{of}<ns>/<name>/tree/<rev>/<path>                            GET adapter:download
{of}<ns>/<name>/blob/<rev>/<path>                            GET adapter:download
{of}<ns>/<name>/commits/<rev>                                GET adapter:download
{of}<ns>/<name>/commits/<rev>/refs/create                    POST session
{of}<ns>/<name>/commits/<rev>/refs/delete                    POST session
{of}<ns>/<name>/commits/<rev>/aliases/set                    POST session
{of}<ns>/<name>/commits/<rev>/aliases/<alias>/rollback       POST session
{of}<ns>/<name>/commits/<rev>/aliases/<alias>/remove         POST session
{of}<ns>/<name>/commit/<rev>                                 GET adapter:download
{of}<ns>/<name>/commit/<rev>/yank                            POST session
{of}<ns>/<name>/commit/<rev>/unyank                          POST session
{of}<ns>/<name>/verdict/<rev>                                GET adapter:download
{of}<ns>/<name>/verdict/<rev>/override                       POST session
{of}<ns>/<name>/verdict/<rev>/withdraw-override              POST session
"""

KINDS = (
    {"{kind}": "models", "{of}": "", "type": "model"},
    {"{kind}": "datasets", "{of}": "datasets/", "type": "dataset"},
)
SPACES = {"{kind}": "spaces", "{of}": "spaces/", "type": "space"}  # the same views: listed, not walked
KIND_OF = {kind["type"]: kind["{of}"] for kind in (*KINDS, SPACES)}  # type → how addresses of its pages begin
Row = tuple[str, str, str, str]  # address, method, permission, type of repository


def lines() -> list[str]:
    """Return the lines of TABLE and of the features."""
    of_features = (Path(features.__file__).parent / f"{name}/tests/routes.txt" for name in features.FEATURES)
    table = "\n".join([TABLE, *(file.read_text() for file in of_features if file.exists())])
    return [line for line in table.splitlines() if line]


def rows(*more: dict[str, str]) -> Iterator[Row]:
    """Every line of TABLE and of the features, a line with {kind} or {of} once for each type."""
    for line in lines():
        address, *pairs = line.split()
        for kind in (*KINDS, *more) if "{" in address else KINDS[:1]:
            written = address.replace("{kind}", kind["{kind}"]).replace("{of}", kind["{of}"]).removeprefix("/")
            for method, permission in zip(pairs[::2], pairs[1::2], strict=True):
                yield written, method, permission.removesuffix("+proof"), kind["type"]


def routes(patterns: list, prefix: str = "") -> Iterator[str]:
    """Every address that the hub knows, written as in TABLE; the administration is one (its feature walks it)."""
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver) and address != "admin/":
            yield from routes(pattern.url_patterns, address)
        elif not _does_nothing(pattern):
            types = ("", "datasets/", "spaces/") if "<repository:address>" in address else ("",)
            for type in types:
                yield plain(address.replace("<repository:address>", f"{type}<ns>/<name>"))


def _does_nothing(pattern: URLPattern | URLResolver) -> bool:
    """Routes of the Hub that are refused, whatever is asked: 501, or 404 for what nobody knows."""
    view = getattr(getattr(pattern, "callback", None), "view_class", None)
    return (
        view is not None
        and view.__name__ in {"Unserved", "NoGit", "Unknown", "NoNamespace"}
        and "<str" not in str(pattern.pattern)
    )


def plain(address: str) -> str:
    """An address without converters, anchors and groups: <str:ns> and (?P<ns>…) become <ns>."""
    address = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", address)
    return re.sub(r"<\w+:(\w+)>", r"<\1>", address).replace("^", "").strip("$")


def test_every_route_says_who_may_use_it():
    known, said = set(routes(get_resolver().url_patterns)), {address for address, *_ in rows(SPACES)}
    assert known - said == set(), "add a line to TABLE"
    assert said - known == set(), "take the line out of TABLE"


def test_every_permission_of_the_table_is_one():
    others = {
        "anyone",
        "person",
        "session",
        "organisation",
        "create",
        "moderator",
        "moderators-page",
        "moderator-of",
        "moderator-final",
        "admin",
        "admins-page",
        "ticket",
        "machine",
        "like",
        "owner",
        "member",
        "collection",
        "nothing",
    }
    assert {permission for _, _, permission, _ in rows()} <= {*map(str, Permission)} | others


def test_every_first_part_of_an_address_is_a_reserved_name():
    first = {address.partition("/")[0] for address, *_ in rows()} - {"", "<ns>", "<name>"}
    assert first - {"<name>.git"} <= names.RESERVED | {"v1", "robots.txt", ".well-known"}
    assert {
        "static",
        "admin",
        "api",
        "xet",
        "datasets",
        "spaces",
        "settings",
        "moderation",
        "organizations",
    } <= names.RESERVED


# --- the proof -------------------------------------------------------------------------------------------------------
# One client, which builds the middleware once, and a session of each person: to sign in is a fourth of a request.
CLIENT = Client(raise_request_exception=False)
SESSIONS: dict[str, str] = {}


@pytest.fixture(scope="module")
def furnished(everybody: Callable[[], Cast], tmp_path_factory) -> Iterator[None]:
    """A public and a private repository of each type."""
    blobs = f"file://{tmp_path_factory.mktemp('blobs')}"
    with override_settings(BLOBS=blobs, DOORBELL="tests.registry.test_upkeep.notify"):
        cast = everybody()
        for type in ("model", "dataset"):
            cast.repository("acme/public", type=type)
            cast.repository("acme/covert", private=True, type=type)
        for name, person in cast.people.items():
            CLIENT.cookies = SimpleCookie()
            CLIENT.force_login(person)
            SESSIONS[name] = CLIENT.cookies.output(header="", sep=";")
        yield


@pytest.fixture
def world(furnished: None, cast: Cast) -> Cast:
    return cast


def path_of(address: str, name: str, type: str = "model") -> str:
    """Return the path of an address of the table about acme/<name>."""
    given = {"ns": "acme", "name": name, "full_name": f"acme/{name}", "rev": "main", "path": ".gitattributes"}
    given |= {"tail": "main/.gitattributes", "org": "acme", "user": "erin", "id": "1", "token_id": "1", "number": "1"}
    given |= {"topic": "x", "rest": "main/x", "status": "pending", "slug": f"x-{'0' * 24}"}
    given |= {
        "bucket": "hub",
        "reference": "main",
        "digest": f"sha256:{'0' * 64}",
        "object_key": f"acme/{name}/main/.gitattributes",
        "store": "here",
        "a": "main",
        "b": "main",
        "alias": "prod",
        "release": "v1.0.0",
        "tag": "v1.0.0",
        "branch": "next",
        "tag_name": "v0",
        "platform": "kserve",
        "item": "1",
        "delivery": "1",
        "signed": "x",
        "sha256": "0" * 64,
        "file_id": "0" * 64,
        "base": "tiny/base",
        "prefix": "default",
        "comment": "1",
        "pk": "1",
        "uidb36": "1",
        "key": "x",
        "robot": "deploy",
        "team": "ner",
        "task": "text-classification",
        "scim_name": "User",
        "type": "model",
        "pattern": "x",
        "strike": "1",
        "provider": "corp",
        "filename": "x.whl",
    }
    if "/tree/<tail>" in address:
        given["tail"] = "main"
    if "commit/<rev>" in address and not address.startswith("api"):
        repository = Repository.objects.filter(name="public", type=type).first()
        given["rev"] = repository.refs.get().revision.oid if repository else "0" * 40
    return "/" + re.sub(r"<(\w+)>", lambda match: given[match[1]], address)


def ask(address: str, method: str, name: str, who: dict | None = None, body: dict | None = None, type: str = "model"):
    """Send a request to an address of the table about acme/<name>."""
    path = path_of(address, name, type)
    CLIENT.cookies = SimpleCookie(SESSIONS[who["session"].username] if who and "session" in who else "")
    headers = {"authorization": f"Bearer {who['token']}"} if who and "token" in who else {}
    always = {"name": name, "organization": "acme", "type": type, "pullRequest": True, "title": "x"}
    always |= {"fromRepo": f"acme/{name}", "toRepo": "acme/elsewhere"}
    fields = always | (body or {})
    if address.startswith("api/v1/"):  # which takes no field that it does not know
        fields = {field: value for field, value in fields.items() if field in known_fields(address, method)}
    return CLIENT.generic(method, path, json.dumps(fields), content_type="application/json", headers=headers)


@cache
def known_fields(address: str, method: str) -> frozenset[str]:
    """Return the fields of the body that an operation of REST takes, by the OpenAPI document."""
    said = document()
    operation = said["paths"].get("/" + re.sub(r"<(\w+)>", r"{\1}", address), {}).get(method.lower(), {})
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    shape = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return frozenset(said["components"]["schemas"].get(shape, {}).get("properties", ()))


ROWS = list(rows())
IDS = [f"{method} {address}" for address, method, *_ in ROWS]
# Addresses of the website that take a form and nothing else: GET leads to the page that shows it.
FORMS = sorted(
    address
    for address in {address for address, *_ in ROWS}
    if {method for at, method, *_ in ROWS if at == address} == {"POST"}
    and not re.match(r"(api|xet|oauth|v1)/", address)
    and ".git/" not in address
)
ON_ADAPTERS = [row for row in ROWS if row[2] in {*map(str, Permission), "like", "owner"}]


@pytest.mark.parametrize("share", ["one", *at_merge("all")])
@sweep("address", sorted({address for address, method, *_ in ROWS if method != "*"} - {"admin/"}))
def test_a_method_that_nobody_may_use_is_refused(world, address, share):
    declared = {method for at, method, *_ in ROWS if at == address}
    type = next(type for at, _, _, type in ROWS if at == address)
    alice = {"token": world.token("alice"), "session": world["alice"]}
    others = sorted(set(METHODS) - declared - ({"GET"} if address in FORMS else set()))
    for method in others if share == "all" or not others else [others[len(address) % len(others)]]:
        answer = ask(address, method, "public", alice, type=type)
        assert answer.status_code in {405, 404, 401, 501, 411}, (method, answer.status_code, answer.content[:200])
        assert answer.status_code != 404 or method == "GET" or not address.startswith("api/v1"), method


@sweep("address", FORMS)
def test_the_address_of_a_form_leads_a_reader_to_its_page(world, address):
    type = next(type for at, _, _, type in ROWS if at == address)
    readable = {at for at, method, _, kind in ROWS if method == "GET" and kind == type}
    before = state()
    staff = address.startswith("moderation/")  # for others these addresses do not exist
    for caller in ({"session": world["ada"]},) if staff else ({"session": world["alice"]}, None):
        answer, never = (ask(address, "GET", name, caller, type=type) for name in ("public", "coyert"))
        page = plain(resolve(answer.url).route.replace("<repository:address>", f"{KIND_OF[type]}<ns>/<name>"))
        assert answer.status_code == never.status_code == 302
        assert page in readable
        assert address.startswith(page) or page == "<ns>"
        assert never.url == answer.url.replace("public", "coyert")  # nothing was looked up
    assert state() == before


@sweep("address, method, permission, type", ON_ADAPTERS)
@pytest.mark.parametrize("who", ["anonymous", "carol"])
def test_what_is_private_answers_strangers_as_what_never_was(world, address, method, permission, type, who):
    caller = {"token": world.token(who)} if who != "anonymous" else None
    private = ask(address, method, "covert", caller, type=type)
    never = ask(address, method, "coyert", caller, type=type)
    assert private.status_code in {401, 404}
    assert private.status_code == never.status_code
    assert private.content.replace(b"covert", b"") == never.content.replace(b"coyert", b"")


ON_MODELS = [row for row in ON_ADAPTERS if row[3] == "model"]


@pytest.fixture
def base(world: Cast) -> Base:
    """A base of the base cache, whose id no repository has."""
    row = Base.objects.create(id="acme/secret", revision="1" * 40, sha256="1" * 64, license="mit")
    blob = Blob.objects.create(sha256="1" * 64, size=1)
    BaseFile.objects.create(base=row, path="config.json", blob=blob, size=1, is_lfs=False, git_oid="1" * 40)
    return row


@sweep("address, method, permission, type", ON_MODELS)
@pytest.mark.parametrize("who", ["carol", *at_merge("anonymous")])
def test_a_base_that_is_served_to_nobody_answers_as_what_never_was(world, base, address, method, permission, type, who):
    Base.objects.update(serve=Base.Serve.NOBODY)
    caller = {"token": world.token(who)} if who != "anonymous" else None
    hidden, never = (ask(address, method, name, caller) for name in ("secret", "secrec"))
    assert hidden.status_code == never.status_code
    assert hidden.content.replace(b"secret", b"") == never.content.replace(b"secrec", b"")


@pytest.mark.parametrize("name", ["ada", *at_merge("alice")])
@sweep("address, method, permission, type", ON_MODELS)
def test_nobody_changes_a_base_by_any_route(world, base, address, method, permission, type, name):
    before = state()
    answer = ask(address, method, "secret", {"token": world.token(name)})
    assert method == "GET" or answer.status_code in {403, 404} or "paths-info" in address, answer.content
    assert state() == before


CHANGING = [
    row for row in ROWS
    if row[2] in {"adapter:push", "adapter:inspect", "adapter:configure", "adapter:archive", "adapter:quarantine"}
]  # fmt: skip


@sweep("address, method, permission, type", CHANGING)
def test_who_may_only_read_changes_nothing(world, address, method, permission, type):
    before = state()
    callers = {
        "nobody": None,
        "a stranger": {"token": world.token("carol")},
        "a reader": {"token": world.token("erin")},
        "a reading token of the owner": {"token": world.token("alice", "read")},
        "a fine-grained token for something else": {"token": world.token("alice", "fine-grained", acme__x="write")},
        "a moderator": {"token": world.token("mona")},
        "the owner's browser without a CSRF token": {"session": world["alice"]},
    }
    for who, caller in callers.items():
        if who.startswith("the owner's browser") and address.startswith("api/v1"):
            continue  # tests/api asks REST with and without CSRF tokens
        answer = ask(address, method, "public", caller, type=type)
        allowed = method == "GET" and who.startswith("the owner's browser")
        assert answer.status_code in {401, 403} or allowed, (who, answer.status_code, answer.content[:200])
    Token.objects.all().delete()
    assert state() == before


DISCUSSING = [row for row in ROWS if row[2] == "adapter:discuss"]


@sweep("address, method, permission, type", DISCUSSING)
def test_who_has_no_name_or_a_lesser_token_says_nothing(world, address, method, permission, type):
    before = state()
    callers = {
        "nobody": None,
        "a reading token of the owner": {"token": world.token("alice", "read")},
        "a fine-grained token for something else": {"token": world.token("alice", "fine-grained", acme__x="write")},
        "a fine-grained token that reads": {"token": world.token("alice", "fine-grained", acme__public="read")},
        "the owner's browser without a CSRF token": {"session": world["alice"]},
    }
    for who, caller in callers.items():
        if who.startswith("the owner's browser") and address.startswith("api/v1"):
            continue  # tests/api asks REST with and without CSRF tokens
        answer = ask(address, method, "public", caller, type=type)
        assert answer.status_code in {401, 403}, (who, answer.status_code, answer.content[:200])
    Token.objects.all().delete()
    assert state() == before


STAFF = [row for row in ROWS if row[2] in {"moderator", "moderator-of", "moderator-final", "admin"}]


@sweep("address, method, permission, type", STAFF, of_features=True)
def test_staff_acts_in_a_session_and_nobody_else_at_all(world, address, method, permission, type):
    reason = {"reason": "Because.", "note": "", "sha256": ["1" * 64]}
    for caller in (
        None,
        {"token": world.token("alice")},
        {"token": world.token("mona")},
        {"token": world.token("ada")},
        {"session": world["alice"]},
    ):
        answer = ask(address, method, "public", caller, reason)
        assert answer.status_code in {401, 403} or answer.url.partition("?")[0] in {"/login", "/admin/login/"}
    assert not Repository.objects.filter(quarantined_at__isnull=False).exists()
    if "<sha256>" in address:
        BlockedFile.objects.create(sha256="0" * 64, reason="Because.", by="mona")
    answer = ask(address, method, "public", {"session": world["ada"]}, reason)
    # A session without a fresh password does nothing that cannot be undone.
    expected = {"moderator-of": {404}, "moderator-final": {403}}.get(permission, {200, 204})
    assert answer.status_code in expected


HIDDEN = [row for row in ROWS if row[2] in {"moderators-page", "admins-page"}]
ONCE = re.compile(rb'(?:name="csrfmiddlewaretoken" value|data-once)="[^"]*"')
_no_page: dict[int, bytes] = {}  # by the number of the outsider: each test begins with the same rows


def _of_no_page(number: int, caller: dict | None) -> bytes:
    """Return the body that this outsider gets at an address that is none."""
    if number not in _no_page:
        never = ask("no/such/page/at/all", "GET", "public", caller)
        assert never.status_code == 404
        _no_page[number] = ONCE.sub(b"", never.content)
    return _no_page[number]


@pytest.mark.parametrize("one_in", [3, *at_merge(1)])
@sweep("address, method, permission, type", HIDDEN)
def test_a_page_of_staff_is_for_others_as_if_it_were_not_there(world, address, method, permission, type, one_in):
    before = state()
    User.objects.filter(username="dave").update(is_active=False)  # suspended, with a session from before
    outsiders = [None, *({"session": world[name]} for name in ("alice", "erin", "carol", "dave"))]
    outsiders += [{"token": world.token("mona")}, {"token": world.token("ada")}]
    if permission == "admins-page":
        outsiders.append({"session": world["mona"]})
    for number, caller in enumerate(outsiders):
        if (number + len(address)) % one_in:
            continue
        answer = ask(address, method, "public", caller)
        assert (answer.status_code, ONCE.sub(b"", answer.content)) == (404, _of_no_page(number, caller)), caller
    assert state() == before
    assert ask(address, method, "public", {"session": world["ada"]}).status_code in {200, 302, 400, 404}


def machines(world: Cast) -> dict[str, dict]:
    """Return a robot and a trusted publisher of acme that may write acme/public, as callers."""
    public = Repository.objects.get(name="public", type="model")
    account = accounts.create_machine("publisher:acme-train", User.Kind.PUBLISHER, public.namespace)
    row = {"namespace": public.namespace, "name": public.name, "repository": public, "issuer": "x", "claims": {}}
    TrustedPublisher.objects.create(account=account, **row)
    return {
        "robot": {"token": world.robot(acme__public="write")},
        "publisher": {"token": tokens.create_token(account, "run 1", "fine-grained", grants={"acme/public": "write"})},
    }


@pytest.mark.parametrize("kind", ["robot", *at_merge("publisher")])
def test_a_machine_acts_for_nobody_but_itself(world, kind):
    site_settings.change_setting("throttle", "off", None)  # there are more pages than one may ask for in a minute
    caller = machines(world)[kind]
    assert ask("api/models/<ns>/<name>/auth-check/write", "GET", "public", caller).status_code == 200
    own = {"person", "member", "ticket", "create"}  # it reads who it is; creating is told apart by name elsewhere
    wrong, before = [], state()
    for address, method, permission, type in ROWS:
        is_own = method == "GET" and permission in own
        if permission in {"anyone", "machine", "nothing", "like"} or permission.startswith("adapter:") or is_own:
            continue
        answer = ask(address, method, "public", caller, type=type)
        refused = answer.status_code in {400, 401, 403, 404} or answer.get("Location", "").startswith(
            ("/login", "/admin")
        )
        if not refused or state() != before:
            wrong.append(f"{method} {address}: {answer.status_code}")
    assert wrong == []


@pytest.mark.parametrize("kind", ["robot", *at_merge("publisher")])
def test_what_a_machine_may_not_reach_answers_as_what_never_was(world, kind):
    caller, wrong, before = machines(world)[kind], [], state()
    for address, method, permission, type in ON_ADAPTERS:
        private, never = (ask(address, method, name, caller, type=type) for name in ("covert", "coyert"))
        bodies = private.content.replace(b"covert", b""), never.content.replace(b"coyert", b"")
        if (
            private.status_code not in {401, 403, 404}
            or private.status_code != never.status_code
            or len(set(bodies)) > 1
        ):
            wrong.append(f"{method} {address} ({permission}): {private.status_code}, {never.status_code}")
    assert wrong == []
    assert state() == before


@pytest.mark.parametrize("kind", ["robot", "publisher"])
def test_a_machine_configures_and_moderates_nothing(world, kind):
    caller, wrong, before = machines(world)[kind], [], state()
    for address, method, permission, type in ON_ADAPTERS:
        is_asked = permission in {"adapter:configure", "adapter:quarantine", "owner"} or (
            permission == "like" and method != "GET"  # reading whether one likes or watches changes nothing
        )
        if is_asked and type == "model":
            answer = ask(address, method, "public", caller, {"reason": "Because."}, type=type)
            refused = answer.status_code in {401, 403} or answer.get("Location", "").startswith("/login")
            if not refused:
                wrong.append(f"{method} {address} ({permission}): {answer.status_code}")
    assert wrong == []
    assert state() == before


OF_SOMEBODY = {"person", "session", "organisation", "create", "ticket", "like", "member", "collection"}
PERSONAL = [row for row in ROWS if row[2] in OF_SOMEBODY]


@sweep("address, method, permission, type", PERSONAL)
def test_nobody_in_particular_is_asked_to_sign_in(world, address, method, permission, type):
    before = state()
    answer = ask(address, method, "public", None, {"role": "admin"})
    assert answer.status_code in {401, 403} or answer.url.startswith("/login?")
    assert state() == before


@sweep("address, method, permission, type", ROWS)
def test_a_bad_token_is_never_taken_for_nobody(world, address, method, permission, type):
    if method == "*" or permission in {"machine", "admin"} or not address.startswith(("api/", "xet/")):
        return
    answer = ask(address, method, "public", {"token": "hf_was_revoked_long_ago"}, type=type)
    exempt = {"api/credentials/revoke"}
    exempt |= set(of_features("WITHOUT_TOKEN"))
    assert answer.status_code == 401 or address in exempt, answer.content[:200]


def state() -> list:
    """Return the state that a request could change."""
    with connection.cursor() as cursor:
        return [cursor.execute(query).fetchall() for query in STATE]


# As text: this is asked some thousand times, and Django's ORM takes five times as long.
STATE = (
    "SELECT id, private, updated_at, quarantined_at, binned_at FROM registry_repository ORDER BY id",
    "SELECT repository_id, name, revision_id FROM registry_ref ORDER BY repository_id, name",
    "SELECT COUNT(*) FROM registry_namespace",
    "SELECT COUNT(*) FROM registry_auditevent WHERE action NOT LIKE 'token:%'",
)
