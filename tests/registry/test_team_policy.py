"""The rights that teams give: a table of their members as in tests/registry/test_policy.py, and equal conditions."""

import pytest
from allauth.mfa.models import Authenticator
from django.utils import timezone

from registry.kernel import policy
from registry.kernel.callers import TeamRole
from registry.kernel.errors import NotAllowed, RepositoryExists, RepositoryNotFound, SecondFactorRequired, TokenInvalid
from registry.kernel.policy import Caller
from registry.models import Membership, Organization, Repository, Team, User
from registry.people.organizations import organizations, teams
from registry.people.tokens import tokens
from registry.publish import moves, repositories, retirement
from registry.repos import lookup
from registry.repos.lists import catalog
from tests.cast import person
from tests.registry.test_policy import answer, cells, machine
from tests.sweep import at_merge, sweep

# Of acme's team `ner`: reads ner-*; of `german`: writes ner-de and the datasets de-*; of `leads`: administers ner-*.
# rita, walt and lea are in one each, both is in the first two; none of them has more than the role `member`. nora is a
# member without a team, erin reads everything and is in `german`, dave contributes and is in `ner`.
TEAMS = {
    "ner": ({"rita", "both", "dave", "robin"}, [("", "ner-*", "read")]),
    "german": ({"walt", "both", "erin"}, [("model", "ner-de", "write"), ("dataset", "de-?", "write")]),
    "leads": ({"lea"}, [("", "ner-*", "admin")]),
}
MEMBERS = ("rita", "walt", "both", "lea", "nora", "robin")
TABLE = """
                  read   browse   download   discuss   push   configure   archive   quarantine

acme/ner-de model
alice             ok     ok       ok         ok        ok     ok          ok        no
bob               ok     ok       ok         ok        ok     no          no        no
erin              ok     ok       ok         ok        ok     no          no        no
dave              ok     ok       ok         ok        no     no          no        no
rita              ok     ok       ok         ok        no     no          no        no
walt              ok     ok       ok         ok        ok     no          no        no
both              ok     ok       ok         ok        ok     no          no        no
lea               ok     ok       ok         ok        ok     ok          ok        no
nora              nf     nf       nf         nf        nf     nf          nf        no
carol             nf     nf       nf         nf        nf     nf          nf        no
anonymous         nf     nf       nf         nf        nf     nf          nf        in
mona              nf     nf       nf         nf        nf     nf          nf        ok
robot:fine-write  ok     ok       ok         ok        ok     no          no        web
robot:other       nf     nf       nf         nf        nf     nf          nf        web
walt:write        ok     ok       ok         ok        ok     no          no        web
walt:read         ok     ok       ok         no        no     no          no        web
walt:fine-write   ok     ok       ok         ok        ok     no          no        web
walt:fine-read    ok     ok       ok         no        no     no          no        web
walt:other        nf     nf       nf         nf        nf     nf          nf        web
lea:write         ok     ok       ok         ok        ok     ok          ok        web
lea:fine-write    ok     ok       ok         ok        ok     no          no        web
nora:fine-write   nf     nf       nf         nf        nf     nf          nf        web

acme/ner-fr model
erin              ok     ok       ok         ok        no     no          no        no
rita              ok     ok       ok         ok        no     no          no        no
walt              nf     nf       nf         nf        nf     nf          nf        no
both              ok     ok       ok         ok        no     no          no        no
lea               ok     ok       ok         ok        ok     ok          ok        no
nora              nf     nf       nf         nf        nf     nf          nf        no
walt:fine-write   nf     nf       nf         nf        nf     nf          nf        web

acme/ner-de dataset
walt              nf     nf       nf         nf        nf     nf          nf        no
rita              ok     ok       ok         ok        no     no          no        no
lea               ok     ok       ok         ok        ok     ok          ok        no

acme/de-1 dataset
walt              ok     ok       ok         ok        ok     no          no        no
erin              ok     ok       ok         ok        ok     no          no        no
rita              nf     nf       nf         nf        nf     nf          nf        no
lea               nf     nf       nf         nf        nf     nf          nf        no

acme/pos model
alice             ok     ok       ok         ok        ok     ok          ok        no
erin              ok     ok       ok         ok        no     no          no        no
rita              nf     nf       nf         nf        nf     nf          nf        no
lea               nf     nf       nf         nf        nf     nf          nf        no
nora              nf     nf       nf         nf        nf     nf          nf        no

acme/open model
lea               ok     ok       ok         ok        no     no          no        no
nora              ok     ok       ok         ok        no     no          no        no

acme/ner-held model
alice             ok     q        q          q         q      q           q         no
erin              nf     nf       nf         nf        nf     nf          nf        no
rita              nf     nf       nf         nf        nf     nf          nf        no
lea               ok     q        q          q         q      q           q         no

rival/ner-de model
alice             nf     nf       nf         nf        nf     nf          nf        no
lea               nf     nf       nf         nf        nf     nf          nf        no
walt              nf     nf       nf         nf        nf     nf          nf        no
"""
CELLS = cells(TABLE, {*MEMBERS, "alice", "bob", "carol", "dave", "erin", "mona", "anonymous", "robot"})
WHO = sorted({who for _, who, _, _ in CELLS})


@pytest.fixture
def world(cast) -> dict[str, Repository]:
    """acme with its teams, and private repositories that they open or not."""
    for name in MEMBERS:
        cast.people[name] = person(name)
        organizations.set_member(cast.acme, cast[name], "member", by=cast["alice"])
    organizations.create_organization("rival", by=cast["carol"])
    for name, (members, grants) in TEAMS.items():
        team = teams.create_team(cast.acme, name, by=cast["alice"])
        for member in members:
            teams.add_member(team, cast[member], by=cast["alice"])
        for type, pattern, role in grants:
            teams.set_grant(team, pattern, role, type=type, by=cast["alice"])
    made = {
        f"{full_name} {type}": cast.repository(full_name, private=full_name != "acme/open", type=type, by=by)
        for full_name, type, by in (
            ("acme/ner-de", "model", "alice"),
            ("acme/ner-fr", "model", "alice"),
            ("acme/ner-de", "dataset", "alice"),
            ("acme/de-1", "dataset", "alice"),
            ("acme/pos", "model", "alice"),
            ("acme/open", "model", "alice"),
            ("acme/ner-held", "model", "alice"),
            ("rival/ner-de", "model", "carol"),
        )
    }
    Repository.objects.filter(name="ner-held").update(quarantined_at=timezone.now())
    return made


def caller(cast, who: str, repository: Repository) -> Caller:
    """Return the caller behind a word of the table."""
    name, _, credential = who.partition(":")
    if name == "robot":
        return machine(cast, name, "write" if credential == "fine-write" else "", repository)
    if not credential:
        return cast.session(name)
    role = credential if credential in {"read", "write"} else "fine-grained"
    key = repository.full_name.replace("/", "__")
    grants = {"fine-read": {key: "read"}, "fine-write": {key: "write"}, "other": {"acme__elsewhere": "write"}}
    return tokens.caller_of(cast.token(name, role, **grants.get(credential, {})))


@pytest.mark.parametrize("state", sorted({state for state, *_ in CELLS}))
def test_the_answers_are_those_of_the_table(cast, world, state):
    repository, wrong = world[state], []
    callers = {who: caller(cast, who, repository) for at, who, *_ in CELLS if at == state}
    for at, who, permission, expected in CELLS:
        if at == state and (got := answer(callers[who], permission, repository.full_name, repository.type)) != expected:
            wrong.append(f"{who} {permission}: {got}, expected {expected}")
    assert not wrong, "\n".join(wrong)


@sweep("who", WHO)
def test_the_conditions_for_lists_are_the_rules_for_one_repository(cast, world, who):
    Repository.objects.filter(name="ner-fr").update(is_main_held=True)
    Repository.objects.filter(name="ner-de").update(gated="manual")
    for repository in Repository.objects.select_related("namespace__person"):
        by, row = caller(cast, who, repository), Repository.objects.filter(pk=repository.pk)
        sees = policy.may_see(by, repository)
        writes, held = policy.may_write(by, repository), policy.is_withheld(repository)
        assert row.filter(policy.visible_to(by)).exists() == (sees and not held), repository
        is_listed = sees and not held and (not repository.is_main_held or by.is_staff or writes)
        assert row.filter(policy.listed_to(by)).exists() == is_listed, repository
        assert row.filter(policy.in_reach(by)).exists() == bool(
            by.role_at(repository.namespace_id, repository.type, repository.name)
        ), repository
        if sees:
            assert row.filter(policy.ungated_for(by)).exists() == policy.passes_gate(by, repository), repository
        if ":" not in who and by.user is not None and not by.is_staff:
            reads = User.objects.filter(policy.readers_of(repository), pk=by.user.pk).exists()
            assert reads == (sees and not held), repository


NAMES = ("ner-de", "NER-FR", "ner_de", "nerxde", "n", "ner.de-1", "a-ner", "50-off")


@pytest.mark.parametrize(
    "pattern", ["*", "n?r-de", "NER-de", "*.*-?", *at_merge("ner-*", "ner_de", "*_*", "?", "*-1", "ner-??", "**r*")]
)
def test_a_pattern_means_the_same_in_lists_and_for_one_repository(cast, world, pattern):
    team = teams.create_team(cast.acme, "more", by=None)
    teams.set_grant(team, pattern, "read", by=None)
    teams.add_member(team, cast["nora"], by=None)
    for name in NAMES:
        if not Repository.objects.filter(name=name, type="space").exists():
            cast.repository(f"acme/{name}", private=True, type="space")
    by, grant = cast.session("nora"), TeamRole("", pattern.lower(), "read")
    listed = set(Repository.objects.filter(policy.visible_to(by), type="space").values_list("name", flat=True))
    assert listed == {name for name in NAMES if grant.covers("space", name)}
    assert listed == {name for name in NAMES if answer(by, policy.Permission.READ, f"acme/{name}", "space") == "ok"}
    assert bool(listed)


def reads(cast, who: str, full_name: str = "acme/ner-de") -> bool:
    """Return whether the person reads the repository, by the rule and by the lists, which agree."""
    by = cast.session(who)
    is_listed = full_name in {row.full_name for row in catalog.search(by, catalog.Query()).items}
    try:
        lookup.find(full_name, by)
    except RepositoryNotFound:
        assert not is_listed
        return False
    assert is_listed
    return True


def test_a_role_ends_with_the_team_the_grant_the_place_in_it_and_the_membership(cast, world):
    ner, german = Team.objects.get(name="ner"), Team.objects.get(name="german")
    assert [reads(cast, who) for who in ("rita", "both", "walt", "robin")] == [True] * 4
    assert teams.remove_member(ner, cast["robin"], by=None)
    assert not reads(cast, "robin")
    assert teams.remove_grant(ner, "ner-*", by=None)
    assert [reads(cast, who) for who in ("rita", "both")] == [False, True]
    organizations.remove_member("acme", "walt", cast.session("alice"))
    assert not reads(cast, "walt")
    organizations.set_member(cast.acme, cast["walt"], "member", by=None)  # who comes back comes back to no team
    assert not reads(cast, "walt")
    teams.delete_team(german, by=None)
    assert not reads(cast, "both")
    assert Membership.objects.get(user=cast["both"]).grants == []


def test_renames_and_transfers_follow_the_pattern_at_once(cast, world):
    admin = cast.session("alice")
    moves.move(world["acme/pos model"], "acme/ner-pos", admin)
    assert reads(cast, "rita", "acme/ner-pos")
    moves.move(world["acme/ner-de model"], "acme/secret", admin)
    assert not reads(cast, "rita", "acme/secret")
    with pytest.raises(RepositoryNotFound):  # the old address leads nowhere for those who may not see the new one
        lookup.find_at_address("acme/ner-de", cast.session("rita"))
    organizations.set_member(cast["carol"].memberships.get().organization, cast["alice"], "write", by=None)
    moves.move(world["acme/ner-fr model"], "rival/ner-fr", cast.session("alice"))
    assert not reads(cast, "rita", "rival/ner-fr")
    Repository.objects.filter(name="ner-held").update(quarantined_at=None)
    moves.rename("acme", "acme-labs", cast.session("alice"))
    assert reads(cast, "rita", "acme-labs/ner-pos")


def test_what_is_deleted_is_gone_for_teams_and_comes_back_for_them(cast, world):
    repositories.delete(world["acme/ner-de model"], cast.session("lea"))
    assert not reads(cast, "rita")
    binned = retirement.listed(cast.session("lea")).get()
    assert not retirement.listed(cast.session("walt")).exists()
    with pytest.raises(NotAllowed, match="this name"):
        retirement.restore(binned.pk, cast.session("lea"), name="mine")
    retirement.restore(binned.pk, cast.session("lea"))
    assert reads(cast, "rita")


def test_teams_create_what_their_patterns_match(cast, world):
    lea = cast.session("lea")
    assert repositories.create("acme/ner-new", lea).created_by == cast["lea"]
    with pytest.raises(NotAllowed) as refusal:
        repositories.create("acme/other", lea)
    assert "ner-* (any type)" in refusal.value.fix
    with pytest.raises(NotAllowed):
        moves.move(world["acme/ner-fr model"], "acme/other", lea)
    with pytest.raises(NotAllowed, match="may not create"):
        repositories.create("acme/ner-new2", cast.session("rita"))
    with pytest.raises(RepositoryExists):
        repositories.create("acme/ner-de", lea)
    assert policy.may_create_in(lea, cast.acme.namespace_id)
    assert not policy.may_create_in(cast.session("nora"), cast.acme.namespace_id)


def test_a_refusal_to_create_names_no_pattern_of_another_organisation(cast, world):
    rival = world["rival/ner-de model"].namespace.organization
    team = teams.create_team(rival, "plans", by=cast["carol"])
    teams.set_grant(team, "plan-*", "write", by=cast["carol"])
    for name in ("lea", "rita"):
        organizations.set_member(rival, cast[name], "member", by=cast["carol"])
        teams.add_member(team, cast[name], by=cast["carol"])
    for name, patterns in (("lea", "create there: ner-* (any type)."), ("rita", "")):
        with pytest.raises(NotAllowed, match="in 'acme'") as refusal:
            repositories.create("acme/other", cast.session(name))
        assert "plan-" not in refusal.value.fix
        assert patterns in refusal.value.fix


def test_a_page_quotes_a_private_repository_only_where_its_teams_read_that_too(cast, world):
    german, french, part = (world[f"acme/{name} model"] for name in ("ner-de", "ner-fr", "pos"))
    assert policy.may_quote(french, part)  # only those who read everything see pos
    assert not policy.may_quote(part, french)  # rita sees ner-fr, and not pos
    assert not policy.may_quote(french, german)  # walt sees ner-de, and not ner-fr
    assert policy.may_quote(german, french)


def test_lists_take_no_query_and_no_join_for_teams(cast, world, django_assert_num_queries):
    by = cast.session("both")
    with django_assert_num_queries(2):
        found = list(Repository.objects.filter(policy.listed_to(by)))
    assert {row.name for row in found} == {"ner-de", "ner-fr", "de-1", "open"}
    sql = str(Repository.objects.filter(policy.listed_to(cast.session("both"))).query)
    assert "JOIN" not in sql
    assert "team" not in sql


def test_a_suspended_member_of_a_team_has_no_road(cast, world):
    value = cast.token("walt", "write")
    assert tokens.caller_of(value).user == cast["walt"]
    User.objects.filter(username="walt").update(is_active=False)
    with pytest.raises(TokenInvalid):
        tokens.caller_of(value)


@pytest.mark.parametrize("who", ["erin", "bob"])
@pytest.mark.parametrize("pattern", ["*", "ner-*"])
def test_a_team_takes_nothing_away(cast, world, who, pattern):
    before = {row.pk for row in Repository.objects.filter(policy.listed_to(cast.session(who)))}
    team = teams.create_team(cast.acme, "readers", by=None)
    teams.set_grant(team, pattern, "read", by=None)
    teams.add_member(team, cast[who], by=None)
    assert {row.pk for row in Repository.objects.filter(policy.listed_to(cast.session(who)))} == before
    assert policy.may_write(cast.session(who), world["acme/ner-de model"])
    assert policy.may_write(cast.session(who), world["acme/pos model"]) == (who == "bob")


def test_teams_give_nothing_without_a_second_factor_that_the_organisation_requires(cast, world):
    Organization.objects.filter(pk=cast.acme.pk).update(requires_second_factor=True)
    opened, other = world["acme/ner-de model"], world["acme/pos model"]
    with pytest.raises(SecondFactorRequired):
        lookup.find("acme/ner-de", cast.session("rita"))
    with pytest.raises(RepositoryNotFound):  # no second factor would open it: it must not be known to exist
        lookup.find("acme/pos", cast.session("rita"))
    assert not Repository.objects.filter(policy.visible_to(cast.session("rita")), private=True).exists()
    readers = User.objects.filter(policy.readers_of(opened))
    assert not readers.filter(username="rita").exists()
    Authenticator.objects.create(user=cast["rita"], type=Authenticator.Type.TOTP, data={"secret": "x"})
    assert reads(cast, "rita")
    assert readers.filter(username="rita").exists()
    assert not User.objects.filter(policy.readers_of(other), username="rita").exists()
