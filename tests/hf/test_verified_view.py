"""Below /verified the hub is read-only, and main means the newest version that passed."""

import pytest
from django.utils import timezone

from registry.kernel import site_settings
from registry.models import Repository, Verdict
from registry.proof.verdicts import requests
from registry.proof.verified.verified import move_verified
from tests.cast import Cast
from tests.hf.wire import Wire, file, header

NAME = "alice/reviews"


def judge(oid: str, state: str) -> None:
    """Let the verdict of a commit end, as a worker's would."""
    verdict = Verdict.objects.get(revision__oid=oid)
    Verdict.objects.filter(pk=verdict.pk).update(
        state=state, finished_at=timezone.now(), turn=None, result={"depth": "run"}
    )
    requests.refresh(verdict.revision.repository)


@pytest.fixture
def versions(wire: Wire, cast: Cast) -> tuple[str, str]:
    """A version that passed, and the failed one that was pushed after it."""
    cast.repository(NAME)
    good = wire.push(NAME, {"adapter_config.json": b'{"peft_type": "LORA"}', "README.md": b"good"})
    judge(good, "passed")
    bad = wire.push(NAME, {"adapter_config.json": b'{"peft_type": "IA3"}', "README.md": b"bad"})
    judge(bad, "failed")
    return good, bad


@pytest.mark.parametrize("main", ["main", "HEAD", "refs%2Fheads%2Fmain", "refs/heads/main"])
def test_main_is_the_newest_version_that_passed(wire: Wire, versions, main):
    good, bad = versions
    for prefix, oid, text in (("", bad, b"bad"), ("/verified", good, b"good")):
        answer = wire.get(f"{prefix}/{NAME}/resolve/{main}/README.md")
        assert (answer.status_code, answer["X-Repo-Commit"], answer.content_of()) == (200, oid, text)
        tree = wire.get(f"{prefix}/api/models/{NAME}/tree/{main}").json()
        assert [item["size"] for item in tree if item["path"] == "README.md"] == [len(text)]


def test_every_route_that_reads_agrees(wire: Wire, versions):
    good, bad = versions
    api = f"/verified/api/models/{NAME}"
    assert wire.get(api).json()["sha"] == wire.get(f"{api}/revision/main").json()["sha"] == good
    assert wire.get(f"{api}/commits/main").json()[0]["id"] == good
    assert wire.get(f"{api}/refs").json()["branches"] == [
        {"name": "main", "ref": "refs/heads/main", "targetCommit": good}
    ]
    paths = wire.ask("POST", f"{api}/paths-info/main", {"paths": ["README.md"]}).json()
    assert [item["size"] for item in paths] == [4]
    listed = wire.get("/verified/api/models?full=true").json()
    assert [(item["id"], item["sha"]) for item in listed] == [(NAME, good)]
    rest = f"/verified/api/v1/adapters/{NAME}/revisions/main"
    assert wire.get(rest).json()["revision"] == good
    assert wire.get(f"{rest}/verdict").json()["state"] == "passed"
    assert wire.get(f"{api}/revision/{bad}").json()["sha"] == bad  # who names a commit gets it


def test_an_adapter_of_which_nothing_passed_is_refused_in_a_sentence_and_not_listed(wire: Wire, cast: Cast):
    cast.repository(NAME)
    wire.push(NAME, {"adapter_config.json": b'{"peft_type": "LORA"}'})
    for path in (f"/{NAME}/resolve/main/README.md", f"/api/models/{NAME}", f"/api/models/{NAME}/refs"):
        answer = wire.get(f"/verified{path}")
        assert answer.status_code == 404
        assert answer["X-Error-Code"] == "RevisionNotFound"
        assert "No version of alice/reviews has passed yet" in answer["X-Error-Message"]
        assert wire.get(path).status_code != 404 or "EntryNotFound" in wire.get(path)["X-Error-Code"]
    assert wire.get("/verified/api/models").json() == []
    assert wire.get("/verified/api/v1/adapters").json()["items"] == []


def test_what_has_no_verdict_is_there_as_it_is(wire: Wire, cast: Cast):
    cast.repository("alice/card")
    oid = wire.push("alice/card", {"README.md": b"only a card"})
    assert wire.get("/verified/alice/card/resolve/main/README.md")["X-Repo-Commit"] == oid
    assert [item["id"] for item in wire.get("/verified/api/models").json()] == ["alice/card"]


def test_nothing_is_written_below_it(wire: Wire, versions):
    api = f"/api/models/{NAME}"
    uploads = {"operation": "upload", "objects": []}
    for method, path, body in (
        ("POST", f"{api}/preupload/main", {"files": []}),
        ("POST", f"{api}/branch/b", {}),
        ("PUT", f"{api}/settings", {"private": True}),
        ("POST", "/api/repos/create", {"name": "new"}),
        ("DELETE", "/api/repos/delete", {"name": "reviews"}),
        ("POST", f"/{NAME}.git/info/lfs/objects/batch", uploads),
        ("GET", f"{api}/xet-write-token/main", None),
        ("POST", f"/api/v1/adapters/{NAME}/revisions/main/validate", {}),
        ("POST", "/organizations/new", {}),
    ):
        answer = wire.ask(method, f"/verified{path}", body)
        assert answer.status_code == 405, (path, answer.content)
        assert path == "/organizations/new" or answer.json()["code"] == "view-read-only"
    refused = wire.ask("POST", f"/verified{api}/commit/main", {"key": "header"})
    assert (refused.status_code, "/verified" in refused["X-Error-Message"]) == (405, True)
    assert wire.commit(NAME, header(), file("x")).status_code == 200


def test_addresses_in_answers_keep_the_prefix_and_pages_lose_it(wire: Wire, cast: Cast, versions):
    for number in range(3):
        wire.commit(NAME, header(), file(f"more-{number}"))
    link = wire.get(f"/verified/api/models/{NAME}/commits/main?limit=1")["Link"]
    assert f"/verified/api/models/{NAME}/commits/main?" in link
    page = wire.get(f"/verified/{NAME}?tab=files")
    assert (page.status_code, page["Location"]) == (302, f"/{NAME}?tab=files")
    assert wire.get(f"/api/models/{NAME}/commits/main?limit=1")["Link"].count("/verified") == 0


def test_under_the_verified_policy_a_bad_push_is_no_outage(wire: Wire, versions):
    good, bad = versions
    site_settings.change_setting("pull_policy", "verified", by=None)
    for who, oid in (("carol", good), ("nobody", good), ("alice", bad)):
        answer = wire.get(f"/{NAME}/resolve/main/README.md", who=who)
        assert (answer.status_code, answer["X-Repo-Commit"]) == (200, oid)
        assert wire.get(f"/api/models/{NAME}", who=who).json()["sha"] == oid
        assert [item["sha"] for item in wire.get("/api/models?full=true", who=who).json()] == [oid]
    assert wire.get(f"/{NAME}/resolve/{bad}/README.md", who="carol").json()["code"] == "revision-not-verified"


def test_filters_look_at_the_version_that_is_served_and_hold_on_while_it_is_proven_again(wire: Wire, versions, cast):
    good, _ = versions
    Verdict.objects.filter(revision__oid=good).update(
        result={
            "depth": "run",
            "serving": [{"engine": "vllm", "outcome": "serves", "version": "1", "reason": "", "flags": []}],
        }
    )
    repository = Repository.objects.get(name="reviews")
    move_verified(repository.pk)

    def found(query: str) -> list[str]:
        return [item["id"] for item in wire.get(f"/api/v1/adapters?{query}", who="nobody").json()["items"]]

    assert (found("verdict=passed"), found("engine=vllm"), found("verdict=failed")) == ([NAME], [NAME], [])
    requests.again(repository.revisions.get(oid=good), None)
    assert found("verdict=passed") == found("engine=vllm") == [NAME]
    last = wire.push(NAME, {"adapter_config.json": b'{"peft_type": "LORA", "r": 2}'})
    assert (found("verdict=passed"), found("engine=vllm"), found("verdict=queued")) == ([NAME], [NAME], [])
    judge(last, "passed")
    requests.again(repository.revisions.get(oid=last), None)
    assert (found("verdict=passed"), found("verdict=queued"), found("verdict=failed")) == ([NAME], [], [])
    facets = wire.get("/api/v1/adapters?facets=1", who="nobody").json()["facets"]["verdict"]
    assert facets == [{"value": "passed", "count": 1}]
