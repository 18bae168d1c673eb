"""Teams on the website: an administrator creates one, fills it, says what it opens, and deletes it."""

from registry.models import AuditEvent, Team
from registry.people.organizations import teams

HERE = "/organizations/acme/settings/teams"


def test_an_administrator_runs_a_team_by_forms(visit, cast):
    alice = visit("alice")
    assert "None yet." in alice.get(HERE).content.decode()
    made = alice.post(HERE, {"name": "ner", "full_name": "Named entities"})
    assert (made.status_code, made["Location"]) == (302, f"{HERE}/ner")
    for path, form in (
        ("members/add", {"username": "erin"}),
        ("grants/set", {"pattern": "ner-*", "type": "model", "role": "write"}),
        ("grants/set", {"pattern": "*", "type": "", "role": "read"}),
    ):
        assert alice.post(f"{HERE}/ner/{path}", form)["Location"] == f"{HERE}/ner"
    page = alice.get(f"{HERE}/ner").content.decode()
    for words in ("Named entities", "acme/ner-*", "models", "erin", "Remove"):
        assert words in page
    assert "ner-*" in alice.get(HERE).content.decode()
    settings = alice.get("/organizations/acme/settings").content.decode()
    assert f'href="{HERE}/ner"' in settings
    alice.post(f"{HERE}/ner/grants/remove", {"pattern": "ner-*", "type": "model"})
    alice.post(f"{HERE}/ner/members/remove", {"username": "erin"})
    team = Team.objects.get()
    assert (team.members.count(), [grant.pattern for grant in team.grants.all()]) == (0, ["*"])
    assert alice.post(f"{HERE}/ner/delete")["Location"] == HERE
    assert not Team.objects.exists()
    assert AuditEvent.objects.filter(action="team:delete").exists()


def test_a_refusal_is_shown_beside_its_field(visit, cast):
    teams.create_team(cast.acme, "ner", by=cast["alice"])
    alice = visit("alice")
    for path, form, status, words in (
        ("", {"name": "NER"}, 409, "has a team"),
        ("", {"name": "a/b"}, 400, "not allowed"),
        ("/ner/members/add", {"username": "carol"}, 400, "is not a member of acme"),
        ("/ner/members/add", {"username": "nobody-at-all"}, 404, "nobody-at-all"),
        ("/ner/grants/set", {"pattern": "acme/x", "role": "read"}, 400, "is not valid"),
        ("/ner/grants/set", {"pattern": "x", "role": "king"}, 400, "king"),
        ("/ner/grants/set", {"pattern": "a role/type", "role": "read"}, 400, 'id="pattern_error"'),
    ):
        answer = alice.post(f"{HERE}{path}", form)
        assert (answer.status_code, words in answer.content.decode()) == (status, True), (path, form)
    assert not Team.objects.get().grants.exists()


def test_nobody_else_reaches_the_pages(visit, cast):
    teams.create_team(cast.acme, "ner", by=cast["alice"])
    for who in ("bob", "erin", "carol"):
        assert visit(who).get(HERE).status_code == 403
        assert visit(who).get(f"{HERE}/ner").status_code == 403
        assert visit(who).post(f"{HERE}/ner/delete").status_code == 403
    assert visit("alice").get(f"{HERE}/no-team").status_code == 404
