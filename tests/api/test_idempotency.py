"""Idempotency-Key: a request that is sent again does nothing and has the same answer."""

from datetime import timedelta

import pytest
from django.utils import timezone

from registry.kernel import idempotency
from registry.kernel.callers import Caller
from registry.kernel.errors import IdempotencyKeyReused
from registry.models import IdempotentRequest, Organization, Token, User

TOKENS = "/api/v1/me/tokens"
ARCHIVED = "/api/v1/adapters/alice/reviews/archive"


def send(client, key, path=TOKENS, body=None, method="post"):
    body = {"name": "ci", "role": "read"} if body is None else body
    return getattr(client, method)(path, body, "application/json", headers={"Idempotency-Key": key})


def test_a_request_that_is_sent_again_is_answered_as_the_first(ask, cast):
    first, again = send(ask("alice"), "k1"), send(ask("alice"), '"k1"')
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again["Content-Type"] == "application/json"
    assert again["Cache-Control"] == first["Cache-Control"] == "no-store"
    assert (first.has_header("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (False, "true")
    assert Token.objects.count() == 1
    [row] = IdempotentRequest.objects.all()
    assert first.json()["value"].encode() not in bytes(row.answer), "a secret is kept in no form that can be read"
    assert send(ask("alice"), "k2", body={"name": "other", "role": "read"}).status_code == 201
    assert Token.objects.count() == 2


def test_a_key_belongs_to_one_caller_and_one_request(ask, cast):
    assert send(ask("alice"), "k").status_code == 201
    other = send(ask("alice"), "k", body={"name": "other", "role": "read"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert send(ask("alice"), "k", path="/api/v1/organizations").json()["code"] == "idempotency-key-reused"
    assert send(ask("bob"), "k").status_code == 201
    token = ask("alice", "write")
    body = {"name": "lab"}
    assert send(token, "k", "/api/v1/organizations", body).status_code == 201, "another credential of the same person"
    assert send(token, "k", "/api/v1/organizations", body)["Idempotency-Replayed"] == "true"
    assert Organization.objects.filter(namespace__name="lab").count() == 1


def test_a_refused_request_did_nothing_and_its_key_is_free(ask, cast):
    assert send(ask("alice"), "k", body={"name": "", "role": "read"}).status_code == 400
    assert send(ask("carol"), "k", "/api/v1/organizations/acme", {}, "delete").status_code == 403
    assert not IdempotentRequest.objects.exists()
    assert send(ask("alice"), "k").status_code == 201
    assert send(ask("anonymous"), "k").status_code == 401
    for bad in ("x" * 256, "a b", "ü", ""):
        assert send(ask("alice"), bad).json()["code"] == "value-invalid", bad


def test_a_second_request_while_the_first_runs_is_refused(ask, cast, monkeypatch):
    inner = []

    def create(*arguments, **options):
        inner.append(send(ask("alice"), "k"))
        return real(*arguments, **options)

    from registry.people.tokens import tokens

    real = tokens.create_token
    monkeypatch.setattr(tokens, "create_token", create)
    assert send(ask("alice"), "k").status_code == 201
    assert [(answer.status_code, answer.json()["code"]) for answer in inner] == [(409, "request-in-progress")]
    assert inner[0]["Retry-After"] == "1"
    assert Token.objects.count() == 1


def test_answers_are_kept_for_a_day_and_those_that_died_for_minutes(ask, cast, repository):
    path, body = ARCHIVED, {}
    for age, has_answer, replayed in (
        (timedelta(hours=23), True, True), (timedelta(hours=25), True, False), (timedelta(minutes=6), False, False),
    ):  # fmt: skip
        send(ask("alice"), "k", path, body, "put")
        IdempotentRequest.objects.update(begun_at=timezone.now() - age)
        if not has_answer:
            IdempotentRequest.objects.update(answer=None)
        answer = send(ask("alice"), "k", path, body, "put")
        assert (answer.status_code, answer.has_header("Idempotency-Replayed")) == (200, replayed), age
        IdempotentRequest.objects.all().delete()
    send(ask("alice"), "k", path, body, "put")
    IdempotentRequest.objects.update(begun_at=timezone.now() - timedelta(hours=25))
    assert (idempotency.sweep(), IdempotentRequest.objects.count()) == (1, 0)


def test_answers_can_be_read_after_the_secret_key_was_replaced(ask, cast, repository, settings):
    def again():
        caller = Caller(User.objects.get(username="alice"))
        return idempotency.begin(caller, "k", b"the same")

    idempotency.finish(again(), idempotency.Answer(201, {"Location": "/x"}, b"{}"))
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "n" * 50
    assert again() == idempotency.Answer(201, {"Location": "/x"}, b"{}")
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(IdempotencyKeyReused, match="can no longer be read"):
        again()


@pytest.mark.parametrize("method", ["put", "delete"])
def test_every_method_that_changes_takes_a_key(ask, cast, repository, method):
    def replays(*clients):
        return [send(one, "k", ARCHIVED, {}, method).has_header("Idempotency-Replayed") for one in clients]

    assert replays(ask("alice", "write"), ask("alice", "write")) == [False, False]  # two tokens
    assert replays(*[ask("alice", "write")] * 2) == [False, True]
