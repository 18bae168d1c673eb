"""Files that a commit takes from another place of the same repository, without their bytes travelling."""

import pytest

from registry.models import Repository, Revision
from registry.proof.verified import withdrawals
from registry.publish import push
from registry.publish.push import content
from registry.repos import pull
from tests.hf.wire import Wire, deleted, file, header, lfs_file, world

NAME = "alice/reviews"
WEIGHTS = b"weights" * 100


def copied(path: str, source: str, **more: str) -> dict:
    return {"key": "copyFile", "value": {"path": path, "srcPath": source, **more}}


@pytest.fixture
def repo(wire: Wire, cast) -> Repository:
    """One small and one large file on main, and another small one on dev."""
    made = cast.repository(NAME)
    wire.deliver(NAME, WEIGHTS)
    assert wire.commit(NAME, header(), file("a.txt", b"one"), lfs_file("w.bin", WEIGHTS)).status_code == 200
    wire.ask("POST", f"/api/models/{NAME}/branch/dev", {})
    assert wire.commit(NAME, header(), file("a.txt", b"on dev"), rev="dev").status_code == 200
    return made


def files(repo: Repository, rev: str = "main") -> dict[str, str]:
    return {path: entry.sha256 for path, entry in pull.entries(pull.resolve(repo, rev)).items()}


def test_a_copy_is_the_same_file_at_another_path(wire: Wire, repo):
    before = files(repo)
    assert wire.commit(NAME, header(), copied("b.txt", "a.txt"), copied("d/v.bin", "w.bin")).status_code == 200
    assert files(repo) == before | {"b.txt": before["a.txt"], "d/v.bin": before["w.bin"]}
    assert wire.get(f"/{NAME}/resolve/main/d/v.bin").content_of() == WEIGHTS


def test_a_copy_is_of_the_revision_that_it_names_else_of_what_was_there_before(wire: Wire, repo):
    lines = [file("a.txt", b"two"), copied("old.txt", "a.txt"), copied("dev.txt", "a.txt", srcRevision="dev")]
    assert wire.commit(NAME, header(), *lines, deleted("w.bin"), copied("v.bin", "w.bin")).status_code == 200
    shown = {name: wire.get(f"/{NAME}/resolve/main/{name}").content_of() for name in ("a.txt", "old.txt", "dev.txt")}
    assert shown == {"a.txt": b"two", "old.txt": b"one", "dev.txt": b"on dev"}
    assert "w.bin" not in files(repo)
    assert wire.get(f"/{NAME}/resolve/main/v.bin").content_of() == WEIGHTS


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (copied("x", "nope.txt"), 404),
        (copied("x", "d"), 404),
        (copied("x", "a.txt", srcRevision="nope"), 404),
        (copied("a\\b", "a.txt"), 422),
        (copied("A.TXT", "a.txt"), 422),
        ({"key": "copyFile", "value": {"path": "x"}}, 400),
        ({"key": "copyFile", "value": {"path": "x", "srcPath": 5}}, 400),
    ],
)
def test_what_is_not_there_is_not_copied(wire: Wire, repo, line, status):
    before = world()
    assert wire.commit(NAME, header(), line).status_code == status
    assert world() == before


def test_a_quarantined_revision_is_no_source_of_copies(wire: Wire, cast, repo):
    held = pull.resolve(repo, "dev")
    withdrawals.hold(held, "A pickle with more than tensors.")
    assert wire.commit(NAME, header(), copied("x", "a.txt", srcRevision=held.oid)).status_code == 403
    proposed = wire.commit(
        NAME, header(), copied("x", "a.txt", srcRevision=held.oid), who="carol", rev="main?create_pr=1"
    )
    assert proposed.status_code == 404
    assert not Revision.objects.filter(files__path="x").exists()


def test_a_push_copies_only_so_many_files(wire: Wire, repo, monkeypatch):
    monkeypatch.setattr(content, "MAX_COPIES", 2)
    answer = wire.commit(NAME, header(), *(copied(f"{number}.txt", "a.txt") for number in range(2)))
    assert answer.status_code == 200, "as many as the limit"
    answer = wire.commit(NAME, header(), *(copied(f"{number}.txt", "a.txt") for number in range(3)))
    assert (answer.status_code, answer.json()["code"]) == (413, "push-too-large")


@pytest.mark.parametrize(
    ("limit", "lines"),
    [
        ((push.request, "MAX_FILES"), [file("x"), file("y")]),
        ((content, "MAX_OPERATIONS"), [file("x"), file("y"), file("z")]),
        ((push.request, "MAX_FOLDERS_DELETED"), [file("x/a"), file("y/a"), file("z/a"), *map(deleted, "xyz")]),
    ],
)
def test_too_much_of_something_is_refused_with_what_helps(wire: Wire, repo, monkeypatch, limit, lines):
    monkeypatch.setattr(*limit, 2)
    answer = wire.commit(NAME, header(), *lines)
    assert (answer.status_code, answer.json()["code"]) == (413, "push-too-large")
    assert "DOVETAIL_" not in answer.json()["error"], "no setting raises this limit"
