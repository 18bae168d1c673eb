"""Lists by several facets have the same rows whichever way PostgreSQL finds them, on each page of each sort."""

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import NOBODY, Caller, listed_to
from registry.models import Repository
from registry.repos.lists import catalog
from registry.repos.lists.catalog import Query, SearchPage
from tests.registry.test_tallies import matches, shuffled

QUERIES = [
    Query(kind=["lora"], base=["acme/base"]), Query(kind=["lora", "ia3"], license=["mit"]),
    Query(kind=["ia3"], task=["text-generation"], engine=["vllm"]), Query(base=["orbit/base"], engine=["lorax"]),
    Query(base=["acme/base", "orbit/base"], task=["text-generation"], license=["mit"], verdict=["passed"]),
    Query(kind=["lora"], license=["mit"], verdict=["failed"], archived=["hide"]),
    Query(kind=["lora"], license=["mit"], rank_min=8), Query(kind=["lora"], license=["apache-2.0"], gated=False),
    Query(kind=["nosuch"], license=["mit"]),
]  # fmt: skip
SORTS = [("updated", False), ("updated", True), ("downloads", False), ("likes", True)]


@pytest.fixture
def many(cast):
    """Repositories of several owners with values by chance; some have the same time, or number of downloads."""
    dice, now = random.Random(11), timezone.now()
    for number in range(40):
        owner = dice.choice(["alice", "carol", "acme"])
        row = cast.repository(f"{owner}/a-{number}", by="alice" if owner == "acme" else owner)
        numbers = {"updated_at": now - timedelta(days=dice.randrange(9)), "downloads": dice.randrange(5)}
        Repository.objects.filter(pk=row.pk).update(**shuffled(dice), **numbers, likes=dice.randrange(3))


def pages(by: Caller, query: Query) -> list[SearchPage]:
    """Return all pages of a list."""
    found = [catalog.search(by, query, limit=2)]
    while found[-1].next:
        found.append(catalog.search(by, query, limit=2, cursor=found[-1].next))
    return found


@pytest.mark.parametrize(
    "few", [pytest.param(0, marks=pytest.mark.merge), 1, pytest.param(500, marks=pytest.mark.merge)]
)
def test_each_way_of_finding_them_has_the_same_pages(cast, many, monkeypatch, few):
    monkeypatch.setattr(catalog, "FEW", few)
    callers = [NOBODY, *(cast.session(name) for name in ("alice", "carol", "dave", "mona"))]
    for by in callers:
        listed = Repository.objects.filter(listed_to(by), type="model").select_related("namespace")
        for query in QUERIES:
            for sort, is_ascending in SORTS:
                asked = Query(**{**vars(query), "sort": sort, "ascending": is_ascending})
                ranked = sorted(
                    ((getattr(row, catalog.SORTS[sort]), row.pk) for row in listed if matches(row, query)),
                    reverse=not is_ascending,
                )
                found = [row.pk for page in pages(by, asked) for row in page.items]
                assert found == [pk for _, pk in ranked], (by, asked)


def test_too_many_values_are_refused_before_anything_is_looked_up(cast, client, django_assert_num_queries):
    query = Query(base=[f"acme/{number}" for number in range(catalog.MAX_WISHES + 1)], kind=["lora"])
    with django_assert_num_queries(0), pytest.raises(ValueInvalid, match="values of base"):
        catalog.search(NOBODY, query)
    assert client.get("/api/v1/adapters", {"base": query.base, "kind": "lora"}).json()["code"] == "value-invalid"
