"""Aliases: who moves them and to what, where they lead when a version is withdrawn, and who hears of it."""

import threading

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from registry.bytes import intake
from registry.kernel.errors import (
    AliasNotFound,
    AliasRefused,
    AliasUnproven,
    NotAllowed,
    QuotaExceeded,
    RefExists,
    RepositoryArchived,
    RepositoryQuarantined,
    RevisionNotFound,
    ValueInvalid,
)
from registry.models import Alias, AliasMove, AuditEvent, Event, Repository, Revision
from registry.models.extensions import ChangeRefused
from registry.moderation import quarantine
from registry.proof.verified import aliases as deeds
from registry.proof.verified import withdrawals
from registry.proof.verified.verified import move_verified
from registry.publish import branches, moves, push, repositories, retirement
from registry.repos import pull, refs
from registry.talk import dispatch
from tests.api.conftest import FILES, judged, pushed
from tests.sweep import sweep

NAME = "acme/reviews"


@pytest.fixture
def repository(cast, settings, tmp_path) -> Repository:
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    return cast.repository(NAME)


def version(cast, repository: Repository, words: str, state: str = "passed", depth: str = "run") -> Revision:
    revision = pushed(cast, repository, files={**FILES, "README.md": words.encode()})
    if state:
        judged(revision, state, depth=depth)
    return revision


@pytest.fixture
def versions(cast, repository) -> list[Revision]:
    """Three verified versions, the oldest first; main is at the last."""
    return [version(cast, repository, f"# {word}\n") for word in ("one", "two", "three")]


def put(cast, repository: Repository, revision: Revision, name: str = "prod", who: str = "bob", **more) -> bool:
    return deeds.set_alias(repository, name, revision, cast.session(who), **more)


def at(repository: Repository, name: str = "prod") -> str:
    return pull.resolve_pulled(repository, name).oid


def told(name: str = "prod") -> list[tuple[str, str, str]]:
    return list(AliasMove.objects.filter(alias=name).order_by("pk").values_list("action", "before", "after"))


# --- setting ---------------------------------------------------------------------------------------------------------
def test_an_alias_is_set_moved_and_removed(cast, repository, versions):
    one, two, _ = versions
    assert put(cast, repository, one, reason="The first.")
    assert not put(cast, repository, two)
    assert not put(cast, repository, two), "a no-op"
    assert at(repository) == at(repository, "refs/aliases/prod") == two.oid
    state = refs.find(repository, "prod")
    assert (state.alias.set_by.username, state.is_fallback, state.alias.is_forced) == ("bob", False, False)
    deeds.remove_alias(repository, "prod", cast.session("bob"))
    with pytest.raises(RevisionNotFound):
        at(repository)
    with pytest.raises(AliasNotFound):
        refs.find(repository, "prod")
    assert told() == [("set", "", one.oid), ("set", one.oid, two.oid), ("remove", two.oid, "")]


def test_who_may_not_write_moves_nothing(cast, repository, versions):
    put(cast, repository, versions[0])
    put(cast, repository, versions[1])
    for who in ("carol", "dave", "erin", "mona"):
        for deed in (
            lambda who=who: put(cast, repository, versions[2], who=who),
            lambda who=who: deeds.roll_back(repository, "prod", cast.session(who)),
            lambda who=who: deeds.remove_alias(repository, "prod", cast.session(who)),
        ):
            with pytest.raises(NotAllowed):
                deed()
    assert at(repository) == versions[1].oid
    retirement.archive(repository, cast.session("alice"))
    with pytest.raises(RepositoryArchived):
        put(cast, repository, versions[2])


@sweep("name", [
    "", "main", "verified", "refs", "head", "latest", "none", "Prod", "a/b", "a b", "-a", "a-", "deadbeef", "0" * 40,
    "a..b", "x.lock", "x" * 65, "a\0b", "prod\n", "pröd",
])  # fmt: skip
def test_some_names_are_no_aliases(cast, repository, versions, name):
    with pytest.raises(ValueInvalid, match="is not a valid alias"):
        put(cast, repository, versions[0], name)
    assert not Alias.objects.exists()


@sweep("name", ["prod", "champion", "v1.2", "a", "0", "blue-green_2", "x" * 64, "dead"])
def test_other_names_are(cast, repository, versions, name):
    assert put(cast, repository, versions[0], name)
    assert at(repository, name) == versions[0].oid


@sweep("name", ["deadbeef", "DEADBEEF", "20261201", "decade", "12345", "0" * 40])
def test_no_new_branch_or_tag_looks_like_the_beginning_of_a_commit(cast, client, repository, versions, name):
    for ref in (f"refs/heads/{name}", f"refs/tags/{name}"):
        with pytest.raises(ValueInvalid, match="not a valid name of a branch or tag"):
            branches.create_ref(repository, ref, versions[0], cast.session("alice"))
    bearer = {"headers": {"Authorization": f"Bearer {cast.token('alice')}"}, "content_type": "application/json"}
    at, body = f"/api/models/{repository.full_name}", {"tag": name}
    assert client.post(f"{at}/tag/{versions[0].oid}", body, **bearer).status_code == 400
    assert client.post(f"{at}/branch/{name}", {}, **bearer).status_code == 400
    client.force_login(cast["alice"])
    page = f"/{repository.full_name}/commits/main/refs/create"
    assert client.post(page, {"name": name, "kind": "tag"}).status_code == 400
    assert not repository.refs.filter(name__endswith=name).exists()


def test_a_branch_that_looks_so_already_goes_on(cast, repository, versions):
    name, alice = versions[1].oid[:8], cast.session("alice")
    repository.refs.create(name=f"refs/heads/{name}", revision=versions[0])
    assert pull.resolve(repository, name).oid == versions[0].oid
    moved = push.receive(push.Intent(repository, refs.full_ref(name), alice, "x"), [push.Inline("a.txt", b"x")])
    assert pull.resolve(repository, name).oid == moved.revision.oid
    branches.delete_ref(repository, f"refs/heads/{name}", alice)
    assert pull.resolve(repository, name).oid == versions[1].oid


@pytest.mark.parametrize("name", ["dead", "decades", "v20261201", "2026-12-01", "0" * 41])
def test_other_names_are_branches_and_tags(cast, repository, versions, name):
    branches.create_ref(repository, f"refs/tags/{name}", versions[0], cast.session("alice"))


def test_branches_tags_and_aliases_share_their_names(cast, repository, versions):
    alice = cast.session("alice")
    branches.create_ref(repository, "refs/heads/Next", versions[0], alice)
    branches.create_ref(repository, "refs/tags/v1", versions[0], alice)
    for name, noun in (("next", "branch"), ("v1", "tag")):
        with pytest.raises(RefExists, match=f"has a {noun} '{name}'"):
            put(cast, repository, versions[0], name)
    put(cast, repository, versions[0], "prod")
    for ref in ("refs/heads/prod", "refs/tags/prod", "refs/heads/PROD"):
        with pytest.raises(RefExists, match="has an alias 'prod'"):
            branches.create_ref(repository, ref, versions[1], alice)
    with pytest.raises(RevisionNotFound):  # an alias takes no push
        push.receive(push.Intent(repository, refs.full_ref("prod"), alice, "x"), [push.Inline("a.txt", b"x")])


@pytest.mark.parametrize(("state", "depth"), [("failed", "run"), ("", ""), ("passed", "static")])
def test_what_has_not_passed_is_set_by_force_with_a_reason_alone(cast, repository, versions, state, depth):
    unproven = version(cast, repository, "# Doubtful\n", state, depth)
    with pytest.raises(AliasUnproven) as refusal:
        put(cast, repository, unproven)
    assert refusal.value.code == "alias-unproven"
    with pytest.raises(ValueInvalid, match="requires a reason"):
        put(cast, repository, unproven, force=True)
    assert put(cast, repository, unproven, force=True, reason="A trial.")
    assert refs.find(repository, "prod").alias.is_forced
    assert at(repository) == unproven.oid


def test_force_on_a_version_that_passed_forces_nothing(cast, repository, versions):
    put(cast, repository, versions[0], force=True, reason="To be sure.")
    assert not refs.find(repository, "prod").alias.is_forced


def test_what_is_withdrawn_is_never_set(cast, repository, versions):
    withdrawals.yank(versions[0], cast.session("alice"), "Wrong labels.")
    with pytest.raises(AliasRefused, match="is yanked: Wrong labels") as refusal:
        put(cast, repository, versions[0], force=True, reason="x")
    assert refusal.value.code == "alias-refused"
    quarantine.quarantine(repository, cast.session("mona"), reason="A look.", revision=versions[1])
    with pytest.raises(RepositoryQuarantined):
        put(cast, repository, versions[1], force=True, reason="x")
    foreign = version(cast, cast.repository("acme/other"), "# Other\n")
    with pytest.raises(RevisionNotFound):
        put(cast, repository, foreign)
    assert not Alias.objects.exists()


def test_datasets_have_no_aliases_and_a_repository_has_a_hundred(cast, repository, versions, monkeypatch):
    dataset = cast.repository("acme/rows", type="dataset")
    with pytest.raises(ValueInvalid, match="only adapters have aliases"):
        put(cast, dataset, dataset.refs.get(name=refs.MAIN).revision, force=True, reason="x")
    monkeypatch.setattr(deeds, "MAX_ALIASES", 1)
    put(cast, repository, versions[0])
    with pytest.raises(QuotaExceeded):
        put(cast, repository, versions[0], "staging")


# --- rolling back ----------------------------------------------------------------------------------------------------
def test_each_rollback_goes_one_version_further_back(cast, repository, versions):
    for revision in versions:
        put(cast, repository, revision)
    bob = cast.session("bob")
    deeds.roll_back(repository, "prod", bob, "Slow.")
    assert at(repository) == versions[1].oid
    deeds.roll_back(repository, "prod", bob)
    assert at(repository) == versions[0].oid, "not forward again to the version that was rolled back from"
    with pytest.raises(AliasRefused, match="has no earlier version"):
        deeds.roll_back(repository, "prod", bob)
    put(cast, repository, versions[2])
    deeds.roll_back(repository, "prod", bob)
    assert at(repository) == versions[0].oid


def test_a_rollback_skips_what_is_withdrawn(cast, repository, versions):
    for revision in versions:
        put(cast, repository, revision)
    withdrawals.yank(versions[1], cast.session("alice"), "Wrong labels.")
    deeds.roll_back(repository, "prod", cast.session("bob"))
    assert at(repository) == versions[0].oid


def test_a_removed_alias_begins_again(cast, repository, versions):
    put(cast, repository, versions[0])
    deeds.remove_alias(repository, "prod", cast.session("bob"))
    put(cast, repository, versions[1])
    with pytest.raises(AliasRefused):
        deeds.roll_back(repository, "prod", cast.session("bob"))
    with pytest.raises(AliasNotFound) as refusal:
        deeds.roll_back(repository, "staging", cast.session("bob"))
    assert refusal.value.code == "alias-not-found"


# --- falling back ----------------------------------------------------------------------------------------------------
def withdraw(cast, how: str, revision: Revision):
    """Withdraw a revision; return the act that takes this back."""
    if how == "yank":
        withdrawals.yank(revision, cast.session("alice"), "Wrong labels.")
        return lambda: withdrawals.unyank(revision, cast.session("alice"))
    mona, repository = cast.session("mona"), revision.repository
    quarantine.quarantine(repository, mona, reason="A look.", revision=revision)
    return lambda: quarantine.release(repository, mona, reason="Fine.", revision=revision)


@pytest.mark.parametrize("how", ["yank", "hold"])
def test_an_alias_falls_back_to_what_it_named_before_and_returns(cast, repository, versions, how):
    one, two, three = versions
    put(cast, repository, one)
    put(cast, repository, three)
    back = withdraw(cast, how, three)
    assert at(repository) == one.oid, "two is newer and was never named"
    state = refs.find(repository, "prod")
    assert state.is_fallback
    assert state.fallback_reason == {"yank": "yanked: Wrong labels.", "hold": "held back by moderators"}[how]
    back()
    assert at(repository) == three.oid
    assert told()[2:] == [("fallback", three.oid, one.oid), ("return", one.oid, three.oid)]
    assert not refs.find(repository, "prod").is_fallback
    assert two.oid not in {oid for _, *oids in told() for oid in oids}


def test_without_an_earlier_one_it_is_the_newest_verified_before_it_and_then_none(cast, repository, versions):
    one, two, three = versions
    put(cast, repository, three)
    withdraw(cast, "yank", three)
    assert at(repository) == two.oid
    withdraw(cast, "hold", two)
    assert at(repository) == one.oid
    back = withdraw(cast, "yank", one)
    with pytest.raises(RevisionNotFound, match="the alias 'prod' of acme/reviews names is withdrawn"):
        at(repository)
    assert refs.find(repository, "prod").served is None
    back()
    assert at(repository) == one.oid


def test_what_was_rolled_back_from_is_no_fallback(cast, repository, versions):
    one, two, three = versions
    for revision in (one, two, three):
        put(cast, repository, revision)
    deeds.roll_back(repository, "prod", cast.session("bob"))
    withdraw(cast, "yank", two)
    assert at(repository) == one.oid


def test_a_fallback_that_is_withdrawn_gives_way_to_the_next(cast, repository, versions):
    for revision in versions:
        put(cast, repository, revision)
    withdraw(cast, "yank", versions[2])
    withdraw(cast, "hold", versions[1])
    assert at(repository) == versions[0].oid
    put(cast, repository, versions[0])
    assert not refs.find(repository, "prod").is_fallback


def test_a_later_verdict_moves_no_alias(cast, repository, versions):
    put(cast, repository, versions[1])
    version(cast, repository, "# Four\n", "failed")
    assert at(repository) == versions[1].oid
    assert len(told()) == 1


def test_what_moves_no_alias_costs_no_query_for_each(cast, repository, versions):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            move_verified(repository.pk)
        return len(captured)

    put(cast, repository, versions[1])
    before = queries()
    for name in ("staging", "champion", "canary"):
        put(cast, repository, versions[2], name)
    assert queries() == before


# --- who hears of it -------------------------------------------------------------------------------------------------
def test_moves_are_in_the_log_and_the_feed(cast, repository, versions):
    dispatch.run()
    put(cast, repository, versions[0], reason="The first.")
    put(cast, repository, versions[2])
    deeds.roll_back(repository, "prod", cast.session("bob"), "Slow.")
    deeds.remove_alias(repository, "prod", cast.session("bob"))
    dispatch.run()
    log = AuditEvent.objects.filter(action__startswith="alias:").order_by("pk")
    assert [(row.action, row.object, row.reason) for row in log] == [
        ("alias:set", f"{NAME}@prod", "The first."), ("alias:set", f"{NAME}@prod", ""),
        ("alias:rollback", f"{NAME}@prod", "Slow."), ("alias:remove", f"{NAME}@prod", ""),
    ]  # fmt: skip
    assert (log[2].before, log[2].after) == ({"revision": versions[2].oid}, {"revision": versions[0].oid})
    events = Event.objects.filter(kind="alias").order_by("pk")
    assert [event.revision for event in events] == [versions[0].oid, versions[2].oid, versions[0].oid, ""]
    assert events[2].data == {
        "alias": "prod", "action": "rollback", "before": versions[2].oid, "after": versions[0].oid, "reason": "Slow.",
    }  # fmt: skip


# --- what carries them -----------------------------------------------------------------------------------------------
def test_a_move_and_the_bin_carry_them(cast, repository, versions):
    for revision in versions[:2]:
        put(cast, repository, revision)
    alice = cast.session("alice")
    moved = moves.move(repository, "acme/opinions", alice)
    assert at(moved) == versions[1].oid
    repositories.delete(moved, alice)
    restored = retirement.restore(repository.pk, alice)
    assert at(restored) == versions[1].oid
    deeds.roll_back(restored, "prod", alice)
    assert at(restored) == versions[0].oid


def test_a_purge_takes_them_along(cast, repository, versions):
    put(cast, repository, versions[0])
    alice = cast.session("alice")
    repositories.delete(repository, alice)
    retirement.purge(repository.pk, alice)
    assert not Alias.objects.exists()
    assert not AliasMove.objects.exists()


def test_a_copy_takes_none(cast, repository, versions):
    put(cast, repository, versions[0])
    copied = repositories.duplicate(repository, "alice/copy", cast.session("alice"))
    assert not copied.refs.filter(name__startswith=refs.ALIASES).exists()


def test_a_rewritten_history_carries_them(cast, repository):
    [stored] = intake.receive_inline(repository, b"A secret, in a large file.")
    push.receive(push.Intent(repository, refs.MAIN, cast.session("alice"), "x"), [push.Stored("x.bin", stored.sha256)])
    versions = [version(cast, repository, f"# {word}\n") for word in ("one", "two", "three")]
    for revision in versions:
        put(cast, repository, revision)
    put(cast, repository, versions[0], "first")
    assert versions[0].files.get(path="x.bin").is_lfs
    branches.forget_files(repository, [stored.sha256], cast.session("alice"))
    assert not Revision.objects.filter(pk__in=[revision.pk for revision in versions]).exists()
    new = refs.find(repository, "prod")
    assert (new.alias.revision.title, new.is_fallback) == (versions[2].title, False)
    assert at(repository) == new.alias.revision.oid != versions[2].oid
    assert told()[-1] == ("rewrite", versions[2].oid, new.alias.revision.oid)
    deeds.roll_back(repository, "prod", cast.session("alice"))
    assert pull.entries(pull.resolve(repository, "prod"))["README.md"].size == len("# two\n")


def test_a_squash_leaves_them(cast, repository, versions):
    put(cast, repository, versions[1])
    branches.squash(repository, "main", "One.", cast.session("alice"))
    assert at(repository) == versions[1].oid


def test_a_move_that_was_written_is_kept(cast, repository, versions):
    put(cast, repository, versions[0])
    move = AliasMove.objects.get()
    with pytest.raises(ChangeRefused):
        move.save()
    with pytest.raises(ChangeRefused):
        AliasMove.objects.update(reason="x")
    with pytest.raises(ChangeRefused):
        AliasMove.objects.all().delete()


# --- reading stays as fast -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rev", ["main", "verified", "HEAD", "prod", "refs/aliases/prod"])
def test_every_name_is_resolved_by_one_query(cast, repository, versions, rev):
    put(cast, repository, versions[0])
    with CaptureQueriesContext(connection) as captured:
        pull.resolve_pulled(repository, rev)
    assert len(captured) == 1


@pytest.mark.django_db(transaction=True)
def test_two_who_move_it_at_once_end_with_one_revision(cast, repository, versions):
    def move(revision: Revision) -> None:
        try:
            put(cast, repository, revision)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=move, args=[revision]) for revision in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = refs.find(repository, "prod")
    assert state.served == state.alias.revision
    assert len(told()) == 3
    assert told()[-1][2] == state.alias.revision.oid
