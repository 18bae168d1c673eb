"""A migration changes a large table a few rows at a time, and each of them once."""

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import F

from registry.models import Repository
from registry.sql.schema import InBatches
from tests.cast import assemble

pytestmark = pytest.mark.night


def test_each_row_is_in_one_batch(db):
    cast = assemble()
    for number in range(5):
        cast.repository(f"alice/r{number}")
    sizes = []

    def change(rows) -> None:
        sizes.append(rows.update(likes=F("likes") + 1))

    InBatches("Repository", change, size=2)(apps, connection.SchemaEditorClass(connection))
    assert sizes == [2, 2, 1]
    assert set(Repository.objects.values_list("likes", flat=True)) == {1}
