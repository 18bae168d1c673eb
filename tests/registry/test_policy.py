"""The whole table of permissions, cell by cell."""

from collections.abc import Collection

import pytest
from django.db.models import Q
from django.utils import timezone

from registry.kernel import policy
from registry.kernel.errors import (
    AccessRequired,
    GateSignInRequired,
    NotAllowed,
    RegistryError,
    RepositoryArchived,
    RepositoryNotFound,
    RepositoryQuarantined,
    SessionRequired,
    SignInRequired,
)
from registry.kernel.policy import Caller, Permission
from registry.models import Base, Membership, Repository, TrustedPublisher, User
from registry.moderation import quarantine
from registry.people import accounts, gates
from registry.people.tokens import tokens
from registry.publish import repositories, retirement
from registry.repos import bases, lookup
from tests.sweep import sweep

# Callers are somebody in a session, or `somebody:role` with a token; `alice:other` is a fine-grained token for another
# adapter, `alice:fine-read` and `alice:fine-write` name this one. The adapters are acme's, made by alice or, where it
# says so, by dave; only the last one is carol's own, who is suspended and cannot ask at all. The robot and
# the publisher work for acme. What may happen:
#     ok   yes          nf  as if it did not exist     in   sign in first
#     no   not allowed  q   quarantined, and told so   web  only in a session
#     gate ask the owner to be let in                  gin  the same, and sign in first
#     arc  archived, and told so
WHO = """
    anonymous  carol  carol:write  carol:read
    alice  alice:write  alice:read  alice:fine-write  alice:fine-read  alice:other
    bob  bob:write  dave  dave:write  erin  erin:write  mona  mona:write  ada
    robot:fine-write  robot:fine-read  robot:other  publisher:fine-write
""".split()  # noqa: SIM905  # a table reads better

TABLE = """
                  read   browse   download   discuss   push   inspect   configure   archive   quarantine

public
anonymous         ok     ok       ok         in        in     in        in          in        in
carol             ok     ok       ok         ok        no     no        no          no        no
carol:write       ok     ok       ok         ok        no     no        no          no        web
carol:read        ok     ok       ok         no        no     no        no          no        web
alice             ok     ok       ok         ok        ok     ok        ok          ok        no
alice:write       ok     ok       ok         ok        ok     ok        ok          ok        web
alice:read        ok     ok       ok         no        no     no        no          no        web
alice:fine-write  ok     ok       ok         ok        ok     ok        no          no        web
alice:fine-read   ok     ok       ok         no        no     no        no          no        web
alice:other       ok     ok       ok         no        no     no        no          no        web
bob               ok     ok       ok         ok        ok     ok        no          no        no
bob:write         ok     ok       ok         ok        ok     ok        no          no        web
dave              ok     ok       ok         ok        no     no        no          no        no
dave:write        ok     ok       ok         ok        no     no        no          no        web
erin              ok     ok       ok         ok        no     no        no          no        no
erin:write        ok     ok       ok         ok        no     no        no          no        web
mona              ok     ok       ok         ok        no     no        no          no        ok
mona:write        ok     ok       ok         ok        no     no        no          no        web
ada               ok     ok       ok         ok        no     no        no          no        ok
robot:fine-write  ok     ok       ok         ok        ok     ok        no          no        web
robot:fine-read   ok     ok       ok         no        no     no        no          no        web
robot:other       ok     ok       ok         no        no     no        no          no        web
publisher:fine-write ok     ok       ok         ok        ok     ok        no          no        web

private
anonymous         nf     nf       nf         nf        nf     nf        nf          nf        in
carol             nf     nf       nf         nf        nf     nf        nf          nf        no
carol:write       nf     nf       nf         nf        nf     nf        nf          nf        web
carol:read        nf     nf       nf         nf        nf     nf        nf          nf        web
alice             ok     ok       ok         ok        ok     ok        ok          ok        no
alice:write       ok     ok       ok         ok        ok     ok        ok          ok        web
alice:read        ok     ok       ok         no        no     no        no          no        web
alice:fine-write  ok     ok       ok         ok        ok     ok        no          no        web
alice:fine-read   ok     ok       ok         no        no     no        no          no        web
alice:other       nf     nf       nf         nf        nf     nf        nf          nf        web
bob               ok     ok       ok         ok        ok     ok        no          no        no
bob:write         ok     ok       ok         ok        ok     ok        no          no        web
dave              ok     ok       ok         ok        no     no        no          no        no
dave:write        ok     ok       ok         ok        no     no        no          no        web
erin              ok     ok       ok         ok        no     no        no          no        no
erin:write        ok     ok       ok         ok        no     no        no          no        web
mona              nf     nf       nf         nf        nf     nf        nf          nf        ok
mona:write        nf     nf       nf         nf        nf     nf        nf          nf        web
ada               nf     nf       nf         nf        nf     nf        nf          nf        ok
robot:fine-write  ok     ok       ok         ok        ok     ok        no          no        web
robot:fine-read   ok     ok       ok         no        no     no        no          no        web
robot:other       nf     nf       nf         nf        nf     nf        nf          nf        web
publisher:fine-write ok     ok       ok         ok        ok     ok        no          no        web

dave's
dave              ok     ok       ok         ok        ok     ok        no          no        no
dave:write        ok     ok       ok         ok        ok     ok        no          no        web
erin              ok     ok       ok         ok        no     no        no          no        no
bob               ok     ok       ok         ok        ok     ok        no          no        no

quarantined
anonymous         nf     nf       nf         nf        nf     nf        nf          nf        in
carol             nf     nf       nf         nf        nf     nf        nf          nf        no
carol:write       nf     nf       nf         nf        nf     nf        nf          nf        web
carol:read        nf     nf       nf         nf        nf     nf        nf          nf        web
alice             ok     q        q          q         q      q         q           q         no
alice:write       ok     q        q          q         q      q         q           q         web
alice:read        ok     q        q          q         q      q         q           q         web
alice:fine-write  ok     q        q          q         q      q         q           q         web
alice:fine-read   ok     q        q          q         q      q         q           q         web
alice:other       nf     nf       nf         nf        nf     nf        nf          nf        web
bob               ok     q        q          q         q      q         q           q         no
bob:write         ok     q        q          q         q      q         q           q         web
dave              nf     nf       nf         nf        nf     nf        nf          nf        no
dave:write        nf     nf       nf         nf        nf     nf        nf          nf        web
erin              nf     nf       nf         nf        nf     nf        nf          nf        no
erin:write        nf     nf       nf         nf        nf     nf        nf          nf        web
mona              ok     nf       nf         nf        nf     nf        nf          nf        ok
mona:write        nf     nf       nf         nf        nf     nf        nf          nf        web
ada               ok     nf       nf         nf        nf     nf        nf          nf        ok
robot:fine-write  ok     q        q          q         q      q         q           q         web
robot:fine-read   ok     q        q          q         q      q         q           q         web
robot:other       nf     nf       nf         nf        nf     nf        nf          nf        web
publisher:fine-write ok     q        q          q         q      q         q           q         web

dave's, quarantined
dave              ok     q        q          q         q      q         q           q         no
erin              nf     nf       nf         nf        nf     nf        nf          nf        no

private, quarantined
carol             nf     nf       nf         nf        nf     nf        nf          nf        no
alice             ok     q        q          q         q      q         q           q         no
erin              nf     nf       nf         nf        nf     nf        nf          nf        no
mona              nf     nf       nf         nf        nf     nf        nf          nf        ok

owner suspended
anonymous         nf     nf       nf         nf        nf     nf        nf          nf        in
alice             nf     nf       nf         nf        nf     nf        nf          nf        no
alice:write       nf     nf       nf         nf        nf     nf        nf          nf        web
bob               nf     nf       nf         nf        nf     nf        nf          nf        no
mona              ok     nf       nf         nf        nf     nf        nf          nf        ok
mona:write        nf     nf       nf         nf        nf     nf        nf          nf        web
ada               ok     nf       nf         nf        nf     nf        nf          nf        ok

gated
anonymous         ok     ok       gin        in        in     in        in          in        in
carol             ok     ok       gate       ok        no     no        no          no        no
carol:write       ok     ok       gate       ok        no     no        no          no        web
carol:read        ok     ok       gate       no        no     no        no          no        web
alice             ok     ok       ok         ok        ok     ok        ok          ok        no
alice:write       ok     ok       ok         ok        ok     ok        ok          ok        web
alice:read        ok     ok       ok         no        no     no        no          no        web
alice:fine-write  ok     ok       ok         ok        ok     ok        no          no        web
alice:fine-read   ok     ok       ok         no        no     no        no          no        web
alice:other       ok     ok       gate       no        no     no        no          no        web
bob               ok     ok       ok         ok        ok     ok        no          no        no
bob:write         ok     ok       ok         ok        ok     ok        no          no        web
dave              ok     ok       ok         ok        no     no        no          no        no
dave:write        ok     ok       ok         ok        no     no        no          no        web
erin              ok     ok       ok         ok        no     no        no          no        no
erin:write        ok     ok       ok         ok        no     no        no          no        web
mona              ok     ok       gate       ok        no     no        no          no        ok
mona:write        ok     ok       gate       ok        no     no        no          no        web
ada               ok     ok       gate       ok        no     no        no          no        ok
robot:fine-write  ok     ok       ok         ok        ok     ok        no          no        web
robot:fine-read   ok     ok       ok         no        no     no        no          no        web
robot:other       ok     ok       gate       no        no     no        no          no        web
publisher:fine-write ok     ok       ok         ok        ok     ok        no          no        web

gated, carol let in
anonymous         ok     ok       gin        in        in     in        in          in        in
carol             ok     ok       ok         ok        no     no        no          no        no
carol:write       ok     ok       ok         ok        no     no        no          no        web
carol:read        ok     ok       ok         no        no     no        no          no        web
alice             ok     ok       ok         ok        ok     ok        ok          ok        no
alice:write       ok     ok       ok         ok        ok     ok        ok          ok        web
alice:read        ok     ok       ok         no        no     no        no          no        web
alice:fine-write  ok     ok       ok         ok        ok     ok        no          no        web
alice:fine-read   ok     ok       ok         no        no     no        no          no        web
alice:other       ok     ok       gate       no        no     no        no          no        web
bob               ok     ok       ok         ok        ok     ok        no          no        no
bob:write         ok     ok       ok         ok        ok     ok        no          no        web
dave              ok     ok       ok         ok        no     no        no          no        no
dave:write        ok     ok       ok         ok        no     no        no          no        web
erin              ok     ok       ok         ok        no     no        no          no        no
erin:write        ok     ok       ok         ok        no     no        no          no        web
mona              ok     ok       gate       ok        no     no        no          no        ok
mona:write        ok     ok       gate       ok        no     no        no          no        web
ada               ok     ok       gate       ok        no     no        no          no        ok

archived
anonymous         ok     ok       ok         in        in     in        in          in        in
carol             ok     ok       ok         arc       no     no        no          no        no
carol:write       ok     ok       ok         arc       no     no        no          no        web
carol:read        ok     ok       ok         no        no     no        no          no        web
alice             ok     ok       ok         arc       arc    ok        arc         ok        no
alice:write       ok     ok       ok         arc       arc    ok        arc         ok        web
alice:read        ok     ok       ok         no        no     no        no          no        web
alice:fine-write  ok     ok       ok         arc       arc    ok        no          no        web
alice:fine-read   ok     ok       ok         no        no     no        no          no        web
alice:other       ok     ok       ok         no        no     no        no          no        web
bob               ok     ok       ok         arc       arc    ok        no          no        no
bob:write         ok     ok       ok         arc       arc    ok        no          no        web
dave              ok     ok       ok         arc       no     no        no          no        no
dave:write        ok     ok       ok         arc       no     no        no          no        web
erin              ok     ok       ok         arc       no     no        no          no        no
erin:write        ok     ok       ok         arc       no     no        no          no        web
mona              ok     ok       ok         arc       no     no        no          no        ok
mona:write        ok     ok       ok         arc       no     no        no          no        web
ada               ok     ok       ok         arc       no     no        no          no        ok
robot:fine-write  ok     ok       ok         arc       arc    ok        no          no        web
robot:fine-read   ok     ok       ok         no        no     no        no          no        web
robot:other       ok     ok       ok         no        no     no        no          no        web
publisher:fine-write ok     ok       ok         arc       arc    ok        no          no        web

in the bin
anonymous         nf     nf       nf         nf        nf     nf        nf          nf        in
carol             nf     nf       nf         nf        nf     nf        nf          nf        no
carol:write       nf     nf       nf         nf        nf     nf        nf          nf        web
carol:read        nf     nf       nf         nf        nf     nf        nf          nf        web
alice             nf     nf       nf         nf        nf     nf        nf          nf        no
alice:write       nf     nf       nf         nf        nf     nf        nf          nf        web
alice:read        nf     nf       nf         nf        nf     nf        nf          nf        web
alice:fine-write  nf     nf       nf         nf        nf     nf        nf          nf        web
alice:fine-read   nf     nf       nf         nf        nf     nf        nf          nf        web
alice:other       nf     nf       nf         nf        nf     nf        nf          nf        web
bob               nf     nf       nf         nf        nf     nf        nf          nf        no
bob:write         nf     nf       nf         nf        nf     nf        nf          nf        web
dave              nf     nf       nf         nf        nf     nf        nf          nf        no
dave:write        nf     nf       nf         nf        nf     nf        nf          nf        web
erin              nf     nf       nf         nf        nf     nf        nf          nf        no
erin:write        nf     nf       nf         nf        nf     nf        nf          nf        web
mona              nf     nf       nf         nf        nf     nf        nf          nf        nf
mona:write        nf     nf       nf         nf        nf     nf        nf          nf        web
ada               nf     nf       nf         nf        nf     nf        nf          nf        nf
robot:fine-write  nf     nf       nf         nf        nf     nf        nf          nf        web
robot:fine-read   nf     nf       nf         nf        nf     nf        nf          nf        web
robot:other       nf     nf       nf         nf        nf     nf        nf          nf        web
publisher:fine-write nf     nf       nf         nf        nf     nf        nf          nf        web
"""

ANSWERS = {
    AccessRequired: "gate",
    GateSignInRequired: "gin",
    RepositoryNotFound: "nf",
    RepositoryQuarantined: "q",
    SignInRequired: "in",
    NotAllowed: "no",
    SessionRequired: "web",
    RepositoryArchived: "arc",
}


NAMES = frozenset(word.partition(":")[0] for word in WHO)


def cells(table: str = TABLE, people: Collection[str] = NAMES) -> list[tuple[str, str, Permission, str]]:
    """Every cell of a table: state, caller, permission, answer."""
    lines = [line for line in table.splitlines() if line.strip()]
    permissions = [Permission(f"adapter:{word}") for word in lines[0].split()]
    found, state = [], ""
    for line in lines[1:]:
        who, *answers = line.split()
        if who.partition(":")[0] in people and len(answers) == len(permissions):
            found += [(state, who, permission, answer) for permission, answer in zip(permissions, answers, strict=True)]
        else:
            state = line.strip()
    return found


@pytest.fixture
def world(cast) -> dict[str, Repository]:
    """One adapter for each state."""
    made = {
        "public": cast.repository("acme/public"),
        "private": cast.repository("acme/private", private=True),
        "dave's": cast.repository("acme/daves", by="dave"),
        "quarantined": cast.repository("acme/bad"),
        "dave's, quarantined": cast.repository("acme/daves-bad", by="dave"),
        "private, quarantined": cast.repository("acme/private-bad", private=True),
        "owner suspended": cast.repository("carol/notes", by="carol"),
        "gated": cast.repository("acme/gated"),
        "gated, carol let in": cast.repository("acme/opened"),
        "archived": cast.repository("acme/archived"),
        "in the bin": cast.repository("acme/binned"),
    }
    for state in ("gated", "gated, carol let in"):
        gates.set_gate(made[state], "manual", cast.session("alice"))
    gates.grant_access(made["gated, carol let in"], "carol", cast.session("alice"))
    Repository.objects.filter(name__endswith="bad").update(quarantined_at=timezone.now())
    retirement.archive(made["archived"], cast.session("alice"))
    repositories.delete(made["in the bin"], cast.session("alice"))
    return made


def caller(cast, who: str, repository: Repository) -> Caller:
    """The caller that a word of the table means."""
    name, _, credential = who.partition(":")
    if not credential:
        return cast.session(name)
    role = credential if credential in {"read", "write"} else "fine-grained"
    key = repository.full_name.replace("/", "__")
    if name in {"robot", "publisher"}:
        return machine(cast, name, {"fine-read": "read", "fine-write": "write"}.get(credential, ""), repository)
    grants = {"fine-read": {key: "read"}, "fine-write": {key: "write"}, "other": {"acme__elsewhere": "write"}}
    return tokens.caller_of(cast.token(name, role, **grants.get(credential, {})))


def machine(cast, kind: str, right: str, repository: Repository) -> Caller:
    """A machine that works for acme, with a token for this repository, or without a right here for another one."""
    username = f"acme+{kind}" if kind == "robot" else f"publisher:{repository.pk}"
    account = User.objects.filter(username=username).first()
    account = account or accounts.create_machine(username, User.Kind(kind), cast.acme.namespace)
    if kind == "publisher":
        place = {"type": repository.type, "namespace": repository.namespace, "name": repository.name}
        row = {**place, "repository": repository, "issuer": "ci", "claims": {}}
        TrustedPublisher.objects.get_or_create(account=account, defaults=row)
    grants = {repository.full_name: right} if right else {"acme/elsewhere": "write"}
    name = f"token {account.tokens.count()}"
    return tokens.caller_of(tokens.create_token(account, name, "fine-grained", grants=grants))


def answer(by: Caller, permission: Permission, full_name: str, type: str = "model") -> str:
    """Return the answer of the one route to an adapter."""
    try:
        lookup.find(full_name, by, permission, type=type)
    except RegistryError as error:
        return ANSWERS[error.__class__]
    return "ok"


@pytest.mark.parametrize("state", sorted({state for state, *_ in cells()}))
def test_the_answers_are_those_of_the_table(cast, world, state):
    repository, wrong = world[state], []
    callers = {who: caller(cast, who, repository) for at, who, *_ in cells() if at == state}
    if state == "owner suspended":
        User.objects.filter(username="carol").update(is_active=False)
    for at, who, permission, expected in cells():
        if at == state and (got := answer(callers[who], permission, repository.full_name)) != expected:
            wrong.append(f"{who} {permission}: {got}, expected {expected}")
    assert not wrong, "\n".join(wrong)


def test_the_table_has_a_row_for_everybody_and_a_column_for_every_permission():
    whole = {"public", "private", "quarantined", "gated", "archived", "in the bin"}
    for state in whole:
        assert {who for at, who, *_ in cells() if at == state} == set(WHO)
    assert {permission for _, _, permission, _ in cells()} == set(Permission)
    assert {answer for *_, answer in cells()} == {*ANSWERS.values(), "ok"}


@sweep("who", WHO)
def test_lists_show_what_one_may_read_and_nothing_withheld(cast, world, who):
    if not who.startswith("carol"):
        User.objects.filter(username="carol").update(is_active=False)
    for repository in Repository.objects.select_related("namespace__person"):
        by = caller(cast, who, repository)
        shown = Repository.objects.filter(policy.visible_to(by), pk=repository.pk).exists()
        assert shown == (policy.may_see(by, repository) and not policy.is_withheld(repository)), (
            who,
            repository.full_name,
        )


@sweep("who", WHO)
def test_lists_show_a_main_that_is_held_back_to_those_who_may_write_there_and_to_staff(cast, world, who):
    Repository.objects.update(is_main_held=True)
    for repository in Repository.objects.select_related("namespace__person"):
        by = caller(cast, who, repository)
        is_listed = Repository.objects.filter(policy.listed_to(by), pk=repository.pk).exists()
        is_visible = Repository.objects.filter(policy.visible_to(by), pk=repository.pk).exists()
        expected = is_visible and (by.is_staff or policy.may_write(by, repository))
        assert is_listed == expected, (who, repository.full_name)


def test_a_refusal_spells_the_id_as_it_was_asked_for(cast):
    cast.repository("acme/Secret", private=True)
    with pytest.raises(RepositoryNotFound) as hidden:
        lookup.find("ACME/sEcret", cast.session("carol"))
    with pytest.raises(RepositoryNotFound) as absent:
        lookup.find("ACME/sEcrex", cast.session("carol"))
    assert hidden.value.detail.replace("sEcret", "sEcrex") == absent.value.detail
    assert (hidden.value.fix, hidden.value.facts) == (absent.value.fix, absent.value.facts)


def test_who_may_not_moderate_does_not_learn_what_exists(cast):
    cast.repository("acme/secret", private=True)
    said = []
    for name in ("acme/secret", "acme/nothing"):
        with pytest.raises(NotAllowed) as refusal:
            lookup.find(name, cast.session("carol"), Permission.QUARANTINE)
        said.append(refusal.value.detail)
    assert said[0] == said[1]


def test_somebody_who_left_the_organisation_is_a_stranger_at_once(cast):
    repository = cast.repository("acme/private", private=True)
    assert lookup.find("acme/private", cast.session("bob")) == repository
    Membership.objects.get(user=cast["bob"]).delete()
    with pytest.raises(RepositoryNotFound):
        lookup.find("acme/private", cast.session("bob"))


def test_a_grant_on_what_was_lost_is_worth_nothing(cast):
    cast.repository("acme/private", private=True)
    value = cast.token("bob", "fine-grained", acme__private="write")
    Membership.objects.get(user=cast["bob"]).delete()
    by = tokens.caller_of(value)
    with pytest.raises(RepositoryNotFound):
        lookup.find("acme/private", by)
    assert not Repository.objects.filter(policy.visible_to(by)).exists()


@pytest.mark.parametrize(
    ("who", "allowed"),
    [("alice", True), ("alice:write", True), ("bob", True), ("dave", True)]
    + [(who, False) for who in ("alice:read", "erin", "carol", "mona", "ada")],
)
def test_who_may_make_adapters_in_an_organisation(cast, who, allowed):
    name, _, role = who.partition(":")
    by = tokens.caller_of(cast.token(name, role)) if role else cast.session(name)
    if allowed:
        assert repositories.create("acme/new", by).created_by == cast[name]
    else:
        with pytest.raises(NotAllowed):
            repositories.create("acme/new", by)
        assert not Repository.objects.filter(Q(name="new")).exists()


def test_a_token_that_may_not_is_named_in_the_refusal(cast):
    cast.repository("acme/public")
    by = tokens.caller_of(cast.token("alice", "fine-grained", acme__public="read"))
    with pytest.raises(NotAllowed, match="token 'fine-grained 0' may not push to acme/public"):
        lookup.find("acme/public", by, Permission.PUSH)


def test_the_reason_of_a_quarantine_is_told_to_who_writes_there(cast):
    repository = cast.repository("acme/public")
    quarantine.quarantine(repository, cast.session("mona"), reason="It phones home.")
    with pytest.raises(RepositoryQuarantined, match="acme/public is quarantined: It phones home"):
        lookup.find("acme/public", cast.session("bob"), Permission.DOWNLOAD)


# --- base models -----------------------------------------------------------------------------------------------------
# The base is acme/elsewhere, which tokens marked `other` name. Each cell is seeing / downloading.
BASES = """
                     license  unlicensed  public  gated    members  nobody
anonymous            ok/ok    nf/nf       ok/ok   ok/gin   nf/nf    nf/nf
carol                ok/ok    ok/ok       ok/ok   ok/ok    ok/ok    nf/nf
carol:read           ok/ok    ok/ok       ok/ok   ok/ok    ok/ok    nf/nf
alice:other          ok/ok    ok/ok       ok/ok   ok/ok    ok/ok    nf/nf
alice:fine-read      ok/ok    nf/nf       ok/ok   ok/gate  nf/nf    nf/nf
robot:other          ok/ok    ok/ok       ok/ok   ok/ok    ok/ok    nf/nf
robot:fine-write     ok/ok    nf/nf       ok/ok   ok/gate  nf/nf    nf/nf
publisher:fine-write ok/ok    nf/nf       ok/ok   ok/gate  nf/nf    nf/nf
mona                 ok/ok    ok/ok       ok/ok   ok/ok    ok/ok    nf/nf
ada                  ok/ok    ok/ok       ok/ok   ok/ok    ok/ok    nf/nf
"""


def answer_for_base(by: Caller, permission: Permission, base: Base) -> str:
    try:
        bases.require_base(by, permission, base, base.id)
    except RegistryError as error:
        return ANSWERS[error.__class__]
    return "ok"


def test_who_may_have_a_base_is_what_its_table_says_and_nobody_changes_one(cast, world):
    (_, *kinds), *rows = (line.split() for line in f"who {BASES.strip()}".splitlines())
    for who, *expected in rows:
        by, answers = caller(cast, who, world["public"]), []
        for kind in kinds:
            serve, license = ("license", "") if kind == "unlicensed" else (kind, "apache-2.0")
            base = Base(id="acme/elsewhere", serve=serve, license=license)
            seen = answer_for_base(by, Permission.BROWSE, base)
            answers.append(f"{seen}/{answer_for_base(by, Permission.DOWNLOAD, base)}")
            for change in set(Permission) - {Permission.READ, Permission.BROWSE, Permission.DOWNLOAD}:
                assert answer_for_base(by, change, base) == ("nf" if seen == "nf" else "no")
        assert answers == expected, who
