"""Yank, deprecate and archive by REST, and who may."""

import hashlib

import pytest

from registry.models import TensorDigest
from registry.proof.verified import withdrawals
from tests.api.conftest import FILES, judged, pushed

WEIGHTS = "adapter_model.safetensors"
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
    for path, sent in (("archive", {}), ("deprecation", {"message": "Old."})):
        put = asking.put(f"{HERE}/{path}", sent, "application/json")
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


def test_weights_that_were_withdrawn_are_told_to_those_who_see_the_yank(ask, cast, repository, secret):
    training, again = {"training_args.bin": b"the same everywhere"}, FILES[WEIGHTS] + b" "
    yanked = pushed(cast, repository, files=FILES | training)
    pushed(cast, cast.repository("alice/same"))
    pushed(cast, cast.repository("alice/saved-again"), files=FILES | {WEIGHTS: again})
    pushed(cast, cast.repository("alice/trained-again"), files=FILES | training | {WEIGHTS: b"1"})
    files = [hashlib.sha256(content).hexdigest() for content in (FILES[WEIGHTS], again)]
    assert TensorDigest.objects.filter(file__in=files).update(sha256="7" * 64, free_at=None) == 2

    def told(who, name, document):
        path = f"/api/v1/adapters/alice/{name}/revisions/main{document}"
        found = ask(who).get(path).json()["withdrawn_weights"] or {}
        return [found.get(key) for key in ("adapter", "revision", "path", "reason")]

    hidden = secret.refs.get(name="refs/heads/main").revision
    withdrawals.yank(hidden, cast.session("alice"), "Secret.")
    assert told("anonymous", "same", "") == [None] * 4
    assert told("alice", "same", "") == ["acme/secret", hidden.oid, WEIGHTS, "Secret."]
    withdrawals.yank(yanked, cast.session("alice"), "Wrong labels.")
    for name in ("same", "saved-again"):
        for document in ("", "/verdict"):
            assert told("anonymous", name, document) == ["alice/reviews", yanked.oid, WEIGHTS, "Wrong labels."]
    theirs = pushed(cast, cast.repository("carol/theirs", by="carol"), by="carol", files=FILES | {WEIGHTS: b"1"})
    withdrawals.yank(theirs, cast.session("carol"), "Alice stole it.")
    assert told("anonymous", "trained-again", "") == [None] * 4, "strangers write on no page by yanking a copy"
    pages = {path: ask().get(f"/alice/{path}").content.decode() for path in (
        "saved-again", "trained-again", f"reviews/commit/{yanked.oid}"
    )}  # fmt: skip
    assert ["The same weights were withdrawn" in page for page in pages.values()] == [True, False, False]
    assert f'href="/alice/reviews/commit/{yanked.oid}"' in pages["saved-again"]


def test_the_form_of_a_yank_says_what_follows(ask, cast, repository):
    revision = repository.revisions.get(title="push")
    judged(revision, depth="evaluated")
    alice, page = ask("alice"), f"/alice/reviews/commit/{revision.oid}"
    assert f'href="{page}#yank"' in alice.get("/alice/reviews/commits/main").content.decode()
    assert "#yank" not in ask().get("/alice/reviews/commits/main").content.decode()
    said = alice.get(page).content.decode()
    for sentence in (
        "No version is <code>verified</code> any more",
        "<code>main</code> fail, with your reason",
        "Lists and searches",
    ):
        assert sentence in said, sentence
    newer = pushed(cast, repository, files=FILES | {"notes.txt": b"2"})
    judged(newer, depth="evaluated")
    assert "<code>main</code> and <code>verified</code> stay as they are" in alice.get(page).content.decode()
    said = alice.get(f"/alice/reviews/commit/{newer.oid}").content.decode()
    for sentence in (
        "leads to the newest other version that passed",
        "get <code>verified</code>",
        "Lists and searches",
    ):
        assert sentence in said, sentence
    withdrawals.yank(newer, cast.session("alice"), "Wrong labels.")
    assert ask("alice").get("/api/v1/adapters").json()["items"][0]["yanked"]["reason"] == "Wrong labels."
    assert 'title="Wrong labels."' in alice.get("/adapters").content.decode()
    digest = hashlib.sha256(b"2").hexdigest()
    found = alice.post("/api/v1/lookup", {"sha256": [digest]}, "application/json").json()["items"]
    assert [one["yanked"]["reason"] for one in found] == ["Wrong labels."]
    assert 'title="Wrong labels."' in ask().get(f"/search?q={digest}", follow=True).content.decode()
