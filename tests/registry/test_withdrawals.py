"""Holds and yanks of revisions: what each returns, writes down, and passes on to a commit that replaces another."""

import pytest

from registry.kernel.errors import ValueInvalid
from registry.models import AuditEvent, Repository, Revision
from registry.proof.verified import withdrawals
from registry.proof.verified.withdrawals import MAX_REASON
from tests.api.conftest import FILES, cast, judged, pushed, repository

__all__ = ["cast", "repository"]  # fixtures


def changes(action: str) -> tuple[object, object]:
    """Return what the audit log says of the last such act: the state before and after it."""
    event = AuditEvent.objects.filter(action=action).order_by("-pk")[0]
    return event.before, event.after


@pytest.fixture
def revision(repository: Repository) -> Revision:
    return repository.refs.get(name="refs/heads/main").revision


def test_a_hold_and_a_release_say_once_that_they_changed_something_and_write_it_down(revision: Revision):
    assert withdrawals.hold(revision, "A pickle.") is True
    assert withdrawals.hold(revision, "Another pickle.") is False
    assert changes("revision:quarantine") == ({"quarantined": False}, {"quarantined": True})
    assert withdrawals.decide(revision, withdrawals.Action.RELEASE, None, "A mistake.", "") is True
    assert changes("revision:release") == ({"quarantined": True}, {"quarantined": False})
    assert withdrawals.hold(revision, "A pickle.") is False, "a moderator released it"


def test_a_long_reason_of_the_hub_is_cut(revision: Revision):
    withdrawals.hold(revision, "x" * (MAX_REASON + 7))
    decision = withdrawals.decision_in_force(revision)
    assert decision is not None
    assert decision.reason == "x" * 500


def test_the_same_files_are_held_back_for_the_same_reason(cast, repository: Repository, revision: Revision):
    other = pushed(cast, repository, files=FILES | {"more.txt": b"x"})
    assert withdrawals.hold_like(other, revision) is False
    withdrawals.hold(revision, "A pickle.", finding="files.pickle")
    assert withdrawals.hold_like(other, revision) is True
    decision = withdrawals.decision_in_force(other)
    assert decision is not None
    assert (decision.reason, decision.finding) == ("A pickle.", "files.pickle")
    third = pushed(cast, repository, files=FILES | {"more.txt": b"y"})
    withdrawals.decide(revision, withdrawals.Action.RELEASE, None, "A mistake.", "")
    assert withdrawals.hold_like(third, revision) is False


def test_a_yank_and_its_end_say_once_that_they_changed_something_and_write_it_down(cast, revision: Revision):
    by = cast.session("alice")
    assert withdrawals.yank(revision, by, "Wrong labels.") is True
    assert changes("revision:yank") == ({"yanked": None}, {"yanked": "Wrong labels."})
    assert withdrawals.yank(revision, by, "Other labels.") is False
    assert revision.yank_reason == "Wrong labels."
    assert withdrawals.unyank(revision, by) is True
    assert changes("revision:unyank") == ({"yanked": "Wrong labels."}, {"yanked": None})
    assert withdrawals.unyank(revision, by) is False


def test_the_reason_of_a_yank_is_a_sentence_of_at_most_500_characters(cast, revision: Revision):
    for reason in ("", " ", "x" * 501):
        with pytest.raises(ValueInvalid):
            withdrawals.yank(revision, cast.session("alice"), reason)
    assert withdrawals.yank(revision, cast.session("alice"), "x" * 500)


def test_another_revision_is_left_only_if_it_passed(cast, repository: Repository, revision: Revision):
    judged(revision, "failed")
    second = pushed(cast, repository, files=FILES | {"more.txt": b"x"})
    judged(second)
    assert withdrawals.consequences(second).has_other is False
    third = pushed(cast, repository, files=FILES | {"more.txt": b"y"})
    judged(third)
    assert withdrawals.consequences(third).has_other is True
    withdrawals.hold(second, "A pickle.")
    assert withdrawals.consequences(third).has_other is False


def test_a_commit_in_place_of_a_yanked_one_is_yanked_in_the_same_repository_alone(cast, repository: Repository):
    old, new = (pushed(cast, repository, files=FILES | {"more.txt": text}) for text in (b"x", b"y"))
    elsewhere = pushed(cast, cast.repository("alice/elsewhere"))
    withdrawals.carry(old, new)
    assert Revision.objects.get(pk=new.pk).yanked_at is None
    withdrawals.yank(old, cast.session("alice"), "Wrong labels.")
    withdrawals.carry(old, elsewhere)
    assert Revision.objects.get(pk=elsewhere.pk).yanked_at is None
    withdrawals.carry(old, new)
    carried = Revision.objects.get(pk=new.pk)
    assert (carried.yanked_at, carried.yank_reason) == (old.yanked_at, "Wrong labels.")
