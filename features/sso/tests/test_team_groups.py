"""Groups at an identity provider put people into teams, and take them out, at each sign-in."""

import pytest

from features.sso import identities, settings
from registry.models import Invitation, Membership, Team
from registry.people.organizations import organizations, teams

GRANTS = settings.group_roles("linguists=acme/ner, writers=acme:write, ou=y=acme/ner")


@pytest.fixture
def ner(cast) -> Team:
    team = teams.create_team(cast.acme, "ner", by=None)
    teams.set_grant(team, "ner-*", "read", by=None)
    return team


def state(cast, name):
    row = Membership.objects.filter(user=cast[name]).first()
    return (row.role, [place.team.name for place in row.teams.all()], row.grants) if row else None


def test_the_setting_names_teams_beside_roles():
    assert settings.group_roles("a=acme/ner,b=acme:read,c=admin") == {
        "a": [("acme/ner", "member")],
        "b": [("acme", "read")],
        "c": [("", "admin")],
    }
    for wrong in ("a=acme/", "a=/ner", "a=acme/ner/x", "a=acme/ner:king", "a=king"):
        with pytest.raises(ValueError, match="organisation/team"):
            settings.group_roles(wrong)


def test_a_group_puts_people_into_a_team_and_takes_them_out(cast, ner):
    identities.apply_groups(cast["carol"], {"linguists"}, GRANTS)
    assert state(cast, "carol") == ("member", ["ner"], [["", "ner-*", "read"]])
    other = teams.create_team(cast.acme, "own", by=None)
    teams.add_member(other, cast["carol"], by=None)
    identities.apply_groups(cast["carol"], {"linguists"}, GRANTS)  # again: the place in another team stays
    assert sorted(state(cast, "carol")[1]) == ["ner", "own"]
    identities.apply_groups(cast["carol"], {"linguists", "writers"}, GRANTS)
    assert state(cast, "carol")[0] == "write"
    identities.apply_groups(cast["carol"], {"writers"}, GRANTS)
    assert state(cast, "carol") == ("write", ["own"], [])
    identities.apply_groups(cast["carol"], set(), GRANTS)
    assert state(cast, "carol") is None


def test_without_a_role_in_the_organisation_only_the_team_is_run_by_the_provider(cast, ner):
    grants = settings.group_roles("linguists=acme/ner")
    identities.apply_groups(cast["erin"], {"linguists"}, grants)
    assert state(cast, "erin")[:2] == ("read", ["ner"])
    identities.apply_groups(cast["erin"], set(), grants)
    assert state(cast, "erin") == ("read", [], [])


def test_a_team_that_does_not_exist_is_only_logged(cast, caplog):
    identities.apply_groups(cast["carol"], {"linguists", "writers"}, GRANTS)
    assert "no team 'acme/ner'" in caplog.text
    assert state(cast, "carol") == ("write", [], [])
    assert organizations.list_members("acme", cast.session("alice"))


def test_of_who_the_provider_removed_a_row_stays_for_which_no_link_from_before_lets_them_in(cast):
    organizations.set_member(cast.acme, cast["carol"], "read", by=cast["alice"])
    identities.apply_groups(cast["carol"], [], {"readers": [("acme", "read")]})
    assert Invitation.objects.get(user=cast["carol"]).state == Invitation.State.REMOVED
