"""Trusted publishers: who trusts them, with which claims, and what is left of them."""

import pytest

from features.publishers import exchange, verbs
from features.publishers.verbs import PublisherNotFound
from registry.kernel.errors import (
    ExchangeRefused,
    NotAllowed,
    QuotaExceeded,
    SecondFactorRequired,
    SessionRequired,
    SignInRequired,
    ValueInvalid,
)
from registry.models import TrustedPublisher, User
from registry.people.organizations import organizations
from registry.people.tokens import id_tokens, tokens
from tests.cast import Cast
from tests.registry.test_required_second_factor import require
from tests.sweep import sweep

PINNED = {
    "repository": ["acme/train"],
    "repository_owner_id": ["4711"],
    "workflow_ref": ["acme/train/.github/workflows/publish.yml@refs/heads/main"],
}


def test_administrators_of_the_repository_alone_trust_publishers(cast: Cast):
    repository = cast.repository("acme/reviews")
    publisher = verbs.trust(repository, id_tokens.GITHUB, PINNED, cast.session("alice"))
    pending = verbs.trust_pending("acme/later", id_tokens.GITHUB, PINNED, cast.session("alice"))
    by_token = tokens.caller_of(cast.token("alice"))
    for by in (*map(cast.session, ("bob", "dave", "erin", "carol", "mona", "anonymous")), by_token):
        for act in (
            lambda by: verbs.list_publishers(repository, by),
            lambda by: verbs.trust(repository, id_tokens.GITHUB, PINNED, by),
            lambda by: verbs.trust_pending("acme/new", id_tokens.GITHUB, PINNED, by),
            lambda by: verbs.remove(repository, publisher.pk, by),
            lambda by: verbs.set_publishers_only(repository, True, by),
            lambda by: verbs.remove_pending(pending.pk, by),
        ):
            with pytest.raises((NotAllowed, SignInRequired, SessionRequired, PublisherNotFound)):
                act(by)
    assert verbs.list_pending(cast.session("bob")) == []
    assert TrustedPublisher.objects.count() == 2


def test_a_publisher_of_another_repository_is_publisher_not_found(cast: Cast):
    publisher = verbs.trust(cast.repository("acme/reviews"), id_tokens.GITHUB, PINNED, cast.session("alice"))
    with pytest.raises(PublisherNotFound) as refusal:
        verbs.remove(cast.repository("acme/other"), publisher.pk, cast.session("alice"))
    assert refusal.value.code == "publisher-not-found"


@sweep(
    "issuer, claims, words",
    [
        ("https://evil.example.org", PINNED, "does not accept"),
        (id_tokens.GITHUB, {"environment": ["release"]}, "must pin repository"),
        (id_tokens.GITHUB, {**PINNED, "repository": ["acme/*"]}, "repository must be"),
        (id_tokens.GITHUB, {**PINNED, "ref": ["*"]}, "cannot be"),
        (id_tokens.GITHUB, {**PINNED, "ref": ["a*b"]}, "cannot be"),
        (id_tokens.GITHUB, {**PINNED, "ref": [""]}, "cannot be"),
        (id_tokens.GITHUB, {**PINNED, "ref": []}, "0 values"),
        (id_tokens.GITHUB, {**PINNED, "ref": ["tr\u0430in"]}, "cannot be"),
        (id_tokens.GITHUB, {**PINNED, "aud": ["https://hub"]}, "cannot be pinned"),
        (id_tokens.GITHUB, {**PINNED, "a b": ["x"]}, "cannot be pinned"),
        (id_tokens.GITLAB, {"ref_protected": ["true"]}, "must pin project_path"),
        (id_tokens.GITLAB, {}, "must pin"),
    ],
)
def test_claims_that_would_let_strangers_in_are_refused(cast: Cast, issuer: str, claims: dict, words: str):
    with pytest.raises(ValueInvalid, match=words):
        verbs.trust(cast.repository("acme/reviews"), issuer, claims, cast.session("alice"))


def test_a_repository_has_so_many_publishers_and_no_more(cast: Cast, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verbs, "MAX_PUBLISHERS", 1)
    repository = cast.repository("acme/reviews")
    verbs.trust(repository, id_tokens.GITHUB, PINNED, cast.session("alice"))
    with pytest.raises(QuotaExceeded):
        verbs.trust(repository, id_tokens.GITHUB, PINNED, cast.session("alice"))


def test_what_is_made_before_its_publisher_pushes_is_still_trusted(cast: Cast):
    publisher = verbs.trust_pending("acme/Fresh", id_tokens.GITHUB, PINNED, cast.session("alice"))
    repository = cast.repository("acme/fresh", by="bob")
    publisher.refresh_from_db()
    assert publisher.repository == repository


def test_a_resource_that_is_no_repository_is_exchange_refused():
    with pytest.raises(ExchangeRefused) as refusal:
        exchange.parse_resource("alice")
    assert (refusal.value.code, refusal.value.facts["error"]) == ("exchange-refused", "invalid_target")


def test_to_trust_needs_a_second_factor_where_the_organisation_requires_one(cast: Cast):
    require(cast)
    organizations.set_member(cast.acme, cast["bob"], "admin", by=cast["alice"])
    with pytest.raises(SecondFactorRequired):
        verbs.trust_pending("acme/new", id_tokens.GITHUB, {}, cast.session("bob"))


def test_the_publishers_of_an_organisation_that_is_deleted_end(cast: Cast):
    verbs.trust_pending("acme/fresh", id_tokens.GITHUB, PINNED, cast.session("alice"))
    organizations.delete_organization("acme", cast.session("alice"))
    assert not User.objects.exclude(kind="person").filter(is_active=True).exists()
    assert not TrustedPublisher.objects.exists()
