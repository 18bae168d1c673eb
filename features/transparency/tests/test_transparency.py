"""The transparency numbers: what beat computes, who sees them, and which names are in them."""

from datetime import UTC, date, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client

from features.transparency import verbs
from features.transparency.models import MonthOfModeration
from registry.kernel import site_settings
from registry.models import AbuseReport, Appeal, AuditEvent, BlockedFile, Case, ModerationDecision
from registry.models.extensions import lifted
from registry.moderation import quarantine, suspension

WHY = {"reason": "It steals credentials."}


def case(target: str, reason: str, opened: datetime, hours: float | None = None, outcome: str = "held") -> Case:
    closed = {"state": "closed", "outcome": outcome, "closed_at": opened + timedelta(hours=hours)} if hours else {}
    row = Case.objects.create(
        target="adapter", key=f"{target}{hours}", label=target, reason=reason, severity=1, created_at=opened, **closed
    )
    AbuseReport.objects.create(case=row, reason=reason, at=opened)
    AbuseReport.objects.create(case=row, reason=reason, at=opened, by_hub=True, check_id="file.pickle")
    return row


@pytest.fixture
def busy(cast) -> None:
    """A month with reports, decisions, an appeal, a suspension and blocked files."""
    now = datetime.now(UTC)
    for target, reason, hours in (("a", "malware", 2), ("b", "malware", 4), ("c", "spam", 30), ("d", "spam", None)):
        case(target, reason, now - timedelta(minutes=1), hours)
    Case.objects.filter(closed_at__gt=now).update(closed_at=now)
    for number, hours in enumerate((2, 4, 30)):
        row = Case.objects.filter(state="closed").order_by("pk")[number]
        Case.objects.filter(pk=row.pk).update(created_at=now - timedelta(hours=hours))
    mona = cast.session("mona")
    public, private = cast.repository("acme/public"), cast.repository("acme/hidden", private=True)
    quarantine.quarantine(public, mona, **WHY)
    quarantine.release(public, mona, **WHY)
    for repository in (public, private):
        ModerationDecision.objects.create(repository=repository, action="takedown", by=cast["mona"], **WHY)
    Appeal.objects.create(
        decision=ModerationDecision.objects.first(), user=cast["alice"], state="approved", decided_at=now
    )
    suspension.suspend(cast["carol"], mona, **WHY)
    BlockedFile.objects.create(sha256="0" * 64, by="mona", **WHY)


def this_month() -> MonthOfModeration:
    verbs.compute()
    return MonthOfModeration.objects.get(month=datetime.now(UTC).date().replace(day=1))


def test_the_numbers_of_a_month(busy):
    numbers = this_month().numbers
    assert numbers["decisions"] == {"holds": 1, "holds_by_hub": 0, "releases": 1, "takedowns": 2}
    assert numbers["reports"] == {"malware": 2, "spam": 2}
    assert numbers["findings"] == 4
    assert (numbers["cases"]["closed"], numbers["cases"]["outcomes"]) == (3, {"held": 3})
    assert numbers["cases"]["median_hours"] == 4.0
    assert numbers["appeals"] == {"opened": 1, "approved": 1, "rejected": 0}
    assert (numbers["suspended"], numbers["unsuspended"], numbers["blocked_files"]) == (1, 0, 1)


def test_the_journal_names_public_repositories_alone_and_nobody(busy, client):
    page = client.get("/transparency")
    assert "No numbers yet" in page.content.decode()
    this_month()
    text = client.get("/transparency").content.decode() + client.get("/api/v1/transparency").content.decode()
    assert "acme/public" in text
    assert "a private model" in text
    for hidden in ("acme/hidden", "carol", "mona", "alice", WHY["reason"]):
        assert hidden not in text
    [month] = client.get("/api/v1/transparency").json()["items"]
    assert {(entry["name"], entry["is_whole"]) for entry in month["journal"]} == {("acme/public", True), ("", True)}


def test_old_months_are_computed_once_and_kept_when_their_rows_are_gone(cast):
    repository = cast.repository("acme/public")
    for at in (datetime(2025, 1, 15, tzinfo=UTC), datetime(2025, 3, 15, tzinfo=UTC)):
        ModerationDecision.objects.create(repository=repository, action="takedown", by=cast["mona"], at=at, **WHY)
    verbs.compute()
    assert MonthOfModeration.objects.get(month=date(2025, 1, 1)).numbers["decisions"]["takedowns"] == 1
    assert MonthOfModeration.objects.get(month=date(2025, 2, 1)).numbers["decisions"]["takedowns"] == 0
    ModerationDecision.objects.all().delete()
    with lifted(AuditEvent):
        AuditEvent.objects.filter(seal__isnull=True)._raw_delete("default")
    assert verbs.compute() == 2
    assert MonthOfModeration.objects.get(month=date(2025, 3, 1)).journal[0]["name"] == "acme/public"


def test_a_request_computes_nothing(busy, client, django_assert_max_num_queries):
    this_month()
    client.get("/transparency")
    with django_assert_max_num_queries(3):
        client.get("/transparency")
    with django_assert_max_num_queries(3):
        client.get("/api/v1/transparency")


def test_the_setting_makes_the_numbers_the_moderators_own(busy, client, cast):
    this_month()
    site_settings.change_setting("transparency", "staff", None)
    assert client.get("/transparency").status_code == 404
    assert "Transparency" not in client.get("/").content.decode()
    assert client.get("/api/v1/transparency").status_code == 401
    alice, mona = Client(), Client()
    alice.force_login(cast["alice"])
    mona.force_login(cast["mona"])
    assert alice.get("/transparency").status_code == 404
    assert alice.get("/api/v1/transparency").status_code == 403
    assert mona.get("/transparency").status_code == 200
    assert mona.get("/api/v1/transparency").json()["items"]


def test_an_upgrade_spells_the_reason_of_kept_rows_and_months_as_today(busy):
    made = case("alice/reviews", "licence", datetime.now(UTC))
    month = this_month()
    month.numbers["reports"] = {"licence": 2, "license": 1, "spam": 4}
    month.journal = [{"cause": "licence"}, {"cause": "malware"}]
    month.save()
    for operation in import_module("registry.migrations.0020_reason_license").Migration.operations[2:] * 2:
        operation.code(apps, connection.schema_editor())
    made.refresh_from_db()
    month.refresh_from_db()
    assert (made.reason, Case.objects.filter(reason="licence").count()) == ("license", 0)
    assert month.numbers["reports"] == {"license": 3, "spam": 4}
    assert [entry["cause"] for entry in month.journal] == ["license", "malware"]
