"""Derived artifacts are served beside the pushed files, labelled, to callers who may download those."""

import io
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from dovetail.adapters.files import header as headers
from dovetail.adapters.files import torchfile
from dovetail.adapters.formats.twins import Twin
from dovetail.adapters.results.report import Report
from registry.bytes import garbage
from registry.bytes.blobs import Keys
from registry.models import Attempt, AuditEvent, Blob, DerivedArtifact, Revision, UploadedBlob, Verdict
from registry.moderation import quarantine
from registry.proof import dossiers
from registry.proof.verdicts.queue import Claim
from registry.repos import derived, pull
from tests import adapters
from tests.adapters import WEIGHTS
from tests.cast import Cast
from tests.hf.wire import Wire, deleted, file, header, lfs_file, sha256
from tests.pickles.hostile import IMPORTS
from workers import pushed_files
from workers.engines import capabilities
from workers.validation import pipeline

NAME = "alice/reviews"
PICKLE, TWIN = "adapter_model.bin", WEIGHTS
PASSED = Report(state="passed", depth="run")


def as_pickle(data: bytes) -> bytes:
    made = io.BytesIO()
    torchfile.write(headers.read(io.BytesIO(data)), io.BytesIO(data), made)
    return made.getvalue()


FILES = adapters.lora()
CONFIG = FILES["adapter_config.json"]
DATA = as_pickle(FILES[WEIGHTS])


@pytest.fixture(autouse=True)
def _engines():
    assert Path(capabilities.interpreter(capabilities.built()[0])).exists(), "build the engines with `make engines`"


def pushed(wire: Wire, files: dict[str, bytes], full_name: str = NAME) -> Revision:
    """Push large files, then do what a worker does once they have passed."""
    for data in files.values():
        wire.deliver(full_name, data)
    lines = [lfs_file(path, data) for path, data in files.items()]
    answer = wire.commit(full_name, header(), file("adapter_config.json", CONFIG), *lines)
    assert answer.status_code == 200, answer.content
    return settled(answer.json()["commitOid"], of=full_name)


def settled(oid: str, report=None, of: str = NAME) -> Revision:
    # The same files of the same second are the same commit wherever they are pushed.
    revision = Revision.objects.get(oid=oid, repository__name=of.partition("/")[2])
    with tempfile.TemporaryDirectory() as folder:
        dossier = dossiers.gather(Claim(Verdict(revision=revision), "", Attempt()), Path(folder))
    pipeline.derive(dossier, report or PASSED)
    revision.refresh_from_db()
    return revision


@pytest.fixture
def head(wire: Wire, cast: Cast) -> Revision:
    cast.repository(NAME)
    return pushed(wire, {PICKLE: DATA})


def test_the_twin_of_a_pickle_is_listed_and_served_with_its_label(wire, head):
    tree = {item["path"]: item for item in wire.get(f"/api/models/{NAME}/tree/main").json()}
    assert tree[TWIN]["derived"] == {"from": PICKLE}
    assert "derived" not in tree[PICKLE]
    siblings = wire.get(f"/api/models/{NAME}?blobs=true").json()["siblings"]
    assert [item["rfilename"] for item in siblings if "derived" in item] == [TWIN]
    (full,) = wire.get("/api/models?full=true").json()
    assert [item["rfilename"] for item in full["siblings"] if "derived" in item] == [TWIN]
    (info,) = wire.ask("POST", f"/api/models/{NAME}/paths-info/main", {"paths": [TWIN]}).json()
    assert info["lfs"]["oid"] == tree[TWIN]["lfs"]["oid"]
    answer = wire.get(f"/{NAME}/resolve/main/{TWIN}")
    data = answer.content_of()
    assert (answer["X-Dovetail-Derived"], answer["X-Repo-Commit"]) == (PICKLE, head.oid)
    assert answer["ETag"] == f'"{sha256(data)}"' == f'"{tree[TWIN]["lfs"]["oid"]}"'
    read, meant = headers.read(io.BytesIO(data)), headers.read(io.BytesIO(FILES[WEIGHTS]))
    assert {name: (t.dtype, t.shape) for name, t in read.tensors.items()} == {
        name: (t.dtype, t.shape) for name, t in meant.tensors.items()
    }
    assert read.metadata == {"format": "pt"}
    assert wire.ask("HEAD", f"/{NAME}/resolve/main/{TWIN}")["X-Linked-Size"] == str(len(data))
    (listed,) = [item for item in wire.get(f"/api/v1/adapters/{NAME}/revisions/main").json()["files"]
                 if item["derived_from"]]  # fmt: skip
    assert (listed["path"], listed["derived_from"]) == (TWIN, PICKLE)


def test_the_page_of_files_says_what_a_file_was_made_of(wire, head):
    page = wire.get(f"/{NAME}/tree/main").content.decode()
    assert f"derived from {PICKLE}" in page
    page = wire.get(f"/{NAME}/blob/main/{TWIN}").content.decode()
    assert "derived from" in page
    assert "tensors" in page


def test_the_commit_knows_nothing_of_it(wire, head):
    assert set(pull.entries(head)) == {".gitattributes", "adapter_config.json", PICKLE}
    folders = wire.get(f"/api/models/{NAME}/tree/main?recursive=true").json()
    assert {item["path"] for item in folders} == {*pull.entries(head), TWIN}


def test_a_file_that_somebody_pushed_wins(wire, head):
    second = pushed(wire, {WEIGHTS: FILES[WEIGHTS]})
    answer = wire.get(f"/{NAME}/resolve/{second.oid}/{TWIN}")
    assert not answer.has_header("X-Dovetail-Derived")
    assert answer.content_of() == FILES[WEIGHTS]
    assert wire.get(f"/{NAME}/resolve/{head.oid}/{TWIN}")["X-Dovetail-Derived"] == PICKLE
    third = wire.commit(NAME, header(), deleted(WEIGHTS)).json()["commitOid"]
    assert wire.get(f"/{NAME}/resolve/{third}/{TWIN}")["X-Dovetail-Derived"] == PICKLE


def test_the_pickle_that_the_adapters_library_insists_on_is_written_of_a_safetensors_file(wire, cast):
    cast.repository(NAME)
    pushed(wire, {"a/adapter.safetensors": FILES[WEIGHTS], "a/model_head.safetensors": FILES[WEIGHTS]})
    tree = wire.get(f"/api/models/{NAME}/tree/main/a").json()
    assert {item["path"]: item["derived"]["from"] for item in tree if "derived" in item} == {
        "a/pytorch_adapter.bin": "a/adapter.safetensors",
        "a/pytorch_model_head.bin": "a/model_head.safetensors",
    }
    assert wire.get(f"/{NAME}/resolve/main/a/pytorch_adapter.bin").content_of() == DATA


def test_a_pickle_that_takes_its_process_over_spoils_no_twin_but_its_own(wire, cast, monkeypatch):
    """The twin of bytes that a stranger has too is served to everybody who has them."""
    tensors = {f"taken.over.{name}": tensor for name, tensor in adapters.unpack(FILES[WEIGHTS]).items()}
    hostile = as_pickle(adapters.pack(tensors))
    monkeypatch.setattr("workers.validation.pipeline.SCRIPT", Path(__file__).parent / "taken_derive.py")
    cast.repository(NAME)
    pushed(wire, {f"a/{PICKLE}": hostile, f"b/{PICKLE}": DATA, f"c/{PICKLE}": hostile})
    honest = DerivedArtifact.objects.get(source=sha256(DATA))
    assert wire.get(f"/{NAME}/resolve/main/b/{TWIN}").content_of() == honest_twin()
    assert honest.blob_id == sha256(honest_twin())
    assert not DerivedArtifact.objects.filter(source=sha256(hostile)).exists()


def honest_twin() -> bytes:
    with Twin(lambda: io.BytesIO(DATA))() as file:
        return file.read()


def test_the_same_bytes_give_the_same_file_in_every_repository_without_a_second_thought(wire, head, cast, monkeypatch):
    monkeypatch.setattr(
        "workers.validation.pipeline._make", lambda wanted: [] if not wanted else pytest.fail("made again")
    )
    cast.repository("acme/copy")
    pushed(wire, {PICKLE: DATA}, "acme/copy")
    assert wire.get(f"/acme/copy/resolve/main/{TWIN}").status_code == 200
    assert DerivedArtifact.objects.count() == 1


def test_who_may_not_see_the_repository_may_not_have_what_was_derived_there(wire, cast):
    cast.repository(NAME, private=True)
    pushed(wire, {PICKLE: DATA})
    for who in ("carol", "nobody"):
        assert wire.get(f"/{NAME}/resolve/main/{TWIN}", who=who).status_code in (401, 404)
    assert wire.get(f"/{NAME}/resolve/main/{TWIN}").status_code == 200


def test_knowing_the_digest_of_a_derived_file_gives_no_right_to_it(wire, head, cast):
    made = DerivedArtifact.objects.get().blob
    cast.repository("carol/mine", by="carol")
    line = {"key": "lfsFile", "value": {"path": "x.bin", "algo": "sha256", "oid": made.sha256, "size": made.size}}
    assert wire.commit("carol/mine", header(), line, who="carol").status_code == 400
    assert not UploadedBlob.objects.filter(blob=made).exists()


def test_a_quarantined_adapter_keeps_it_back_too(wire, head, cast):
    quarantine.quarantine(head.repository, cast.session("mona"), reason="Malware.")
    assert wire.get(f"/{NAME}/resolve/main/{TWIN}", who="carol").status_code == 404
    assert wire.get(f"/{NAME}/resolve/main/{TWIN}").status_code == 403


@pytest.mark.usefixtures("without_bin")
def test_what_was_derived_goes_with_the_last_repository_that_had_its_source(wire, head, cast, store):
    made = DerivedArtifact.objects.get().blob_id
    later = timezone.now() + timedelta(days=2)
    assert garbage.sweep(0).blobs == 0
    assert wire.ask("DELETE", "/api/repos/delete", {"name": "reviews", "type": "model"}).status_code == 200
    Blob.objects.update(created_at=later - timedelta(days=4))
    garbage.sweep(0)
    garbage.sweep(0)
    assert not DerivedArtifact.objects.exists()
    assert not Blob.objects.filter(pk=made).exists()
    assert Keys.blob(made) not in {entry.key for entry in store.list(Keys.BLOBS)}


def test_what_comes_out_of_the_sandbox_unsound_is_not_kept(head, tmp_path):
    DerivedArtifact.objects.all().delete()
    (one,) = derived.not_yet_derived(pull.entries(head))
    for data in (b"", b"{}", FILES[WEIGHTS] + b"more", DATA):
        (tmp_path / "made").write_bytes(data)
        assert pipeline.store_derived(one, tmp_path / "made") is None
    assert not DerivedArtifact.objects.exists()


def test_of_a_pickle_that_failed_nothing_is_derived(wire, cast):
    cast.repository(NAME)
    wire.deliver(NAME, DATA)
    oid = wire.commit(NAME, header(), lfs_file(PICKLE, DATA)).json()["commitOid"]
    said = {"id": "file.header", "outcome": "failed", "message": "Bad.", "fix": "Better.", "where": {}}
    settled(oid, Report.of_result({"checks": [said]}, "failed"))
    assert not DerivedArtifact.objects.exists()


# --- revisions that are held back ------------------------------------------------------------------------------------
REFUSED = {
    "id": "file.pickle", "outcome": "failed", "message": "adapter_model.bin is a pickle that would import os system.",
    "fix": "Save it again.", "where": {"file": PICKLE, "imports": ["os system"], "quarantine": True},
}  # fmt: skip


@pytest.fixture
def held(wire, head) -> Revision:
    data = IMPORTS["a call of os.system"][0]
    wire.deliver(NAME, data)
    oid = wire.commit(NAME, header("Worse"), lfs_file(PICKLE, data)).json()["commitOid"]
    return settled(oid, Report.of_result({"checks": [REFUSED]}, "failed"))


def test_a_pickle_that_runs_code_costs_its_revision_and_no_other(wire, head, held):
    assert held.is_quarantined
    for who, status in (("alice", 403), ("carol", 404), ("nobody", 404)):
        for path in (PICKLE, "adapter_config.json"):
            for rev in ("main", held.oid):
                assert wire.get(f"/{NAME}/resolve/{rev}/{path}", who=who).status_code == status, (who, rev)
        assert wire.get(f"/{NAME}/resolve/{head.oid}/{TWIN}", who=who).status_code == 200
    refusal = wire.get(f"/{NAME}/resolve/main/{PICKLE}").json()
    assert "os system" in refusal["error"]
    for path in ("", "/tree/main", "/revision/main"):
        assert wire.get(f"/api/models/{NAME}{path}", who="carol").status_code == 404
        assert wire.get(f"/api/models/{NAME}{path}", who="alice").status_code == 200
    assert wire.get(f"/api/v1/adapters/{NAME}/revisions/main", who="carol").status_code == 404


def test_the_same_files_in_a_squashed_commit_are_held_back_as_well(wire, held):
    squashed = wire.ask("POST", f"/api/models/{NAME}/super-squash/main", {"message": "Nothing to see"})
    assert squashed.status_code == 200, squashed.content
    now = Revision.objects.get(refs__name="refs/heads/main", repository=held.repository)
    assert (now.pk != held.pk, now.is_quarantined) == (True, True)
    assert wire.get(f"/{NAME}/resolve/main/{PICKLE}", who=None).status_code == 404


def test_the_log_says_that_the_hub_itself_held_it_back(held):
    event = AuditEvent.objects.get(action="revision:quarantine")
    assert (event.actor, event.object) == ("system", f"{NAME}@{held.oid}")
    assert "os system" in event.reason


def test_its_bytes_are_no_road_to_another_repository(wire, held, cast):
    data = IMPORTS["a call of os.system"][0]
    cast.repository("carol/mine", by="carol")
    assert wire.commit("carol/mine", header(), lfs_file("x.bin", data), who="carol").status_code == 400


def test_the_owner_reads_the_reason_and_strangers_see_what_was_proven(wire, held, cast, client):
    client.force_login(cast["alice"])
    page = client.get(f"/{NAME}")
    assert page.status_code == 200
    assert "os system" in page.content.decode()
    assert f"hf repos delete-files {NAME} FILE" in page.content.decode()
    client.force_login(cast["carol"])
    assert client.get(f"/{NAME}").status_code == 404


def test_the_refusal_says_what_its_owner_can_do_and_that_works(wire, held):
    said = wire.get(f"/{NAME}/resolve/main/adapter_config.json").json()["error"]
    assert f"hf repos delete-files {NAME} FILE" in said
    assert wire.commit(NAME, header("Better"), deleted(PICKLE)).status_code == 200
    assert wire.get(f"/{NAME}/resolve/main/adapter_config.json", who="carol").status_code == 200


def test_a_moderator_may_release_it_for_good(wire, held, cast):
    assert quarantine.release(held.repository, cast.session("mona"), reason="A test file.", revision=held)
    pushed_files.scan_revisions()  # which holds nothing back that was released
    assert wire.get(f"/{NAME}/resolve/main/{PICKLE}", who="carol").status_code == 200
    assert not settled(held.oid, Report.of_result({"checks": [REFUSED]}, "failed")).is_quarantined
    assert quarantine.quarantine(held.repository, cast.session("mona"), reason="Malware after all.", revision=held)
    held.refresh_from_db()
    held.repository.refresh_from_db()
    assert held.is_quarantined
    assert not held.repository.is_quarantined
