"""The rows of discussions in the tests that walk all of REST; each world has a question of bob as number 1."""

from features.discussions import pull_requests, verbs
from registry.models import Repository
from registry.publish import push
from tests.cast import Cast

THREADS = "adapters/{ns}/{name}/discussions"


def present(cast: Cast) -> None:
    """Let alice have an open pull request, number 2, whose first comment is the second of all."""
    alice = cast.session("alice")
    made = pull_requests.start(Repository.objects.get(name="reviews"), "More notes", "Two lines.", alice)
    push.receive(push.Intent(made.repository, made.ref, alice, "More notes"), [push.Inline("more.txt", b"x\n")])
    verbs.set_status(made, "open", alice)


PRESENT = [present]
ANSWERS = [
    ("POST", THREADS, "bob", {"title": "Another question", "text": "Why?"}),
    ("GET", f"{THREADS}?kind=pull_request&status=open&author=alice", "anonymous", None),
    ("GET", f"{THREADS}/1", "anonymous", None),
    ("GET", f"{THREADS}/2", "anonymous", None),
    ("POST", f"{THREADS}/1/comments", "alice", {"text": "So."}),
    ("PATCH", f"{THREADS}/2/comments/2", "alice", {"text": "Three lines."}),
    ("PATCH", f"{THREADS}/1", "bob", {"title": "Answered", "status": "closed", "comment": "Thanks."}),
    ("GET", f"{THREADS}/2/diff", "anonymous", None),
    ("POST", f"{THREADS}/2/merge", "alice", {}),
]
OF_A_PERSON = {
    "discussions/1": "discussions/{number}",
    "discussions/2": "discussions/{number}",
    "comments/2": "comments/{comment}",
}
SPECIAL = {
    "edit_comment": {"number": 2, "comment": 2},
    "hide_comment": {"number": 2, "comment": 2},
    "pull_request_diff": {"number": 2},
    "merge_pull_request": {"number": 2},
}
HOME = "/api/v1/adapters/acme/public/discussions"
BODIES = {
    ("POST", HOME): {"title": "t", "text": "d", "pull_request": True},
    ("PATCH", f"{HOME}/1"): {"title": "t", "status": "closed", "comment": "c"},
    ("POST", f"{HOME}/1/comments"): {"text": "c"},
    ("PATCH", f"{HOME}/1/comments/1"): {"text": "c"},
    ("POST", f"{HOME}/1/merge"): {"comment": "c"},
}
