"""Quarantine, release, suspension: who may, what it does, what it leaves in the log."""

from datetime import timedelta

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
    TakenDown,
    ValueInvalid,
)
from registry.kernel.policy import Permission
from registry.models import AuditEvent, ModerationDecision, Ref, Repository, Revision, RevisionFile, User
from registry.moderation import quarantine, suspension
from registry.people.tokens import tokens
from registry.publish import push, repositories
from registry.repos import lookup, refs
from tests.cast import Cast


@pytest.fixture(autouse=True)
def _stores(settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.registry.test_upkeep.notify"


@pytest.fixture
def adapter(cast: Cast):
    """alice/reviews with a README."""
    repository = cast.repository("alice/reviews")
    commit(cast, repository, "README.md", b"# Reviews")
    return repository


def commit(cast: Cast, repository, path: str, content: bytes):
    """Push one file to main and return the revision."""
    intent = push.Intent(repository, refs.MAIN, cast.session("alice"), title="Files")
    ref = push.receive(intent, [push.Inline(path, content)])
    ref.revision.repository = repository
    return ref.revision


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


def test_what_was_taken_down_is_never_released(cast, adapter):
    mona = cast.session("mona")
    assert quarantine.quarantine(adapter, mona, reason="It phones home.")
    assert quarantine.take_down(adapter, mona, reason="It steals credentials.")
    assert not quarantine.take_down(adapter, mona, reason="It steals credentials.")
    assert not RevisionFile.objects.filter(revision__repository=adapter).exists()
    with pytest.raises(TakenDown, match="It steals credentials"):
        quarantine.release(adapter, mona, reason="Fine.")


def test_a_suspension_with_an_end_ends_by_itself(cast):
    until = timezone.now() + timedelta(hours=1)
    suspension.suspend(cast["carol"], cast.session("mona"), reason="Spam.", until=until)
    assert suspension.end_due() == 0
    User.objects.filter(username="carol").update(suspended_until=timezone.now() - timedelta(seconds=1))
    assert suspension.end_due() == 1
    assert User.objects.get(username="carol").is_active
    with pytest.raises(ValueInvalid):
        suspension.suspend(
            cast["carol"], cast.session("mona"), reason="Spam.", until=timezone.now() - timedelta(days=1)
        )


def test_verified_falls_back_when_its_version_is_held_and_comes_back(cast, adapter):
    old, new = commit(cast, adapter, "a.txt", b"1"), commit(cast, adapter, "a.txt", b"2")
    for revision in (old, new):
        revision.verdicts.create(
            number=1, state="passed", finished_at=timezone.now(), result={"depth": "run"}, owner_id=adapter.namespace_id
        )
    Ref.objects.create(repository=adapter, name=refs.VERIFIED, revision=new)
    quarantine.quarantine(adapter, cast.session("mona"), reason="It phones home.", revision=new)
    assert adapter.refs.get(name=refs.VERIFIED).revision == old
    quarantine.quarantine(adapter, cast.session("mona"), reason="It phones home.", revision=old)
    assert not adapter.refs.filter(name=refs.VERIFIED).exists()
    quarantine.release(adapter, cast.session("mona"), reason="Fine.", revision=new)
    assert adapter.refs.get(name=refs.VERIFIED).revision == new
