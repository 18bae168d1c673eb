"""Rows that a push writes beside its files: one revision for one content, what it replaces, whose verdict it has."""

from datetime import timedelta

import pytest

from registry.bytes import intake
from registry.kernel.errors import FileNotFound
from registry.models import OutboxEvent, Repository, Revision, Verdict
from registry.proof.verdicts import requests
from registry.publish import branches, push
from registry.publish.push import MAIN, Deletion, Inline, Intent, content, rows
from registry.repos import pull, refs
from tests.api.conftest import FILES, cast, judged, pushed, repository

__all__ = ["cast", "repository"]  # fixtures


@pytest.fixture
def revision(repository: Repository) -> Revision:
    return refs.resolve_ref(repository, MAIN)


def test_the_same_push_in_the_same_second_is_the_revision_that_is_there(repository: Repository, revision: Revision):
    words = {"title": revision.title, "message": revision.message}
    again = {"parent": revision.parent, "author": revision.author, "at": revision.created_at, **words}
    assert rows.write(repository, pull.entries(revision), **again) == (revision, 0)
    later = again | {"at": revision.created_at + timedelta(seconds=1)}
    assert rows.write(repository, pull.entries(revision), **later)[0] != revision


def test_a_push_of_what_is_there_moves_nothing_and_says_nothing(cast, repository: Repository, revision: Revision):
    before = OutboxEvent.objects.count()
    assert pushed(cast, repository, title="again") == revision
    assert OutboxEvent.objects.count() == before
    assert pushed(cast, repository, files={"more.txt": b"x"}) != revision
    assert OutboxEvent.objects.count() > before


def test_files_on_top_of_a_revision_are_a_commit_of_their_own(cast, repository: Repository, revision: Revision):
    intent = Intent(repository, MAIN, cast.session("alice"), "the same again")
    put = push.put(intent, pull.entries(revision), onto=revision).revision
    assert (put != revision, put.parent) == (True, revision)


def test_what_engines_said_of_the_version_before_is_not_shown_of_a_new_one(cast, repository: Repository):
    Repository.objects.filter(pk=repository.pk).update(serves="\nvllm\n")
    pushed(cast, repository, files=FILES | {"more.txt": b"x"})
    repository.refresh_from_db()
    assert repository.serves == ""


@pytest.mark.parametrize(("limit", "most"), [("BATCH_FILES", 2), ("BATCH_BYTES", 4)])
def test_small_files_are_stored_in_batches(cast, repository: Repository, monkeypatch, limit, most):
    stored: list[int] = []
    receive = intake.receive_inline
    monkeypatch.setattr(content, limit, most)
    monkeypatch.setattr(intake, "receive_inline", lambda where, *all: stored.append(len(all)) or receive(where, *all))
    edits = content.keep(
        Intent(repository, MAIN, cast.session("alice"), "many"), [Inline(f"{n}.txt", b"xy") for n in range(5)]
    )
    assert (len(edits), stored) == (5, [2, 2, 1])


def test_a_squash_says_which_head_it_replaces_and_a_push_replaces_none(cast, repository: Repository):
    head = pushed(cast, repository, files=FILES | {"more.txt": b"x"})
    assert (head.parent is None, head.replaces) == (False, None)
    squashed = branches.squash(repository, "main", "One", cast.session("alice")).revision
    assert (squashed.parent, squashed.replaces) == (None, head)


def test_a_rewritten_commit_has_a_verdict_only_where_the_old_one_had(cast, repository: Repository, revision: Revision):
    judged(revision)
    second = pushed(cast, repository, files=FILES | {"more.txt": b"x"})
    Verdict.objects.filter(revision=second).delete()
    for old, has_one in ((revision, True), (second, False)):
        copy = push.rewrite(old, None)
        assert copy != old
        assert (requests.latest(copy) is not None) == has_one


def test_refs_that_were_moved_directly_get_the_verdict_that_they_lack(cast, repository: Repository, revision: Revision):
    Verdict.objects.filter(revision=revision).delete()
    Repository.objects.filter(pk=repository.pk).update(state="", outcome="")
    push.settle(repository)
    queued = requests.latest(revision)
    assert queued is not None
    repository.refresh_from_db()
    assert (queued.state, repository.state) == ("queued", "queued")
    push.settle(repository)
    assert requests.latest(revision) == queued, "one verdict is enough"


def test_a_push_is_no_repetition_of_the_last_one_because_both_delete_what_was_never_there(cast, repository: Repository):
    pushed(cast, repository, title="again", files=FILES | {"more.txt": b"x"})
    intent = Intent(repository, MAIN, cast.session("alice"), "again")
    with pytest.raises(FileNotFound):
        push.receive(intent, [Deletion("never.txt")])
    removal = Intent(repository, MAIN, cast.session("alice"), "remove")
    removed = push.receive(removal, [Deletion("more.txt")])
    assert push.receive(removal, [Deletion("more.txt")]).revision == removed.revision, "its answer was lost"
