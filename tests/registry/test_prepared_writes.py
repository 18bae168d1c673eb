"""Writes compiled once: the rows that they leave are those that Django's own writes leave."""

import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Case, F, When
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.models import (
    Blob,
    OutboxEvent,
    Ref,
    Repository,
    SchemaUpgrade,
    Upload,
    UploadedBlob,
    User,
    Verdict,
)
from registry.sql.prepared import MOST_ROWS, PreparedUpdate, Update, as_value, insert_row, insert_rows
from tests.cast import Cast

pytestmark = pytest.mark.django_db
LONG_AGO = datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


# --- new rows --------------------------------------------------------------------------------------------------------
def test_a_new_row_is_as_the_database_holds_it(cast: Cast) -> None:
    rows = (
        Repository(namespace=cast["alice"].namespace, name="one", created_by=cast["alice"], tags=["a", "é"], rank=8),
        OutboxEvent(kind="created", repository={"id": 1, "name": "ü"}, by=None, data={"of": [1, None]}, request_id="r"),
        Upload(id=uuid.uuid4(), repository=cast.repository("alice/two"), user=cast["alice"], sha256="1" * 64, size=9,
               expires_at=LONG_AGO),
    )  # fmt: skip
    for row in rows:
        assert insert_row(row) is row
        assert (row._state.adding, row._state.db) == (False, "default")
        stored = type(row)._default_manager.get(pk=row.pk)
        for field in row._meta.concrete_fields:
            assert getattr(stored, field.attname) == getattr(row, field.attname), field.name


def test_the_time_of_a_change_is_set_as_save_sets_it(cast: Cast) -> None:
    repository = cast.repository("alice/one")
    before = timezone.now()
    ref = insert_row(Ref(repository=repository, name="refs/heads/other", revision=repository.refs.get().revision))
    assert before <= Ref.objects.get(pk=ref.pk).updated_at <= timezone.now()


@pytest.mark.parametrize("count", [1, 2, MOST_ROWS, MOST_ROWS + 1])
def test_rows_are_written_together_and_get_their_ids(count: int) -> None:
    events = [OutboxEvent(kind="created", data={"number": number}) for number in range(count)]
    with CaptureQueriesContext(connection) as queries:
        insert_rows(events)
    assert len([query for query in queries if "INSERT" in query["sql"]]) == 1
    stored = dict(OutboxEvent.objects.values_list("pk", "data"))
    assert [stored[event.pk]["number"] for event in events] == list(range(count))


def test_nothing_is_written_for_no_rows() -> None:
    with CaptureQueriesContext(connection) as queries:
        insert_rows([])
    assert not queries.captured_queries


def test_a_row_that_is_there_already_is_left_alone() -> None:
    Blob.objects.create(sha256="1" * 64, size=1)
    insert_rows([Blob(sha256="1" * 64, size=2), Blob(sha256="2" * 64, size=2)], ignore_conflicts=True)
    assert dict(Blob.objects.values_list("sha256", "size")) == {"1" * 64: 1, "2" * 64: 2}


def test_of_a_row_that_is_there_already_the_named_columns_change(cast: Cast) -> None:
    repository, blob = cast.repository("alice/one"), Blob.objects.create(sha256="1" * 64, size=1)
    keys = {"repository": repository, "blob": blob}
    UploadedBlob.objects.create(**keys, use="pushed", created_at=LONG_AGO)
    again = UploadedBlob(**keys, use="delivered", created_at=LONG_AGO + timedelta(days=1))
    insert_rows([again], unique_fields=("repository", "blob"), update_fields=("created_at",))
    stored = UploadedBlob.objects.get(**keys)
    assert (stored.use, stored.created_at) == ("pushed", again.created_at)


def test_an_expression_and_an_id_of_our_own_choice_are_written_too(cast: Cast) -> None:
    revision = cast.repository("alice/one").refs.get().revision
    number = 1 + max(Verdict.objects.values_list("number", flat=True), default=0)
    verdict = insert_row(Verdict(revision=revision, number=number, held_at=Now()))
    assert abs(Verdict.objects.get(pk=verdict.pk).held_at - timezone.now()) < timedelta(minutes=1)
    assert insert_row(OutboxEvent(pk=2_000_000, kind="created")).pk == 2_000_000
    assert OutboxEvent.objects.filter(pk=2_000_000).exists()


def test_a_column_that_only_the_database_fills_is_left_to_the_orm(cast: Cast) -> None:
    upgrade = insert_row(SchemaUpgrade(release="1", serves_from="1"))
    assert SchemaUpgrade.objects.get(pk=upgrade.pk).at is not None


def test_a_row_that_refers_to_one_without_an_id_is_refused() -> None:
    with pytest.raises(ValueError, match="unsaved related object"):
        insert_row(OutboxEvent(kind="created", by=User()))
    assert not OutboxEvent.objects.exists()


def test_a_refused_row_ends_its_transaction_as_that_of_django_does(cast: Cast) -> None:
    repository = cast.repository("alice/one")
    twin = Repository(namespace=repository.namespace, name="ONE", created_by=cast["alice"])
    with pytest.raises(IntegrityError, match="repository_name_unique"), transaction.atomic():
        insert_row(twin)
    assert twin.pk is None
    assert Repository.objects.count() == 1


# --- changes ---------------------------------------------------------------------------------------------------------
def _described(repository: int, more: int, text: str, **columns: object) -> Update:
    rows = Repository.objects.filter(pk=repository, type="model")
    searched = Case(When(gated="", then=as_value(text)), default="summary")
    return rows, columns | {"stored_bytes": F("stored_bytes") + more, "search_text": searched}


DESCRIBE = PreparedUpdate(_described)


def test_columns_take_what_the_model_takes(cast: Cast) -> None:
    repository = Repository.objects.get(pk=cast.repository("alice/one").pk)
    columns = {"tags": ["a", "100 %s"], "rank": None, "updated_at": LONG_AGO, "summary": "50 %"}
    for more in (2, 3):
        assert DESCRIBE(repository=repository.pk, more=more, text="stored_bytes", **columns) == 1
    stored = Repository.objects.get(pk=repository.pk)
    assert {name: getattr(stored, name) for name in columns} == columns
    assert (stored.stored_bytes, stored.search_text) == (repository.stored_bytes + 5, "stored_bytes")


def test_other_columns_are_another_statement(cast: Cast) -> None:
    repository = cast.repository("alice/one")
    DESCRIBE(repository=repository.pk, more=0, text="", summary="one")
    DESCRIBE(repository=repository.pk, more=0, text="", license="mit")
    stored = Repository.objects.get(pk=repository.pk)
    assert (stored.summary, stored.license) == ("one", "mit")


@pytest.mark.parametrize("value", [None, LONG_AGO, uuid.UUID(int=1), [1]], ids=["none", "time", "uuid", "list"])
def test_a_filter_takes_texts_and_whole_numbers_only(settings, value: object) -> None:
    clear = PreparedUpdate(lambda sha256: (Blob.objects.filter(sha256=sha256), {"size": 0}))
    with pytest.raises(TypeError, match="neither a text nor a whole number"):
        clear(sha256=value)


@pytest.mark.parametrize("some", [lambda rows: rows[:1], lambda rows: rows.distinct()], ids=["slice", "distinct"])
def test_some_of_the_rows_cannot_be_changed(settings, some) -> None:
    clear = PreparedUpdate(lambda size: (some(Blob.objects.all()), {"size": size}))
    with pytest.raises((ValueError, TypeError)), suppress(TypeError):
        clear(size=0)


def test_no_row_is_changed_where_none_fits(cast: Cast) -> None:
    cast.repository("alice/one")
    assert DESCRIBE(repository=0, more=1, text="") == 0


def test_rows_are_found_through_other_tables(cast: Cast) -> None:
    pushed = [cast.repository(f"alice/{name}") for name in ("one", "two")]
    told = PreparedUpdate(
        lambda revision, state: (
            Repository.objects.filter(refs__name=Ref.MAIN, refs__revision=revision),
            {"state": state},
        )
    )
    assert told(revision=pushed[0].refs.get().revision_id, state="passed") == 1
    assert [Repository.objects.get(pk=one.pk).state for one in pushed] == ["passed", pushed[1].state]


def test_a_statement_is_compiled_once(cast: Cast, settings, monkeypatch) -> None:
    repository = cast.repository("alice/one")
    built = []
    count = PreparedUpdate(
        lambda repository, rank: built.append(rank) or (Repository.objects.filter(pk=repository), {"rank": rank})
    )
    for rank in (1, 2, 3):
        count(repository=repository.pk, rank=rank)
    assert len(built) == 1
    assert Repository.objects.get(pk=repository.pk).rank == 3
