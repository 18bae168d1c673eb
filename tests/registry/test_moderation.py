"""Quarantine, release, suspension: who may, what it does, what it leaves in the log."""

import pytest
from django.contrib.auth import get_user
from django.db import IntegrityError, transaction
from django.test import RequestFactory
from django.utils import timezone

from registry.kernel import audit
from registry.kernel.errors import (
    NotAllowed,
    RegistryError,
    RepositoryNotFound,
    RepositoryQuarantined,
    RevisionNotFound,
    SessionRequired,
    SignInRequired,
    ValueInvalid,
)
from registry.kernel.policy import Permission
from registry.models import AuditEvent, ModerationDecision, Repository, Revision, User
from registry.moderation import quarantine
from registry.moderation.strikes import suspension
from registry.people.tokens import tokens
from registry.publish import push, repositories
from registry.repos import lookup, refs


@pytest.fixture
def bad(cast) -> Repository:
    return cast.repository("acme/bad")


def test_a_quarantine_is_one_ruling_one_event_and_a_date(cast, bad):
    audit.request_id.set("abc")
    assert quarantine.quarantine(bad, cast.session("mona"), reason=" It phones home. ", note="Ticket 7")
    ruling = ModerationDecision.objects.get()
    assert (ruling.action, ruling.reason, ruling.note, ruling.by) == (
        "quarantine",
        "It phones home.",
        "Ticket 7",
        cast["mona"],
    )
    event = AuditEvent.objects.get(action="adapter:quarantine")
    assert (event.actor, event.object, event.reason, event.request_id) == ("mona", "acme/bad", "It phones home.", "abc")
    assert bad.is_quarantined
    assert Repository.objects.get(pk=bad.pk).quarantined_at == bad.quarantined_at


def test_a_second_quarantine_changes_nothing(cast, bad):
    stale = Repository.objects.select_related("namespace").get(pk=bad.pk)
    quarantine.quarantine(bad, cast.session("mona"), reason="First.")
    assert not quarantine.quarantine(stale, cast.session("ada"), reason="Second.")
    assert [ruling.reason for ruling in ModerationDecision.objects.all()] == ["First."]
    assert AuditEvent.objects.filter(action="adapter:quarantine").count() == 1


def test_a_release_ends_it_and_keeps_the_record(cast, bad):
    assert not quarantine.release(bad, cast.session("mona"), reason="Nothing to release.")
    quarantine.quarantine(bad, cast.session("mona"), reason="It phones home.")
    assert quarantine.release(bad, cast.session("ada"), reason="It does not.")
    assert lookup.find("acme/bad", cast.session("carol")) == bad
    assert [ruling.action for ruling in ModerationDecision.objects.order_by("id")] == ["quarantine", "release"]
    quarantine.quarantine(bad, cast.session("mona"), reason="It does after all.")
    with pytest.raises(RepositoryQuarantined, match="It does after all"):
        lookup.find("acme/bad", cast.session("alice"), Permission.DOWNLOAD)


@pytest.mark.parametrize("reason", ["", "  ", "\n", "x" * 501, "nul\0"])
def test_no_ruling_without_a_reason_that_people_can_read(cast, bad, reason):
    for rule in (quarantine.quarantine, quarantine.release):
        with pytest.raises(ValueInvalid):
            rule(bad, cast.session("mona"), reason=reason)
    assert not ModerationDecision.objects.exists()
    assert not Repository.objects.get(pk=bad.pk).is_quarantined


@pytest.mark.parametrize(
    ("who", "refusal"),
    [("anonymous", SignInRequired), ("alice", NotAllowed), ("bob", NotAllowed), ("carol", NotAllowed)],
)
def test_only_moderators_rule(cast, bad, who, refusal):
    for rule in (quarantine.quarantine, quarantine.release):
        with pytest.raises(refusal):
            rule(bad, cast.session(who), reason="Because.")
    assert not ModerationDecision.objects.exists()


def test_moderators_rule_in_a_session_and_never_by_token(cast, bad):
    with pytest.raises(SessionRequired):
        quarantine.quarantine(bad, tokens.caller_of(cast.token("mona")), reason="Because.")
    assert not bad.is_quarantined


def test_the_owner_cannot_remove_the_evidence(cast, bad):
    quarantine.quarantine(Repository.objects.get(pk=bad.pk), cast.session("mona"), reason="Evidence.")
    with pytest.raises(RepositoryQuarantined):  # although `bad` was read before
        repositories.delete(bad, cast.session("alice"))
    assert Repository.objects.filter(pk=bad.pk).exists()


@pytest.mark.django_db(transaction=True)  # SQLite finds at the end of one that a row's adapter is gone
@pytest.mark.parametrize("deed", ["quarantine", "delete"])
def test_a_push_under_way_does_not_arrive_any_more(cast, bad, deed, settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"

    def files():
        yield push.Inline("a.txt", b"a")
        if deed == "quarantine":
            quarantine.quarantine(Repository.objects.get(pk=bad.pk), cast.session("mona"), reason="It phones home.")
        else:
            repositories.delete(Repository.objects.get(pk=bad.pk), cast.session("alice"))

    with pytest.raises(RepositoryQuarantined if deed == "quarantine" else (RepositoryNotFound, RevisionNotFound)):
        push.receive(push.Intent(bad, refs.MAIN, cast.session("bob"), title="Late"), files())
    assert not Revision.objects.filter(title="Late").exists()


def test_a_quarantined_name_cannot_be_made_again(cast, bad):
    quarantine.quarantine(bad, cast.session("mona"), reason="Evidence.")
    for who in ("alice", "dave"):
        with pytest.raises(RegistryError) as refusal:
            repositories.create("acme/BAD", cast.session(who))
        assert refusal.value.code == "adapter-exists"


def test_a_suspended_person_is_out_and_what_he_has_is_withheld(cast, client):
    cast.repository("carol/notes", by="carol")
    client.force_login(cast["carol"])
    assert suspension.suspend(cast["carol"], cast.session("mona"), reason="Spam.")
    assert not suspension.suspend(cast["carol"], cast.session("mona"), reason="Spam.")
    request = RequestFactory().get("/")
    request.session = client.session
    assert get_user(request).is_anonymous
    with pytest.raises(RepositoryNotFound):
        lookup.find("carol/notes", cast.session("anonymous"))
    assert lookup.find("carol/notes", cast.session("mona"))
    [event] = AuditEvent.objects.filter(action="person:suspend")
    assert (event.actor, event.object, event.reason) == ("mona", "carol", "Spam.")


def test_moderators_do_not_suspend_each_other_or_themselves(cast):
    for user in (cast["ada"], cast["mona"]):
        with pytest.raises(NotAllowed):
            suspension.suspend(user, cast.session("mona"), reason="A coup.")
    assert suspension.suspend(cast["mona"], cast.session("ada"), reason="A coup.")
    assert User.objects.filter(is_active=False).get() == cast["mona"]


@pytest.mark.parametrize("change", [{"reason": ""}, {"action": "praise"}])
def test_the_database_refuses_what_is_wrong(cast, bad, change):
    quarantine.quarantine(bad, cast.session("mona"), reason="Because.")
    with pytest.raises(IntegrityError), transaction.atomic():
        ModerationDecision.objects.update(**change)


def test_two_adapters_of_one_name_are_one_too_many(cast, bad):
    with pytest.raises(IntegrityError), transaction.atomic():
        Repository.objects.create(
            namespace=bad.namespace, name="BAD", created_by=cast["alice"], created_at=timezone.now()
        )
