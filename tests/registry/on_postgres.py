"""The indexes that lists and counts read on PostgreSQL; tests/workers/test_postgres.py runs this file there."""

import pytest
from django.db import connection

from registry.kernel.policy import NOBODY
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import Query


@pytest.mark.parametrize("columns", [["pk"], [column for columns in tallies._COLUMNS.values() for column in columns]])
def test_many_matches_are_met_and_counted_without_a_look_at_the_table(cast, columns):
    assert connection.vendor == "postgresql", "run it by tests/workers/test_postgres.py"
    numbers, choices = {"rank_min": 8, "size_max": 10}, {"gated": False, "archived": ["hide"], "only_verified": True}
    query = Query(kind=["lora"], license=["mit"], engine=["vllm"], verdict=["passed"], **numbers, **choices)
    rows = catalog.matching_repositories(NOBODY, query, by_columns=True).order_by("-updated_at", "-id")
    with connection.cursor() as cursor:  # so few rows make the planner choose another way
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        cursor.execute("DROP INDEX repository_by_update")
    assert "Index Only Scan using repository_listed" in rows.values_list(*columns)[:3].explain()
