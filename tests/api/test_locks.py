"""The lock of a revision: digests, base, engine and flags as they were proven, and nothing that is not known."""

import hashlib

from registry.models import Base
from registry.moderation import quarantine
from tests.api.conftest import BASE, FILES, judged, pushed

AT = "/api/v1/adapters/alice/reviews/revisions"
ENGINE = {"name": "e5", "torch": "2.13.0", "transformers": "5.24.0", "peft": "0.21.2", "attention": "sdpa"}
SERVING = [
    {"engine": "vllm", "version": "0.33.0", "outcome": "serves", "flags": ["--enable-lora"], "rules": []},
    {"engine": "tgi", "version": "3", "outcome": "refuses", "reason": "no", "rules": ["x"]},
]


def proven(repository, cast, **base):
    Base.objects.update_or_create(
        id=BASE, defaults={"revision": "r1", "sha256": "0" * 64, "files": {"config.json": "1" * 64}, **base}
    )
    revision = repository.revisions.get(title="push")
    pin = {"id": BASE, "revision": "r1", "sha256": "0" * 64}
    judged(revision, base=pin, engine=ENGINE, serving=SERVING, kind="lora", format="peft", depth="run")
    return revision


def test_a_lock_pins_files_base_engine_and_flags(ask, cast, repository):
    revision = proven(repository, cast)
    lock = ask().get(f"{AT}/verified/lock").json()
    assert (lock["adapter"], lock["revision"], lock["state"]) == ("alice/reviews", revision.oid, "passed")
    assert (lock["kind"], lock["format"], lock["merge_order"]) == ("lora", "peft", [""])
    files = {file["path"]: (file["size"], file["sha256"]) for file in lock["files"]}
    assert files.keys() == {*FILES, ".gitattributes"}
    for path, content in FILES.items():
        assert files[path] == (len(content), hashlib.sha256(content).hexdigest())
    assert lock["base"] == {
        "id": BASE, "revision": "r1", "sha256": "0" * 64,
        "files": [{"path": "config.json", "sha256": "1" * 64, "size": None}],
    }  # fmt: skip
    assert ENGINE.items() <= lock["engine"].items()
    assert [row["engine"] for row in lock["serving"]] == ["vllm"]


def test_a_lock_is_the_same_under_every_name_and_never_sent_twice(ask, cast, repository):
    revision = proven(repository, cast)
    answers = [ask().get(f"{AT}/{rev}/lock") for rev in ("main", "verified", revision.oid, "refs/heads/main")]
    assert len({answer.content for answer in answers}) == 1
    again = ask().get(f"{AT}/{revision.oid}/lock", headers={"If-None-Match": answers[0]["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_base_that_changed_since_keeps_its_pin_and_loses_its_files(ask, cast, repository):
    proven(repository, cast)
    Base.objects.filter(id=BASE).update(sha256="2" * 64)
    base = ask().get(f"{AT}/main/lock").json()["base"]
    assert (base["sha256"], base["files"]) == ("0" * 64, [])


def test_what_is_not_proven_yet_is_locked_by_its_files_alone(ask, cast, repository):
    lock = ask().get(f"{AT}/main/lock").json()
    assert {file["path"] for file in lock["files"]} == {*FILES, ".gitattributes"}
    assert [lock[key] for key in ("state", "kind", "base", "engine", "serving", "merge_order")] == [
        None, None, None, None, [], [],
    ]  # fmt: skip


def test_a_lock_stays_while_the_verdict_is_renewed(ask, cast, repository):
    revision = proven(repository, cast)
    before = ask().get(f"{AT}/main/lock").content
    assert ask("alice").post(f"{AT}/main/validate").status_code == 202
    assert ask().get(f"{AT}/main/lock").content == before
    assert revision.verdicts.count() == 2


def test_what_is_held_back_has_no_lock(ask, cast, repository):
    first = proven(repository, cast)
    pushed(cast, repository, title="second", files={"notes.txt": b"x"})
    quarantine.quarantine(repository, cast.session("mona"), reason="It leaks.", revision=first)
    assert ask().get(f"{AT}/{first.oid}/lock").status_code == 404
    assert ask().get(f"{AT}/main/lock").status_code == 200
