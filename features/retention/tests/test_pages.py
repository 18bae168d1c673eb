"""Versions kept, on the website: a rule is tried, set, and its work is taken back, without JavaScript."""

import threading
from datetime import timedelta

from django.utils import timezone

from features.retention import expiry
from registry.kernel import capacity
from tests.site.conftest import push_more


def test_a_rule_is_tried_before_it_is_set_and_its_work_is_taken_back(visit, cast, reviews):
    for notes in (b"x", b"y"):
        push_more(cast, reviews, **{"notes.txt": notes})
    reviews.revisions.update(created_at=timezone.now() - timedelta(days=2))
    alice, page = visit("alice"), "/alice/reviews/settings/retention"
    first = reviews.revisions.earliest("pk")

    assert "All of them: no rule is set." in alice.get(page).content.decode()
    assert alice.get(f"{page}?keep_last=0&keep_days=1").status_code == 400
    trial = alice.get(f"{page}?keep_last=1&keep_days=1").content.decode()
    assert "What this rule would remove" in trial
    assert first.oid in trial
    assert alice.post(f"{page}/set", {"keep_last": "none", "keep_days": "1"}).status_code == 400
    assert not hasattr(reviews, "retention")
    assert alice.post(f"{page}/set", {"keep_last": "1", "keep_days": "1"}).url == page
    assert expiry.run() == 2  # between them stands `verified`

    versions = visit().get("/alice/reviews/commits/main").content.decode()
    assert versions.count("files removed") == 1
    gone = visit().get(f"/alice/reviews/commit/{first.oid}").content.decode()
    assert "Files removed by retention" in gone
    assert "Restore the files" not in gone
    refused = visit().get(f"/alice/reviews/tree/{first.oid}")
    assert refused.status_code == 410
    assert "A retention rule removed the files" in refused.content.decode()
    answer = visit().get(f"/alice/reviews/resolve/{first.oid}/.gitattributes")
    assert (answer.status_code, answer.json()["code"]) == (410, "files-expired")
    assert visit().get(f"/api/models/alice/reviews/revision/{first.oid}").status_code == 410
    changed = visit().get(f"/alice/reviews/commit/{reviews.revisions.get(parent=first).oid}").content.decode()
    assert "removed the files of the version before it" in changed

    assert "Restore the files" in alice.get(f"/alice/reviews/commit/{first.oid}").content.decode()
    assert alice.post(f"{page}/restore", {"revision": first.oid}).url == f"/alice/reviews/commit/{first.oid}"
    assert visit().get(f"/alice/reviews/tree/{first.oid}").status_code == 200
    assert alice.post(f"{page}/clear").url == page
    assert "no rule is set" in alice.get(page).content.decode()


def test_an_owner_sets_a_rule_for_all_and_a_repository_is_excepted(visit, cast, reviews):
    alice = visit("alice")
    assert (
        alice.post("/settings/usage/retention/acme/set", {"keep_last": "3", "keep_days": "2"}).url == "/settings/usage"
    )
    assert "the newest 3 of each branch" in alice.get("/organizations/acme/settings/usage").content.decode()
    trial = alice.get("/settings/usage/retention/alice?keep_last=1&keep_days=1")
    assert "Nothing has changed yet." in trial.content.decode()
    assert "Nothing.</p>" in trial.content.decode()  # every version is young
    push_more(cast, reviews, **{"notes.txt": b"x"})
    reviews.revisions.update(created_at=timezone.now() - timedelta(days=2))
    trial = alice.get("/settings/usage/retention/alice?keep_last=1&keep_days=1").content.decode()
    assert "/alice/reviews/settings/retention?keep_last=1&amp;keep_days=1" in trial
    assert "1 version," in trial
    rest = "/api/v1/namespaces/alice/retention"
    [loss] = alice.get(f"{rest}?keep_last=1").json()["trial"]["items"]
    assert (loss["adapter"], loss["expiring_versions"]) == ("alice/reviews", 1)
    assert alice.get(rest).json() == {"rule": None, "trial": None}
    assert alice.get("/settings/usage/retention/alice?keep_last=0&keep_days=1").status_code == 400
    assert visit("bob").get("/settings/usage/retention/alice").status_code == 403
    wrong = alice.post("/settings/usage/retention/alice/set", {"keep_last": "0", "keep_days": "2"})
    assert wrong.status_code == 400
    assert alice.post("/settings/usage/retention/alice/set", {"keep_last": "5", "keep_days": "2"}).status_code == 302
    page = "/alice/reviews/settings/retention"
    assert "The newest 5 of each branch" in alice.get(page).content.decode()
    assert alice.post(f"{page}/keep-all").url == page
    assert "All of them, regardless of the rule of alice." in alice.get(page).content.decode()
    assert visit("bob").post("/settings/usage/retention/alice/clear").status_code == 403
    assert alice.post("/settings/usage/retention/alice/clear").url == "/settings/usage"


def test_few_files_are_taken_back_at_once(visit, cast, reviews, monkeypatch):
    monkeypatch.setattr(capacity, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(capacity, "WAIT_SECONDS", 0.01)
    alice, bearer = visit("alice"), {"Authorization": f"Bearer {cast.token('alice')}"}
    with capacity.place():
        refused = [
            alice.post("/alice/reviews/settings/retention/restore"),
            alice.post("/api/v1/adapters/alice/reviews/retention/restore", {}, "application/json", headers=bearer),
        ]
    assert [(answer.status_code, answer["Retry-After"]) for answer in refused] == [(503, "5")] * 2
    assert refused[1].json()["code"] == "hub-busy"
