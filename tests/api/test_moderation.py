"""Quarantine and release over REST, and the log they leave."""

from registry.models import AuditEvent

AT = "/api/v1/moderation/adapters/alice/reviews"
WHY = {"reason": "It carries a pickle.", "note": "Seen by a reader."}


def test_a_quarantine_and_a_release_are_in_the_log(ask, repository):
    held = ask("mona").post(f"{AT}/quarantine", WHY, "application/json").json()
    assert held["changed"] is True
    assert held["quarantined_at"]
    assert ask("mona").post(f"{AT}/quarantine", WHY, "application/json").json()["changed"] is False
    assert ask("mona").post(f"{AT}/release", WHY, "application/json").json()["quarantined_at"] is None
    log = ask("mona").get("/api/v1/moderation/log?object=alice/reviews&limit=2").json()
    assert [item["action"] for item in log["items"]] == ["adapter:release", "adapter:quarantine"]
    assert set(log["items"][0]) == {
        "id",
        "at",
        "actor",
        "role",
        "credential",
        "address",
        "user_agent",
        "action",
        "object",
        "reason",
        "note",
        "before",
        "after",
        "request_id",
    }
    assert log["items"][1]["reason"] == WHY["reason"]
    assert ask("mona").get(log["next"]).json()["items"][0]["action"] == "adapter:create"


def test_a_ruling_needs_a_reason_and_reaches_one_revision_alone_where_it_is_named(ask, repository):
    assert ask("mona").post(f"{AT}/quarantine", {}, "application/json").json()["code"] == "value-invalid"
    assert ask("mona").post(f"{AT}/quarantine", {"reason": "  "}, "application/json").json()["code"] == "value-invalid"
    partly = ask("mona").post(f"{AT}/quarantine", WHY | {"revision": "main"}, "application/json")
    assert (partly.status_code, partly.json()["changed"]) == (200, True)
    repository.refresh_from_db()
    assert not repository.is_quarantined


def test_the_log_is_read_in_pages_without_more_queries(ask, cast, django_assert_num_queries):
    mona = ask("mona")
    mona.get("/api/v1/moderation/log")  # warms the site settings
    for number in (1, 60):
        AuditEvent.objects.bulk_create(AuditEvent(actor="x", action="site:change", object="x") for _ in range(number))
        with django_assert_num_queries(4):  # session, person, second factor, events
            mona.get("/api/v1/moderation/log?limit=100&action=site:change")
    assert mona.get("/api/v1/moderation/log?cursor=x").json()["code"] == "value-invalid"
