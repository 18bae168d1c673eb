"""Links of an organisation over REST: made, sent, withdrawn, and used."""

import pytest
from django.core import mail
from django.utils import timezone

from registry.models import JoinLink

LINKS = "/api/v1/organizations/acme/links"


def test_links_are_made_listed_and_withdrawn(ask, cast):
    alice = ask("alice", "write")
    made = alice.post(LINKS, {"role": "read", "uses": 3, "note": "reviewers"}, "application/json")
    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    row = made.json()
    assert "/join?invitation=" in row.pop("link")
    assert row.pop("sent_to") is None
    assert {key: row[key] for key in ("role", "note", "uses", "max_uses", "by")} == {
        "role": "read",
        "note": "reviewers",
        "uses": 0,
        "max_uses": 3,
        "by": "alice",
    }
    assert ask("alice", "read").get(LINKS).json() == {"items": [row], "next": None}
    assert ask("alice", "read").post(LINKS, {"role": "read"}, "application/json").status_code == 403
    assert ask("alice", "read").delete(f"{LINKS}/{row['id']}").status_code == 403
    assert alice.delete(f"{LINKS}/{row['id']}").status_code == 204
    assert alice.get(LINKS).json()["items"] == []
    assert alice.post(LINKS, {"role": "owner"}, "application/json").status_code == 400


def test_a_link_that_was_sent_is_in_no_answer(ask, cast, settings):
    settings.MAIL_FROM = "hub@example.org"
    made = ask("alice", "write").post(LINKS, {"role": "read", "email": "x@example.org"}, "application/json").json()
    assert (made["link"], made["sent_to"]) == (None, "x@example.org")
    [letter] = mail.outbox
    assert "/join?invitation=" in letter.body


@pytest.mark.parametrize("who", ["anonymous", "carol", "bob", "erin", "mona"])
def test_links_are_their_administrators_business(ask, cast, who):
    ask("alice", "write").post(LINKS, {"role": "read"}, "application/json")
    asking = ask(who, "write") if who != "anonymous" else ask()
    status = 401 if who == "anonymous" else 403
    number = JoinLink.objects.get().pk
    assert asking.get(LINKS).status_code == status
    assert asking.post(LINKS, {"role": "read"}, "application/json").status_code == status
    assert asking.delete(f"{LINKS}/{number}").status_code == status
    assert JoinLink.objects.filter(ends_at__gt=timezone.now()).count() == 1


def test_a_person_joins_by_a_link_in_a_session(ask, cast):
    def join(who, link, **how):
        return ask(who, **how).post("/api/v1/me/invitations/accept", {"link": link}, "application/json")

    made = ask("alice").post(LINKS, {"role": "read", "uses": 2}, "application/json")
    link = made.json()["link"]
    assert join("carol", link, token="write").json()["code"] == "session-required"
    assert join("anonymous", link).status_code == 401
    assert join("carol", "nonsense").json()["code"] == "invitation-not-found"
    for _ in range(2):  # who is a member already uses nothing up
        joined = join("carol", link)
        assert (joined.status_code, joined.json()) == (200, {"organization": "acme", "role": "read"})
    assert join("mona", link.partition("invitation=")[2]).status_code == 200
    assert join("ada", link).json()["code"] == "invitation-not-found", "it was for two"
