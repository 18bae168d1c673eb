"""The indexes that lists and counts read on PostgreSQL; tests/workers/test_postgres.py runs this file there."""

import pytest
from django.db import connection, transaction

from registry.kernel.policy import NOBODY
from registry.models import CatalogueCount, Repository
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import Query
from tests.cast import assemble
from tests.together import at_once


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


@pytest.mark.django_db(transaction=True)
def test_a_count_that_is_not_folded_moves_with_its_repository_unless_another_transaction_holds_it(transactional_db):
    repository, counted = assemble().repository("alice/counted"), CatalogueCount.objects.filter(is_folded=False)
    changed = Repository.objects.filter(pk=repository.pk)
    tallies.fold_waiting()
    changed.update(kind="lora")
    assert sorted(counted.values_list("kind", "number")) == [("", -1), ("", -1), ("lora", 1), ("lora", 1)]
    changed.update(kind="ia3", base="lab/base", state="passed", outcome="passed")
    assert counted.count() == 4, "rows that count it were changed, and none was written"
    assert set(counted.filter(number=1).values_list("kind", "base")) == {("ia3", "lab/base"), ("ia3", None)}
    with transaction.atomic():
        assert len(counted.select_for_update()) == 4
        [problem] = at_once(lambda: changed.update(kind="lora") and None)  # as a worker that folds would hold them
        assert problem is None
    assert counted.count() == 8
    assert tallies.correct() == 0
    tallies.fold_waiting()
    assert tallies.correct() == 0
