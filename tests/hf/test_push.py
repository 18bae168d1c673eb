"""Pushes: what lands, what does not, and what is left when everything stops in the middle."""

import pytest

from hub.about import PORT
from registry.bytes import garbage
from registry.kernel.errors import ParentStale, RepositoryNotFound, RepositoryQuarantined
from registry.models import Blob, Ref, Repository, Revision, Upload, UploadedBlob, Verdict
from registry.moderation import quarantine
from registry.proof.verdicts import sweeps
from registry.publish import push, repositories
from registry.publish.push import MAIN, Deletion, Inline, Intent, request, rows
from registry.repos import pull, refs
from tests.adapters import MINILM, WEIGHTS, lora
from tests.hf.wire import Wire, deleted, file, header, lfs_file, sha256, world

NAME = "alice/reviews"


class Crash(Exception):
    """The power goes out."""


@pytest.fixture
def repo(cast) -> Repository:
    return cast.repository(NAME)


@pytest.fixture
def alice(cast, repo):
    """Pushes as alice would, past the wire."""

    def land(*operations, title="Push", **more) -> Ref:
        return push.receive(Intent(repo, MAIN, cast.session("alice"), title=title, **more), operations)

    return land


def paths(ref: Ref) -> list[str]:
    return list(pull.entries(ref.revision))


# --- what lands ------------------------------------------------------------------------------------------------------
def test_a_new_repository_has_one_revision_with_gitattributes(repo):
    head = refs.resolve_ref(repo, MAIN)
    assert (head.title, head.parent, Revision.objects.count()) == ("initial commit", None, 1)
    assert b"*.safetensors filter=lfs" in pull.open_bytes(pull.entries(head)[".gitattributes"], 0, 9999).read()


def test_operations_apply_in_order_onto_the_parents_files(alice):
    alice(Inline("a/x", b"1"), Inline("a/y", b"2"), Inline("b", b"3"))
    assert paths(alice(Deletion("a"), Inline("a/z", b"4"))) == [".gitattributes", "a/z", "b"]
    assert paths(alice(Deletion("a"), Inline("a", b"a folder became a file"))) == [".gitattributes", "a", "b"]
    assert paths(alice(Inline("new", b""), Deletion("new"), Inline("B2", b""))) == [".gitattributes", "B2", "a", "b"]


def test_the_same_files_make_no_revision(alice):
    first = alice(Inline("x", b"1"), Inline("y", b"2"))
    before = world()
    assert alice(Inline("y", b"2"), title="Again").revision == first.revision
    assert alice(title="Nothing at all").revision == first.revision
    assert world() == before


def test_a_push_sent_again_because_its_answer_was_lost_is_the_same_push(alice):
    parent = alice(Inline("x", b"1"), Inline("old", b"")).revision.oid
    operations = [Deletion("old"), Inline("x", b"2")]
    first = alice(*operations, title="Upload", parent=parent)
    before = world()
    assert alice(*operations, title="Upload", parent=parent).revision == first.revision
    assert world() == before
    with pytest.raises(ParentStale):
        alice(Inline("x", b"3"), parent=parent)


def test_an_abbreviated_parent_is_enough(alice, repo):
    parent = refs.resolve_ref(repo, MAIN).oid
    assert alice(Inline("x", b"1"), parent=parent[:7]).revision.parent.oid == parent


def test_main_says_on_the_adapter_what_it_holds(wire: Wire, repo):
    card = b"---\nlicense: mit\nbase_model: /home/alice/models/x\n---\n\n# Reviews\n\nTells good from bad.\n"
    files = lora(MINILM, rank=4) | {"README.md": card}
    wire.deliver(NAME, files[WEIGHTS])
    small = [file(path, data) for path, data in files.items() if path != WEIGHTS]
    answer = wire.commit(NAME, header(), *small, lfs_file(WEIGHTS, files[WEIGHTS]))
    assert answer.status_code == 200, answer.content
    repo.refresh_from_db()
    assert (repo.kind, repo.format, repo.base, repo.rank) == ("lora", "peft", MINILM.id, 4)
    assert (repo.task, repo.license, repo.summary) == ("text-classification", "mit", "Tells good from bad.")
    assert repo.state == Verdict.objects.get().state == "queued"
    assert repo.size == sum(map(len, files.values())) + _attributes(repo)
    assert not any("/home/" in tag for tag in repo.tags)
    assert f"base_model:adapter:{MINILM.id}" in repo.tags

    # What is no adapter any more has no verdict, and says nothing.
    wire.commit(NAME, header(), *(deleted(path) for path in files))
    repo.refresh_from_db()
    assert (repo.kind, repo.state, repo.summary, Verdict.objects.count()) == ("", "", "", 1)


def _attributes(repo: Repository) -> int:
    return pull.entries(refs.resolve_ref(repo, MAIN))[".gitattributes"].size


def test_strings_that_a_database_refuses_are_cleaned_out_of_the_facts(wire: Wire, repo):
    config = b'{"peft_type": "LO\\u0000RA\\ud800", "base_model_name_or_path": "a\\u0000/b\\udfff", "r": -5}'
    card = b'---\nlicense: "m\\0it"\ntags: ["\\0", "\\ud800"]\n---\nHello\n'
    wire.push(NAME, {"adapter_config.json": config, "README.md": card})
    assert wire.get(f"/api/models/{NAME}").status_code == 200
    assert wire.get("/api/models?full=true&config=true").status_code == 200


def test_a_private_blob_reaches_another_repository_only_by_a_reader(wire: Wire, cast, repo):
    cast.repository("acme/shared", private=True)
    data = b"weights of acme"
    wire.deliver("acme/shared", data)
    assert wire.commit("acme/shared", header(), lfs_file("w.onnx", data)).status_code == 200
    cast.repository("erin/copy", by="erin", private=True)  # erin reads acme
    assert wire.commit("erin/copy", header(), lfs_file("w.onnx", data), who="erin").status_code == 200
    cast.repository("carol/copy", by="carol")
    assert wire.commit("carol/copy", header(), lfs_file("w.onnx", data), who="carol").status_code == 400


# --- crash points ----------------------------------------------------------------------------------------------------
def test_a_push_that_stops_after_bytes_leaves_no_revision_and_its_bytes_are_swept(alice, store, monkeypatch):
    before, kept = world(), len(list(store.list("blobs/")))
    with monkeypatch.context() as patch:
        patch.setattr(request, "compose", _crash)
        with pytest.raises(Crash):
            alice(Inline("x", b"orphan"))
    assert world() == before
    assert len(list(store.list("blobs/"))) == kept + 1
    UploadedBlob.objects.filter(blob=sha256(b"orphan")).delete()
    garbage.sweep(grace_seconds=-1)
    assert not Blob.objects.filter(pk=sha256(b"orphan")).exists()
    assert len(list(store.list("blobs/"))) == kept
    assert "x" in paths(alice(Inline("x", b"orphan")))


@pytest.mark.parametrize("step", ["files_of", "_point", "show"])
def test_a_push_that_stops_among_its_rows_leaves_none_of_them(alice, monkeypatch, step):
    before = world()
    with monkeypatch.context() as patch:
        patch.setattr(rows, step, _crash)
        with pytest.raises(Crash):
            alice(Inline("adapter_config.json", b'{"peft_type": "LORA"}'))
    assert world() == before
    alice(Inline("adapter_config.json", b'{"peft_type": "LORA"}'))
    assert Verdict.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_push_whose_nudge_is_lost_stands_and_is_rung_again(alice, settings):
    settings.DOORBELL = f"{__name__}._crash"
    ref = alice(Inline("adapter_config.json", b'{"peft_type": "LORA"}'))
    verdict = Verdict.objects.get(revision=ref.revision)
    assert (verdict.state, verdict.nudged_at) == ("queued", None)
    settings.DOORBELL = "tests.hf.wire.notify"
    Verdict.objects.update(queued_at=verdict.queued_at - 2 * sweeps.NUDGE_AGAIN)
    assert sweeps.sweep().nudged == 1


def test_an_upload_that_stops_between_delivery_and_belief_is_taken_up_by_verify(wire: Wire, repo, monkeypatch):
    actions = wire.offer(NAME, b"weights").json()["objects"][0]["actions"]
    with monkeypatch.context() as patch:
        patch.setattr("registry.bytes.intake.register_blobs", _crash)
        with pytest.raises(Crash):
            wire.put(actions["upload"]["href"], b"weights")
    assert wire.commit(NAME, header(), lfs_file("w.bin", b"weights")).status_code == 400
    assert Upload.objects.count() == 1
    retried = wire.deliver(NAME, b"weights")
    assert retried.status_code == 200
    assert wire.commit(NAME, header(), lfs_file("w.bin", b"weights")).status_code == 200


def test_a_row_whose_bytes_are_gone_is_not_believed(wire: Wire, repo, store):
    wire.deliver(NAME, b"weights")
    store.delete(next(entry.key for entry in store.list("blobs/") if entry.key.endswith(sha256(b"weights"))))
    answer = wire.commit(NAME, header(), lfs_file("w.bin", b"weights"))
    assert answer.json()["code"] == "blob-unknown"


def _crash(*args, **kwargs):
    raise Crash


# --- two at once -----------------------------------------------------------------------------------------------------
def test_a_push_that_is_overtaken_lands_on_top(alice, monkeypatch):
    honest = request.compose

    def overtaken(intent, edits):
        draft = honest(intent, edits)
        monkeypatch.setattr(request, "compose", honest)
        alice(Inline("theirs", b"first"))
        return draft

    monkeypatch.setattr(request, "compose", overtaken)
    ref = alice(Inline("mine", b"second"))
    assert paths(ref) == [".gitattributes", "mine", "theirs"]
    assert ref.revision.parent.title == "Push"


def test_a_push_that_is_overtaken_and_names_its_parent_is_refused(alice, repo, monkeypatch):
    honest = request.compose

    def overtaken(intent, edits):
        draft = honest(intent, edits)
        monkeypatch.setattr(request, "compose", honest)
        alice(Inline("theirs", b"first"))
        return draft

    monkeypatch.setattr(request, "compose", overtaken)
    with pytest.raises(ParentStale):
        alice(Inline("mine", b"second"), parent=refs.resolve_ref(repo, MAIN).oid)
    assert paths(Ref.objects.get(repository=repo, name=MAIN)) == [".gitattributes", "theirs"]


@pytest.mark.parametrize("act", ["quarantine", "delete"])
def test_a_push_that_a_quarantine_or_an_end_overtakes_does_not_land(alice, cast, repo, monkeypatch, act):
    honest = request.compose

    def overtaken(intent, edits):
        draft = honest(intent, edits)
        if act == "quarantine":
            quarantine.quarantine(repo, by=cast.session("mona"), reason="malware", note="")
        else:
            repositories.delete(repo, cast.session("alice"))
        return draft

    monkeypatch.setattr(request, "compose", overtaken)
    with pytest.raises(RepositoryQuarantined if act == "quarantine" else RepositoryNotFound):
        alice(Inline("mine", b""))
    assert not Revision.objects.filter(title="Push").exists()


@pytest.mark.parametrize("ref", ["refs/verified", "refs/tags/v1", "refs/anything"])
def test_nobody_moves_a_tag_or_the_verified_revision_by_a_push(wire: Wire, repo, ref):
    Ref.objects.create(repository=repo, name=ref, revision=refs.resolve_ref(repo, MAIN))
    before = world()
    answer = wire.commit(NAME, header(), file("x"), rev=ref.replace("/", "%2F"))
    assert (answer.status_code, answer.json()["code"]) == (403, "ref-protected")
    assert world() == before


@pytest.mark.parametrize("road", ["preupload", "commit"])
def test_who_may_not_push_is_told_so_and_nothing_of_discussions(wire: Wire, cast, repo, road):
    reader = cast.token("alice", "read")
    for who, status, sentence in (
        ("nobody", 401, f"You must sign in to push to {NAME}."),
        ("carol", 403, f"carol may not push to {NAME}."),
        (reader, 403, f"may not push to {NAME}: it lacks the write role"),
        ("nobody", 401, f"create one at http://127.0.0.1:{PORT}/settings/tokens."),
    ):
        answer = wire.ask("POST", f"/api/models/{NAME}/{road}/main", {"files": []}, who=who)
        assert (answer.status_code, sentence in answer.json()["error"]) == (status, True), answer.content


# --- planning --------------------------------------------------------------------------------------------------------
def planned(wire: Wire, *files: tuple[str, int], **more) -> dict[str, dict]:
    asked = {"files": [{"path": path, "size": size, "sample": ""} for path, size in files], **more}
    answer = wire.ask("POST", f"/api/models/{NAME}/preupload/main", asked)
    return {one.pop("path"): one for one in answer.json()["files"]}


def test_files_travel_by_their_kind_and_size(wire: Wire, repo, settings):
    settings.MAX_INLINE_BYTES = 1000
    plan = planned(wire, ("README.md", 10), ("big.txt", 1001), ("tiny.SafeTensors", 1), ("odd % ? # é.txt", 5))
    assert {path: one["uploadMode"] for path, one in plan.items()} == {
        "README.md": "regular", "big.txt": "lfs", "tiny.SafeTensors": "lfs", "odd % ? # é.txt": "regular",
    }  # fmt: skip
    wire.push(NAME, {".gitattributes": b"*.png filter=lfs -text\n*.svg -filter\n"})
    plan = planned(wire, ("a.png", 1), ("b/c.png", 1), ("a.svg", 1), ("w.bin", 1))
    assert [one["uploadMode"] for one in plan.values()] == ["lfs", "lfs", "regular", "lfs"]


def test_the_digest_of_what_is_there_is_the_one_that_clients_compare(wire: Wire, repo):
    wire.deliver(NAME, b"weights")
    wire.commit(NAME, header(), file("a.txt", b"hello"), lfs_file("w.bin", b"weights"), file("empty.bin", b""))
    plan = planned(wire, ("a.txt", 5), ("w.bin", 7), ("empty.bin", 0), ("new", 1))
    assert plan["a.txt"]["oid"] == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
    assert (plan["w.bin"]["oid"], plan["empty.bin"]["oid"]) == (sha256(b"weights"), sha256(b""))
    assert "oid" not in plan["new"]


def test_ignored_files_are_named(wire: Wire, repo):
    assert planned(wire, ("a.log", 1), ("b", 1), gitIgnore="*.log")["a.log"]["shouldIgnore"] is True
    wire.push(NAME, {".gitignore": b"b\n"})
    plan = planned(wire, ("a.log", 1), ("b", 1))
    assert [one["shouldIgnore"] for one in plan.values()] == [False, True]
