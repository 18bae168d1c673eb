"""Two at once: what happens when administrators, moderators and newcomers act at the same moment."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.sql import DeleteQuery

from registry.bytes.blobs import digest_of
from registry.kernel import site_settings
from registry.kernel.errors import RegistryError, RepositoryNotFound, StoreUnavailable, ValueInvalid
from registry.kernel.policy import Caller
from registry.models import (
    AuditEvent,
    Blob,
    Event,
    ModerationDecision,
    OpenPush,
    OutboxEvent,
    Repository,
    UploadedBlob,
    User,
)
from registry.moderation import quarantine
from registry.people import accounts
from registry.proof.verified import withdrawals
from registry.publish import moves, open_pushes, push, repositories
from registry.publish.push import Inline, Intent, request
from registry.repos.refs import MAIN
from registry.talk import dispatch
from tests.together import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_moderators_make_one_ruling(cast):
    bad = cast.repository("acme/bad")

    def rule(who: str) -> Callable[[], bool]:
        by = cast.session(who)
        row = Repository.objects.select_related("namespace").get(pk=bad.pk)
        return lambda: quarantine.quarantine(row, by, reason=f"Says {who}.")

    assert sorted(at_once(rule("mona"), rule("ada"))) == [False, True]
    assert ModerationDecision.objects.count() == AuditEvent.objects.filter(action="adapter:quarantine").count() == 1


def test_two_administrators_cannot_dismiss_each_other_at_once(cast):
    bob = cast["bob"]
    accounts.set_role(bob, "admin", by=None)
    ada, by_bob, by_ada = cast["ada"], Caller(user=bob), cast.session("ada")
    results = at_once(
        lambda: accounts.set_role(bob, "user", by=by_ada), lambda: accounts.set_role(ada, "user", by=by_bob)
    )
    assert sum(isinstance(result, ValueInvalid) for result in results) == 1
    assert User.objects.filter(role="admin").count() == 1


def test_two_people_of_one_name_are_one_person(cast):
    def join() -> User:
        return accounts.create_person("Zoe")

    results = at_once(join, join, join)
    assert sum(isinstance(result, User) for result in results) == 1
    assert {result.code for result in results if isinstance(result, RegistryError)} == {"name-taken"}


def wait_for_a_lock_that_is_not_granted() -> None:
    """Wait until another connection waits for a row of ours; SQLite lets nobody begin, so there is nothing to see."""
    deadline = time.monotonic() + 180
    while connection.vendor == "postgresql" and time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)


def test_a_push_while_its_parent_is_being_held_back_stays_listed(cast, settings, tmp_path):
    """The hold waits for the push, and then sees where main points now."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    repository = cast.repository("acme/adapter")
    head = repository.refs.get(name=MAIN).revision
    hold = threading.Thread(target=at_once, args=[lambda: withdrawals.hold(head, "A reason.")])
    with transaction.atomic():
        Repository.objects.select_for_update().get(pk=repository.pk)
        hold.start()
        wait_for_a_lock_that_is_not_granted()
        push.receive(Intent(repository, MAIN, cast.session("alice"), "push"), [Inline("README.md", b"# New\n")])
    hold.join()
    head.refresh_from_db()
    repository.refresh_from_db()
    assert (head.is_quarantined, repository.is_main_held) == (True, False)


def test_a_push_whose_bytes_are_swept_before_its_rows_are_written_is_repeated(cast, monkeypatch):
    repository = cast.repository("alice/slow")
    intent = Intent(repository, MAIN, cast.session("alice"), title="Slow")
    compose = push.request.compose

    def compose_late(*arguments: Any) -> Any:
        draft = compose(*arguments)
        UploadedBlob.objects.filter(blob=digest_of(b"late").sha256).delete()
        Blob.objects.filter(pk=digest_of(b"late").sha256).delete()
        return draft

    with monkeypatch.context() as patch:
        patch.setattr(push.request, "compose", compose_late)
        with pytest.raises(StoreUnavailable, match="uploaded too long ago"):
            push.receive(intent, [Inline("late.txt", b"late")])
    assert push.receive(intent, [Inline("late.txt", b"late")]).revision.files.filter(path="late.txt").exists()


@pytest.mark.parametrize("change", ["private", "another name"])
def test_the_event_of_a_push_tells_of_the_repository_as_it_is_when_the_push_lands(cast, monkeypatch, settings, change):
    """A watcher of the owner must not hear of a version whose repository became private while its bytes came."""
    settings.OUTBOX_DOORBELL = "tests.api.conftest.notify_nobody"  # the event stays to be read
    repository, by, compose = cast.repository("alice/one"), cast.session("alice"), request.compose

    def compose_late(*facts: Any) -> request.Draft:
        now = Repository.objects.get(pk=repository.pk)
        if change == "private":
            repositories.set_private(now, True, by)
        else:
            moves.move(now, "alice/two", by)
        return compose(*facts)

    monkeypatch.setattr(request, "compose", compose_late)
    push.receive(Intent(repository, MAIN, by, title="Second"), [Inline("new.txt", b"1")])
    told = OutboxEvent.objects.filter(kind="ref-moved").latest("pk").repository
    assert (told["private"], told["name"]) == ((True, "one") if change == "private" else (False, "two"))


def test_two_announcements_of_one_push_at_once_are_both_counted(cast, monkeypatch):
    repository, both_found_none, save = cast.repository("alice/one"), threading.Barrier(2), OpenPush.save

    def insert_together(row: OpenPush, **options: Any) -> None:
        if row.pk is None:
            with suppress(threading.BrokenBarrierError):
                both_found_none.wait(timeout=1)  # in vain with SQLite: the second one waits for the first
        save(row, **options)

    monkeypatch.setattr(OpenPush, "save", insert_together)

    def announce(prefix: str) -> Callable[[], None]:
        coming = {f"{prefix}{number}": 1 for number in range(open_pushes.ANNOUNCED_AT_ONCE)}
        return lambda: open_pushes.expect(repository, MAIN, cast["alice"], coming, {})

    at_once(announce("a"), announce("b"))
    row = OpenPush.objects.get()
    assert row.announced == row.expected == 2 * open_pushes.ANNOUNCED_AT_ONCE


def test_a_deletion_for_good_takes_what_comes_for_the_repository_meanwhile(cast, monkeypatch):
    repository, is_late, delete = cast.repository("alice/one"), threading.Event(), DeleteQuery.delete_batch
    site_settings.change_setting("bin_days", "0", cast["ada"])

    def delete_late(query: DeleteQuery, keys: list[int], using: str) -> int:
        if query.get_meta().model is Repository and not is_late.is_set():
            is_late.set()
            time.sleep(0.5)  # for the announcement: those before it are deleted already
        return delete(query, keys, using)

    monkeypatch.setattr(DeleteQuery, "delete_batch", delete_late)

    def announce() -> str:
        assert is_late.wait(10)
        with suppress(RepositoryNotFound):  # SQLite lets it wait
            open_pushes.expect(repository, MAIN, cast["alice"], {"a": 1}, {})
        return "announced"

    assert at_once(lambda: repositories.delete(repository, cast.session("alice")), announce) == [None, "announced"]
    assert not Repository.with_binned.exists()
    assert not OpenPush.objects.exists()


def test_entries_of_the_feed_that_are_written_at_once_have_a_number_each():
    """A later number is never seen before an earlier one: the second transaction waits for the commit of the first."""

    def write(name: str) -> Callable[[], int]:
        def entry() -> int:
            with transaction.atomic():
                number = dispatch.next_number()
                Event.objects.create(kind="push", type="model", name=name, was_public=True, seq=number)
                time.sleep(0.05)  # in which another one would take the same number
                return number

        return entry

    first = dispatch.highest() + 1
    numbers = at_once(*(write(f"alice/a{number}") for number in range(4)))
    assert sorted(numbers) == list(range(first, first + 4))
    assert set(Event.objects.filter(seq__gte=first).values_list("seq", flat=True)) == set(numbers)
