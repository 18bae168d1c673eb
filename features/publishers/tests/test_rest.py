"""Trusted publishers over REST and in the administration: who may, and what ends."""

import pytest

from features.publishers import verbs
from registry.kernel.errors import NotAllowed, SignInRequired
from registry.models import AuditEvent, TrustedPublisher, User
from registry.people.tokens import id_tokens
from tests.registry.test_required_second_factor import give_factor, require
from tests.sweep import sweep

PUBLISHERS = "/api/v1/namespaces/acme/publishers"
CLAIMS = {"repository": ["acme/train"], "repository_owner_id": ["1"], "workflow_ref": ["acme/train/x.yml@main"]}
JOB = {"repository": "reviews", "issuer": id_tokens.GITHUB, "claims": CLAIMS}
JSON = "application/json"


def test_publishers_are_trusted_listed_and_ended(ask, cast):
    cast.repository("acme/reviews")
    alice = ask("alice")
    first = alice.post(PUBLISHERS, JOB, JSON)
    waiting = alice.post(PUBLISHERS, {**JOB, "repository": "later", "type": "dataset"}, JSON)
    assert (first.status_code, waiting.status_code) == (201, 201)
    listed = alice.get(PUBLISHERS).json()["items"]
    assert [(row["repository"], row["type"], row["pending"], row["by"]) for row in listed] == [
        ("acme/reviews", "model", False, "alice"),
        ("acme/later", "dataset", True, "alice"),
    ]
    assert listed[0]["claims"] == CLAIMS
    assert alice.post(PUBLISHERS, {**JOB, "issuer": "https://evil.example"}, JSON).status_code == 400
    assert alice.post(PUBLISHERS, {**JOB, "claims": {"repository": ["a*"]}}, JSON).status_code == 400
    for row in listed:
        assert alice.delete(f"{PUBLISHERS}/{row['id']}").status_code == 204
        assert alice.delete(f"{PUBLISHERS}/{row['id']}").json()["code"] == "publisher-not-found"
    assert alice.get(PUBLISHERS).json()["items"] == []
    assert AuditEvent.objects.filter(action="publisher:remove", actor="alice").count() == 2


def test_a_persons_own_namespace_has_publishers_too(ask, cast):
    carol = ask("carol")
    assert carol.post("/api/v1/namespaces/carol/publishers", JOB, JSON).status_code == 201
    assert ask("alice").get("/api/v1/namespaces/carol/publishers").status_code == 403
    assert carol.get("/api/v1/namespaces/nobody/publishers").json()["code"] == "namespace-not-found"


@pytest.fixture
def publisher(cast) -> TrustedPublisher:
    return verbs.trust_pending("acme/reviews", id_tokens.GITHUB, CLAIMS, cast.session("alice"))


@sweep(
    "who, token, status",
    [
        ("anonymous", "", 401),
        ("carol", "", 403),
        ("bob", "", 403),
        ("dave", "", 403),
        ("erin", "", 403),
        ("mona", "", 403),
        ("alice", "read", 403),
        ("alice", "write", 403),
        ("ada", "write", 403),
        ("suspended", "", 401),
        ("without a factor", "", 403),
        ("departed", "", 403),
    ],
)
def test_publishers_are_the_business_of_administrators_in_a_session(ask, cast, publisher, who, token, status):
    asking = ask("alice" if who in {"suspended", "departed", "without a factor"} else who, token)
    if who == "suspended":
        User.objects.filter(username="alice").update(is_active=False)
    elif who == "departed":
        cast["alice"].memberships.all().delete()
    elif who == "without a factor":
        give_factor(cast["alice"])
        require(cast)
        cast["alice"].authenticator_set.all().delete()
    for answer in (
        asking.get(PUBLISHERS),
        asking.post(PUBLISHERS, JOB, JSON),
        asking.delete(f"{PUBLISHERS}/{publisher.pk}"),
    ):
        assert answer.status_code == status, answer.content
        assert who != "without a factor" or answer.json()["code"] == "second-factor-required"
    assert TrustedPublisher.objects.get() == publisher


def test_a_robot_trusts_nobody(ask, cast, publisher):
    asking = ask(value=cast.robot(**{"acme/*": "write"}))
    for answer in (asking.get(PUBLISHERS), asking.delete(f"{PUBLISHERS}/{publisher.pk}")):
        assert answer.status_code == 403


def test_administrators_of_the_hub_end_the_trust_with_a_reason(ask, cast, publisher):
    for who, refusal in (("anonymous", SignInRequired), ("alice", NotAllowed), ("mona", NotAllowed)):
        with pytest.raises(refusal):
            verbs.disable(publisher, cast.session(who), reason="x")
    ada = ask("ada")
    assert "publisher:acme-train" in ada.get("/admin/registry/trustedpublisher/").content.decode()
    assert "acme/reviews" in ada.get(f"/admin/registry/trustedpublisher/{publisher.pk}/change/").content.decode()
    ada.post("/admin/registry/trustedpublisher/act/end/", {"id": publisher.pk, "reason": "Taken over."})
    assert not TrustedPublisher.objects.exists()
    assert AuditEvent.objects.get(action="publisher:remove").reason == "Taken over."
    assert ask("alice").get("/admin/registry/trustedpublisher/").status_code in {302, 403, 404}
