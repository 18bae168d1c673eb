"""The search for parts of words: that its indexes follow what happens to adapters, and never hide what is there."""

import pytest
from django.db import connection

from registry.kernel.policy import NOBODY
from registry.models import Adapter
from registry.publish import moves, repositories
from registry.repos import catalog, search_terms
from registry.repos.catalog import Query
from registry.repos.search_terms import Wanted, search_text


def found(**query: object) -> list[str]:
    return [one.full_name for one in catalog.search(NOBODY, Query(**query)).items]


def described(adapter: Adapter, summary: str, tags: list[str]) -> Adapter:
    text = search_text(adapter.full_name, summary, tags=tags)
    Adapter.objects.filter(pk=adapter.pk).update(summary=summary, tags=tags, search_text=text)
    return adapter


def test_what_changed_is_found_by_its_new_words_alone(cast):
    adapter = described(cast.adapter("alice/contract-lora"), "sorts clauses", ["license:mit"])
    assert found(q="clau") == found(id_words=["tract"]) == found(all_tags=["license:mit"]) == ["alice/contract-lora"]
    described(adapter, "sorts letters", ["license:gpl"])
    assert found(q="clau") == found(all_tags=["license:mit"]) == []
    moves.move(adapter, "alice/parcels", cast.session("alice"))
    assert found(id_words=["tract"]) == []
    assert found(id_words=["alice/parc"]) == found(q="letters") == ["alice/parcels"]
    repositories.delete(Adapter.objects.get(pk=adapter.pk), cast.session("alice"))
    assert found(q="letters") == []
    assert Wanted(parts=("letters",)).few() == []


@pytest.mark.parametrize("word", ['"', '""" OR name : "x', "a", "ab", "_", "%", "*", "\\", "ß" * 40, "İ", "(", "NEAR("])
def test_a_word_means_itself_whatever_signs_are_in_it(cast, word):
    described(cast.adapter("alice/odd"), f"before {word} after", [])
    cast.adapter("alice/even")
    assert "alice/odd" in found(q=word)
    assert found(q=f"{word}{word}{word}zz") == []


def test_names_are_searched_apart_from_other_words(cast):
    described(cast.adapter("alice/first"), "like the second", [])
    cast.adapter("acme/second")
    assert found(id_words=["second"]) == ["acme/second"]
    assert set(found(q="second")) == {"alice/first", "acme/second"}
    assert found(id_words=["alice", "fir"]) == ["alice/first"]


@pytest.mark.parametrize("few", [0, 1, 500])
def test_how_many_hold_a_word_changes_nothing_but_the_way(cast, monkeypatch, few):
    monkeypatch.setattr(search_terms, "FEW", few)
    for number in range(4):
        described(cast.adapter(f"alice/number-{number}"), "counts", ["en", "license:mit"] if number % 2 else ["de"])
    assert len(found(q="counts")) == len(found(id_words=["number-"])) == 4
    assert set(found(language=["de", "fr"])) == {"alice/number-0", "alice/number-2"}
    assert found(q="counts", all_tags=["en", "license:mit"], author=["bob"]) == []
    assert catalog.count(NOBODY, Query(q="number-3")) == 1


def test_every_migration_left_the_indexes_in_place(db):
    kept = {
        "sqlite": ("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'adapter_words%'", 3),
        "postgresql": ("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'adapter_by_%words'", 2),
    }
    asked, number = kept[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(asked)
        assert cursor.fetchone() == (number,)
