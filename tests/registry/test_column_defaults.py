"""Columns have their defaults in the database too: code of the release before does not name a column of this one."""

from collections.abc import Iterator

from django.apps import apps
from django.db.models import Field

from registry.models import Repository


def columns() -> Iterator[Field]:
    for model in apps.get_app_config("registry").get_models(include_auto_created=True):
        yield from model._meta.local_concrete_fields


def test_a_default_of_the_code_is_one_of_the_database() -> None:
    fields = list(columns())
    assert Repository._meta.get_field("private") in fields
    bare = [field for field in fields if field.has_default() and not (field.null or field.has_db_default())]
    assert [str(field) for field in bare] == [], "give them db_default"


def test_both_defaults_are_the_same() -> None:
    differ = []
    for field in columns():
        if not (field.has_default() and field.has_db_default()) or hasattr(field.db_default, "resolve_expression"):
            continue
        if field.get_default() != field.db_default:
            differ.append(str(field))
    assert differ == []
