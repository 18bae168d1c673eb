"""Groups of a directory by SCIM are teams of one organisation; what directories send is as Entra and Okta send it."""

import pytest

from features.sso.tests.test_departure import scim
from registry.models import AuditEvent, Membership, Team
from registry.people.organizations import organizations, teams

__all__ = ["scim"]  # a fixture
pytestmark = pytest.mark.django_db(transaction=True)
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture
def groups(scim, settings):
    """The directory's way to ask, with groups that are teams of acme."""
    settings.SCIM_ORGANIZATION = "acme"
    return scim


def patch(*operations: dict) -> dict:
    return {"schemas": [PATCH], "Operations": list(operations)}


def members(document: dict) -> set[str]:
    return {member["display"] for member in document["members"]}


def people(cast, *names: str) -> list[dict]:
    return [{"value": str(cast[name].pk)} for name in names]


def test_a_group_is_created_filled_found_and_deleted(groups, cast):
    made = groups("POST", "Groups", {"displayName": "ML Ops (Berlin)", "members": people(cast, "erin", "carol")})
    assert made.status_code == 201
    document = made.json()
    assert (document["displayName"], members(document)) == ("ML Ops (Berlin)", {"erin", "carol"})
    assert document["meta"]["location"].endswith(f"/scim/v2/Groups/{document['id']}")
    team = Team.objects.get()
    assert (team.name, team.full_name, str(team.organization)) == ("ML-Ops-Berlin", "ML Ops (Berlin)", "acme")
    assert Membership.objects.get(user=cast["carol"]).role == "member", "who was no member has only what teams open"
    assert Membership.objects.get(user=cast["erin"]).role == "read"
    found = groups("GET", 'Groups?filter=displayName eq "ml ops (berlin)"').json()
    assert (found["totalResults"], found["Resources"][0]["id"]) == (1, document["id"])
    assert groups("GET", 'Groups?filter=displayName eq "ML-Ops-Berlin"').json()["totalResults"] == 0
    without = groups("GET", f"Groups/{document['id']}?excludedAttributes=members").json()
    assert "members" not in without
    again = groups("POST", "Groups", {"displayName": "ml ops (Berlin)"})
    assert (again.status_code, again.json()["scimType"]) == (409, "uniqueness")
    second = groups("POST", "Groups", {"displayName": "ML Ops: Berlin"})
    assert (second.status_code, Team.objects.get(pk=second.json()["id"]).name) == (201, "ML-Ops-Berlin-2")
    assert groups("DELETE", f"Groups/{document['id']}").status_code == 204
    assert groups("GET", f"Groups/{document['id']}").status_code == 404
    assert Membership.objects.filter(user=cast["carol"]).exists()


def test_members_come_and_go_as_directories_say_it(groups, cast):
    group = groups("POST", "Groups", {"displayName": "ner"}).json()
    here = f"Groups/{group['id']}"
    add = {"op": "Add", "path": "members", "value": people(cast, "erin", "bob")}
    assert members(groups("PATCH", here, patch(add)).json()) == {"erin", "bob"}
    assert members(groups("PATCH", here, patch(add)).json()) == {"erin", "bob"}
    one = {"op": "remove", "path": f'members[value eq "{cast["bob"].pk}"]'}
    assert members(groups("PATCH", here, patch(one)).json()) == {"erin"}
    swap = {"op": "replace", "value": {"displayName": "NER", "members": people(cast, "dave")}}
    answer = groups("PATCH", here, patch(swap)).json()
    assert (answer["displayName"], members(answer)) == ("NER", {"dave"})
    both = patch(
        {"op": "Remove", "path": "members", "value": people(cast, "dave")},
        {"op": "add", "path": "members", "value": people(cast, "alice")},
    )
    assert members(groups("PATCH", here, both).json()) == {"alice"}
    assert members(groups("PATCH", here, patch({"op": "remove", "path": "members"})).json()) == set()
    put = groups("PUT", here, {"displayName": "Names", "members": people(cast, "erin")}).json()
    assert (put["displayName"], members(put)) == ("Names", {"erin"})
    log = AuditEvent.objects.filter(action="team:member", object="acme/ner")
    assert set(log.values_list("actor", "credential")) == {("system", "scim")}
    assert log.count() == 9


def test_what_a_group_opens_is_gone_with_the_place_in_it(groups, visit, cast):
    cast.repository("acme/ner-de", private=True)
    group = groups("POST", "Groups", {"displayName": "ner", "members": people(cast, "carol")}).json()
    teams.set_grant(Team.objects.get(), "ner-*", "read", by=cast["alice"])
    assert visit("carol").get("/acme/ner-de").status_code == 200
    groups("PATCH", f"Groups/{group['id']}", patch({"op": "remove", "path": "members"}))
    assert visit("carol").get("/acme/ner-de").status_code == 404


WRONG = [
    ({"op": "add", "path": "members", "value": [{"value": "999999"}]}, "no person 999999"),
    ({"op": "add", "path": "members", "value": [{"value": "erin"}]}, "ID of a person"),
    ({"op": "add", "path": "members", "value": "erin"}, "ID of a person"),
    ({"op": "move", "path": "members"}, "Unknown operation"),
    ({"op": "replace", "path": "color", "value": "red"}, "is not supported"),
    ({"op": "replace", "path": "displayName", "value": ""}, "displayName"),
    ({"op": "replace", "path": "displayName", "value": 5}, "displayName"),
]


@pytest.mark.parametrize(("operation", "words"), WRONG)
def test_what_is_wrong_changes_nothing(groups, cast, operation, words):
    group = groups("POST", "Groups", {"displayName": "ner", "members": people(cast, "erin")}).json()
    first = {"op": "add", "path": "members", "value": people(cast, "bob")}
    answer = groups("PATCH", f"Groups/{group['id']}", patch(first, operation))
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    assert words in answer.json()["detail"]
    assert members(groups("GET", f"Groups/{group['id']}").json()) == {"erin"}


def test_other_organisations_and_strangers_have_no_groups_here(groups, settings, cast):
    rival = organizations.create_organization("rival", by=cast["carol"])
    theirs = teams.create_team(rival, "ner", by=cast["carol"])
    assert groups("GET", "Groups").json()["totalResults"] == 0
    for method in ("GET", "DELETE", "PATCH", "PUT"):
        assert groups(method, f"Groups/{theirs.pk}", patch()).status_code == 404
    assert groups("GET", "Groups", token="x" * 40).status_code == 401
    settings.SCIM_ORGANIZATION = ""
    missing = groups("GET", "Groups")
    assert (missing.status_code, "DOVETAIL_SCIM_ORGANIZATION" in missing.json()["detail"]) == (404, True)
    assert [row["id"] for row in groups("GET", "ResourceTypes").json()["Resources"]] == ["User"]
    settings.SCIM_TOKEN = ""
    assert groups("GET", "Groups").status_code == 404


def test_a_directory_discovers_what_there_is(groups):
    types = groups("GET", "ResourceTypes").json()
    assert [(row["id"], row["endpoint"]) for row in types["Resources"]] == [("User", "/Users"), ("Group", "/Groups")]
    schemas = groups("GET", "Schemas").json()["Resources"]
    assert [row["schema"] for row in types["Resources"]] == [row["id"] for row in schemas]
    for row in (*types["Resources"], *schemas):
        path = row["meta"]["location"].partition("/scim/v2/")[2]
        assert groups("GET", path).json() == row
    assert groups("GET", "ResourceTypes/Robot").status_code == 404
    assert groups("GET", "Schemas/urn:x").status_code == 404
    assert groups("POST", "Schemas", {}).status_code == 405
