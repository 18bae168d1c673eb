"""Writing a read plane: all that anybody may pull is in the store, signed, and nothing that was withdrawn stays."""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from dovetail.problems import Problem
from features.plane import documents, jobs, names, objects
from features.plane.models import PlaneName, PlaneRequest
from features.plane.tests.hub import NAME, OTHER, WEIGHTS, files, fill, follow, head, repository
from hub.monitoring import gauges
from registry.bytes import blobs, intake
from registry.bytes.blobs import BlobStore
from registry.bytes.blobs.folder import FileStore
from registry.kernel import site_settings
from registry.models import DerivedArtifact, Ref, Repository
from registry.moderation import quarantine, suspension
from registry.people import gates
from registry.proof.verified import withdrawals
from registry.publish import branches, moves, push, repositories
from registry.repos import pull, refs
from registry.talk import dispatch
from tests.cast import Cast


def test_the_bytes_of_a_folder_store_take_no_room_twice(plane, settings):
    root = Path(settings.BLOBS.removeprefix("file://"))
    places = [file for file in (root / "plane/blobs").rglob("*") if file.is_file()]
    assert places
    assert all(file.stat().st_nlink > 1 for file in places)


def test_a_name_leads_to_its_former_commit_until_the_next_one_is_there(plane, cast, monkeypatch):
    monkeypatch.setattr(FileStore, "keeps_headers", True)
    objects.write(NAME, lambda: True, afresh=True)
    more = push.Intent(repository(), refs.MAIN, cast.session("alice"), title="More")
    push.receive(more, [push.Inline("b.txt", b"b")])
    objects.write(NAME, lambda: False)  # its bytes are there, and no document of it yet
    assert f"wire/info/{NAME}/main" in files()


def test_a_push_writes_the_names_that_moved_and_no_others(cast, settings, s3_server, monkeypatch):
    settings.BLOBS, settings.PLANE_URL = s3_server.url(f"t-{uuid.uuid4()}"), "http://127.0.0.1:9"
    settings.DOORBELL = "tests.registry.test_upkeep.notify"
    first = pull.resolve(fill(cast, NAME), "main")
    tags = [Ref(repository=first.repository, name=f"{refs.TAGS}v{number}", revision=first) for number in range(20)]
    Ref.objects.bulk_create(tags)
    put = _puts(monkeypatch)
    follow()
    infos = f"plane/wire/info/{NAME}/"
    assert {f"{infos}{name}" for name in ("main", "v0", "v19", first.oid)} <= set(put)
    put.clear()
    push.receive(
        push.Intent(first.repository, refs.MAIN, cast.session("alice"), title="More"), [push.Inline("b", b"b")]
    )
    Ref.objects.filter(name=f"{refs.TAGS}v7").update(revision=pull.resolve(first.repository, "main"))
    follow()
    assert {key.removeprefix(infos) for key in put if key.startswith(infos)} == {"main", "v7", head()}
    assert len(put) == 3 + len(["tree", "README.md", "a/w.onnx", "b", ".gitattributes", "revision", "index"])


def _puts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list to which each document that is published in S3 adds its key."""
    kind = type(blobs.store())
    keys, publish = [], kind.publish

    def counted(store: BlobStore, key: str, data: bytes, **headers: Any) -> None:
        keys.append(key)
        publish(store, key, data, **headers)

    monkeypatch.setattr(kind, "publish", counted)
    return keys


def make_private(cast: Cast) -> None:
    repositories.set_private(repository(), True, cast.session("alice"))


def gate(cast: Cast) -> None:
    gates.set_gate(repository(), "auto", cast.session("alice"))


def delete(cast: Cast) -> None:
    repositories.delete(repository(), cast.session("alice"))


def quarantine_it(cast: Cast) -> None:
    quarantine.quarantine(repository(), cast.session("mona"), reason="It phones home.")


def test_what_the_pull_policy_keeps_back_is_not_there(plane, cast):
    files = [push.Inline("adapter_config.json", b'{"peft_type": "LORA"}')]
    push.receive(push.Intent(repository(), refs.MAIN, cast.session("alice"), title="An adapter"), files)
    follow()
    adapter = plane.manifest(NAME, "main")
    assert adapter.state == "queued"
    site_settings.change_setting("pull_policy", "verified", cast["ada"])
    follow()
    with pytest.raises(Problem, match="does not have"):
        plane.manifest(NAME, adapter.revision)


@pytest.mark.parametrize("withdraw", [make_private, gate, delete, quarantine_it])
def test_what_may_not_be_pulled_any_more_is_gone_with_its_bytes(plane, cast, withdraw):
    assert files()
    names.request(["acme/earlier"])
    withdraw(cast)
    names.request([NAME])
    jobs._attempt(jobs._claim())
    assert files() == set(), "before names that are due for longer, and with its event in the outbox"
    follow()
    assert not PlaneName.objects.exists()
    with pytest.raises(Problem, match="does not have") as refused:
        plane.manifest(NAME, "main")
    assert refused.value.code == "client-plane-missing"


def test_the_repositories_of_a_suspended_person_are_gone_and_come_back(plane, cast):
    fill(cast, "alice/own")
    follow()
    suspension.suspend(cast["alice"], cast.session("mona"), reason="Spam, in all of it.")
    follow()
    assert [name for name in files() if "alice/own" in name] == []
    suspension.unsuspend(cast["alice"], cast.session("mona"), reason="An error of ours.")
    follow()
    assert plane.manifest("alice/own", "main").revision == head("alice/own")


@pytest.mark.parametrize("is_yanked", [True, False], ids=["yanked", "held back"])
def test_a_withdrawn_version_leaves_the_index_and_the_others_stay(plane, cast, is_yanked):
    first = head()
    push.receive(
        push.Intent(repository(), refs.MAIN, cast.session("alice"), title="More"), [push.Inline("b.txt", b"b")]
    )
    follow()
    bad = pull.resolve(repository(), "main")
    if is_yanked:
        withdrawals.yank(bad, cast.session("alice"), "It is worse.")
    else:
        withdrawals.hold(bad, "It phones home.")
    follow()
    assert plane.manifest(NAME, first).revision == first
    with pytest.raises(Problem, match="does not have"):
        plane.manifest(NAME, bad.oid)
    assert [name for name in files() if bad.oid in name] == []


def test_a_new_name_takes_the_place_of_the_old_one(plane, cast):
    moves.move(repository(), OTHER, cast.session("alice"))
    follow()
    assert plane.manifest(OTHER, "main").revision == head(OTHER)
    assert [name for name in files() if NAME in name] == []


def test_bytes_that_another_public_repository_has_stay(plane, cast):
    fill(cast, OTHER)
    follow()
    make_private(cast)
    follow()
    assert len([name for name in files() if name.startswith("blobs/")]) >= 2
    assert plane.manifest(OTHER, "main").revision == head(OTHER)


def test_all_that_is_derived_of_a_public_file_stays(plane):
    source = repository().uploaded_blobs.get(blob__size=len(WEIGHTS)).blob
    [made] = intake.receive_inline(repository(), b"made of it")
    [other] = intake.receive_inline(repository(), b"made of it too")
    for form, digest in (("safetensors", made), ("torch", other)):
        DerivedArtifact.objects.create(source=source, form=form, blob_id=digest.sha256)
    assert objects.drop_bytes({made.sha256, other.sha256}) == 0


def test_a_large_repository_is_written_and_withdrawn_in_turns(plane, cast, monkeypatch):
    monkeypatch.setattr(objects, "FILES", 1)
    first, before = head(), len(files("revisions"))
    for text in ("two", "three", "four"):
        intent = push.Intent(repository(), refs.MAIN, cast.session("alice"), title=text)
        push.receive(intent, [push.Inline("README.md", text.encode())])
    dispatch.run()
    jobs._attempt(jobs._claim())
    assert plane.manifest(NAME, "main").revision == head(), "what has a name comes first"
    assert [len(files("revisions")), PlaneName.objects.get().due_at <= timezone.now()] == [before + 1, True]
    jobs.work()
    assert len(files("revisions")) == before + 3
    assert plane.manifest(NAME, first).revision == first
    make_private(cast)
    dispatch.run()
    jobs._attempt(jobs._claim())
    assert not files("index") | files("blobs")
    assert len(files("revisions")) == before + 2
    jobs.work()
    assert files() == set()


def test_branches_and_tags_are_names_and_private_repositories_are_not_there(plane, cast):
    at = pull.resolve(repository(), "main")
    branches.create_ref(repository(), refs.TAGS + "v1", at, cast.session("alice"))
    cast.repository("acme/secret", private=True)
    follow()
    assert plane.manifest(NAME, "v1").revision == head()
    assert [name for name in files() if "secret" in name] == []


def test_names_lead_where_a_pull_from_the_hub_leads(cast, settings, tmp_path):
    settings.BLOBS, settings.DOORBELL = f"file://{tmp_path / 'blobs'}", "tests.registry.test_upkeep.notify"
    made = fill(cast, NAME)
    older = pull.resolve(made, "main")
    more = push.Intent(made, refs.MAIN, cast.session("alice"), title="More")
    newer = push.receive(more, [push.Inline("b.txt", b"b")]).revision
    shared = [(refs.ALIASES, "one", older), (refs.TAGS, "one", newer), (refs.TAGS, "two", newer)]
    shared += [(refs.BRANCHES, "two", older), (refs.ALIASES, "three", newer)]
    Ref.objects.bulk_create(Ref(repository=made, name=prefix + name, revision=to) for prefix, name, to in shared)
    Ref.objects.create(repository=made, name=refs.VERIFIED, revision=older)
    names = {"main", "verified", "one", "two", "three"}
    for is_yanked in (False, True):
        if is_yanked:
            withdrawals.yank(newer, cast.session("alice"), "It is worse.")
            Ref.objects.create(repository=made, name=refs.VERIFIED, revision=older)  # gone, since it has no verdict
        pulled = {name: pull.resolve_pulled(made, name) for name in names}
        expected = {name: revision.oid for name, revision in pulled.items() if not revision.is_yanked}
        served = documents.find_served(NAME)
        assert served is not None
        assert served.names == expected
        assert served.names["main"] == (older if is_yanked else newer).oid


def test_a_run_that_began_before_a_withdrawal_leaves_nothing(plane, cast):
    row = PlaneName.objects.get()
    PlaneName.objects.update(due_at=timezone.now())
    written = objects.write(NAME, lambda: False, afresh=True)  # a claim that somebody took over
    assert written.digests
    make_private(cast)
    jobs._write(row, afresh=True)  # its row is due at another time by now
    assert files() == set()
    assert PlaneRequest.objects.filter(name=NAME, withdraws=True).exists()


def test_the_sweep_finds_what_is_missing_and_what_should_not_be_there(plane, cast, settings):
    good = files()
    PlaneName.objects.all().delete()  # as of a database that was restored: the name is missing, and its documents extra
    orphan = Path(settings.BLOBS.removeprefix("file://")) / "plane/blobs/00/00" / ("0" * 64)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"")
    found = names.sweep()
    assert (found.missing, found.extra, found.dropped_bytes) == (1, 0, 1)
    jobs.work()
    Repository.objects.update(private=True)  # past all that records events
    assert names.sweep().extra == 1
    jobs.work()
    assert files() == set()
    Repository.objects.update(private=False)
    call_command("read_plane", "rebuild")
    assert files() == good


def test_the_command_and_the_metrics_say_how_far_it_is(plane, capsys):
    gauges.kept_totals.forget()
    call_command("read_plane", "status")
    assert documents.public_keys()[0] in capsys.readouterr().out
    assert 'dovetail_plane_repositories{state="signed"} 1.0' in gauges.exposition().decode()
    call_command("read_plane", "remove")
    assert files() == set()


def test_an_index_is_signed_again_before_it_ends(plane):
    before = plane.manifest(NAME, "main").as_of
    row = PlaneName.objects.get()
    assert timezone.now() < row.due_at < timezone.now() + documents.COUNTS_FOR
    PlaneName.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert jobs.work() == 1
    assert plane.manifest(NAME, "main").as_of >= before
    assert PlaneName.objects.get().due_at > timezone.now()


def test_nothing_is_written_while_it_is_off(cast, settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.registry.test_upkeep.notify"
    fill(cast, NAME)
    follow()
    assert not (tmp_path / "blobs/plane").exists()
    assert not PlaneName.objects.exists()
