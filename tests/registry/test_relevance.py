"""The order of a search by relevance; tests/workers/test_postgres.py runs this file on PostgreSQL too."""

import pytest

from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import NOBODY
from registry.models import Repository
from registry.repos.contents.card import parse_card
from registry.repos.lists import catalog, search_terms
from registry.repos.lists.catalog import Query
from registry.repos.lists.search_terms import search_text

WORD = "harbour"
# Each of what follows is nearer to the word than what stands below it.
ORDERED: list[tuple[str, dict[str, object]]] = [
    ("acme/harbour", {"is_verified": True}),
    ("alice/harbour", {"downloads": 900}),
    ("alice/harbour-small", {"is_verified": True, "downloads": 3}),
    ("acme/harbour2", {"is_verified": True, "downloads": 2}),
    ("alice/harbourside", {"downloads": 70}),
    ("acme/ships", {"is_verified": True, "title": "Ships of the harbour"}),
    ("acme/the-harbour", {"downloads": 80}),
    ("alice/boats", {"downloads": 8, "title": "All harbours"}),
    ("alice/cranes", {"is_verified": True, "tags": ["Harbour"]}),
    ("alice/docks", {"tags": ["harbour", "en"]}),
    ("acme/quays", {"is_verified": True, "downloads": 1, "summary": "counts what a harbour holds"}),
    ("acme/tugs", {"is_verified": True, "tags": ["harbours"]}),
    ("acme/weirs", {"downloads": 10**6, "summary": "no harbour"}),
]


def listed(full_name, cast, *, title="", summary="", tags=(), **columns):
    text = search_text(full_name, summary, title=title, tags=tags)
    repository = cast.repository(full_name)
    Repository.objects.filter(pk=repository.pk).update(search_text=text, tags=list(tags), **columns)


def pages(q, limit, **more):
    """Return the ids of all pages, which are read one after the other."""
    cursor, names = "", []
    while True:
        page = catalog.search(NOBODY, Query(q=q, sort="relevance", **more), cursor=cursor, limit=limit)
        names += [row.full_name for row in page.items]
        cursor = page.next
        if not cursor:
            return names


@pytest.mark.parametrize("few", [0, 2, 500])
def test_names_come_before_titles_tags_and_text_then_what_is_verified_then_downloads(cast, monkeypatch, few):
    monkeypatch.setattr(search_terms, "FEW", few)
    for full_name, columns in ORDERED[::-1]:
        listed(full_name, cast, **columns)
    cast.repository("acme/other")
    right = [full_name for full_name, _ in ORDERED]
    for limit in (1, 2, 3, 5, 100):
        assert pages(WORD.upper(), limit) == right, limit
    assert pages("alice/harbour", 2)[0] == "alice/harbour"
    assert pages("alice/harb", 2) == ["alice/harbour-small", "alice/harbour", "alice/harbourside"]
    assert pages(WORD, 4, author=["alice"]) == [name for name in right if name.startswith("alice/")]


@pytest.mark.parametrize("few", [0, 500])
def test_several_words_are_a_name_or_are_sought_together(cast, monkeypatch, few):
    monkeypatch.setattr(search_terms, "FEW", few)
    listed("alice/tone", cast, title="The Smallest Sentiment model", downloads=5)
    listed("alice/sentiment-x", cast, title="One of the smallest")
    listed("acme/mixed", cast, title="smallest", tags=["sentiment"], is_verified=True)
    listed("acme/tagged", cast, tags=["smallest-sentiment"])
    listed("acme/told", cast, summary="the smallest of sentiment", downloads=10**9)
    listed("acme/smallest_sentiment", cast)
    names = pages("smallest sentiment", 2)
    assert " ".join(names[:3]) == "acme/smallest_sentiment alice/tone alice/sentiment-x"
    assert " ".join(names[3:]) == "acme/mixed acme/tagged acme/told"
    assert pages("ünlike anything", 2) == []


@pytest.mark.parametrize("few", [0, 500])
def test_odd_words_find_what_holds_them(cast, monkeypatch, few):
    monkeypatch.setattr(search_terms, "FEW", few)
    for odd in ("a", "é", "%", "_", "/", '"', "\\", "x/", "/x", "a/b/c", "NEAR(", "*", "\N{ZERO WIDTH JOINER}"):
        listed(f"alice/n{abs(hash(odd))}", cast, summary=f"before {odd} after")
        assert f"alice/n{abs(hash(odd))}" in pages(odd, 100), odd


def test_what_was_written_by_an_older_release_is_found_by_its_id(cast):
    listed("alice/harbour", cast)
    text = "alice/harbour no boats alice harbour no boats\n"
    Repository.objects.filter(name="harbour").update(search_text=text, summary="no boats")
    listed("acme/boats", cast)
    assert pages("harbour", 5) == ["alice/harbour"]
    assert pages("boats", 5) == ["acme/boats", "alice/harbour"]
    assert search_terms.words_of(Repository.objects.get(name="harbour")).startswith("alice/harbour \vno boats")


def test_a_new_name_keeps_the_title(cast):
    listed("alice/one", cast, title="Great Harbours")
    repository = Repository.objects.select_related("namespace").get(name="one")
    repository.name = "two"
    assert search_terms.words_of(repository).startswith("alice/two great harbours\v")


def test_without_words_what_is_verified_and_used_comes_first(cast):
    for full_name, columns in ORDERED:
        listed(full_name, cast, **columns)
    first = pages("", 3)[:5]
    assert " ".join(first) == "alice/harbour-small acme/harbour2 acme/quays acme/tugs alice/cranes"
    assert len(pages("", 4)) == len(ORDERED)


def test_a_cursor_belongs_to_its_order(cast):
    listed("alice/one", cast)
    listed("alice/two", cast)
    cursor = catalog.search(NOBODY, Query(q="alice", sort="relevance"), limit=1).next
    with pytest.raises(ValueInvalid):
        catalog.search(NOBODY, Query(q="alice"), cursor=cursor)


@pytest.mark.parametrize(
    ("card", "title"),
    [
        ("# Reviews\n\nText.", "Reviews"),
        ("Some words\n\n#   Later *heading* ##\n", "Later *heading*"),
        ("---\ntitle: Stated\n---\n# Heading\n", "Stated"),
        ("---\npretty_name: Pretty rows\n---\n", "Pretty rows"),
        ("---\nlicense: mit\n---\n# Model Card for Model ID\n", ""),
        ("## Second level only\n", ""),
        ("#tag\n", ""),
        ("", ""),
    ],
)
def test_the_title_of_a_card_is_what_it_states_or_its_first_heading(card, title):
    assert parse_card(card).title == title
