"""Releases: their versions and order, the revisions they may be made of, and what happens to them afterwards."""

import random

import pytest

from features.releases import verbs
from features.releases.models import Release
from features.releases.verbs import ReleaseNotFound, ReleaseRefused
from registry.bytes import intake
from registry.kernel.errors import (
    NotAllowed,
    RefExists,
    RefProtected,
    RepositoryQuarantined,
    RevisionNotFound,
    ValueInvalid,
)
from registry.kernel.policy import NOBODY
from registry.models import Event, Ref, Repository, Revision
from registry.moderation import quarantine
from registry.proof.verified import withdrawals
from registry.publish import branches, push, repositories, retirement
from registry.repos import pull, refs
from registry.talk import dispatch
from tests.api.conftest import FILES, judged, pushed

# Section 11 of SemVer 2.0.0, and what its text adds.
ORDER = [
    *("0.9.9", "1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-alphabet"),
    *("1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-0", "1.0.1", "1.2.0", "1.10.0"),
    *("2.0.0", "10.0.0"),
]
NO_VERSIONS = [
    *("1.0", "v1.0.0.0", "1.0.0-01", "01.0.0", "1.0.0-", "1.0.0+", "V1.0.0", "1.0.0-a..b", "١.0.0", "latest", "-1.0.0"),
    *("1.0.0\n", "1.0.0-ä", "", "1.0.0\0", f"1.0.0-{'a' * 60}"),
]


def test_versions_sort_by_their_precedence():
    versions = [verbs.parse(text) for text in ORDER]
    mixed = random.Random(1).sample(versions, len(versions))
    assert [version.text for version in sorted(mixed, key=lambda version: version.precedence)] == ORDER
    assert len({version.precedence for version in versions}) == len(ORDER)
    assert verbs.parse("v1.0.0+cpu").precedence == verbs.parse("1.0.0+gpu.1").precedence
    assert [version.text for version in versions if not version.is_prerelease] == [
        text for text in ORDER if "-" not in text
    ]


def test_what_is_no_semantic_version_is_refused():
    for text in NO_VERSIONS:
        with pytest.raises(ValueInvalid):
            verbs.parse(text)


@pytest.fixture
def repository(cast, settings, tmp_path) -> Repository:
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    return cast.repository("acme/reviews")


@pytest.fixture
def versions(cast, repository) -> list[Revision]:
    """Two versions that passed and one without a verdict, the oldest first."""
    made = [pushed(cast, repository, files={**FILES, "README.md": f"# {n}\n".encode()}) for n in range(3)]
    for revision in made[:2]:
        judged(revision, depth="run")
    return made


def test_releases_are_listed_by_precedence_and_the_latest_is_stable_and_served(cast, repository, versions):
    bob, carol = cast.session("bob"), cast.session("carol")
    for tag in ("v1.2.0", "v1.10.0", "v2.0.0-rc.1"):
        verbs.create(repository, tag, versions[0], bob)
    newest = verbs.create(repository, "v1.11.0", versions[1], bob, title="Longer", is_prerelease=True)
    order = ["v2.0.0-rc.1", "v1.11.0", "v1.10.0", "v1.2.0"]
    first = verbs.listed(repository, carol, limit=3)
    rest = verbs.listed(repository, carol, below=int(first.next), limit=3)
    assert [release.tag for release in first.items + rest.items] == order
    assert rest.next == ""
    assert [release.tag for release in verbs.newest(repository, NOBODY, 2)] == ["v1.11.0", "v2.0.0-rc.1"]
    assert verbs.latest(repository).tag == "v1.10.0"
    assert verbs.edit(repository, "v1.11.0", bob, is_prerelease=False)
    assert verbs.find(repository, "latest", NOBODY) == newest
    assert pull.resolve_pulled(repository, "v1.11.0") == versions[1]
    withdrawals.yank(versions[1], bob, "Wrong labels.")
    assert verbs.latest(repository).tag == "v1.10.0"
    quarantine.quarantine(repository, cast.session("mona"), reason="It phones home.", revision=versions[0])
    assert verbs.latest(repository) is None
    assert [release.tag for release in verbs.listed(repository, carol, limit=9).items] == ["v1.11.0"]
    assert len(verbs.listed(repository, bob, limit=9).items) == 4
    with pytest.raises(ReleaseNotFound):
        verbs.find(repository, "v1.2.0", carol)
    with pytest.raises(RepositoryQuarantined):
        verbs.create(repository, "v3.0.0", versions[0], bob, force=True)


def test_a_release_is_made_of_a_version_that_passed_or_by_force(cast, repository, versions):
    bob = cast.session("bob")
    with pytest.raises(ReleaseRefused, match="has not passed"):
        verbs.create(repository, "v1.0.0", versions[2], bob)
    assert not Ref.objects.filter(name="refs/tags/v1.0.0").exists()
    assert verbs.create(repository, "v1.0.0", versions[2], bob, force=True).is_forced
    assert not verbs.create(repository, "v1.1.0", versions[1], bob, force=True).is_forced
    withdrawals.yank(versions[0], bob, "Wrong labels.")
    with pytest.raises(ReleaseRefused, match="is yanked"):
        verbs.create(repository, "v1.2.0", versions[0], bob, force=True)
    assert verbs.revision_for(repository, "v1.0.0", "", bob) == versions[2], "the one that the tag names"
    assert verbs.revision_for(repository, "v9.0.0", "", bob) == versions[1], "verified"
    data = cast.repository("acme/rows", type="dataset")
    verbs.create(data, "1.0.0", verbs.revision_for(data, "1.0.0", "", bob), bob)


def test_watchers_are_told_of_releases(cast, repository, versions):
    modules = (pytest.importorskip(f"features.notify.{name}") for name in ("alerts", "notices", "preferences"))
    (alerts, notices, preferences), bob = modules, cast.session("bob")
    Alert = alerts.Alert
    for name, level in (("carol", "releases"), ("erin", "all"), ("bob", "all"), ("alice", "ignore")):
        preferences.watch(repository, level, cast.session(name))
    dispatch.run()
    Alert.objects.all().delete()
    for tag in ("v0.9.0", "v0.9.1"):
        verbs.create(repository, tag, versions[1], bob)
        dispatch.run()
    [heard, other] = Alert.objects.filter(kind="release-made").order_by("user__username")
    assert (heard.user.username, other.user.username, heard.topic) == ("carol", "erin", "watched")
    assert notices.sentence(heard) == "bob released v0.9.1 of acme/reviews (2 since your last visit)."
    assert notices.address(heard) == "/acme/reviews/releases"
    assert heard in alerts.of(cast["carol"])
    verbs.create(repository, "v1.0.0", versions[1], bob)
    verbs.delete(repository, "v1.0.0", bob, keep_tag=False)
    dispatch.run()
    assert not Alert.objects.filter(data__tag="v1.0.0").exists(), "it was gone before anybody heard of it"


def test_the_feed_tells_of_releases(cast, repository, versions):
    bob = cast.session("bob")
    verbs.create(repository, "v1.0.0", versions[1], bob, title="First", notes="Long.")
    verbs.edit(repository, "v1.0.0", bob, title="The first")
    verbs.edit(repository, "v1.0.0", bob, title="The first")
    verbs.delete(repository, "v1.0.0", bob, keep_tag=False)
    dispatch.run()
    fed = list(Event.objects.filter(kind="tag-release").order_by("pk"))
    assert [(row.data["action"], row.data["title"]) for row in fed] == [
        ("create", "First"), ("update", "The first"), ("delete", "The first"),
    ]  # fmt: skip
    assert {(row.revision, row.data["tag"], row.data["prerelease"]) for row in fed} == {
        (versions[1].oid, "v1.0.0", False)
    }


def test_a_release_needs_a_free_tag_or_its_own(cast, repository, versions):
    bob = cast.session("bob")
    branches.create_ref(repository, "refs/tags/v1.0.0", versions[0], bob)
    with pytest.raises(RefExists, match="for another version"):
        verbs.create(repository, "v1.0.0", versions[1], bob)
    verbs.create(repository, "v1.0.0", versions[0], bob)
    with pytest.raises(RefExists, match="has a release"):
        verbs.create(repository, "v1.0.0", versions[0], bob)
    for who, refusal in (("erin", NotAllowed), ("carol", NotAllowed)):
        with pytest.raises(refusal):
            verbs.create(repository, "v1.1.0", versions[0], cast.session(who))
    verbs.create(repository, "v2.0.0-rc.1", versions[0], bob)
    with pytest.raises(ValueInvalid, match="named as a pre-release"):
        verbs.edit(repository, "v2.0.0-rc.1", bob, is_prerelease=False)
    assert not verbs.edit(repository, "v1.0.0", bob, title=""), "nothing changed"
    assert Release.objects.get(ref__name="refs/tags/v1.0.0").edited_at is None


def test_a_tag_stays_while_its_release_does_and_may_go_with_it(cast, repository, versions):
    bob = cast.session("bob")
    for tag in ("v1.0.0", "v1.1.0"):
        verbs.create(repository, tag, versions[0], bob)
        with pytest.raises(RefProtected, match="is a release"):
            branches.delete_ref(repository, f"refs/tags/{tag}", bob)
    verbs.delete(repository, "v1.0.0", bob)
    assert pull.resolve(repository, "v1.0.0") == versions[0]
    verbs.delete(repository, "v1.1.0", bob, keep_tag=False)
    with pytest.raises(RevisionNotFound):
        pull.resolve(repository, "v1.1.0")
    with pytest.raises(ReleaseNotFound):
        verbs.delete(repository, "v1.1.0", bob)


def test_a_release_follows_a_rewritten_history_and_goes_with_its_repository(cast, repository):
    alice = cast.session("alice")
    [stored] = intake.receive_inline(repository, b"weights with a secret")
    operations = [push.Stored("old.safetensors", stored.sha256)]
    doomed = push.receive(push.Intent(repository, refs.MAIN, alice, "Large"), operations).revision
    verbs.create(repository, "v1.0.0", doomed, alice, force=True)
    branches.forget_files(repository, [stored.sha256], alice)
    released = verbs.latest(repository).ref.revision
    assert released.oid != doomed.oid
    assert "old.safetensors" not in pull.entries(released)
    repositories.delete(repository, alice)
    retirement.purge(repository.pk, alice)
    assert not Release.objects.exists()
