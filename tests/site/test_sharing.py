"""Gates, programs and fine-grained tokens, as people meet them: forms alone."""

import re

import pytest

from registry.models import AccessRequest, Repository
from registry.moderation import suspension
from registry.people import gates
from registry.people.tokens import tokens

REVIEWS = "/alice/reviews"


def text(answer) -> str:
    return answer.content.decode()


# --- people ----------------------------------------------------------------------------------------------------------
def test_who_is_suspended_has_no_page_and_is_on_no_members_list(visit, cast):
    assert "/bob" in text(visit("carol").get("/acme"))
    suspension.suspend(cast["bob"], cast.session("mona"), reason="Floods the hub.")
    for path in ("/bob", "/bob?show=datasets", "/Bob"):
        assert visit("carol").get(path).status_code == 404, path
    assert "/bob" not in text(visit("carol").get("/acme"))
    assert visit("mona").get("/bob").status_code == 200


def test_a_picture_says_nothing_about_who_is_here(visit, cast):
    for name in ("alice", "nobody-at-all", "<script>"):
        answer = visit().get(f"/avatars/{name}.svg")
        assert answer["Content-Type"] == "image/svg+xml"
        assert b"<script" not in answer.content


# --- gates -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def gated(cast, reviews: Repository) -> Repository:
    gates.set_gate(reviews, "manual", cast.session("alice"))
    return reviews


def test_a_gated_adapter_shows_its_card_and_asks_what_one_wants_the_files_for(visit, gated):
    assert "Sign in to ask" in text(visit().get(REVIEWS))
    carol = visit("carol")
    assert "Ask for access" in text(carol.get(REVIEWS))
    page = text(carol.post(f"{REVIEWS}/ask-access", {"text": "For a study."}, follow=True))
    assert "You asked for access" in page
    assert AccessRequest.objects.get().text == "For a study."
    assert "Ask for access" not in text(visit("alice").get(REVIEWS))


def test_the_owner_decides_on_a_page_of_requests(visit, cast, gated):
    carol, alice = visit("carol"), visit("alice")
    carol.post(f"{REVIEWS}/ask-access", {"text": "<b>study</b>"})
    page = text(alice.get(f"{REVIEWS}/access"))
    assert "carol@example.org" in page
    assert "&lt;b&gt;study&lt;/b&gt;" in page
    number = str(AccessRequest.objects.get().pk)
    alice.post(f"{REVIEWS}/access/requests/{number}/reject", {"reason": "Not now."})
    assert "Not now." in text(carol.get(REVIEWS))
    assert carol.post(f"{REVIEWS}/ask-access").status_code == 403
    alice.post(f"{REVIEWS}/access/requests/{number}/accept")
    assert 'id="gate"' not in text(carol.get(REVIEWS))
    assert carol.get(f"{REVIEWS}/blob/main/README.md").status_code == 200
    alice.post(f"{REVIEWS}/access/grant", {"grant": "dave"})
    assert AccessRequest.objects.get(user=cast["dave"]).status == "accepted"
    alice.post(f"{REVIEWS}/access/gate", {"gate": ""})
    gated.refresh_from_db()
    assert gated.gated == ""


@pytest.mark.parametrize(
    ("deed", "fields", "status"),
    [
        ("grant", {"grant": "nobody-here"}, 404),
        ("grant", {}, 404),
        ("gate", {"gate": "moat"}, 400),
        ("requests/999/accept", {}, 404),
        ("requests/999/reject", {}, 404),
    ],
)
def test_a_form_about_nothing_is_refused_on_the_page(visit, gated, deed, fields, status):
    answer = visit("alice").post(f"{REVIEWS}/access/{deed}", fields)
    assert answer.status_code == status
    assert 'role="alert"' in text(answer)


@pytest.mark.parametrize(("who", "status"), [("carol", 403), ("mona", 403)])
def test_the_page_of_requests_is_the_owners(visit, gated, who, status):
    assert visit(who).get(f"{REVIEWS}/access").status_code == status
    assert visit(who).post(f"{REVIEWS}/access/grant", {"grant": who}).status_code == status
    assert visit().get(f"{REVIEWS}/access").url.startswith("/login?")
    assert not AccessRequest.objects.exists()


def test_every_form_needs_its_secret(visit, gated):
    alice = visit("alice", enforce_csrf_checks=True)
    for path in ("/settings/tokens", f"{REVIEWS}/ask-access", f"{REVIEWS}/access/gate"):
        assert alice.post(path, {"gate": ""}).status_code == 403
    gated.refresh_from_db()
    assert gated.gated == "manual"


# --- programs and tokens ---------------------------------------------------------------------------------------------
def test_a_fine_grained_token_is_made_for_chosen_repositories(visit, cast, reviews, secret):
    alice = visit("alice")
    page = text(alice.get("/settings/tokens"))
    assert 'name="grant:alice/reviews"' in page
    assert 'name="grant:acme/secret"' in page
    assert "acme/secret" not in text(visit("carol").get("/settings/tokens"))
    fields = {"name": "ci", "role": "fine-grained", "grant:alice/reviews": "write", "grant:acme/secret": ""}
    answer = text(alice.post("/settings/tokens", fields | {"other": "acme/secret", "other_right": "read"}))
    value = re.search(r"data-token>(\w+)<", answer)[1]
    assert tokens.caller_of(value).token.grants == {"alice/reviews": "write", "acme/secret": "read"}
    none = alice.post("/settings/tokens", {"name": "x", "role": "fine-grained"})
    assert none.status_code == 400
    assert "No repository is chosen" in text(none)
