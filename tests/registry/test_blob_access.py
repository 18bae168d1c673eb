"""Bytes that one may use without sending them: those delivered here, and those one may download from elsewhere."""

import hashlib
from collections.abc import Iterable

import pytest

from registry.kernel import site_settings
from registry.models import Blob, Ref, Repository, RevisionFile, UploadedBlob
from registry.repos import downloads, pull
from tests.questions import Questions
from tests.registry import test_policy, test_team_policy
from tests.registry.test_policy import world
from tests.registry.test_team_policy import world as world_of_teams
from tests.sweep import at_merge, sweep

__all__ = ["world", "world_of_teams"]  # fixtures

EVERYBODYS = {"public", "dave's", "owner suspended", "archived"}  # nobody is suspended in these tests


def add_files(repositories: Iterable[Repository]) -> list[str]:
    """Put a file on each main that no other repository has; return their sha256."""
    found = []
    for repository in repositories:
        sha256 = hashlib.sha256(str(repository.pk).encode()).hexdigest()
        blob = Blob.objects.create(sha256=sha256, size=repository.pk)
        revision = Ref.objects.get(repository=repository, name=Ref.MAIN).revision
        columns = {"size": blob.size, "is_lfs": True, "git_oid": "a" * 40}
        RevisionFile.objects.create(revision=revision, path="w.bin", blob=blob, **columns)
        found.append(sha256)
    return found


@pytest.fixture
def target(cast) -> Repository:
    return cast.repository("carol/target", by="carol")


@pytest.mark.parametrize("pull_policy", ["open", *at_merge("verified")])
@sweep("who", test_policy.WHO)
def test_what_one_may_download_one_may_use(cast, world, target, who, pull_policy):
    _compare(cast, world, target, who, pull_policy, test_policy.caller)


@pytest.mark.parametrize("pull_policy", ["open", *at_merge("verified")])
@sweep("who", test_team_policy.WHO)
def test_what_a_team_opens_one_may_use(cast, world_of_teams, target, who, pull_policy):
    _compare(cast, world_of_teams, target, who, pull_policy, test_team_policy.caller)


def _compare(cast, world, target, who, pull_policy, caller):
    site_settings.change_setting("pull_policy", pull_policy, cast["ada"])
    digests = add_files(world.values())
    for state, repository in world.items():
        by = caller(cast, who, repository)
        expected = dict(pull.downloadable(by).filter(blob__in=digests).values_list("blob_id", "size"))
        assert downloads.usable_blobs(target, digests, by) == expected, (who, state)


def test_the_caller_decides_and_the_pull_policy(cast, world, target):
    files = dict(zip(world, add_files(world.values()), strict=True))

    def usable(name: str) -> set[str]:
        found = downloads.usable_blobs(target, files.values(), cast.session(name))
        return {state for state, sha256 in files.items() if sha256 in found}

    assert usable("anonymous") == EVERYBODYS
    assert usable("carol") == EVERYBODYS | {"gated, carol let in"}
    assert usable("erin") == EVERYBODYS | {"gated, carol let in", "gated", "private"}
    site_settings.change_setting("pull_policy", "verified", cast["ada"])
    Repository.objects.get(name="public").revisions.update(is_part=True)
    assert "public" not in usable("carol")
    assert "public" in usable("erin")
    site_settings.change_setting("pull_policy", "open", cast["ada"])
    assert "public" in usable("carol")


def test_a_narrow_token_uses_unproven_bytes_of_what_it_names_alone(cast, world, target):
    [public] = add_files([world["public"]])
    site_settings.change_setting("pull_policy", "verified", cast["ada"])
    Repository.objects.get(name="public").revisions.update(is_part=True)
    for who, is_usable in (("alice", True), ("alice:fine-read", True), ("alice:other", False), ("robot:other", False)):
        by = test_policy.caller(cast, who, world["public"])
        assert (public in downloads.usable_blobs(target, [public], by)) == is_usable, who


def test_bytes_that_were_delivered_here_need_no_other_right(cast, world, target):
    [private] = add_files([world["private"]])
    assert private not in downloads.usable_blobs(target, [private], cast.session("carol"))
    UploadedBlob.objects.create(repository=target, blob_id=private)
    assert private in downloads.usable_blobs(target, [private], cast.session("carol"))


def test_bytes_that_nobody_has_are_asked_for_as_those_that_one_may_not_use(cast, world, target):
    [private] = add_files([world["private"]])
    counts = []
    for digest in (private, "0" * 64):
        with Questions() as asked:
            assert downloads.usable_blobs(target, [digest], cast.session("carol")) == {}
        counts.append(len(asked))
    assert counts[0] == counts[1]
