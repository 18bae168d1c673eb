"""Yank, deprecate and archive by REST, and who may."""

import pytest

HERE = "/api/v1/adapters/alice/reviews"
# who, role of the token; the status of a yank and of an archive
TABLE = [
    ("anonymous", "", 401, 401),
    ("carol", "write", 403, 403),
    ("alice", "read", 403, 403),
    ("alice", "write", 200, 200),
    ("alice", "", 200, 200),
    ("mona", "", 403, 403),
]


@pytest.mark.parametrize(("who", "token", "yank", "archive"), TABLE)
def test_the_table(ask, repository, who, token, yank, archive):
    asking, body = ask(who, token), {"revision": "main", "reason": "Wrong labels."}
    for deed in ("yank", "unyank"):
        assert asking.post(f"{HERE}/{deed}", body, "application/json").status_code == yank
    for path in ("archive", "deprecation"):
        put = asking.put(f"{HERE}/{path}", {"message": "Old."}, "application/json")
        assert put.status_code == archive
        assert asking.delete(f"{HERE}/{path}").status_code == archive


def test_an_adapter_says_in_which_states_it_is(ask, repository):
    alice, revision = ask("alice"), repository.refs.get().revision.oid
    answer = alice.post(f"{HERE}/yank", {"revision": revision, "reason": "Wrong labels."}, "application/json").json()
    assert (answer["revision"], answer["yanked"]["reason"]) == (revision, "Wrong labels.")
    alice.put(f"{HERE}/deprecation", {"message": "Old.", "successor": ""}, "application/json")
    found = ask().get(HERE).json()
    assert found["status"] == "deprecated"
    assert (found["deprecated"]["message"], found["yanked"]["reason"]) == ("Old.", "Wrong labels.")
    assert ask().get(f"{HERE}/revisions/main").status_code == 404
    assert ask().get(f"{HERE}/revisions/{revision}").json()["yanked"]["reason"] == "Wrong labels."
    file = ask().get(f"{HERE}/revisions/{revision}/files/README.md")
    assert (file.status_code, file["X-Dovetail-Yanked"]) == (302, "Wrong labels.")
    assert ask().get("/api/v1/adapters").json()["items"] == []
    alice.put(f"{HERE}/archive")
    assert ask().get(HERE).json()["status"] == "archived"
    refused = alice.post(f"{HERE}/unyank", {"revision": revision}, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "adapter-archived")


def test_archived_is_listed_unless_it_is_hidden(ask, repository):
    ask("alice").put(f"{HERE}/archive")
    [row] = ask().get("/api/v1/adapters").json()["items"]
    assert row["status"] == "archived"
    assert ask().get("/api/v1/adapters?archived=hide").json()["items"] == []
    assert ask().get("/api/v1/adapters?archived=show").status_code == 400
