"""Quarantine and release over REST."""

AT = "/api/v1/moderation/adapters/alice/reviews"
WHY = {"reason": "It carries a pickle.", "note": "Seen by a reader."}


def test_a_quarantine_and_a_release_say_whether_they_changed_something(ask, repository):
    held = ask("mona").post(f"{AT}/quarantine", WHY, "application/json").json()
    assert held["changed"] is True
    assert held["quarantined_at"]
    assert ask("mona").post(f"{AT}/quarantine", WHY, "application/json").json()["changed"] is False
    assert ask("mona").post(f"{AT}/release", WHY, "application/json").json()["quarantined_at"] is None


def test_a_ruling_needs_a_reason_and_reaches_one_revision_alone_where_it_is_named(ask, repository):
    assert ask("mona").post(f"{AT}/quarantine", {}, "application/json").json()["code"] == "value-invalid"
    assert ask("mona").post(f"{AT}/quarantine", {"reason": "  "}, "application/json").json()["code"] == "value-invalid"
    partly = ask("mona").post(f"{AT}/quarantine", WHY | {"revision": "main"}, "application/json")
    assert (partly.status_code, partly.json()["changed"]) == (200, True)
    repository.refresh_from_db()
    assert not repository.is_quarantined
