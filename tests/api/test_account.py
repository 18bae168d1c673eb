"""The caller's account and tokens, and the members of an organisation."""

from datetime import timedelta

from django.utils import timezone

from registry.models import Token

TOKENS = "/api/v1/me/tokens"
SESSIONS = "/api/v1/me/sessions"


def test_me_says_who_asks_and_by_which_token(ask, cast):
    me = ask("bob", "read").get("/api/v1/me").json()
    assert (me["name"], me["email"], me["organizations"]) == (
        "bob",
        "bob@example.org",
        [{"name": "acme", "role": "write"}],
    )
    assert me["token"]["role"] == "read"
    assert "value" not in me["token"]
    assert ask("bob").get("/api/v1/me").json()["token"] is None


def test_a_token_is_made_in_a_session_works_and_is_never_shown_again(ask, cast):
    expires = timezone.now() + timedelta(days=1)
    made = ask("alice").post(TOKENS, {"name": "ci", "role": "write", "expires_at": expires}, "application/json")
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    value = made.json()["value"]
    assert ask(value=value).get("/api/v1/me").json()["name"] == "alice"
    [listed] = ask("alice").get(TOKENS).json()["items"]
    assert set(listed) == {"id", "name", "role", "created_at", "last_used_at", "expires_at"}
    assert value not in ask("alice").get(f"{TOKENS}/{listed['id']}").content.decode()


def test_a_token_of_any_role_is_told_of_itself_alone(ask, cast):
    """One that leaks must not tell what its owner calls the others, where they are used and when."""
    others = [
        ask("alice").post(TOKENS, {"name": role, "role": role}, "application/json").json() for role in ("read", "write")
    ]
    for made in others:
        [listed] = ask(value=made["value"]).get(TOKENS).json()["items"]
        assert listed["id"] == made["id"]
        for other in others:
            status = 200 if other is made else 404
            assert ask(value=made["value"]).get(f"{TOKENS}/{other['id']}").status_code == status
    assert len(ask("alice").get(TOKENS).json()["items"]) == 2, "in a session"


def test_a_fine_grained_token_reaches_what_it_names(ask, cast, secret):
    wish = {"name": "ci", "role": "fine-grained", "repos": {"Acme/Secret": "read"}}
    value = ask("alice").post(TOKENS, wish, "application/json").json()["value"]
    assert ask(value=value).get("/api/v1/adapters/acme/secret").status_code == 200
    assert ask(value=value).post("/api/v1/adapters/acme/secret/revisions/main/validate").status_code == 403


def test_tokens_are_never_made_or_revoked_by_token(ask, cast):
    asking = ask("alice", "write")
    for answer in (
        asking.post(TOKENS, {"name": "x", "role": "write"}, "application/json"),
        asking.delete(f"{TOKENS}/1"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "session-required")
    assert Token.objects.count() == 1


def test_a_session_without_a_csrf_token_changes_nothing(ask, cast):
    answer = ask("alice", csrf=True).post(TOKENS, {"name": "x", "role": "write"}, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
    assert "CSRF" in answer.json()["detail"]
    assert not Token.objects.exists()


def test_a_revoked_token_is_gone_and_somebody_elses_cannot_be_reached(ask, cast):
    value = cast.token("alice")
    token = Token.objects.get()
    assert ask("carol").get(f"{TOKENS}/{token.pk}").json()["code"] == "token-not-found"
    assert ask("carol").delete(f"{TOKENS}/{token.pk}").status_code == 204
    assert ask(value=value).get("/api/v1/me").status_code == 200
    assert ask("alice").delete(f"{TOKENS}/{token.pk}").status_code == 204
    assert ask(value=value).get("/api/v1/me").json()["code"] == "token-invalid"


def test_sessions_are_listed_and_ended_in_a_session(ask, cast, django_assert_max_num_queries):
    here, there = ask("alice"), ask("alice")
    for client, browser in ((here, "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"), (there, "curl/8")):
        client.get("/api/v1/me", headers={"User-Agent": browser})
    ask("carol").get("/api/v1/me")
    with django_assert_max_num_queries(6):
        items = here.get(SESSIONS).json()["items"]
    assert [(item["browser"], item["current"]) for item in items] == [("curl", False), ("Firefox on Linux", True)]
    assert ask("alice", "write").get(SESSIONS).json()["code"] == "session-required"
    assert ask().get(SESSIONS).status_code == 401
    assert ask("carol").delete(f"{SESSIONS}/{items[0]['id']}").status_code == 204
    assert there.get("/api/v1/me").status_code == 200, "it is not carol's to end"
    assert ask("alice", "write").delete(f"{SESSIONS}/{items[0]['id']}").status_code == 403
    assert here.delete(f"{SESSIONS}/{items[0]['id']}").status_code == 204
    assert there.get("/api/v1/me").status_code == 401
    assert len(here.get(SESSIONS).json()["items"]) == 1


def test_one_member_is_shown_to_administrators(ask, cast):
    def status(who, user, **how):
        return ask(who, **how).get(f"/api/v1/organizations/acme/members/{user}").status_code

    assert ask("alice").get("/api/v1/organizations/acme/members/BOB").json() == {
        "name": "bob", "full_name": "Bob", "role": "write", "second_factor": False, "teams": [],
    }  # fmt: skip
    assert (status("alice", "bob", token="read"), status("alice", "carol"), status("alice", "nobody")) == (
        200,
        404,
        404,
    )
    assert {status(who, user) for who in ("bob", "carol") for user in ("bob", "nobody")} == {403}
    assert status("anonymous", "bob") == 401
