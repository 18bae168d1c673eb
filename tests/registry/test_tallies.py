"""Counts and facets agree with counting every repository by hand, for every caller, whatever changed it."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection
from django.utils import timezone

from registry.kernel import capacity, site_settings
from registry.kernel.errors import SearchTooSlow
from registry.kernel.policy import NOBODY
from registry.models import CatalogueCount, Repository, User
from registry.moderation import suspension
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import FACETS, Query
from tests.sweep import at_merge

VALUES: dict[str, list[Any]] = {
    "base": ["acme/base", "orbit/base", ""],
    "kind": ["lora", "ia3"],
    "task": ["text-generation", ""],
    "license": ["mit", "apache-2.0"],
    "serves": ["\nvllm\nlorax\n", "\nvllm\n", ""],
    "state": ["passed", "failed", "queued", ""],
    "outcome": ["passed", "failed", "queued", ""],
    "is_verified": [True, False],
    "rank": [4, 8, None],
    "private": [False, False, True],
    "is_main_held": [False, False, False, True],
    "gated": ["", "", "auto"],
    "archived_at": [None, timezone.now()],
    "quarantined_at": [None, None, None, timezone.now()],
    "source": ["", "", "", "https://other.example"],
}
QUERIES = [
    Query(), Query(kind=["lora"]), Query(kind=["lora"], base=["acme/base"]), Query(engine=["vllm"]),
    Query(engine=["lorax"]),
    Query(verdict=["passed"]), Query(verdict=["queued", "failed"], license=["mit"]), Query(task=["nothing-has-it"]),
    Query(archived=["hide"], kind=["ia3"]), Query(gated=True), Query(gated=False, base=["orbit/base"]),
    Query(only_verified=True), Query(rank_min=8), Query(rank_min=0, kind=["lora"]), Query(author=["acme"]),
    Query(q="a-1", engine=["vllm"]), Query(source=["upstream"]), Query(type="dataset"),
]  # fmt: skip
CALLERS = ("nobody", "alice", "dave", "mona")  # a stranger, an administrator of acme's, a reader, a moderator


def matches(row: Repository, query: Query) -> bool:
    """Return whether a repository that the caller sees matches, without the database."""
    chosen = {name: set(getattr(query, name)) for name in (*FACETS, "engine", "verdict") if getattr(query, name)}
    return (
        all(values & values_of(row, name) for name, values in chosen.items() if name != "verdict")
        and (not query.verdict or any(has_verdict(row, verdict) for verdict in query.verdict))
        and (query.q in row.full_name)
        and (not query.author or row.namespace.name in query.author)
        and (not query.archived or row.archived_at is None)
        and (query.gated is None or query.gated == bool(row.gated))
        and (not query.only_verified or row.is_verified or row.state == "" or row.type != "model")
        and (query.rank_min is None or (row.rank is not None and row.rank >= query.rank_min))
    )


def has_verdict(row: Repository, verdict: str) -> bool:
    return row.outcome == verdict


def values_of(row: Repository, name: str) -> set[str]:
    if name == "engine":
        return set(row.serves.split("\n")) - {""}
    if name == "verdict":
        return {row.outcome} - {""}
    return {getattr(row, FACETS[name])} - {""}


def by_hand(rows: list[Repository], query: Query) -> tuple[int, dict[str, Counter[str]]]:
    """Count every match in Python, each facet without its own choice."""
    facets = {}
    for name in (*FACETS, "engine", "verdict"):
        others: dict[str, Any] = {name: ()}
        found = [row for row in rows if matches(row, replace(query, **others))]
        facets[name] = Counter(value for row in found for value in values_of(row, name))
    return sum(matches(row, query) for row in rows), facets


def differences(cast, callers: Iterable[str] = CALLERS) -> list[str]:
    """Return where a tally is not what counting by hand says."""
    wrong = []
    for who in callers:
        by = NOBODY if who == "nobody" else cast.session(who)
        seen = {
            (type, source): list(
                catalog.matching_repositories(by, Query(type=type, source=source)).select_related("namespace")
            )
            for type in ("model", "dataset")
            for source in ((), ("upstream",))
        }
        for query in QUERIES:
            LocMemCache.clear(caches["default"])
            tally, hand = tallies.tally(by, query), by_hand(seen[query.type, tuple(query.source)], query)
            counted = {name: Counter({v: n for v, n in values.items() if v}) for name, values in tally.facets.items()}
            if (tally.rows, counted) != hand or tally.is_capped:
                wrong.append(f"{who}: {query}: {tally.rows} {counted} is {hand}")
    return wrong


def shuffled(dice: random.Random) -> dict[str, Any]:
    return {name: dice.choice(values) for name, values in VALUES.items()}


@pytest.fixture
def many(cast):
    """Repositories of several owners with values by chance, each changed several times."""
    dice = random.Random(7)
    owners = [dice.choice(["alice", "carol", "acme"]) for _ in range(30)]
    creators = {"acme": "alice"}
    rows = [cast.repository(f"{owner}/a-{n}", by=creators.get(owner, owner)) for n, owner in enumerate(owners)]
    for row in [*rows, *rows]:
        Repository.objects.filter(pk=row.pk).update(**shuffled(dice))
    return rows


@pytest.mark.parametrize("policy", ["verified", *at_merge("open")])
def test_counts_are_those_of_counting_by_hand_for_every_caller(cast, many, settings, policy):
    settings.FIRST_PULL_POLICY = policy
    site_settings.clear_cache()
    assert differences(cast) == []


def test_counts_follow_every_kind_of_change(cast, many):
    User.objects.filter(username="carol").update(is_active=False)
    Repository.objects.filter(pk__in=[row.pk for row in many[:5]]).update(binned_at=timezone.now())
    Repository.objects.filter(pk=many[5].pk).update(namespace=cast.repository("alice/last").namespace)
    Repository.objects.filter(pk__in=[row.pk for row in many[6:9]]).delete()
    Repository.objects.filter(pk=many[9].pk).update(type="dataset")
    assert differences(cast, ["nobody"]) == []
    assert tallies.correct() == 0
    User.objects.filter(username="carol").update(is_active=True)
    Repository.with_binned.filter(pk=many[0].pk).update(binned_at=None)
    assert differences(cast, ["nobody"]) == []


def test_folding_changes_no_count_and_leaves_one_row_a_group(cast, many):
    assert tallies.fold(most=10) == 10
    assert differences(cast, ["nobody"]) == []
    while tallies.fold(most=1000):
        pass
    assert differences(cast, ["nobody"]) == []
    assert not CatalogueCount.objects.filter(number=0).exists()
    groups = CatalogueCount.objects.values_list(*(set(VALUES) & {f.name for f in CatalogueCount._meta.fields}), "type",
                                                "is_archived", "is_gated")  # fmt: skip
    assert len(groups) == len(set(groups))
    CatalogueCount.objects.filter(pk__in=CatalogueCount.objects.values("pk")[:3]).update(number=99)
    tallies.correct_due(hour=12)
    assert CatalogueCount.objects.filter(number=99).count() == 3
    suspension.suspend(cast["bob"], cast.session("mona"), reason="spam")  # a push at that moment is counted wrongly
    tallies.correct_due(hour=12)
    assert tallies.correct() == 0
    assert differences(cast, ["nobody"]) == []


def test_more_matches_than_are_read_are_told_as_at_least_so_many(cast, many, monkeypatch, client, settings):
    settings.FIRST_THROTTLE = "off"
    monkeypatch.setattr(tallies, "MOST", 3)
    tally = tallies.tally(NOBODY, Query(q="a-"))
    assert (tally.rows, tally.is_capped) == (3, True)
    assert sum(tally.facets["kind"].values()) == 3
    assert not tallies.tally(NOBODY, Query()).is_capped
    assert "3+ of" in " ".join(client.get("/adapters?q=a-").content.decode().split())
    assert client.get("/api/v1/adapters?q=a-&facets=1").json()["facets_at_least"] is True
    assert client.get("/api/v1/adapters?facets=1").json()["facets_at_least"] is False


def test_a_search_that_takes_too_long_is_ended_and_says_so(cast, monkeypatch, client):
    if connection.vendor == "postgresql":
        monkeypatch.setattr(capacity, "QUERY_SECONDS", 0.05)
        with pytest.raises(SearchTooSlow, match=r"0\.05 s"), capacity.bounded("search"), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")
    monkeypatch.setattr(catalog, "bounded", refusing)
    answer = client.get("/api/v1/adapters?q=a")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "search-too-slow", "30")


def refusing(what: str) -> NoReturn:
    raise SearchTooSlow(f"This {what} takes longer than 5 s.")
