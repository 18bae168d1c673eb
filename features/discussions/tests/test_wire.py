"""Discussions and pull requests on the wire: who may say and propose what, and what a merge makes of it."""

import json

import pytest

from dovetail.adapters.results.report import Report
from features.discussions import thread_entries
from registry.models import Base, Discussion, DiscussionEvent, Repository, Verdict
from registry.proof.verdicts import jobs
from tests.cast import Cast
from tests.hf.test_refusals import refused
from tests.hf.wire import Wire, deleted, file, header
from tests.sweep import sweep

NAME = "acme/reviews"
HERE = f"/api/models/{NAME}"
TALK = f"{HERE}/discussions"


@pytest.fixture
def repo(cast: Cast, wire: Wire) -> Repository:
    made = cast.repository(NAME)
    wire.push(NAME, {"a.txt": b"one\n", "b.txt": b"two\n"})
    return made


def start(wire: Wire, title: str = "A question", *, who: str = "carol", pull_request: bool = False, text: str = "Why?"):
    body = {"title": title, "description": text, "pullRequest": pull_request}
    return wire.ask("POST", TALK, body, who=who)


def propose(wire: Wire, *lines: dict, who: str = "carol", rev: str = "main", summary: str = "Fix it") -> int:
    body = b"\n".join(json.dumps(line).encode() for line in (header(summary), *lines))
    answer = wire.ask("POST", f"{HERE}/commit/{rev}?create_pr=1", body, who=who)
    assert answer.status_code == 200, answer.content
    return int(answer.json()["pullRequestUrl"].rpartition("/")[2])


def details(wire: Wire, number: int, who: str = "alice") -> dict:
    return wire.get(f"{TALK}/{number}?diff=1", who=who).json()


def merge(wire: Wire, number: int, who: str = "bob", body: object = None):
    return wire.ask("POST", f"{TALK}/{number}/merge", b"null" if body is None else body, who=who)


def files(wire: Wire, rev: str = "main") -> dict[str, str]:
    rows = wire.get(f"{HERE}/tree/{rev}?recursive=1").json()
    return {row["path"]: row["oid"] for row in rows if row["type"] == "file" and row["path"] != ".gitattributes"}


# --- threads ---------------------------------------------------------------------------------------------------------
def test_a_stranger_asks_and_is_answered(wire: Wire, repo):
    number = start(wire, "  A   question ").json()["num"]
    wire.ask("POST", f"{TALK}/{number}/comment", {"comment": "**Because.**"}, who="bob")
    seen = details(wire, number, who="nobody")
    assert (seen["title"], seen["status"], seen["author"]["name"]) == ("A question", "open", "carol")
    assert [event["data"]["latest"]["raw"] for event in seen["events"]] == ["Why?", "**Because.**"]
    assert seen["isPullRequest"] is False
    assert "changes" not in seen


def test_numbers_count_threads_and_pull_requests_together(wire: Wire, repo):
    assert start(wire).json()["num"] == 1
    assert propose(wire, file("c.txt")) == 2
    draft = start(wire, pull_request=True).json()
    assert (draft["num"], draft["status"]) == (3, "draft")
    assert repo.refs.filter(name="refs/pr/3").exists()
    assert not repo.refs.filter(name="refs/pr/1").exists()


@sweep(
    "query, numbers",
    [
        ("", [4, 3, 2, 1]),
        ("type=discussion", [2, 1]),
        ("type=pull_request", [4, 3]),
        ("status=open", [4, 3, 2]),
        ("status=closed", [1]),
        ("author=CAROL", [4, 3, 2, 1]),
        ("author=bob", []),
        ("p=1", []),
    ],
)
def test_lists_are_filtered_and_newest_first(wire: Wire, repo, query, numbers):
    start(wire), start(wire), propose(wire, file("c.txt")), start(wire, pull_request=True)
    wire.ask("POST", f"{TALK}/1/status", {"status": "closed"}, who="carol")
    page = wire.get(f"{TALK}?{query}").json()
    assert [row["num"] for row in page["discussions"]] == numbers
    assert page["count"] == (4 if query == "p=1" else len(numbers))


def test_words_that_mean_nothing_are_refused(wire: Wire, repo):
    assert wire.get(f"{TALK}?status=weird").status_code == 400
    start(wire)
    assert wire.ask("POST", f"{TALK}/1/status", {"status": "published"}, who="carol").status_code == 400
    assert start(wire, "   ").status_code == 400
    assert start(wire, "x" * 501).status_code == 400
    assert wire.ask("POST", f"{TALK}/1/comment", {"comment": " "}, who="carol").status_code == 400
    assert wire.get(f"{TALK}/99").json()["code"] == "discussion-not-found"
    assert wire.get(f"{TALK}/99999999999999999999").status_code == 404


def test_only_its_author_edits_a_comment_and_writers_hide_it(wire: Wire, repo):
    start(wire)
    said = f"{TALK}/1/comment/{details(wire, 1)['events'][0]['id']}"
    for who, status in (("alice", 403), ("bob", 403), ("carol", 200)):
        assert wire.ask("POST", f"{said}/edit", {"content": f"by {who}"}, who=who).status_code == status
    assert wire.ask("POST", f"{said}/edit", {"content": ""}, who="carol").json()["code"] == "value-invalid"
    edited = details(wire, 1)["events"][0]["data"]
    assert (edited["edited"], edited["latest"]["raw"]) == (True, "by carol")
    assert wire.ask("POST", f"{said}/hide", who="erin").status_code == 403
    assert wire.ask("POST", f"{said}/hide", who="bob").json()["updatedComment"]["data"]["hidden"] is True
    assert b"by carol" not in wire.get(f"{TALK}/1").content
    assert wire.ask("POST", f"{said}/edit", {"content": "again"}, who="carol").status_code == 403


def test_a_comment_of_another_discussion_is_not_found_here(cast: Cast, wire: Wire, repo):
    start(wire), start(wire)
    foreign = details(wire, 2)["events"][0]["id"]
    for last, body in (("edit", {"content": "x"}), ("hide", {})):
        answer = wire.ask("POST", f"{TALK}/1/comment/{foreign}/{last}", body, who="carol")
        assert answer.json()["code"] == "comment-not-found"
    assert not DiscussionEvent.objects.filter(hidden=True).exists()


def say(wire: Wire, number: int, text: str, who: str = "carol"):
    return wire.ask("POST", f"{TALK}/{number}/comment", {"comment": text}, who=who)


def test_who_fills_a_thread_keeps_nobody_from_closing_it(wire: Wire, repo, monkeypatch):
    monkeypatch.setattr(thread_entries, "MAX_EVENTS", 3)
    number = start(wire).json()["num"]
    assert [say(wire, number, "More.").status_code for _ in range(3)] == [200, 200, 403]
    assert wire.ask("POST", f"{TALK}/{number}/status", {"status": "closed"}, who="bob").status_code == 200
    assert details(wire, number)["status"] == "closed"


def test_a_thread_holds_only_so_much_text_however_it_came_in(wire: Wire, repo, monkeypatch):
    monkeypatch.setattr(thread_entries, "MAX_TEXT", 100)
    number = start(wire, text="a" * 40).json()["num"]
    said = say(wire, number, "b" * 40).json()["newMessage"]["id"]
    refused(say(wire, number, "c" * 40), 403, "quota-exceeded", "reached the size limit")
    edit = f"{TALK}/{number}/comment/{said}/edit"
    refused(wire.ask("POST", edit, {"content": "d" * 80}, who="carol"), 403, "quota-exceeded", "reached the size limit")
    assert wire.ask("POST", edit, {"content": "e" * 60}, who="carol").status_code == 200


def test_its_author_and_writers_close_and_rename_it_and_nobody_else(wire: Wire, repo):
    start(wire)
    for who in ("erin", "mona"):
        assert wire.ask("POST", f"{TALK}/1/title", {"title": "Mine"}, who=who).status_code == 403
        assert wire.ask("POST", f"{TALK}/1/status", {"status": "closed"}, who=who).status_code == 403
    renamed = wire.ask("POST", f"{TALK}/1/title", {"title": "Better"}, who="carol").json()["newTitle"]
    assert renamed["data"] == {"from": "A question", "to": "Better"}
    closed = wire.ask("POST", f"{TALK}/1/status", {"status": "closed", "comment": "Done."}, who="bob").json()
    assert closed["newStatus"]["data"] == {"status": "closed"}
    seen = details(wire, 1)
    assert (seen["title"], seen["status"]) == ("Better", "closed")
    assert [event["type"] for event in seen["events"]] == ["comment", "title-change", "comment", "status-change"]


# --- proposals -------------------------------------------------------------------------------------------------------
def test_a_stranger_proposes_and_pushes_on_to_his_own_proposal_only(wire: Wire, repo):
    number = propose(wire, file("c.txt", b"three\n"))
    rev = f"refs%2Fpr%2F{number}"
    assert wire.commit(NAME, header("More"), file("d.txt"), rev=rev, who="carol").status_code == 200
    assert wire.commit(NAME, header(), file("e.txt"), rev=rev, who="erin").status_code == 403
    assert wire.commit(NAME, header(), file("e.txt"), rev="main", who="carol").status_code == 403
    assert wire.commit(NAME, header(), file("e.txt"), rev="refs%2Fpr%2F99", who="carol").status_code == 404
    assert wire.commit(NAME, header("Help"), file("e.txt"), rev=rev, who="bob").status_code == 200
    subjects = [event["data"]["subject"] for event in details(wire, number)["events"] if event["type"] == "commit"]
    assert subjects == ["Fix it", "More", "Help"]
    assert files(wire).keys() == {"a.txt", "b.txt"}


def test_lesser_tokens_propose_nothing(cast: Cast, wire: Wire, repo):
    for value in (cast.token("carol", "read"), cast.token("carol", "fine-grained", carol__x="write")):
        body = json.dumps(header()).encode()
        assert wire.ask("POST", f"{HERE}/commit/main?create_pr=1", body, who=value).status_code == 403
        assert start(wire, who=value).status_code == 403
    assert not Discussion.objects.exists()


def test_a_proposal_for_a_branch_is_merged_into_that_branch(wire: Wire, repo):
    wire.ask("POST", f"{HERE}/branch/dev", {})
    number = propose(wire, file("c.txt"), rev="dev")
    assert details(wire, number)["changes"] == {"base": "refs/heads/dev"}
    assert merge(wire, number).status_code == 200
    assert "c.txt" in files(wire, "dev")
    assert "c.txt" not in files(wire)


def test_the_diff_is_what_git_would_write(wire: Wire, repo):
    number = propose(wire, file("a.txt", b"one\nmore"), deleted("b.txt"), file("c.bin", b"\0"), file("new.txt", b"x\n"))
    diff = details(wire, number)["diff"]
    assert "diff --git a/a.txt b/a.txt\n" in diff
    assert "@@ -1 +1,2 @@\n one\n+more\n\\ No newline at end of file\n" in diff
    assert "deleted file mode 100644\n" in diff
    assert "--- a/b.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-two\n" in diff
    assert "new file mode 100644\n" in diff
    assert "--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+x\n" in diff
    assert "Binary files" not in diff.split("c.bin")[0]


def test_a_gate_hides_the_diff_from_who_is_not_let_in(wire: Wire, repo):
    number = propose(wire, file("a.txt", b"secret weights\n"), who="bob")
    Repository.objects.filter(pk=repo.pk).update(gated="manual")
    assert details(wire, number, who="carol")["diff"] == ""
    assert "secret" in details(wire, number, who="bob")["diff"]


# --- merging ---------------------------------------------------------------------------------------------------------
def test_a_merge_is_one_commit_on_the_base_with_the_changes_of_both(wire: Wire, repo):
    number = propose(wire, file("a.txt", b"ONE\n"), deleted("b.txt"))
    main = wire.push(NAME, {"other.txt": b"meanwhile"})
    assert merge(wire, number, body={"comment": "Thank you"}).status_code == 200
    history = wire.get(f"{HERE}/commits/main").json()
    assert (history[0]["title"], history[1]["id"]) == (f"Fix it (#{number})", main)
    assert files(wire).keys() == {"a.txt", "other.txt"}
    seen = details(wire, number)
    assert (seen["status"], seen["changes"]["mergeCommitId"]) == ("merged", history[0]["id"])
    assert [event["type"] for event in seen["events"]][-2:] == ["comment", "status-change"]


def test_files_that_both_changed_are_a_conflict_and_nothing_is_merged(wire: Wire, repo):
    number = propose(wire, file("a.txt", b"mine\n"), file("b.txt", b"2\n"))
    main = wire.push(NAME, {"a.txt": b"theirs\n"})
    assert details(wire, number)["filesWithConflicts"] == ["a.txt"]
    answer = merge(wire, number)
    assert (answer.status_code, answer.json()["code"]) == (409, "merge-conflict")
    assert "a.txt" in answer.json()["detail"]
    assert wire.get(HERE).json()["sha"] == main
    assert details(wire, number)["status"] == "open"
    wire.commit(NAME, header("Give in"), file("a.txt", b"theirs\n"), rev=f"refs%2Fpr%2F{number}", who="carol")
    assert details(wire, number)["filesWithConflicts"] is False
    assert merge(wire, number).status_code == 200


def test_names_that_would_collide_are_a_conflict(wire: Wire, repo):
    number = propose(wire, file("folder/x.txt"))
    wire.push(NAME, {"Folder": b"a file"})
    assert details(wire, number)["filesWithConflicts"] == ["folder/x.txt"]
    assert merge(wire, number).status_code == 409


@pytest.mark.parametrize("who", ["carol", "erin", "dave", "mona"])
def test_who_may_not_push_may_not_merge(wire: Wire, repo, who):
    number = propose(wire, file("c.txt"))
    assert merge(wire, number, who=who).status_code == 403
    assert details(wire, number)["status"] == "open"


def test_what_is_not_open_is_not_merged_and_what_is_merged_stays(wire: Wire, repo):
    draft = start(wire, pull_request=True, who="carol").json()["num"]
    assert merge(wire, draft).json()["code"] == "discussion-closed"
    talk = start(wire).json()["num"]
    assert merge(wire, talk).status_code == 400
    number = propose(wire, file("c.txt"))
    assert merge(wire, number).status_code == 200
    assert merge(wire, number).json()["code"] == "discussion-closed"
    assert wire.ask("POST", f"{TALK}/{number}/status", {"status": "open"}, who="bob").status_code == 409
    late = wire.commit(NAME, header(), file("d.txt"), rev=f"refs%2Fpr%2F{number}", who="carol")
    assert late.json()["code"] == "discussion-closed"


# --- verdicts --------------------------------------------------------------------------------------------------------
CONFIG = b'{"peft_type": "LORA", "base_model_name_or_path": "a/b", "r": 8, "task_type": "SEQ_CLS"}'


def finish(revision_oid: str) -> None:
    claim = jobs.claim(_verdict(revision_oid).pk, "a worker of the tests")
    assert claim is not None
    jobs.record(claim, Report(state="passed", depth="run"), 5)


def _verdict(revision_oid: str) -> Verdict:
    return Verdict.objects.get(revision__oid=revision_oid)


@pytest.mark.parametrize("moved", [False, True])
def test_a_merge_takes_over_the_verdict_of_the_same_files_and_of_no_others(wire: Wire, repo, monkeypatch, moved):
    Base.objects.create(id="a/b", revision="1", sha256="0" * 64)
    number = propose(wire, file("adapter_config.json", CONFIG))
    finish(repo.refs.get(name=f"refs/pr/{number}").revision.oid)
    assert not repo.refs.filter(name="refs/verified").exists(), "a proposal is not what main says"
    if moved:
        wire.push(NAME, {"other.txt": b"x"})
    merged = merge(wire, number).json()["mergeCommitId"]
    repo.refresh_from_db()
    if moved:
        assert (_verdict(merged).state, repo.state) == ("queued", "queued")
        return
    assert (_verdict(merged).state, repo.state) == ("passed", "passed")
    assert repo.refs.get(name="refs/verified").revision.oid == merged


def test_a_stranger_opens_only_so_much_a_day_and_a_writer_as_he_likes(wire: Wire, repo, monkeypatch):
    monkeypatch.setattr(thread_entries, "MAX_A_DAY", 2)
    path = f"/api/models/{NAME}/discussions"
    for number in (1, 2):
        assert wire.propose(NAME, file(f"{number}.txt"), who="carol").status_code == 200
        assert wire.ask("POST", f"{path}/{number}/status", {"status": "closed"}, who="carol").status_code == 200
    for answer in (
        wire.ask("POST", path, {"title": "Once more", "description": ""}, who="carol"),
        wire.propose(NAME, file("3.txt"), who="carol"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (429, "rate-limited")
    assert [wire.propose(NAME, file(f"{number}.txt")).status_code for number in range(3)] == [200] * 3
