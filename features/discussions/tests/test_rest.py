"""Discussions and pull requests over REST: each act of the page, and who may do it."""

from registry.models import Repository
from registry.publish import push

URL = "/api/v1/adapters/alice/reviews/discussions"


def test_a_question_is_asked_answered_edited_hidden_renamed_closed_and_reopened(ask_json, cast):
    cast.repository("alice/reviews")
    bob, alice = ask_json("bob", "write"), ask_json("alice", "write")
    asked = bob.post(URL, {"title": "Which rows?", "text": "Of which split?"})
    assert (asked.status_code, asked.json()["number"], asked.json()["pull_request"]) == (201, 1, False)
    here = f"{URL}/1"
    said = alice.post(f"{here}/comments", {"text": "The test split."}).json()
    edited = alice.patch(f"{here}/comments/{said['id']}", {"text": "Its 872 rows."}).json()
    assert (edited["text"], bool(said["edited_at"]), bool(edited["edited_at"])) == ("Its 872 rows.", False, True)
    closed = bob.patch(here, {"title": "The rows", "status": "closed", "comment": "Thanks."}).json()
    assert (closed["title"], closed["status"]) == ("The rows", "closed")
    kinds = [entry["kind"] for entry in closed["entries"]]
    assert kinds == ["comment", "comment", "title-change", "comment", "status-change"]
    assert alice.patch(here, {"status": "open"}).json()["status"] == "open"
    assert alice.delete(f"{here}/comments/{said['id']}").status_code == 204
    hidden = ask_json("anonymous").get(here).json()["entries"][1]
    assert (hidden["hidden"], hidden["text"]) == (True, None)
    assert bob.patch(f"{here}/comments/{said['id']}", {"text": "Mine"}).status_code == 403
    assert alice.get(f"{here}9").json()["code"] == "discussion-not-found"
    assert alice.delete(f"{here}/comments/999").json()["code"] == "comment-not-found"


def test_a_pull_request_is_proposed_read_and_merged(ask_json, cast):
    repository = cast.repository("alice/reviews")
    bob, alice = ask_json("bob", "write"), ask_json("alice", "write")
    made = bob.post(URL, {"title": "Notes", "pull_request": True}).json()
    assert (made["status"], made["base"], made["ref"]) == ("draft", "refs/heads/main", "refs/pr/1")
    intent = push.Intent(repository, made["ref"], cast.session("bob"), "Add notes")
    push.receive(intent, [push.Inline("notes.txt", b"a line\n")])
    here = f"{URL}/1"
    assert alice.post(f"{here}/merge", {}).json()["code"] == "discussion-closed"
    assert bob.patch(here, {"status": "open"}).json()["status"] == "open"
    assert "+a line" in ask_json("anonymous").get(f"{here}/diff").json()["diff"]
    refused = bob.post(f"{here}/merge", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "not-allowed")
    merged = alice.post(f"{here}/merge", {"comment": "Thank you."}).json()
    head = Repository.objects.get().refs.get(name="refs/heads/main").revision
    assert merged == {"adapter": "alice/reviews", "revision": head.oid}
    thread = alice.get(here).json()
    assert (thread["status"], thread["merged_as"], thread["conflicts"]) == ("merged", head.oid, [])
    assert alice.patch(here, {"status": "open"}).json()["code"] == "discussion-closed"


def test_lists_are_chosen_from_and_lead_on(ask_json, cast):
    cast.repository("alice/reviews")
    bob, alice = ask_json("bob", "write"), ask_json("alice", "write")
    for asking, title in ((bob, "One"), (alice, "Two"), (bob, "Three")):
        asking.post(URL, {"title": title, "pull_request": title == "Three"})
    alice.patch(f"{URL}/2", {"status": "closed"})

    def titles(query):
        return [row["title"] for row in ask_json("anonymous").get(f"{URL}?{query}").json()["items"]]

    assert titles("status=open") == ["Three", "One"]
    assert titles("kind=discussion") == ["Two", "One"]
    assert titles("author=ALICE") == ["Two"]
    first = ask_json("anonymous").get(f"{URL}?limit=2").json()
    assert [row["number"] for row in first["items"]] == [3, 2]
    assert [row["number"] for row in ask_json("anonymous").get(first["next"]).json()["items"]] == [1]


def test_a_change_of_which_a_part_is_refused_changes_nothing(ask_json, cast):
    cast.repository("alice/reviews")
    ask_json("bob", "write").post(URL, {"title": "Mine", "text": "x"})
    before = ask_json("alice").get(f"{URL}/1").json()
    for body in ({"title": "Ours", "status": "merged"}, {"title": "Ours", "status": "closed", "comment": "a\0b"}):
        assert ask_json("alice", "write").patch(f"{URL}/1", body).status_code == 400
    assert ask_json("carol", "write").patch(f"{URL}/1", {"title": "Theirs"}).status_code == 403
    assert ask_json("alice").get(f"{URL}/1").json() == before
