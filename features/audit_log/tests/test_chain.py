"""The audit log keeps what was written: rows cannot be changed, and a chain broken by hand is found and named."""

import io
import json
from dataclasses import asdict
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from features.audit_log import chain
from features.audit_log.models import AuditCheckpoint, AuditSeal
from registry.bytes import blobs
from registry.kernel import audit
from registry.models import AuditEvent
from registry.models.extensions import ChangeRefused, lifted
from tests.together import at_once


@pytest.fixture(autouse=True)
def _own_store(settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"


def write(count: int = 5) -> None:
    for number in range(count):
        audit.record(None, "site:change", f"setting {number}", before={"on": False}, after={"on": True})
    chain.seal_waiting()


def verify(*arguments: str) -> str:
    """Return the printed text, or the message of the failed command."""
    output = io.StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=output)
    except CommandError as error:
        return f"exit {error.returncode}: {error}"
    return output.getvalue()


def by_hand(sql: str, *values: object) -> None:
    """Run a statement as somebody at a SQL prompt who has taken the triggers off."""
    with lifted(AuditEvent, AuditSeal, AuditCheckpoint), connection.cursor() as cursor:
        cursor.execute(sql, values)


# --- rows are only ever added ----------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_the_model_refuses_to_change_and_delete_an_event():
    write(1)
    event = AuditEvent.objects.get()
    event.reason = "another one"
    for deed in (
        event.save,
        event.delete,
        lambda: AuditEvent.objects.update(reason="x"),
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.bulk_update([event], ["reason"]),
    ):
        with pytest.raises(ChangeRefused):
            deed()


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["registry_auditevent", "registry_auditseal"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
def test_the_database_refuses_too(table, verb):
    write(1)
    column = "actor" if table.endswith("event") else "hash"
    statements = {"UPDATE": f"UPDATE {table} SET {column} = 'x'", "DELETE": f"DELETE FROM {table}"}
    if connection.vendor == "postgresql":
        statements["TRUNCATE"] = f"SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE {table} CASCADE"
    statement = statements.get(verb, f"DELETE FROM {table}")  # SQLite has no TRUNCATE
    with pytest.raises(DatabaseError, match="only ever added"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.get().seal.sequence == 1


# --- broken by hand --------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_whole_log_is_verified():
    write()
    assert verify() == "5 events (1 to 5) are unchanged; 0 heads agree.\n"


@pytest.mark.django_db
@pytest.mark.parametrize("column", ["actor", "reason", "action", "object", "address", "credential", "mac"])
def test_a_changed_row_is_named(column):
    write()
    changed = AuditSeal.objects.get(sequence=3).event_id
    by_hand(f"UPDATE registry_auditevent SET {column} = 'x' WHERE id = %s", changed)
    answer = verify()
    assert answer.startswith("exit 1")
    assert f"Event 3 (row {changed}:" in answer
    assert "was changed" in answer


@pytest.mark.django_db
def test_a_changed_time_or_value_is_found():
    write()
    by_hand("UPDATE registry_auditevent SET after = %s WHERE object = 'setting 1'", json.dumps({"on": False}))
    assert "Event 2 (row" in verify()


@pytest.mark.django_db
def test_a_deleted_row_is_found():
    write()
    row = AuditSeal.objects.get(sequence=2)
    by_hand("DELETE FROM registry_auditseal WHERE sequence = 2")
    by_hand("DELETE FROM registry_auditevent WHERE id = %s", row.event_id)
    assert "Event 2 is missing" in verify()


@pytest.mark.django_db
def test_a_deleted_row_whose_followers_were_numbered_anew_is_found():
    write()
    row = AuditSeal.objects.get(sequence=2)
    by_hand("DELETE FROM registry_auditseal WHERE sequence = 2")
    by_hand("DELETE FROM registry_auditevent WHERE id = %s", row.event_id)
    for sequence in (3, 4, 5):
        by_hand("UPDATE registry_auditseal SET sequence = %s WHERE sequence = %s", sequence - 1, sequence)
    assert "Event 2 (row" in verify()
    assert "does not follow" in verify()


@pytest.mark.django_db
def test_rows_in_other_order_are_found():
    write()
    third, fourth = AuditSeal.objects.get(sequence=3), AuditSeal.objects.get(sequence=4)
    by_hand("DELETE FROM registry_auditseal WHERE sequence IN (3, 4)")
    third.sequence, fourth.sequence = 4, 3
    AuditSeal.objects.bulk_create([fourth, third])
    assert "Event 3 (row" in verify()
    assert "does not follow the event before it" in verify()


@pytest.mark.django_db
def test_a_row_that_the_hub_did_not_write_is_found_though_it_is_sealed():
    write()
    AuditEvent.objects.bulk_create([AuditEvent(actor="ada", action="site:change", object="x", at=timezone.now())])
    assert "Event 6 (row" in verify()
    assert "was not written by this hub" in verify()


@pytest.mark.django_db
def test_a_row_inserted_among_old_ones_is_in_no_chain(monkeypatch):
    monkeypatch.setattr(chain, "LATE_ROWS", 2)
    write(8)
    old = AuditEvent(pk=AuditEvent.objects.first().pk - 500, actor="ada", action="site:change", object="x")
    AuditEvent.objects.bulk_create([old])
    assert f"Row {old.pk} (ada site:change x) is in no chain" in verify()


@pytest.mark.django_db
def test_a_tail_that_was_cut_off_is_found_by_the_stored_head(tmp_path):
    write()
    head = chain.publish()
    kept = tmp_path / "head.json"
    kept.write_text(json.dumps(asdict(head)))
    last = AuditSeal.objects.get(sequence=5)
    by_hand("DELETE FROM registry_auditseal WHERE sequence = 5")
    by_hand("DELETE FROM registry_auditevent WHERE id = %s", last.event_id)
    assert "Events 5 to 5 are missing at the end of the log: audit/" in verify()
    [entry] = blobs.store().list("audit/")
    blobs.store().delete(entry.key)
    assert "5 to 5 are missing" in verify("--head", str(kept))
    assert "4 events" in verify()  # nothing else tells


@pytest.mark.django_db
def test_a_chain_that_was_computed_anew_disagrees_with_the_head():
    write()
    chain.publish()
    by_hand("DELETE FROM registry_auditseal")
    by_hand("UPDATE registry_auditevent SET reason = 'x' WHERE object = 'setting 4'")
    chain.seal_waiting()
    assert "was not written by this hub" in verify()
    assert "Event 5" in verify()
    event = AuditEvent.objects.get(object="setting 4")
    by_hand("UPDATE registry_auditevent SET mac = %s WHERE id = %s", audit.mac_of(event), event.pk)
    by_hand("DELETE FROM registry_auditseal")
    chain.seal_waiting()
    assert "is not the event that audit/" in verify()  # also by somebody who has the hub's key


@pytest.mark.django_db
def test_a_head_that_was_forged_is_refused(tmp_path):
    write()
    kept = tmp_path / "head.json"
    kept.write_text(json.dumps({"sequence": 99, "hash": "0" * 64, "at": "2026-01-01T00:00:00+00:00", "signed": "x"}))
    assert f"{kept} is no head that this hub signed" in verify("--head", str(kept))


@pytest.mark.django_db
def test_a_new_key_of_the_hub_verifies_old_rows_if_the_former_one_is_named(settings):
    write()
    chain.publish()
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another-key-" * 5
    assert "is no head that this hub signed" in verify()
    settings.SECRET_KEY_FALLBACKS = [former]
    write(1)
    assert "6 events" in verify()


# --- retention -------------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_the_rest_of_a_trimmed_log_is_verified_and_cannot_be_trimmed_by_hand():
    write()
    for days, sequence in ((90, 1), (80, 2), (70, 3)):
        age(sequence, days)
    reseal()
    call_command("trim_audit", days=60, stdout=io.StringIO())
    assert "3 events (4 to 6)" in verify()
    assert AuditCheckpoint.objects.get().events == 3
    assert AuditEvent.objects.get(action="audit:trim").before == 3
    with pytest.raises(DatabaseError, match="only ever added"), transaction.atomic():
        AuditEvent.objects.all()._raw_delete("default")
    by_hand("UPDATE registry_auditcheckpoint SET hash = %s", "0" * 64)
    assert "Checkpoint 3 is not signed" in verify()


@pytest.mark.django_db
def test_a_broken_log_is_not_trimmed():
    write()
    by_hand("UPDATE registry_auditevent SET reason = 'x' WHERE object = 'setting 0'")
    with pytest.raises(CommandError, match="broken"):
        call_command("trim_audit", days=30)
    assert AuditEvent.objects.count() == 5


@pytest.mark.django_db
def test_a_log_that_was_trimmed_as_a_whole_goes_on():
    write()
    assert chain.trim(timezone.now() + timedelta(days=1)) == 5
    write(1)
    assert "2 events (6 to 7)" in verify()


def age(sequence: int, days: int) -> None:
    event = AuditSeal.objects.get(sequence=sequence).event
    event.at = timezone.now() - timedelta(days=days)
    by_hand("UPDATE registry_auditevent SET at = %s, mac = %s WHERE id = %s", event.at, audit.mac_of(event), event.pk)


def reseal() -> None:
    by_hand("DELETE FROM registry_auditseal")
    chain.seal_waiting()


# --- many at once ----------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_writers_and_sealers_at_once_make_one_chain():
    def work() -> int:
        for number in range(5):
            with transaction.atomic():
                audit.record(None, "site:change", f"one of {number}")
            chain.seal_waiting()
        return 5

    assert at_once(work, work, work, work) == [5] * 4
    chain.seal_waiting()
    assert "20 events (1 to 20)" in verify()
