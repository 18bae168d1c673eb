"""Yanked versions, deprecated and archived repositories, and the bin: what each does, and takes back."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from registry.bytes import garbage
from registry.kernel import policy, quotas, site_settings
from registry.kernel.errors import (
    NotAllowed,
    OrganizationNotEmpty,
    PublishingPaused,
    RepositoryArchived,
    RepositoryExists,
    RepositoryNotFound,
    RepositoryQuarantined,
    RevisionNotFound,
    ValueInvalid,
)
from registry.kernel.policy import Caller, Permission
from registry.models import AuditEvent, Blob, Event, OutboxEvent, Repository, User
from registry.moderation import quarantine
from registry.people.organizations import organizations
from registry.proof.verified import withdrawals
from registry.publish import moves, push, repositories, retirement
from registry.repos import lookup, pull, refs
from registry.repos.lists import catalog
from registry.repos.lists.catalog import Query
from registry.talk import dispatch
from tests.api.conftest import FILES, judged, pushed


@pytest.fixture
def versions(cast, settings, tmp_path):
    """acme/reviews with two verified versions; the newer one is main."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    repository = cast.repository("acme/reviews")
    old = pushed(cast, repository)
    judged(old, depth="run")
    new = pushed(cast, repository, files={**FILES, "README.md": b"# Newer\n"})
    judged(new, depth="run")
    return repository, old, new


def names_of(by: Caller) -> list[str]:
    return [row.full_name for row in catalog.search(by, Query()).items]


def verified(repository: Repository) -> str:
    return pull.resolve(repository, "verified").oid


# --- yank ------------------------------------------------------------------------------------------------------------
def test_verified_and_main_fall_back_from_a_yanked_version_and_return(cast, versions):
    repository, old, new = versions
    assert verified(repository) == new.oid
    assert withdrawals.yank(new, cast.session("bob"), "Wrong labels.")
    assert not withdrawals.yank(new, cast.session("bob"), "Again."), "the first reason is kept"
    assert verified(repository) == old.oid
    assert pull.resolve_pulled(repository, "main").oid == old.oid
    assert pull.resolve_pulled(repository, new.oid).yank_reason == "Wrong labels."
    assert withdrawals.unyank(new, cast.session("bob"))
    assert not withdrawals.unyank(new, cast.session("bob"))
    assert verified(repository) == new.oid == pull.resolve_pulled(repository, "main").oid


def test_a_yanked_main_without_another_version_is_found_by_its_commit_alone(cast, versions):
    repository, old, new = versions
    for revision in (old, new):
        withdrawals.yank(revision, cast.session("alice"), "Wrong labels.")
    with pytest.raises(RevisionNotFound, match=r"main of acme/reviews is yanked \(Wrong labels"):
        pull.resolve_pulled(repository, "main")
    for path in ("resolve/main/README.md", "resolve/main/a/b.txt"):
        answer = Client().get(f"/acme/reviews/{path}")
        assert (answer.status_code, "is yanked (Wrong labels" in answer["X-Error-Message"]) == (404, True), path
    with pytest.raises(RevisionNotFound):
        pull.resolve(repository, "verified")
    assert pull.resolve_pulled(repository, new.oid) == new


def test_lists_leave_a_yanked_main_out_where_nothing_is_verified_until_the_next_version(cast, versions):
    repository, old, new = versions
    withdrawals.yank(new, cast.session("alice"), "Wrong labels.")
    assert names_of(cast.session("carol")) == ["acme/reviews"], "people get the version before"
    withdrawals.yank(old, cast.session("alice"), "Wrong labels, too.")
    assert names_of(cast.session("carol")) == []
    assert names_of(cast.session("bob")) == ["acme/reviews"], "who writes there finds it"
    pushed(cast, repository, files={**FILES, "README.md": b"# Fixed\n"})
    assert names_of(cast.session("carol")) == ["acme/reviews"]


def test_release_of_a_quarantine_does_not_unyank(cast, versions):
    repository, old, new = versions
    withdrawals.yank(new, cast.session("alice"), "Wrong labels.")
    quarantine.quarantine(repository, cast.session("mona"), reason="A look.", revision=new)
    quarantine.release(repository, cast.session("mona"), reason="Fine.", revision=new)
    assert verified(repository) == old.oid
    assert not Repository.objects.get(pk=repository.pk).is_main_held, "lists show the version before"
    withdrawals.yank(old, cast.session("alice"), "Wrong labels, too.")
    assert Repository.objects.get(pk=repository.pk).is_main_held


def test_a_yank_is_for_writers_and_needs_a_reason(cast, versions):
    _, _, new = versions
    for who in ("carol", "erin", "dave", "mona"):
        with pytest.raises(NotAllowed):
            withdrawals.yank(new, cast.session(who), "No.")
    with pytest.raises(ValueInvalid, match="requires a reason"):
        withdrawals.yank(new, cast.session("alice"), "  ")


def test_a_yank_is_in_the_log_and_in_the_feed(cast, versions):
    _, _, new = versions
    withdrawals.yank(new, cast.session("bob"), "Wrong labels.")
    entry = AuditEvent.objects.get(action="revision:yank")
    assert (entry.actor, entry.object, entry.reason) == ("bob", f"acme/reviews@{new.oid}", "Wrong labels.")
    dispatch.run()
    event = Event.objects.get(kind="yank")
    assert (event.revision, event.data) == (new.oid, {"reason": "Wrong labels."})


def test_the_wire_marks_a_yanked_commit_and_leads_main_elsewhere(cast, versions):
    _, old, new = versions
    withdrawals.yank(new, cast.session("alice"), "Wrong labels: 2 % of them.")
    client = Client()
    for path in (f"/api/models/acme/reviews/revision/{new.oid}", f"/api/models/acme/reviews/tree/{new.oid}",
                 f"/acme/reviews/resolve/{new.oid}/README.md"):  # fmt: skip
        answer = client.get(path)
        assert (answer.status_code, answer["X-Dovetail-Yanked"]) == (200, "Wrong labels%3A 2 %25 of them.")
    assert client.get("/api/models/acme/reviews").json()["sha"] == old.oid
    answer = client.head("/acme/reviews/resolve/main/README.md")
    assert answer["X-Repo-Commit"] == old.oid
    assert "X-Dovetail-Yanked" not in answer


# --- deprecated, archived --------------------------------------------------------------------------------------------
def test_a_deprecation_names_what_to_use_and_changes_nothing_else(cast, versions):
    repository, _, new = versions
    cast.repository("acme/better")
    alice = cast.session("alice")
    retirement.deprecate(repository, alice, "Old labels.", "ACME/better")
    row = Repository.objects.get(pk=repository.pk)
    assert (row.deprecation, row.successor, row.is_deprecated) == ("Old labels.", "acme/better", True)
    assert pull.resolve_pulled(repository, "main") == new
    for message, successor, error in (("", "", ValueInvalid), ("x", "acme/reviews", ValueInvalid),
                                      ("x", "carol/none", RepositoryNotFound)):  # fmt: skip
        with pytest.raises(error):
            retirement.deprecate(repository, alice, message, successor)
    retirement.undeprecate(repository, alice)
    assert not Repository.objects.get(pk=repository.pk).is_deprecated
    assert [event.kind for event in OutboxEvent.objects.order_by("-pk")[:2]] == ["repository-configured"] * 2


def test_nothing_of_an_archived_repository_changes_until_it_is_unarchived(cast, versions):
    repository, _, new = versions
    alice = cast.session("alice")
    retirement.archive(repository, alice)
    deeds = (
        lambda: pushed(cast, repository),
        lambda: withdrawals.yank(new, alice, "Wrong."),
        lambda: repositories.set_private(repository, True, alice),
        lambda: repositories.delete(repository, alice),
        lambda: retirement.deprecate(repository, alice, "Old."),
    )
    for deed in deeds:
        with pytest.raises(RepositoryArchived, match="acme/reviews is archived"):
            deed()
    retirement.unarchive(repository, alice)
    repositories.set_private(repository, True, alice)
    assert {event.action for event in AuditEvent.objects.all()} >= {"adapter:archive"}


def test_a_list_hides_what_is_archived_only_where_asked(cast, versions):
    repository, *_ = versions
    retirement.archive(repository, cast.session("alice"))
    assert names_of(cast.session("carol")) == ["acme/reviews"]
    assert catalog.search(cast.session("carol"), Query(archived=("hide",))).items == []


# --- the bin ---------------------------------------------------------------------------------------------------------
def test_a_deleted_repository_comes_back_whole(cast, versions):
    repository, _, new = versions
    alice = cast.session("alice")
    repositories.delete(repository, alice)
    with pytest.raises(RepositoryNotFound):
        lookup.find("acme/reviews", alice)
    assert [row.full_name for row in retirement.listed(alice)] == ["acme/reviews"]
    restored = retirement.restore(repository.pk, alice)
    assert pull.resolve(restored, "verified") == new
    assert names_of(cast.session("carol")) == ["acme/reviews"]
    assert AuditEvent.objects.filter(action="adapter:restore", object="acme/reviews").exists()


def test_its_name_is_free_for_its_owner_and_then_it_returns_under_another(cast, versions):
    repository, *olds = versions
    alice = cast.session("alice")
    repositories.delete(repository, alice)
    other = cast.repository("acme/Reviews")
    for old in olds:
        for pin in (old.oid, old.oid[:12]):  # what was pinned is gone, and never something else
            with pytest.raises(RevisionNotFound):
                pull.resolve(other, pin)
    with pytest.raises(RepositoryExists):
        retirement.restore(repository.pk, alice)
    assert retirement.restore(repository.pk, alice, "reviews-old").full_name == "acme/reviews-old"
    assert [row.full_name for row in catalog.search(alice, Query(q="old")).items] == ["acme/reviews-old"]


def test_the_bin_is_for_administrators_of_the_owner_and_of_the_hub(cast, versions):
    repository, *_ = versions
    repositories.delete(repository, cast.session("alice"))
    for who in ("bob", "dave", "erin", "carol", "mona"):
        assert not retirement.listed(cast.session(who)).exists()
        for deed in (retirement.restore, retirement.purge):
            with pytest.raises(RepositoryNotFound):
                deed(repository.pk, cast.session(who))
    assert retirement.listed(cast.session("ada")).exists()
    assert retirement.restore(repository.pk, cast.session("ada"))


def test_what_is_purged_leaves_no_bytes(cast, versions):
    repository, *_ = versions
    repositories.delete(repository, cast.session("alice"))
    garbage.sweep(0)
    assert Blob.objects.exists(), "the bin keeps them"
    retirement.purge(repository.pk, cast.session("alice"))
    garbage.sweep(0)
    assert not Blob.objects.exists()
    assert AuditEvent.objects.filter(action="adapter:purge").exists()


def test_evidence_in_the_bin_is_not_purged_by_its_owner(cast, versions):
    repository, old, _ = versions
    quarantine.quarantine(repository, cast.session("mona"), reason="A pickle.", revision=old)
    repositories.delete(repository, cast.session("alice"))
    with pytest.raises(RepositoryQuarantined, match="A pickle"):
        retirement.purge(repository.pk, cast.session("alice"))


def test_evidence_in_the_bin_is_held_taken_down_and_kept(cast, versions):
    repository, _, new = versions
    alice, mona = cast.session("alice"), cast.session("mona")
    repositories.delete(repository, alice)
    assert quarantine.quarantine(Repository.with_binned.get(), mona, reason="Malware.")
    Repository.with_binned.update(binned_at=timezone.now() - timedelta(days=400))
    with pytest.raises(RepositoryQuarantined):
        retirement.purge(repository.pk, alice)
    assert retirement.purge_expired() == 0
    restored = retirement.restore(repository.pk, alice)
    assert restored.is_quarantined
    with pytest.raises(RepositoryNotFound):
        lookup.find("acme/reviews", cast.session("carol"))
    assert quarantine.take_down(restored, mona, reason="Malware.")
    assert not new.files.exists()


def test_a_main_that_is_held_in_the_bin_is_listed_to_nobody_after_its_return(cast, versions):
    repository, _, new = versions
    repositories.delete(repository, cast.session("alice"))
    quarantine.quarantine(Repository.with_binned.get(), cast.session("mona"), reason="Malware.", revision=new)
    retirement.restore(repository.pk, cast.session("alice"))
    assert names_of(cast.session("carol")) == []
    assert names_of(cast.session("alice")) == ["acme/reviews"]


def test_a_verdict_that_ended_in_the_bin_shows_after_the_return(cast, versions):
    repository, _, new = versions
    repositories.delete(repository, cast.session("alice"))
    new.verdicts.update(state="failed", result={})
    assert retirement.restore(repository.pk, cast.session("alice")).pk == repository.pk
    assert Repository.objects.get().state == "failed"


@pytest.mark.usefixtures("without_bin")
def test_evidence_is_not_deleted_for_good_where_there_is_no_bin(cast, versions):
    repository, old, _ = versions
    quarantine.quarantine(repository, cast.session("mona"), reason="Malware.", revision=old)
    with pytest.raises(RepositoryQuarantined):
        repositories.delete(repository, cast.session("alice"))
    assert Repository.objects.get() == repository


def test_an_organisation_with_evidence_in_its_bin_is_not_deleted(cast, versions):
    repository, old, _ = versions
    alice, mona = cast.session("alice"), cast.session("mona")
    quarantine.quarantine(repository, mona, reason="Malware.", revision=old)
    repositories.delete(repository, alice)
    with pytest.raises(OrganizationNotEmpty, match="evidence"):
        organizations.delete_organization("acme", alice)
    quarantine.release(Repository.with_binned.get(), mona, reason="Fine.", revision=old)
    organizations.delete_organization("acme", alice)
    assert AuditEvent.objects.filter(action="adapter:purge", object="acme/reviews").exists()


def test_a_yank_survives_a_history_that_is_rewritten(cast, versions):
    repository, _, new = versions
    withdrawals.yank(new, cast.session("alice"), "Wrong labels.")
    head = repository.refs.select_related("revision").get(name=refs.MAIN).revision
    copy = push.rewrite(head, None)
    assert (copy == head, copy.yank_reason) == (False, "Wrong labels.")


def test_a_paused_owner_reads_the_settings_and_restores_nothing(cast, versions, client):
    repository, *_ = versions
    repositories.delete(repository, cast.session("alice"))
    other = cast.repository("acme/other")
    User.objects.filter(username="alice").update(paused_until=timezone.now() + timedelta(days=3))
    client.force_login(cast["alice"])
    assert client.get("/acme/other/settings").status_code == 200
    assert policy.require(cast.session("alice"), Permission.ARCHIVE, other) == other
    with pytest.raises(PublishingPaused):
        retirement.restore(repository.pk, cast.session("alice"))


def test_the_bin_is_emptied_after_its_days(cast, versions):
    repository, *_ = versions
    repositories.delete(repository, cast.session("alice"))
    Repository.with_binned.update(binned_at=timezone.now() - timedelta(days=29))
    assert retirement.purge_expired() == 0
    Repository.with_binned.update(binned_at=timezone.now() - timedelta(days=31))
    assert retirement.purge_expired() == 1
    assert not Repository.with_binned.exists()


def test_without_a_bin_a_deletion_is_for_good(cast, versions):
    repository, *_ = versions
    site_settings.change_setting("bin_days", "0", cast["ada"])
    repositories.delete(repository, cast.session("alice"))
    assert not Repository.with_binned.exists()


def test_a_former_name_leads_to_nothing_while_the_repository_is_in_the_bin(cast, versions):
    repository, *_ = versions
    alice = cast.session("alice")
    moved = moves.move(repository, "acme/better", alice)
    repositories.delete(moved, alice)
    for name in ("acme/reviews", "acme/better", "acme/never"):
        with pytest.raises(RepositoryNotFound):
            lookup.find_at_address(name, alice)


# --- usage -----------------------------------------------------------------------------------------------------------
def test_the_usage_page_counts_each_file_once_and_what_is_in_the_bin(cast, versions, settings):
    settings.QUOTA_BYTES = 1_000_000
    repository, *_ = versions
    held = quotas.usage_of(repository.namespace)
    assert held.limit == 1_000_000
    [row] = quotas.by_repository(repository.namespace)
    assert (row.type, row.name, row.stored_bytes, row.is_binned) == ("model", "reviews", held.bytes, False)
    repositories.delete(repository, cast.session("alice"))
    binned = quotas.usage_of(repository.namespace)
    assert (binned.bytes, binned.binned_bytes, held.binned_bytes) == (held.bytes, held.bytes, 0)
    [row] = quotas.by_repository(repository.namespace)
    assert (row.type, row.name, row.stored_bytes, row.is_binned) == ("model", "reviews", held.bytes, True)
    client = Client()
    client.force_login(cast["alice"])
    page = client.get("/settings/usage").content.decode()
    assert "reviews" in page
    assert "deleted" in page
    client.force_login(cast["bob"])
    assert "reviews" not in client.get("/settings/usage").content.decode()
