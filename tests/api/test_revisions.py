"""History, manifests, and the way to the bytes."""

import hashlib
from pathlib import Path

import pytest

from registry.bytes.blobs import Keys
from registry.models import RevisionFacts
from registry.moderation import quarantine
from registry.proof.verified import withdrawals
from registry.repos import refs
from registry.repos.contents import facts
from tests.api.conftest import BASE, CONFIG, FILES, judged, pushed

AT = "/api/v1/adapters/alice/reviews/revisions"


def test_the_manifest_names_every_byte(ask, repository):
    found = ask().get(f"{AT}/main").json()
    files = {file["path"]: file for file in found["files"]}
    assert set(files) == {*FILES, ".gitattributes"}
    for path, content in FILES.items():
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        assert files[path] == {
            "path": path,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "git_oid": git,
            "lfs": False,
            "derived_from": None,
        }
    assert found["config"] == CONFIG
    assert found["base"] == {"id": BASE, "revision": None, "sha256": None}
    assert found["tensors"] == {"values": 6, "dtypes": {"F32": 6}}
    assert found["size"] == sum(file["size"] for file in found["files"])


def test_a_proven_base_replaces_the_one_that_was_only_named(ask, repository):
    proven = {"id": BASE, "revision": "abc", "sha256": "0" * 64}
    judged(repository.revisions.get(title="push"), base=proven)
    assert ask().get(f"{AT}/verified").json()["base"] == proven


def test_where_nothing_passed_the_refusal_says_so_and_how_to_learn_why(ask, repository):
    judged(repository.revisions.get(title="push"), "failed")
    said = ask().get(f"{AT}/verified").json()
    assert (said["status"], said["code"]) == (404, "revision-not-found")
    assert said["detail"] == "No version of alice/reviews has passed yet, so none is `verified`."
    assert "`dovetail verdict alice/reviews` says why" in said["fix"]


def test_where_what_passed_is_yanked_the_refusal_says_that(ask, cast, repository):
    revision = judged(repository.revisions.get(title="push")).revision
    withdrawals.yank(revision, cast.session("alice"), "Wrong labels.")
    said = ask().get(f"{AT}/verified").json()
    assert (said["status"], said["code"]) == (404, "revision-not-found")
    assert said["detail"].startswith("No version of alice/reviews is `verified`: all that passed are yanked")


@pytest.mark.parametrize("name", ["main", "HEAD", "refs%2Fheads%2Fmain", "refs/heads/main", "{oid}", "{short}"])
def test_a_revision_answers_to_each_of_its_names(ask, repository, name):
    oid = repository.revisions.get(title="push").oid
    assert ask().get(f"{AT}/{name.format(oid=oid, short=oid[:10])}").json()["revision"] == oid


def test_history_is_paged_newest_first(ask, cast, repository):
    for number in range(3):
        pushed(cast, repository, title=f"change {number}", files={"notes.txt": b"%d" % number})
    seen, url = [], f"{AT}?limit=2"
    while url:
        page = ask().get(url).json()
        seen += page["items"]
        url = page["next"]
    assert [item["title"] for item in seen] == ["change 2", "change 1", "change 0", "push", "initial commit"]
    assert [item["parent"] for item in seen] == [*(item["revision"] for item in seen[1:]), None]
    assert seen[0]["state"] == "queued"
    assert seen[-1]["state"] is None


def test_history_shows_a_training_run_as_one_item(ask, cast, repository):
    for n in range(1, 6):
        pushed(cast, repository, title=f"step {n}", files={"notes.txt": b"%d" % n})
    page = ask().get(f"{AT}?collapse=runs&limit=2").json()
    assert [item["title"] for item in page["items"]] == ["step 5", "step 4"]  # main has a name, and stands alone
    assert [row["title"] for row in page["items"][1]["run"]] == ["step 3", "step 2", "step 1"]
    assert page["items"][1]["run"][0]["parent"] == page["items"][1]["run"][1]["revision"]
    rest = ask().get(page["next"]).json()
    assert [item["title"] for item in rest["items"]] == ["push", "initial commit"]
    assert all(item["run"] == [] for item in rest["items"])
    assert "run" not in ask().get(f"{AT}?limit=1").json()["items"][0]
    assert ask().get(f"{AT}?collapse=all").status_code == 400


def test_what_is_held_back_is_no_way_into_history(ask, cast, repository):
    held = repository.refs.get(name=refs.MAIN).revision
    pushed(cast, repository, title="Better", files={"a.txt": b"a"})
    quarantine.quarantine(repository, cast.session("mona"), reason="Evil.", revision=held)
    assert ask("carol").get(AT, {"rev": held.oid}).status_code == 404
    assert ask("alice").get(AT, {"rev": held.oid}).status_code == 200
    titles, address = [], f"{AT}?limit=1"
    while address:
        page = ask("carol").get(address).json()
        titles += [row["title"] for row in page["items"]]
        address = page["next"]
    assert titles == ["Better", "push", "initial commit"], "pages go on past it"


def test_history_takes_as_many_queries_for_two_as_for_twelve(ask, cast, repository, django_assert_num_queries):
    for number in (0, 10):
        for one in range(number):
            pushed(cast, repository, title=f"{one}", files={"notes.txt": b"%d" % one})
        ask().get(AT)  # warms the site settings
        with django_assert_num_queries(4):
            assert len(ask().get(AT).json()["items"]) == 2 + number


def test_the_manifest_takes_as_many_queries_for_four_files_as_for_forty(
    ask, cast, repository, django_assert_num_queries
):
    for number in (0, 36):
        if number:
            pushed(cast, repository, title="many", files={f"{one}.txt": b"%d" % one for one in range(number)})
        ask().get(f"{AT}/main")  # warms the site settings
        with django_assert_num_queries(9):  # one for the facts
            assert len(ask().get(f"{AT}/main").json()["files"]) == 4 + number


def test_a_file_is_a_redirect_to_its_bytes_at_this_very_commit(ask, repository):
    oid = repository.revisions.get(title="push").oid
    answer = ask().get(f"{AT}/main/files/adapter_config.json")
    assert (answer.status_code, answer["Location"]) == (302, f"/alice/reviews/resolve/{oid}/adapter_config.json")
    missing = ask().get(f"{AT}/main/files/nope.bin")
    assert (missing.status_code, missing.json()["code"]) == (404, "file-not-found")


def test_a_revision_that_is_not_there_says_so(ask, repository):
    answer = ask().get(f"{AT}/v9")
    assert (answer.status_code, answer.json()["code"]) == (404, "revision-not-found")


def test_what_the_store_has_lost_is_the_hubs_fault_and_says_so(ask, repository, settings):
    facts._read.cache_clear()  # as in a process that has not read it yet
    RevisionFacts.objects.all().delete()
    lost = repository.revisions.get(title="push").files.get(path="README.md").sha256
    Path(settings.BLOBS.removeprefix("file://"), Keys.blob(lost)).unlink()
    answer = ask().get("/api/v1/adapters/alice/reviews/revisions/main")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
    assert "verify_blobs" in answer.json()["fix"]


def test_what_is_below_a_revision_and_no_route_is_said_to_be_none(ask, repository, secret):
    for rev in ("main/xyz", "main/files", "refs/heads/main/xyz", "main/a/b"):
        answer = ask().get(f"/api/v1/adapters/alice/reviews/revisions/{rev}")
        assert (answer.status_code, answer.json()["code"]) == (404, "route-not-found"), rev
    for rev in ("no/such", "feature/x/verdict", "refs/heads/none"):
        assert ask().get(f"/api/v1/adapters/alice/reviews/revisions/{rev}").json()["code"] == "revision-not-found", rev
    assert ask().get("/api/v1/adapters/acme/secret/revisions/main/xyz").json()["code"] == "adapter-not-found"
