"""The search for parts of words: that its indexes follow what happens to adapters, and never hide what is there."""

import pytest
from django.db import connection

from registry.kernel.policy import NOBODY
from registry.models import Repository
from registry.publish import moves, repositories
from registry.repos.lists import catalog, search_terms, tallies
from registry.repos.lists.catalog import Query
from registry.repos.lists.search_terms import SearchTerms, search_text
from tests.sweep import sweep


def found(**query: object) -> list[str]:
    return [one.full_name for one in catalog.search(NOBODY, Query(**query)).items]


def described(repository: Repository, summary: str, tags: list[str]) -> Repository:
    text = search_text(repository.full_name, summary, tags=tags)
    Repository.objects.filter(pk=repository.pk).update(summary=summary, tags=tags, search_text=text)
    return repository


@pytest.mark.usefixtures("without_bin")
def test_what_changed_is_found_by_its_new_words_alone(cast):
    repository = described(cast.repository("alice/contract-lora"), "sorts clauses", ["license:mit"])
    assert found(q="clau") == found(id_words=["tract"]) == found(all_tags=["license:mit"]) == ["alice/contract-lora"]
    described(repository, "sorts letters", ["license:gpl"])
    assert found(q="clau") == found(all_tags=["license:mit"]) == []
    moves.move(repository, "alice/parcels", cast.session("alice"))
    assert found(id_words=["tract"]) == []
    assert found(id_words=["alice/parc"]) == found(q="letters") == ["alice/parcels"]
    repositories.delete(Repository.objects.get(pk=repository.pk), cast.session("alice"))
    assert found(q="letters") == []
    assert SearchTerms(parts=("letters",)).few == []


@sweep("word", ['"', '""" OR name : "x', "a", "ab", "_", "%", "*", "\\", "ß" * 40, "İ", "(", "NEAR("])
def test_a_word_means_itself_whatever_signs_are_in_it(cast, word):
    described(cast.repository("alice/odd"), f"before {word} after", [])
    cast.repository("alice/even")
    assert "alice/odd" in found(q=word)
    assert found(q=f"{word}{word}{word}zz") == []


def test_names_are_searched_apart_from_other_words(cast):
    described(cast.repository("alice/first"), "like the second", [])
    cast.repository("acme/second")
    assert found(id_words=["second"]) == ["acme/second"]
    assert set(found(q="second")) == {"alice/first", "acme/second"}
    assert found(id_words=["alice", "fir"]) == ["alice/first"]


@pytest.mark.parametrize("few", [0, 1, 500])
def test_how_many_hold_a_word_changes_nothing_but_the_way(cast, monkeypatch, few):
    monkeypatch.setattr(search_terms, "FEW", few)
    for number in range(4):
        described(cast.repository(f"alice/number-{number}"), "counts", ["en", "license:mit"] if number % 2 else ["de"])
    assert len(found(q="counts")) == len(found(id_words=["number-"])) == 4
    assert set(found(language=["de", "fr"])) == {"alice/number-0", "alice/number-2"}
    assert found(q="counts", all_tags=["en", "license:mit"], author=["bob"]) == []
    assert tallies.count_matches(NOBODY, Query(q="number-3")) == 1


def test_every_migration_left_the_indexes_in_place(db):
    kept = {
        "sqlite": ("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'repository_words%'", 3),
        "postgresql": ("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'repository_by_%words'", 2),
    }
    asked, number = kept[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(asked)
        assert cursor.fetchone() == (number,)
