"""An organisation that requires a second factor: members without one have no more rights there than anybody else."""

import hashlib
import json

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from registry.kernel import policy
from registry.kernel.errors import NotAllowed, RepositoryNotFound, SecondFactorRequired, SessionRequired, SignInRequired
from registry.kernel.policy import Permission
from registry.models import AuditEvent, Organization, Repository, User
from registry.people import gates
from registry.people.organizations import organizations, teams
from registry.people.tokens import tokens
from registry.repos import lookup
from tests.registry.test_policy import WHO, answer, caller, world
from tests.registry.test_quarantine_roads import (  # fmt: skip
    HELD,
    NEVER,
    PAGES,
    READING,
    REST,
    REST_FACTS,
    WRITING,
    bearer,
    browser,
    held,
    looks,
    name_of,
)
from tests.sweep import at_merge, sweep

__all__ = ["held", "world"]  # fixtures

LFS = "application/vnd.git-lfs+json"
CODE = "second-factor-required"


def give_factor(user: User, kind: str = "totp") -> Authenticator:
    row: Authenticator = Authenticator.objects.create(user=user, type=kind, data={"secret": "x"})
    return row


def require(cast, value: bool = True) -> None:
    """Require a second factor of acme's members; alice, who does, has one."""
    if not Authenticator.objects.filter(user=cast["alice"]).exists():
        give_factor(cast["alice"])
    organizations.require_second_factor(cast.acme, value, cast.session("alice"))


@pytest.fixture
def strict(cast, held: Repository) -> Repository:
    """The private adapter of an organisation that requires a second factor, which bob, dave and erin do not have."""
    Repository.objects.update(private=True)
    require(cast)
    return held


@sweep("road", READING + WRITING + REST + REST_FACTS)
@pytest.mark.parametrize("who", ["bob", "erin"])
def test_no_token_of_a_member_without_one_opens_a_road(cast, strict, road, who):
    response = road.ask(Client(), HELD, **bearer(cast, who))
    assert response.status_code == 403, response.content
    if road.method == "HEAD":
        assert "second factor" in response["X-Error-Message"]
    elif road in REST + REST_FACTS:
        assert response.json()["code"] == CODE
        assert "/settings/security" in response.json()["fix"]
    else:
        assert "requires a second factor" in response.json()["error"] or CODE in response.content.decode()


@pytest.mark.parametrize("road", PAGES, ids=name_of)
def test_pages_say_what_to_do(cast, strict, road):
    page = road.ask(browser(cast, "bob"), HELD)
    assert page.status_code == 403
    assert "acme requires its members to use a second factor" in page.content.decode()
    assert 'href="/settings/security">Add an app or a passkey' in page.content.decode()
    assert b"# Held" not in page.content


@sweep("road", READING + WRITING + REST)
@pytest.mark.parametrize("who", ["carol", *at_merge("anonymous", "mona")])
def test_strangers_learn_nothing_of_it(cast, strict, road, who):
    headers = bearer(cast, who)
    there, never = road.ask(Client(), HELD, **headers), road.ask(Client(), NEVER, **headers)
    assert there.status_code in {401, 404}
    assert looks(there, HELD) == looks(never, NEVER)


@sweep("road", READING + WRITING)
def test_members_with_one_go_on(cast, strict, road):
    response = road.ask(Client(), HELD, **bearer(cast, "alice"))
    assert response.status_code < 300 or response.status_code in {302, 307}, response.content


def test_what_was_handed_out_before_is_worth_nothing_at_once_and_works_again_with_a_factor(cast, held):
    Repository.objects.update(private=True)
    headers = bearer(cast, "bob")
    wish = {"operation": "download", "objects": [{"oid": hashlib.sha256(b"weights").hexdigest(), "size": 7}]}
    batch = Client().post(f"/{HELD}.git/info/lfs/objects/batch", json.dumps(wish), LFS, headers=headers).json()
    address = batch["objects"][0]["actions"]["download"]["href"]
    assert Client().get(address).status_code == 200
    client, page = browser(cast, "bob"), f"/{HELD}"
    assert client.get(page).status_code == 200
    require(cast)
    assert (Client().get(address).status_code, client.get(page).status_code) == (403, 403)
    assert HELD not in client.get("/adapters?q=held").content.decode()
    factor = give_factor(cast["bob"], "webauthn")
    assert (Client().get(address).status_code, client.get(page).status_code) == (200, 200)
    factor.delete()
    assert client.get(page).status_code == 403
    give_factor(cast["bob"], "recovery_codes")
    assert client.get(page).status_code == 403, "recovery codes alone are no factor"


def test_public_adapters_are_read_as_by_everybody_and_not_written(cast, world):
    require(cast)
    bob, erin = cast.session("bob"), cast.session("erin")
    for permission in (Permission.READ, Permission.BROWSE, Permission.DOWNLOAD, Permission.DISCUSS):
        assert policy.require(bob, permission, world["public"]) == world["public"]
    for by in (bob, erin, cast.session("dave")):
        for name in ("public", "dave's", "private"):
            with pytest.raises(SecondFactorRequired):
                policy.require(by, Permission.PUSH, world[name])
    with pytest.raises(SecondFactorRequired):
        policy.require(bob, Permission.DOWNLOAD, world["gated"])
    gates.grant_access(world["gated"], "bob", cast.session("alice"))
    assert policy.require(bob, Permission.DOWNLOAD, world["gated"]), "the owner let him in as a person"


def test_who_reads_by_a_team_alone_learns_nothing_of_the_rest(cast, world):
    organizations.set_member(cast.acme, cast["carol"], "member", by=cast["alice"])
    team = teams.create_team(cast.acme, "reviewers", by=cast["alice"])
    teams.set_grant(team, "private", "read", by=cast["alice"])
    teams.add_member(team, cast["carol"], by=cast["alice"])
    cast.repository("acme/other", private=True)
    assert lookup.find("acme/private", cast.session("carol"))
    require(cast)
    with pytest.raises(SecondFactorRequired):
        lookup.find("acme/private", cast.session("carol"))
    for name in ("acme/other", "acme/never"):
        with pytest.raises(RepositoryNotFound):
            lookup.find(name, cast.session("carol"))


@sweep("who", WHO)
def test_lists_and_single_rows_agree(cast, world, who):
    require(cast)
    for repository in Repository.objects.select_related("namespace__person"):
        by = caller(cast, who, repository)
        listed = Repository.objects.filter(policy.visible_to(by), pk=repository.pk).exists()
        held_back = policy.is_withheld(repository)
        assert listed == (policy.may_see(by, repository) and not held_back), (who, repository.full_name)
        if by.user is not None and by.token is None and not held_back:
            reads = User.objects.filter(policy.readers_of(repository), pk=by.user.pk).exists()
            assert reads == (policy.may_see(by, repository) or by.user.is_machine), (who, repository.full_name)


@pytest.mark.parametrize("who", ["robot:fine-write", "robot:fine-read", "publisher:fine-write"])
def test_machines_are_no_persons_and_go_on(cast, world, who):
    before = {p: answer(caller(cast, who, world["private"]), p, "acme/private") for p in Permission}
    require(cast)
    assert {p: answer(caller(cast, who, world["private"]), p, "acme/private") for p in Permission} == before


def test_administering_creating_and_collecting_need_one_too(cast, strict):
    organizations.set_member(cast.acme, cast["bob"], "admin", by=cast["alice"])
    bob = cast.session("bob")
    for deed in (
        lambda: organizations.require_administered("acme", bob),
        lambda: organizations.list_members("acme", bob),
        lambda: organizations.namespace_of_member("acme", bob),
        lambda: policy.require_namespace(bob, cast.acme.namespace),
        lambda: lookup.find(HELD, bob, Permission.CONFIGURE),
    ):
        with pytest.raises(SecondFactorRequired):
            deed()
    organizations.leave("acme", bob)
    assert not cast["bob"].memberships.exists(), "to leave, nobody needs one"


def test_who_requires_it_has_one_and_no_token_ends_it(cast):
    alice = cast.session("alice")
    with pytest.raises(SecondFactorRequired, match="yourself"):
        organizations.require_second_factor(cast.acme, True, alice)
    give_factor(cast["alice"])
    token = tokens.caller_of(cast.token("alice"))
    assert organizations.require_second_factor(cast.acme, True, token)
    assert not organizations.require_second_factor(cast.acme, True, alice)
    with pytest.raises(SessionRequired):
        organizations.require_second_factor(cast.acme, False, token)
    assert Organization.objects.get().requires_second_factor
    assert organizations.require_second_factor(cast.acme, False, alice)
    events = AuditEvent.objects.filter(action="organization:second-factor").order_by("pk")
    assert list(events.values_list("actor", "object", "before", "after")) == [
        ("alice", "acme", False, True),
        ("alice", "acme", True, False),
    ]


def test_lists_cost_members_one_query_more_and_others_none(cast, world):
    def count(who: str) -> int:
        by = cast.session(who)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            list(Repository.objects.filter(policy.listed_to(by)))
        return len(queries)

    before = {who: count(who) for who in ("alice", "bob", "carol", "anonymous")}
    require(cast)
    assert count("carol") == before["carol"]
    assert count("anonymous") == before["anonymous"]
    assert count("bob") == before["bob"] + 1
    assert count("alice") == before["alice"] + 1


# --- the organisation's settings --------------------------------------------------------------------------------------
REST_HERE, PAGE = "/api/v1/organizations/acme", "/organizations/acme/settings"


def test_the_setting_over_rest(cast):
    alice = {"authorization": f"Bearer {cast.token('alice')}"}

    def patch(value, headers):
        body = {"second_factor_required": value}
        return Client().patch(REST_HERE, body, "application/json", headers=headers)

    refused = patch(True, alice)
    assert (refused.status_code, refused.json()["code"]) == (403, CODE)
    give_factor(cast["alice"])
    assert patch(True, alice).json()["second_factor_required"] is True
    bob = {"authorization": f"Bearer {cast.token('bob')}"}
    seen = Client().get(REST_HERE, headers=bob).json()
    assert (seen["role"], seen["second_factor_required"]) == ("write", True), "a membership stays one"
    assert Client().get(REST_HERE).json()["second_factor_required"] is None
    members = Client().get(f"{REST_HERE}/members", headers=alice).json()["items"]
    assert {row["name"]: row["second_factor"] for row in members} == {
        "alice": True, "bob": False, "dave": False, "erin": False,
    }  # fmt: skip
    assert patch(False, alice).json()["code"] == "session-required"
    browser_of_alice = browser(cast, "alice")
    answered = browser_of_alice.patch(REST_HERE, {"second_factor_required": False}, "application/json")
    assert answered.json()["second_factor_required"] is False


@pytest.mark.parametrize(
    ("who", "status"), [("anonymous", 302), ("carol", 403), ("bob", 403), ("erin", 403), ("mona", 403), ("ada", 403)]
)
def test_who_may_not_require_it(cast, who, status):
    answered = browser(cast, who).post(f"{PAGE}/details/second-factor", {"requirement": "required"})
    assert answered.status_code == status
    assert not Organization.objects.get().requires_second_factor
    assert who != "ada" or "cannot require a second factor" in answered.content.decode()


def test_the_setting_on_its_page(cast):
    client = browser(cast, "alice")
    refused = client.post(f"{PAGE}/details/second-factor", {"requirement": "required"})
    assert refused.status_code == 403
    assert "You cannot require a second factor" in refused.content.decode()
    give_factor(cast["alice"])
    assert client.post(f"{PAGE}/details/second-factor", {}).status_code == 400, "an incomplete form changes nothing"
    assert client.post(f"{PAGE}/details/second-factor", {"requirement": "required"})["Location"] == f"{PAGE}/details"
    assert client.get(PAGE).content.decode().count("no second factor") == 3
    bob = browser(cast, "bob")
    assert "acme requires its members to use a second factor" in bob.get("/acme").content.decode()
    assert "requires a second factor" not in browser(cast, "carol").get("/acme").content.decode()
    User.objects.filter(username="alice").update(is_active=False)
    for by in (cast.session("anonymous"), cast.session("carol")):
        with pytest.raises((NotAllowed, SignInRequired)):
            organizations.require_administered("acme", by)
