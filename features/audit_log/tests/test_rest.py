"""The audit log over REST."""

from registry.models import AuditEvent
from registry.moderation import quarantine


def test_a_quarantine_and_a_release_are_in_the_log(ask, cast, repository):
    for verb in (quarantine.quarantine, quarantine.release):
        verb(repository, cast.session("mona"), reason="It carries a pickle.", note="Seen by a reader.")
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
    assert log["items"][1]["reason"] == "It carries a pickle."
    assert ask("mona").get(log["next"]).json()["items"][0]["action"] == "adapter:create"


def test_the_log_is_read_in_pages_without_more_queries(ask, cast, django_assert_num_queries):
    mona = ask("mona")
    mona.get("/api/v1/moderation/log")  # warms the site settings
    for number in (1, 60):
        AuditEvent.objects.bulk_create(AuditEvent(actor="x", action="site:change", object="x") for _ in range(number))
        with django_assert_num_queries(4):  # session, person, second factor, events
            mona.get("/api/v1/moderation/log?limit=100&action=site:change")
    assert mona.get("/api/v1/moderation/log?cursor=x").json()["code"] == "value-invalid"
