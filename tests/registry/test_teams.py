"""Teams of an organisation: who may change them, what is refused, what the log keeps, and what stays in step."""

import pytest

from registry.kernel.errors import (
    NameInvalid,
    NameTaken,
    NotAllowed,
    QuotaExceeded,
    SignInRequired,
    TeamNotFound,
    ValueInvalid,
)
from registry.models import AuditEvent, Membership, Team, TeamMember
from registry.people.organizations import organizations, teams
from registry.publish import retirement


@pytest.fixture
def ner(cast) -> Team:
    """The team ner of acme, with erin in it."""
    team = teams.create_team(cast.acme, "ner", full_name="Names", by=cast["alice"])
    teams.add_member(team, cast["erin"], by=cast["alice"])
    return team


def grants_of(cast, name):
    return [tuple(grant) for grant in Membership.objects.get(user=cast[name]).grants]


def test_administrators_alone_see_and_change_teams(cast, ner):
    assert [team.name for team in teams.list_teams("acme", cast.session("alice"))] == ["ner"]
    assert teams.get_team("ACME", "NER", cast.session("ada")) == ner
    for who, refusal in (
        ("erin", NotAllowed),
        ("bob", NotAllowed),
        ("carol", NotAllowed),
        ("anonymous", SignInRequired),
    ):
        with pytest.raises(refusal):
            teams.list_teams("acme", cast.session(who))
        with pytest.raises(refusal):
            teams.get_team("acme", "ner", cast.session(who))
    with pytest.raises(TeamNotFound, match="acme has no team 'pos'"):
        teams.get_team("acme", "pos", cast.session("alice"))


def test_a_name_is_one_teams_alone_and_a_name(cast, ner):
    with pytest.raises(NameTaken):
        teams.create_team(cast.acme, "NER", by=cast["alice"])
    with pytest.raises(NameInvalid):
        teams.create_team(cast.acme, "a/b", by=cast["alice"])
    rival = organizations.create_organization("rival", by=cast["carol"])
    assert teams.create_team(rival, "ner", by=cast["carol"]) != ner


def test_a_team_that_was_deleted_meanwhile_is_not_changed(cast, ner):
    by = cast["alice"]
    stale = Team.objects.get(pk=ner.pk)
    teams.delete_team(ner, by=by)
    for change in (
        lambda: teams.add_member(stale, cast["bob"], by=by),
        lambda: teams.set_grant(stale, "ner-*", "read", by=by),
        lambda: teams.remove_grant(stale, "ner-*", by=by),
        lambda: teams.change_team(stale, full_name="Other", by=by),
        lambda: teams.delete_team(stale, by=by),
    ):
        with pytest.raises(TeamNotFound):
            change()
    assert AuditEvent.objects.filter(action="team:delete").count() == 1


def test_a_stranger_is_not_put_into_a_team(cast, ner):
    with pytest.raises(ValueInvalid, match="carol is not a member of acme") as refusal:
        teams.add_member(ner, cast["carol"], by=cast["alice"])
    assert "role `member`" in refusal.value.fix
    assert not TeamMember.objects.filter(membership__user=cast["carol"]).exists()


@pytest.mark.parametrize(
    ("pattern", "role", "type"),
    [
        ("", "read", ""),
        ("acme/ner-*", "read", ""),
        ("[ab]*", "read", ""),
        ("ner%", "read", ""),
        ("n" * 97, "read", ""),
        ("é*", "read", ""),
        ("*", "owner", ""),
        ("*", "contributor", ""),
        ("*", "member", ""),
        ("*", "read", "book"),
    ],
)
def test_a_grant_that_means_nothing_is_refused(cast, ner, pattern, role, type):
    with pytest.raises(ValueInvalid) as refusal:
        teams.set_grant(ner, pattern, role, type=type, by=cast["alice"])
    assert refusal.value.fix
    assert not ner.grants.exists()


def test_the_copy_at_the_membership_is_what_the_teams_give(cast, ner):
    teams.set_grant(ner, "NER-*", "read", by=cast["alice"])
    assert grants_of(cast, "erin") == [("", "ner-*", "read")]
    other = teams.create_team(cast.acme, "german", by=cast["alice"])
    teams.set_grant(other, "de-?", "write", type="dataset", by=cast["alice"])
    teams.add_member(other, cast["erin"], by=cast["alice"])
    assert grants_of(cast, "erin") == [("", "ner-*", "read"), ("dataset", "de-?", "write")]
    assert teams.set_grant(ner, "ner-*", "admin", by=cast["alice"])
    assert not teams.set_grant(ner, "ner-*", "admin", by=cast["alice"])
    assert ("", "ner-*", "admin") in grants_of(cast, "erin")
    assert not teams.remove_grant(ner, "ner-*", type="model", by=cast["alice"])
    assert teams.remove_grant(ner, "ner-*", by=cast["alice"])
    teams.delete_team(other, by=cast["alice"])
    assert grants_of(cast, "erin") == []
    assert grants_of(cast, "bob") == []


def test_who_leaves_leaves_the_teams(cast, ner):
    organizations.leave("acme", cast.session("erin"))
    assert not TeamMember.objects.exists()
    teams.add_member(ner, cast["bob"], by=cast["alice"])
    retirement.delete_account(cast["bob"], with_repositories=False)
    assert not TeamMember.objects.exists()
    assert not teams.remove_member(ner, cast["bob"], by=cast["alice"])


def test_the_log_keeps_each_change_with_its_state(cast, ner):
    teams.set_grant(ner, "ner-*", "read", by=cast["alice"])
    teams.set_grant(ner, "ner-*", "write", by=cast["alice"])
    teams.remove_member(ner, cast["erin"], by=cast["alice"])
    teams.delete_team(ner, by=cast["alice"])
    read, write = ({"pattern": "ner-*", "type": "any", "role": role} for role in ("read", "write"))
    events = AuditEvent.objects.filter(action__startswith="team:").order_by("pk")
    assert list(events.values_list("action", "object", "before", "after")) == [
        ("team:create", "acme/ner", None, {"full_name": "Names"}),
        ("team:member", "acme/ner", None, {"member": "erin"}),
        ("team:grant", "acme/ner", None, read),
        ("team:grant", "acme/ner", read, write),
        ("team:member", "acme/ner", {"member": "erin"}, None),
        ("team:delete", "acme/ner", {"members": [], "grants": [write]}, None),
    ]
    assert set(events.values_list("namespace", flat=True)) == {cast.acme.namespace_id}


def test_there_is_an_end_to_teams_and_patterns(cast, ner, monkeypatch):
    monkeypatch.setattr(teams, "MAX_TEAMS", 1)
    with pytest.raises(QuotaExceeded, match="1 teams"):
        teams.create_team(cast.acme, "more", by=cast["alice"])
    monkeypatch.setattr(teams, "MAX_OPENED", 2)
    teams.set_grant(ner, "a", "read", by=cast["alice"])
    teams.set_grant(ner, "b", "read", by=cast["alice"])
    with pytest.raises(QuotaExceeded, match="teams of erin would have 3 patterns"):
        teams.set_grant(ner, "c", "read", by=cast["alice"])
    assert ner.grants.count() == len(grants_of(cast, "erin")) == 2
    monkeypatch.setattr(teams, "MAX_GRANTS", 2)
    with pytest.raises(QuotaExceeded, match="2 patterns"):
        teams.set_grant(ner, "c", "read", by=cast["alice"])


def test_a_change_of_a_large_team_takes_few_queries(cast, ner, django_assert_max_num_queries):
    for name in ("alice", "bob", "dave"):
        teams.add_member(ner, cast[name], by=cast["alice"])
    with django_assert_max_num_queries(16):
        teams.set_grant(ner, "ner-*", "read", by=cast["alice"])
