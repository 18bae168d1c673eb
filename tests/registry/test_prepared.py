"""Questions compiled once: the objects they make are those that Django makes of the same rows."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.models import Namespace, Repository, Token, Upload
from registry.sql.prepared import MOST_VALUES, Prepared
from tests.cast import Cast

WITH_OWNER = Prepared(
    lambda name: Namespace.objects.filter(name=name).select_related("person").defer("person__password"), str
)


def test_a_prepared_question_makes_the_objects_that_django_makes(cast: Cast) -> None:
    repository = cast.repository("alice/one")
    asked = Prepared(lambda pk: Repository.objects.filter(pk=pk).select_related("namespace__person"), int)
    made, theirs = asked(repository.pk)[0], Repository.objects.select_related("namespace__person").get(pk=repository.pk)
    assert made == theirs
    for field in Repository._meta.concrete_fields:
        assert getattr(made, field.attname) == getattr(theirs, field.attname), field.name
    with CaptureQueriesContext(connection) as queries:
        assert made.namespace.person.username == "alice"
        assert made.namespace.person.namespace is made.namespace
    assert not queries.captured_queries
    assert (made._state.adding, made._state.db) == (False, "default")


def test_a_namespace_without_a_person_has_none(cast: Cast) -> None:
    organisation = WITH_OWNER("acme")[0]
    with CaptureQueriesContext(connection) as queries:
        assert getattr(organisation, "person", None) is None
    assert not queries.captured_queries


def test_a_column_left_out_is_asked_for_when_somebody_looks(cast: Cast) -> None:
    person = WITH_OWNER("alice")[0].person
    with CaptureQueriesContext(connection) as queries:
        assert person.password == cast["alice"].password
    assert len(queries.captured_queries) == 1


def test_each_answer_is_read_anew(cast: Cast) -> None:
    names = Prepared(lambda pk: Token.objects.filter(pk=pk), int)
    token = Token.objects.create(user=cast["alice"], name="one", role="read", sha256="1" * 64)
    assert names.first(token.pk).name == "one"
    Token.objects.filter(pk=token.pk).update(name="another")
    assert names.first(token.pk).name == "another"
    token.delete()
    assert names.first(token.pk) is None


def test_a_list_of_values_is_asked_for_at_once_whatever_its_length(cast: Cast) -> None:
    pushed = [cast.repository(f"alice/{name}").pk for name in ("one", "two", "three")]
    named = Prepared(lambda *keys: Repository.objects.filter(pk__in=keys).values_list("pk", "name").order_by("pk"), int)
    rows = [(pushed[0], "one"), (pushed[1], "two"), (pushed[2], "three")]
    many = [*pushed, *range(pushed[-1] + 1, pushed[-1] + MOST_VALUES)]
    assert [named(*keys) for keys in ([], pushed[:1], pushed[:2], pushed, many)] == [[], rows[:1], rows[:2], rows, rows]


def test_the_id_of_an_upload_is_asked_for_by_its_hex(cast: Cast) -> None:
    repository, until = cast.repository("alice/one"), timezone.now() + timedelta(hours=1)
    columns = {"repository": repository, "user": cast["alice"], "sha256": "1" * 64, "size": 1, "expires_at": until}
    upload = Upload.objects.create(id=uuid.uuid4(), **columns)
    asked = Prepared(lambda ticket: Upload.objects.filter(pk=ticket), str)
    assert [asked.first(upload.pk.hex), asked.first(uuid.uuid4().hex)] == [upload, None]


def test_a_lookup_that_changes_its_value_cannot_be_prepared(cast: Cast, settings) -> None:
    asked = Prepared(lambda name: Namespace.objects.filter(name__contains=name), str)
    with pytest.raises(ValueError, match="cannot be prepared"):
        asked("ali")
