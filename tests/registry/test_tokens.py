"""Tokens: their form, what is kept of them, how they end."""

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.kernel.errors import NameInvalid, NameTaken, TokenInvalid, ValueInvalid
from registry.models import AuditEvent, Token
from registry.moderation import suspension
from registry.people.tokens import tokens


def test_a_token_is_recognisable_and_ends_in_a_checksum():
    values = {tokens.new_value() for _ in range(200)}
    assert len(values) == 200
    for value in values:
        assert value.startswith("dvt_")
        assert len(value) == 4 + 32
        assert value[4:].isalnum()
        assert tokens._checksum(value[4:30]) == value[30:]


def test_a_dump_of_the_database_holds_no_token_that_works(cast):
    values = [cast.token("alice"), cast.token("bob", "read"), cast.token("bob", "fine-grained", acme__x="read")]
    dump = io.StringIO()
    call_command("dumpdata", stdout=dump)
    for value in values:
        assert tokens.caller_of(value).user
        assert value not in dump.getvalue()
        assert value[4:30] not in dump.getvalue()
    for stored in Token.objects.values_list("sha256", flat=True):
        with pytest.raises(TokenInvalid):
            tokens.caller_of(stored)


@pytest.mark.parametrize("value", ["", "hf_nobody_ever_made_this", "half \ud800 a character", "nul\0nul"])
def test_an_unknown_token_is_refused_and_never_taken_for_nobody(cast, value):
    with pytest.raises(TokenInvalid):
        tokens.caller_of(value)


def test_an_expired_token_is_refused(cast):
    value = tokens.create_token(cast["alice"], "old", "read", expires_at=timezone.now() + timedelta(hours=1))
    assert tokens.caller_of(value).token.name == "old"
    Token.objects.update(expires_at=timezone.now())
    with pytest.raises(TokenInvalid):
        tokens.caller_of(value)


def test_the_tokens_of_a_suspended_person_stop_and_work_again_afterwards(cast):
    value = cast.token("carol")
    suspension.suspend(cast["carol"], cast.session("mona"), reason="Spam.")
    with pytest.raises(TokenInvalid):
        tokens.caller_of(value)
    suspension.unsuspend(cast["carol"], cast.session("mona"), reason="A mistake.")
    assert tokens.caller_of(value).user == cast["carol"]


def test_whoever_found_a_token_may_end_it_and_learns_nothing(cast):
    value, kept = cast.token("alice"), cast.token("alice", "read")
    assert tokens.revoke_values([value, "hf_never_existed", value]) is None
    with pytest.raises(TokenInvalid):
        tokens.caller_of(value)
    assert tokens.caller_of(kept)
    [event] = AuditEvent.objects.filter(action="token:revoke")
    assert (event.actor, event.object) == ("system", "alice/write 0")


def test_only_the_owner_revokes_by_id(cast):
    cast.token("alice")
    token = Token.objects.get()
    tokens.revoke_token(cast["bob"], token.pk)
    assert Token.objects.exists()
    tokens.revoke_token(cast["alice"], token.pk)
    assert not Token.objects.exists()
    tokens.revoke_token(cast["alice"], token.pk)


def test_the_last_use_is_noted_at_most_once_a_minute(cast, django_assert_num_queries):
    value = cast.token("alice")
    tokens.caller_of(value)
    first = Token.objects.get().last_used_at
    assert first
    with django_assert_num_queries(1):
        tokens.caller_of(value)
    Token.objects.update(last_used_at=first - timedelta(minutes=2))
    tokens.caller_of(value)
    assert Token.objects.get().last_used_at >= first


@pytest.mark.parametrize(
    "given",
    [
        {"name": " "},
        {"name": "x" * 101},
        {"name": "nul\0"},
        {"role": "root"},
        {"value": "short"},
        {"value": "with a space in it"},
        {"value": "with-ümlaut-in-it"},
        {"role": "fine-grained"},
        {"grants": {"acme/x": "write"}},
        {"role": "fine-grained", "grants": {"acme/x": "own"}},
    ],
)
def test_a_token_that_makes_no_sense_is_refused(cast, given):
    with pytest.raises(ValueInvalid) as refusal:
        tokens.create_token(cast["alice"], **{"name": "laptop", "role": "write", **given})
    assert refusal.value.fix
    assert not Token.objects.exists()


def test_a_grant_names_a_repository(cast):
    with pytest.raises(NameInvalid):
        tokens.create_token(cast["alice"], "ci", "fine-grained", grants={"acme": "write"})


def test_names_and_values_are_used_once(cast):
    tokens.create_token(cast["alice"], "laptop", "write", value="hf_alice_laptop")
    with pytest.raises(NameTaken, match="laptop"):
        tokens.create_token(cast["alice"], "laptop", "read")
    with pytest.raises(ValueInvalid, match="another token"):
        tokens.create_token(cast["bob"], "mine", "write", value="hf_alice_laptop")
    tokens.create_token(cast["bob"], "laptop", "write")


@pytest.mark.parametrize("change", [{"role": "root"}, {"sha256": "hf_plain_text"}])
def test_the_database_refuses_what_is_wrong(cast, change):
    cast.token("alice")
    with pytest.raises(IntegrityError), transaction.atomic():
        Token.objects.update(**change)


@pytest.mark.parametrize("signed", ["nothing", "the find itself", "nonsense"])
def test_the_answer_to_a_revocation_is_the_same_whether_it_did_anything(cast, client, signed):
    found, kept = cast.token("alice"), cast.token("alice")
    headers = {"the find itself": {"authorization": f"Bearer {found}"}, "nonsense": {"authorization": "Bearer x"}}
    answers = [
        client.post(
            "/api/credentials/revoke",
            {"credentials": credentials},
            content_type="application/json",
            headers=headers.get(signed, {}),
        )
        for credentials in ([found], [found], ["hf_never_existed"], ["half \ud800 a character"], [])
    ]
    assert [answer.status_code for answer in answers] == [202] * 5
    assert len({answer.content for answer in answers}) == 1
    with pytest.raises(TokenInvalid):
        tokens.caller_of(found)
    assert tokens.caller_of(kept)


@pytest.mark.parametrize("body", ["[]", "{", '{"credentials": 5}', '{"credentials": [5]}'])
def test_a_revocation_that_cannot_be_read_says_so(cast, client, body):
    answer = client.post("/api/credentials/revoke", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "value-invalid"
