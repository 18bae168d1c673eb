"""Rules of retention: what they keep, what they remove, that it can be taken back, and that the bytes are gone then."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from features.retention import expiry, verbs
from features.retention.expiry import Restored
from features.retention.models import RetentionRule
from features.retention.verbs import Limits
from registry.bytes import blobs, garbage
from registry.bytes.blobs import Keys, object_exists
from registry.kernel import errors, quotas, site_settings, stored_bytes
from registry.kernel.errors import AliasRefused, FileBlocked, FilesExpired, NotAllowed, SignInRequired, ValueInvalid
from registry.models import (
    AuditEvent,
    Blob,
    BlockedFile,
    Case,
    ExpiredFile,
    PickleScan,
    Repository,
    Revision,
    RevisionFacts,
    RevisionFile,
    UploadedBlob,
)
from registry.moderation import quarantine
from registry.proof.verified import aliases
from registry.proof.verified.verified import move_verified
from registry.publish import branches, push, repositories
from registry.publish.push import Inline, Intent
from registry.repos import histories, pull, refs
from tests.api.conftest import FILES, judged, pushed
from workers import pushed_files

KEPT_DAYS = 31  # longer than the bin keeps


@pytest.fixture
def hub(settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"


@pytest.fixture
def flood(cast, hub) -> tuple[Repository, list[Revision]]:
    """acme/run after eight pushes of a training run, a minute each, ten days ago; the first commit is the hub's."""
    repository = cast.repository("acme/run")
    line = [pushed(cast, repository, title=f"step {n}", files={"w.onnx": b"%d" % n * 1000}) for n in range(8)]
    age(repository)
    return repository, line


def age(repository: Repository, days: int = 10) -> None:
    repository.revisions.update(created_at=timezone.now() - timedelta(days=days))
    UploadedBlob.objects.filter(repository=repository).update(created_at=timezone.now() - timedelta(days=days))
    Blob.objects.update(created_at=timezone.now() - timedelta(days=days))


def weights(revision: Revision) -> RevisionFile | ExpiredFile:
    """Return the row of the weights, whether they are there or in the bin."""
    return next(iter(revision.files.filter(path="w.onnx")), None) or revision.expired_files.get(path="w.onnx")


def titles(repository: Repository) -> list[str]:
    whole = repository.revisions.filter(expired_at=None).order_by("pk")
    return [title for title in whole.values_list("title", flat=True) if title.startswith("step")]


def forget_the_bin(repository: Repository) -> None:
    repository.revisions.exclude(expired_at=None).update(expired_at=timezone.now() - timedelta(days=KEPT_DAYS))


def test_a_flood_is_cut_by_the_clock_and_what_has_a_name_stays_whole(cast, flood):
    repository, line = flood
    alice = cast.session("alice")
    branches.create_ref(repository, "refs/tags/v1.0.0", line[0], alice)
    aliases.set_alias(repository, "prod", line[1], alice, force=True, reason="A trial.")
    aliases.set_alias(repository, "prod", line[2], alice, force=True, reason="A trial.")
    proposal = push.receive(Intent(repository, "refs/heads/main", alice, "idea", propose=True), [Inline("a", b"a")])
    age(repository)
    Revision.objects.filter(pk=line[3].pk).update(created_at=timezone.now())
    held = quotas.usage_of(repository.namespace).bytes

    plan = expiry.preview(repository, Limits(2, 7))
    assert [row.title for row, _ in plan.versions] == ["initial commit", "step 4", "step 5"]
    assert plan.freed == sum(weights(row).size for row in line[4:6])
    assert dict(plan.kept) == {"named": 5, "newest": 1, "young": 1}
    assert titles(repository) == [f"step {n}" for n in range(8)]  # a trial changes nothing

    assert verbs.set_owner_rule("acme", alice, Limits(2, 7))
    assert expiry.run() == 3
    assert titles(repository) == ["step 0", "step 1", "step 2", "step 3", "step 6", "step 7"]
    assert pull.entries(proposal.revision)
    assert [row.title for row in histories.newest(line[7], 20)][-2:] == [
        "step 0",
        "initial commit",
    ]  # the history is whole
    gone = Revision.objects.get(pk=line[4].pk)
    for read in (pull.entries, lambda row: pull.find_file(row, "w.onnx"), lambda row: pull.require_served(row, alice)):
        with pytest.raises(FilesExpired, match=f"removed the files of version {gone.oid}"):
            read(gone)
    for name in (lambda: branches.create_ref(repository, "refs/heads/x", gone, alice),
                 lambda: aliases.set_alias(repository, "old", gone, alice, force=True, reason="A trial.")):  # fmt: skip
        with pytest.raises(FilesExpired):
            name()
    assert quotas.usage_of(repository.namespace).bytes == held  # the bin counts
    assert stored_bytes.recount(repository) == 0
    garbage.sweep(0)
    assert object_exists(Keys.blob(weights(gone).blob_id))  # and keeps the bytes
    assert expiry.run() == 0
    [event] = AuditEvent.objects.filter(action="retention:expire")
    assert (event.actor, event.after["versions"], gone.oid in event.after["first"]) == ("system", 3, True)


def test_files_come_back_for_good_while_they_are_in_the_bin(cast, flood):
    repository, line = flood
    digests = {row.pk: weights(row).blob_id for row in line}
    assert expiry.expire(repository, Limits(1)) == 8
    assert not RevisionFacts.objects.exclude(revision__expired_at=None).exists(), (
        "what their files stated goes with them"
    )
    assert verbs.plan(repository, Limits(1)).expiring == []
    BlockedFile.objects.create(sha256=digests[line[2].pk], reason="It steals.", by=cast["mona"])
    with pytest.raises(FileBlocked):
        expiry.restore(repository, cast.session("alice"), line[2].oid)
    with pytest.raises(NotAllowed):
        expiry.restore(repository, cast.session("bob"), line[1].oid)
    assert expiry.restore(repository, cast.session("alice"), line[1].oid) == Restored(1, left=0)
    assert pull.entries(Revision.objects.get(pk=line[1].pk))["w.onnx"].sha256 == digests[line[1].pk]
    assert expiry.expire(repository, Limits(1)) == 0  # an owner took it back: no rule removes it
    assert titles(repository) == ["step 1", "step 7"]

    before = quotas.usage_of(repository.namespace).bytes
    assert expiry.purge_expired() == 0
    forget_the_bin(repository)
    assert expiry.run() == 0
    assert not ExpiredFile.objects.exists()
    assert [object_exists(Keys.blob(digests[row.pk])) for row in line] == [False, True, *5 * [False], True]
    freed = before - quotas.usage_of(repository.namespace).bytes
    assert freed == sum(1000 for _ in range(6))
    assert stored_bytes.recount(repository) == 0
    with pytest.raises(FilesExpired, match="are in the bin"):
        expiry.restore(repository, cast.session("alice"))


def test_evidence_stays_in_the_bin(cast, flood):
    repository, (held, reported, *_) = flood
    assert expiry.expire(repository, Limits(1)) == 8
    quarantine.quarantine(repository, cast.session("mona"), reason="It steals.", revision=held)
    about = {"target": "revision", "key": "a", "label": "acme/run@1", "reason": "other", "severity": 1}
    Case.objects.create(repository=repository, revision=reported, **about)
    forget_the_bin(repository)
    expiry.run()
    assert {row.revision_id for row in ExpiredFile.objects.filter(path="w.onnx")} == {held.pk, reported.pk}
    with pytest.raises(errors.RepositoryQuarantined):
        branches.forget_files(repository, [weights(held).blob_id], cast.session("alice"))
    digest = weights(reported).blob_id
    Case.objects.update(state=Case.State.CLOSED, closed_at=timezone.now(), outcome=Case.Outcome.NO_ACTION)
    expiry.run()
    assert not object_exists(Keys.blob(digest))
    assert object_exists(Keys.blob(weights(held).blob_id))


def test_an_open_case_keeps_what_expired_before_it(cast, flood):
    repository, line = flood
    assert expiry.expire(repository, Limits(1)) == 8
    case = Case.objects.create(
        target="revision", key="r", label="r", repository=repository, revision=line[2], reason="malware", severity=3
    )
    forget_the_bin(repository)
    expiry.run()
    assert set(ExpiredFile.objects.values_list("revision", flat=True)) == {line[2].pk}
    Case.objects.filter(pk=case.pk).update(state="closed", outcome="no-action", closed_at=timezone.now())
    expiry.run()
    assert not ExpiredFile.objects.exists()


def test_bytes_that_something_else_names_are_never_deleted(cast, flood):
    repository, line = flood
    copy = repositories.duplicate(repository, "acme/copy", cast.session("alice"))
    digests = [weights(row).blob_id for row in line]
    site_settings.change_setting("bin_days", "0", cast["ada"])
    verbs.set_rule(repository, cast.session("alice"), Limits(1))
    assert expiry.run() == 8
    assert not repository.revisions.filter(expired_files__isnull=False).exists()
    garbage.sweep(0)
    assert all(object_exists(Keys.blob(digest)) for digest in digests)
    assert len(titles(copy)) == 8
    # A push of bytes that are on their way out: the version that names them keeps them.
    again = pushed(cast, repository, title="step 9", files={"w.onnx": b"2" * 1000})
    copies_of = Repository.objects.get(pk=copy.pk)
    copies_of.delete()
    age(repository)
    garbage.sweep(0)
    assert [object_exists(Keys.blob(digest)) for digest in digests[:3]] == [False, False, True]
    assert pull.entries(again)["w.onnx"].sha256 == digests[2]


def test_histories_with_expired_versions_are_copied_rewritten_and_pushed_to(cast, flood):
    repository, _ = flood
    secret = pushed(cast, repository, title="secret", files={"adapter_model.safetensors": b"s" * 3000})
    push.receive(Intent(repository, "refs/heads/main", cast.session("alice"), "more"), [Inline("b", b"b")])
    age(repository)
    expiry.expire(repository, Limits(1))
    digest = secret.expired_files.get(path="adapter_model.safetensors").blob_id
    copy = repositories.duplicate(repository, "acme/copy", cast.session("alice"))
    assert set(copy.revisions.values_list("oid", "expired_at")) == set(
        repository.revisions.values_list("oid", "expired_at")
    )
    assert titles(copy) == []
    assert copy.revisions.filter(expired_at=None).count() == 1
    pushed_files.scan_revisions()
    assert not PickleScan.objects.exists()  # a version without files keeps no job, and stops no other
    ExpiredFile.objects.filter(blob=digest).update(is_lfs=True)
    repository.revisions.latest("pk").files.filter(blob=digest).update(is_lfs=True)
    assert branches.forget_files(repository, [digest], cast.session("alice")) >= 1
    assert not ExpiredFile.objects.filter(blob=digest).exists()  # a secret is not in the bin either
    assert stored_bytes.recount(repository) == 0
    main = refs.resolve_ref(repository, refs.MAIN)
    assert push.receive(Intent(repository, refs.MAIN, cast.session("alice"), "next"), [Inline("c", b"c")])
    assert histories.last_changes(main).keys() >= {"w.onnx", "b"}


def test_verified_and_its_comparisons_never_lead_to_a_version_without_files(cast, hub):
    repository = cast.repository("acme/reviews")
    first = pushed(cast, repository)
    judged(first, depth="run")
    second = pushed(cast, repository, files={**FILES, "README.md": b"# Two"})
    judged(second, depth="run")
    alice = cast.session("alice")
    aliases.set_alias(repository, "prod", second, alice)
    pushed(cast, repository, files={**FILES, "README.md": b"# Three"})  # its verdict waits
    age(repository)
    assert expiry.expire(repository, Limits(1)) == 2
    assert pull.resolve(repository, "verified") == second
    with pytest.raises(AliasRefused):
        aliases.roll_back(repository, "prod", alice)
    Revision.objects.filter(pk=second.pk).update(expired_at=timezone.now())  # as if it had no name
    move_verified(repository.pk)
    assert not repository.refs.filter(name=refs.VERIFIED).exists()
    assert expiry.restore(repository, alice) == Restored(2, left=0)
    assert Revision.objects.get(pk=first.pk).is_kept


def test_a_run_stops_in_time_and_goes_on(cast, flood, monkeypatch):
    repository, _ = flood
    other = cast.repository("acme/other")
    pushed(cast, other, title="step 1", files={"w.onnx": b"x"})
    pushed(cast, other, title="step 2", files={"w.onnx": b"y"})
    age(other)
    monkeypatch.setattr(expiry, "SLICE", 3)
    verbs.set_owner_rule("acme", cast.session("alice"), Limits(1))
    assert expiry.expire(repository, Limits(1)) == 3
    assert expiry.run(0) == 0
    assert expiry.run() == 7
    assert RetentionRule.objects.get().due_at > timezone.now()
    assert titles(repository) == ["step 7"]
    assert titles(other) == ["step 2"]


def test_rules_are_their_owners_and_a_repository_may_keep_everything(cast, flood):
    repository, _ = flood
    alice, bob, carol = map(cast.session, ("alice", "bob", "carol"))
    for by in (bob, carol):
        with pytest.raises(NotAllowed):
            verbs.set_owner_rule("acme", by, Limits(1))
        with pytest.raises(NotAllowed):
            verbs.set_rule(repository, by, Limits(1))
    with pytest.raises(NotAllowed):
        verbs.set_owner_rule("bob", alice, Limits(1))
    with pytest.raises(SignInRequired):
        verbs.require_owner("acme", cast.session("anonymous"))
    for wrong in (Limits(0), Limits(1, 0), Limits(1_000_001), Limits(1, 4_000)):
        with pytest.raises(ValueInvalid):
            verbs.set_rule(repository, alice, wrong)
    with pytest.raises(ValueInvalid):
        verbs.set_owner_rule("acme", alice, Limits(None))
    assert verbs.set_owner_rule("acme", alice, Limits(1))
    assert not verbs.set_owner_rule("acme", alice, Limits(1))
    assert verbs.set_rule(repository, alice, Limits(None))
    assert verbs.rule_of(repository).repository_id == repository.pk
    assert expiry.run() == 0
    assert verbs.clear_rule(repository, alice)
    assert not verbs.clear_rule(repository, alice)
    assert verbs.rule_of(repository).namespace_id == repository.namespace_id
    RetentionRule.objects.update(due_at=timezone.now())
    assert expiry.run() == 8


def test_a_proposal_keeps_its_own_versions_and_what_it_began_from(cast, flood):
    repository, _ = flood
    alice = cast.session("alice")
    ref = push.receive(Intent(repository, "refs/heads/main", alice, "idea", propose=True), [Inline("a", b"a")])
    push.receive(Intent(repository, ref.name, alice, "more"), [Inline("a", b"b")])
    head = push.receive(Intent(repository, ref.name, alice, "most"), [Inline("a", b"c")]).revision
    for n in range(3):
        pushed(cast, repository, title=f"late {n}", files={"w.onnx": b"late %d" % n})
    age(repository)
    expiry.expire(repository, Limits(1))
    assert titles(repository) == ["step 7"]  # the base of the proposal
    assert repository.revisions.filter(expired_at=None, title__in=["idea", "more", "most"]).count() == 3
    assert pull.entries(head)
    number = int(ref.name.removeprefix(refs.PULL_REQUESTS))
    reader = Client()
    reader.force_login(cast["alice"])
    page = f"/api/models/{repository.full_name}/discussions/{number}?diff=1"
    assert "\n+c\n" in reader.get(page).json()["diff"]


def test_lost_objects_are_swept_in_parts_and_with_few_questions(cast, flood, django_assert_max_num_queries):
    store, kept = blobs.store(), Blob.objects.count()
    lost = [f"{n:064x}" for n in range(0, 2**256, 2**251)]  # one or two in each part
    for name in lost:
        store.put(Keys.blob(name), [b"x"])
    with django_assert_max_num_queries(len(lost) * 6 + 2 * 24):
        counts = [garbage.sweep_lost_objects(-60, hour=hour) for hour in range(24)]
    assert set(counts) == {1, 2}
    assert sum(counts) == len(lost)
    assert [object_exists(Keys.blob(row.pk)) for row in Blob.objects.all()] == [True] * kept
