"""Moving, duplicating and rewriting repositories on the wire, and who learns where something went."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dovetail.adapters.results.report import Report
from registry.kernel import site_settings
from registry.kernel.errors import RepositoryNotFound
from registry.models import Base, FormerName, Repository, Revision, RevisionFile, UploadedBlob, Verdict
from registry.moderation import quarantine
from registry.proof.verdicts import jobs
from registry.publish import repositories
from registry.repos import pull
from tests.cast import Cast
from tests.hf.test_refusals import refused
from tests.hf.wire import Wire, file, header, lfs_file, sha256

NAME = "alice/reviews"
WEIGHTS, MORE = b"weights" * 100, b"more weights" * 100


@pytest.fixture
def repo(cast: Cast, wire: Wire) -> Repository:
    made = cast.repository(NAME)
    wire.push(NAME, {"a.txt": b"one\n"})
    return made


def move(wire: Wire, old: str, new: str, *, who: str = "alice", type: str = "model"):
    return wire.ask("POST", "/api/repos/move", {"fromRepo": old, "toRepo": new, "type": type}, who=who)


def large(wire: Wire, path: str, content: bytes, *, rev: str = "main", who: str = "alice", name: str = NAME) -> str:
    wire.deliver(name, content, who=who)
    answer = wire.commit(name, header(f"Add {path}"), lfs_file(path, content), rev=rev, who=who)
    assert answer.status_code == 200, answer.content
    return answer.json()["commitOid"]


# --- moving ----------------------------------------------------------------------------------------------------------
ROADS = [
    ("GET", "/api/models/{}"),
    ("GET", "/api/models/{}/tree/main?recursive=1"),
    ("GET", "/{}/resolve/main/a.txt"),
    ("HEAD", "/{}/resolve/refs/heads/main/a.txt?download=1"),
    ("POST", "/api/models/{}/commit/main"),
    ("POST", "/{}.git/info/lfs/objects/batch"),
    ("GET", "/api/models/{}/xet-write-token/main"),
    ("GET", "/api/v1/adapters/{}"),
    ("GET", "/{}"),
    ("GET", "/{}/commits/main"),
]


@pytest.mark.parametrize(("method", "path"), ROADS, ids=lambda value: str(value))
def test_every_old_address_leads_to_the_new_one(wire: Wire, repo, method, path):
    assert move(wire, NAME, "acme/renamed").status_code == 200
    answer = wire.ask(method, path.format(NAME))
    assert answer.status_code == 307, answer.content
    assert answer["Location"] == path.format("acme/renamed")
    assert wire.ask(method, path.format("alice/Reviews"))["Location"] == path.format("acme/renamed")


def test_whoever_may_not_see_it_is_told_nothing(wire: Wire, cast: Cast):
    cast.repository("alice/covert", private=True)
    assert move(wire, "alice/covert", "alice/hidden").status_code == 200
    for who in ("carol", "nobody"):
        moved, never = (wire.get(f"/api/models/alice/{name}", who=who) for name in ("covert", "never"))
        assert moved.status_code == never.status_code
        assert moved.content.replace(b"covert", b"never") == never.content
        assert not moved.has_header("Location")
    assert wire.get("/api/models/alice/covert").status_code == 307


def test_who_names_it_in_a_body_is_never_redirected(wire: Wire, repo):
    move(wire, NAME, "alice/new")
    assert move(wire, NAME, "alice/newer").status_code == 404
    answer = wire.ask("DELETE", "/api/repos/delete", {"name": "reviews", "organization": "alice"})
    assert answer.status_code == 404
    assert wire.get("/api/models/alice/new").status_code == 200


def test_a_new_repository_under_the_old_name_wins_for_good(wire: Wire, repo):
    move(wire, NAME, "alice/new")
    assert wire.ask("POST", "/api/repos/create", {"name": "reviews"}).status_code == 200
    assert wire.get(f"/api/models/{NAME}").json()["id"] == NAME
    wire.ask("DELETE", "/api/repos/delete", {"name": "reviews"})
    assert wire.get(f"/api/models/{NAME}").status_code == 404


def test_names_in_a_row_all_lead_to_the_last_and_back_again_to_the_first(wire: Wire, repo):
    move(wire, NAME, "alice/second"), move(wire, "alice/second", "acme/third")
    for old in (NAME, "alice/second"):
        assert wire.get(f"/api/models/{old}")["Location"] == "/api/models/acme/third"
    assert move(wire, "acme/third", NAME).status_code == 200
    assert wire.get(f"/api/models/{NAME}").status_code == 200
    assert wire.get("/api/models/acme/third")["Location"] == f"/api/models/{NAME}"
    assert FormerName.objects.count() == 2


def test_a_change_of_case_is_a_move_too(wire: Wire, repo):
    assert move(wire, NAME, "alice/Reviews").status_code == 200
    assert wire.get(f"/api/models/{NAME}").json()["id"] == "alice/Reviews"


@pytest.mark.parametrize(
    ("who", "old", "new", "status"),
    [
        ("bob", "acme/x", "bob/x", 403),  # writes there, but does not administer
        ("alice", "acme/x", "bob/x", 403),  # may not create there
        ("alice", "acme/x", "nobody-at-all/x", 403),
        ("carol", "acme/x", "carol/x", 403),
        ("nobody", "acme/x", "carol/x", 401),
        ("alice", "acme/x", "alice/a--b", 400),
        ("alice", "acme/x", NAME, 409),
        ("alice", "acme/gone", "alice/x", 404),
    ],
)
def test_rights_on_both_sides(wire: Wire, cast: Cast, repo, who, old, new, status):
    cast.repository("acme/x")
    answer = move(wire, old, new, who=who)
    assert answer.status_code == status, answer.content
    if status == 409:
        assert answer.json()["detail"] == f"A model repository called {NAME} already exists."
    assert Repository.objects.filter(namespace__name="acme", name="x").exists()
    assert not FormerName.objects.exists()


def test_datasets_move_apart_from_models(wire: Wire, cast: Cast, repo):
    cast.repository(NAME, type="dataset")
    assert move(wire, NAME, "alice/new", type="dataset").status_code == 200
    assert wire.get(f"/api/models/{NAME}").status_code == 200
    assert wire.get(f"/api/datasets/{NAME}")["Location"] == "/api/datasets/alice/new"
    assert wire.get(f"/datasets/{NAME}/resolve/main/x")["Location"] == "/datasets/alice/new/resolve/main/x"


# --- duplicating -----------------------------------------------------------------------------------------------------
def duplicate(wire: Wire, new: str, *, who: str = "carol", name: str = NAME, **more: object):
    return wire.ask("POST", f"/api/models/{name}/duplicate", {"repository": new, **more}, who=who)


def test_a_duplicate_has_the_branches_tags_and_history_and_nothing_else(wire: Wire, repo):
    tip = large(wire, "w.onnx", WEIGHTS)
    wire.ask("POST", f"/api/models/{NAME}/branch/dev", {})
    wire.ask("POST", f"/api/models/{NAME}/tag/main", {"tag": "v1"})
    wire.ask("POST", f"/api/models/{NAME}/discussions", {"title": "x", "pullRequest": True})
    answer = duplicate(wire, "carol/mine")
    assert answer.json()["url"].endswith("/carol/mine"), answer.content
    refs = wire.get("/api/models/carol/mine/refs?include_prs=1", who="carol").json()
    assert {ref["name"]: ref["targetCommit"] for ref in refs["branches"]} == {"main": tip, "dev": tip}
    assert [ref["name"] for ref in refs["tags"]] == ["v1"]
    assert refs["pullRequests"] == []
    assert len(wire.get("/api/models/carol/mine/commits/main", who="carol").json()) == 3
    assert wire.get("/carol/mine/resolve/main/w.onnx", who="carol").content_of() == WEIGHTS
    again = refused(duplicate(wire, "carol/mine"), 409, "adapter-exists", "already exists")
    assert again["url"].endswith("/carol/mine")


def test_a_duplicate_is_as_visible_and_as_gated_as_its_source(wire: Wire, cast: Cast):
    cast.repository("acme/covert", private=True)
    Repository.objects.filter(name="covert").update(gated="manual")
    assert duplicate(wire, "erin/mine", who="erin", name="acme/covert").status_code == 200
    made = Repository.objects.get(name="mine")
    assert (made.private, made.gated) == (True, "manual")
    assert duplicate(wire, "carol/mine", who="carol", name="acme/covert").status_code == 404
    assert duplicate(wire, "acme/theirs", who="carol", name="acme/covert").status_code == 404


def test_who_is_not_let_in_duplicates_nothing(wire: Wire, repo):
    Repository.objects.filter(pk=repo.pk).update(gated="manual")
    assert duplicate(wire, "carol/mine").status_code == 403
    assert duplicate(wire, "carol/mine", who="nobody").status_code == 401
    assert not Repository.objects.filter(name="mine").exists()


def test_what_is_duplicated_is_asked_for_at_once_however_long_it_is(wire: Wire, cast: Cast, repo, monkeypatch):
    for number in range(5):
        wire.commit(NAME, header(), file("README.md", f"# {number}".encode()))
    by = cast.session("carol")
    site_settings.change_setting("pull_policy", "verified", by=None)
    with CaptureQueriesContext(connection) as short:
        pull.require_each_served(repo.revisions.all(), by)
    assert len(short) <= 3
    first = repo.revisions.exclude(parent=None).order_by("pk").first()
    Verdict.objects.create(revision=first, number=1, state="failed", finished_at=timezone.now())
    refused(duplicate(wire, "carol/mine"), 403, "revision-not-verified", first.oid)
    assert duplicate(wire, "alice/mine", who="alice").status_code == 200
    monkeypatch.setattr(repositories, "MAX_REVISIONS", 5)
    refused(duplicate(wire, "alice/other", who="alice"), 413, "push-too-large", "the limit is 5 commits")


def test_an_adapter_that_is_deleted_while_it_is_duplicated_leaves_no_half_of_it(wire: Wire, cast: Cast, repo):
    stale = Repository.objects.get(pk=repo.pk)
    wire.ask("DELETE", "/api/repos/delete", {"name": "reviews"})
    with pytest.raises(RepositoryNotFound):
        repositories.duplicate(stale, "carol/mine", cast.session("carol"))
    assert not Repository.objects.filter(name="mine").exists()


# --- large files -----------------------------------------------------------------------------------------------------
def share(wire: Wire, target: str, *contents: bytes, who: str = "alice", name: str = NAME):
    body = {"target": {"type": "model", "name": target}, "files": [{"sha256": sha256(one)} for one in contents]}
    return wire.ask("POST", f"/api/models/{name}/lfs-files/duplicate", body, who=who)


def test_large_files_are_shared_with_who_may_read_here_and_write_there(wire: Wire, cast: Cast, repo):
    large(wire, "w.onnx", WEIGHTS)
    cast.repository("carol/mine", by="carol")
    assert share(wire, "carol/mine", WEIGHTS, who="bob").status_code == 403
    answer = share(wire, "carol/mine", WEIGHTS, b"never", who="carol")
    assert [row["sha256"] for row in answer.json()["failed"]] == [sha256(b"never")]
    assert wire.commit("carol/mine", header(), lfs_file("w.onnx", WEIGHTS), who="carol").status_code == 200
    Repository.objects.filter(pk=repo.pk).update(private=True)
    assert share(wire, "carol/mine", WEIGHTS, who="carol").status_code == 404


def test_large_files_are_listed_with_their_branch(wire: Wire, repo):
    large(wire, "w.onnx", WEIGHTS)
    wire.ask("POST", f"/api/models/{NAME}/branch/dev", {})
    large(wire, "m.onnx", MORE, rev="dev")
    first = wire.get(f"/api/models/{NAME}/lfs-files?limit=1")
    assert [(row["filename"], row["ref"]) for row in first.json()] == [("w.onnx", "refs/heads/main")]
    rest = wire.get("/" + first["Link"].partition(">")[0].split("/", 3)[3])
    assert [(row["filename"], row["ref"]) for row in rest.json()] == [("m.onnx", "refs/heads/dev")]
    assert wire.get(f"/api/models/{NAME}/lfs-files", who="carol").status_code == 403


def drop(wire: Wire, *contents: bytes, who: str = "alice", rewrite: bool = True):
    body = {"deletions": {"sha": [sha256(one) for one in contents], "rewriteHistory": rewrite}}
    return wire.ask("POST", f"/api/models/{NAME}/lfs-files/batch", body, who=who)


def test_a_dropped_file_is_in_no_commit_any_more_and_the_rest_is(wire: Wire, repo):
    before = large(wire, "w.onnx", WEIGHTS)
    wire.ask("POST", f"/api/models/{NAME}/tag/main", {"tag": "v1"})
    after = wire.push(NAME, {"b.txt": b"two"})
    assert drop(wire, WEIGHTS, rewrite=False).status_code == 400
    assert drop(wire, WEIGHTS, who="carol").status_code == 403
    assert drop(wire, WEIGHTS).status_code == 200
    assert not RevisionFile.objects.filter(revision__repository=repo, blob=sha256(WEIGHTS)).exists()
    assert not UploadedBlob.objects.filter(repository=repo, blob=sha256(WEIGHTS)).exists()
    for oid in (before, after):
        assert wire.get(f"/api/models/{NAME}/revision/{oid}").status_code == 404
    titles = [row["title"] for row in wire.get(f"/api/models/{NAME}/commits/main").json()]
    assert titles == ["Push", "Add w.onnx", "Push", "initial commit"]
    assert set(pull.entries(pull.resolve(repo, "main"))) == {".gitattributes", "a.txt", "b.txt"}
    assert pull.resolve(repo, "v1").title == "Add w.onnx"
    assert all(revision.parent_id is None or revision.parent_id < revision.pk for revision in repo.revisions.all())


def test_dropping_the_weights_takes_back_what_they_proved(wire: Wire, repo):
    Base.objects.create(id="a/b", revision="1", sha256="0" * 64)
    wire.push(NAME, {"adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "a/b", "r": 8}'})
    tip = large(wire, "adapter_model.safetensors", WEIGHTS)
    claim = jobs.claim(Revision.objects.get(oid=tip).verdicts.get().pk, "a worker")
    jobs.record(claim, Report(state="passed", depth="run"), 5)
    assert repo.refs.filter(name="refs/verified").exists()
    drop(wire, WEIGHTS)
    repo.refresh_from_db()
    assert repo.state == "queued"
    assert not repo.refs.filter(name="refs/verified").exists()


# --- squashing -------------------------------------------------------------------------------------------------------
CONFIG = {"adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "a/b", "r": 8}'}


def unproven(repo: Repository) -> Revision:
    """A commit of main before the last one, which holds an adapter and waits for a verdict or has one."""
    return repo.revisions.exclude(refs__name="refs/heads/main").filter(files__path="adapter_config.json").latest("pk")


def test_a_commit_that_is_written_anew_is_served_no_sooner_than_the_old_one(wire: Wire, repo):
    wire.push(NAME, CONFIG)
    large(wire, "junk.onnx", WEIGHTS)
    wire.push(NAME, {"c.txt": b"three"})
    Verdict.objects.update(state="failed", finished_at=timezone.now())
    site_settings.change_setting("pull_policy", "verified", by=None)
    drop(wire, WEIGHTS)
    anew = unproven(repo)
    assert anew.title == "Add junk.onnx"
    assert anew.verdicts.get().state == "queued"
    refused(wire.get(f"/{NAME}/resolve/{anew.oid}/adapter_config.json", who="carol"), 403, "revision-not-verified")


def test_a_copy_of_a_commit_that_waits_for_its_verdict_waits_as_well(wire: Wire, repo):
    wire.push(NAME, CONFIG)
    wire.push(NAME, {"c.txt": b"three"})
    assert duplicate(wire, "alice/mine", who="alice").status_code == 200
    assert unproven(Repository.objects.get(name="mine")).verdicts.get().state == "queued"


def test_what_moderators_hold_back_is_not_written_anew(wire: Wire, cast: Cast, repo):
    held = large(wire, "w.onnx", WEIGHTS)
    wire.push(NAME, {"c.txt": b"three"})
    quarantine.quarantine(repo, cast.session("mona"), reason="Evidence.", revision=Revision.objects.get(oid=held))
    refused(drop(wire, WEIGHTS), 403, "adapter-quarantined", "Evidence.")
    assert Revision.objects.get(oid=held).decisions.count() == 1


def test_a_squashed_branch_has_one_commit_with_the_same_files(wire: Wire, repo):
    old = wire.push(NAME, {"b.txt": b"two"})
    wire.ask("POST", f"/api/models/{NAME}/branch/dev", {})
    answer = wire.ask("POST", f"/api/models/{NAME}/super-squash/main", {"message": "All of it"})
    assert answer.status_code == 200
    assert [row["title"] for row in wire.get(f"/api/models/{NAME}/commits/main").json()] == ["All of it"]
    assert len(wire.get(f"/api/models/{NAME}/commits/dev").json()) == 3
    assert pull.entries(pull.resolve(repo, "main")) == pull.entries(pull.resolve(repo, old))


@pytest.mark.parametrize(
    ("rev", "who", "status"), [("nope", "alice", 404), ("main", "carol", 403), ("v1", "alice", 404)]
)
def test_what_is_no_branch_is_not_squashed(wire: Wire, repo, rev, who, status):
    wire.ask("POST", f"/api/models/{NAME}/tag/main", {"tag": "v1"})
    assert wire.ask("POST", f"/api/models/{NAME}/super-squash/{rev}", {"message": "x"}, who=who).status_code == status


def test_a_path_may_hold_a_colon_but_no_drive_and_no_stream_of_git(wire: Wire, repo):
    assert wire.commit(NAME, header(), file("sub/awful?filename%you:should,never.give")).status_code == 200
    answer = wire.get(f"/{NAME}/resolve/main/sub/awful%3Ffilename%25you%3Ashould%2Cnever.give")
    assert answer.content_of() == b"hello"
    for path in ("c:/x", "Z:x", "x/.git::$INDEX_ALLOCATION/hooks", ":x", "..:x/y"):
        assert json.loads(wire.commit(NAME, header(), file(path)).content)["code"] == "path-invalid", path


@pytest.mark.parametrize("pull_policy", ["open", "verified"])
def test_the_record_of_a_repository_at_another_hub_is_not_duplicated(wire: Wire, cast, pull_policy):
    repository = cast.repository("alice/record")
    Repository.objects.filter(pk=repository.pk).update(source="https://hub.example.org", is_verified=True)
    site_settings.change_setting("pull_policy", pull_policy, cast["ada"])
    with pytest.raises(RepositoryNotFound):
        repositories.duplicate(Repository.objects.get(pk=repository.pk), "alice/copy", cast.session("alice"))
    assert wire.ask("POST", "/api/models/alice/record/duplicate", {"repository": "alice/copy"}).status_code == 404
    assert not Repository.objects.filter(name="copy").exists()
