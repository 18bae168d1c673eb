"""Searches that people keep: from the catalogue, by REST, and as feeds; nobody else's are seen or changed."""

import re
from urllib.parse import quote

import pytest

from features.saved_searches import verbs
from features.saved_searches.models import SavedSearch

PAGE, REST = "/settings/searches", "/api/v1/me/searches"


def test_a_search_is_kept_from_the_catalogue_opened_fed_and_deleted(visit, reviews):
    carol, filters = visit("carol"), "task=text-classification&verdict=passed&sort=score"
    listed = carol.get(f"/adapters?{filters}&view=table&nonsense=1").content.decode()
    assert 'value="passed, text classification"' in listed
    kept = re.search(r'name="query" value="([^"]*)"', listed)[1].replace("&amp;", "&")
    assert sorted(kept.split("&")) == sorted(filters.split("&"))
    assert carol.post(PAGE, {"name": " Sentiment  ones ", "type": "model", "query": kept}).url == PAGE
    page = carol.get(PAGE).content.decode()
    assert "Adapters · Verdict: passed · Task: text classification · by verified score" in page
    for path in ("/adapters", "/feeds/adapters.atom"):
        address = re.search(rf'href="({re.escape(path)}\?[^"]*)"', page)[1].replace("&amp;", "&")
        assert "alice/reviews" in carol.get(address).content.decode(), address
    number = SavedSearch.objects.get(name="Sentiment ones").pk
    visit("bob").post(f"{PAGE}/{number}/delete")
    assert "Sentiment" not in visit("bob").get(PAGE).content.decode()
    assert SavedSearch.objects.exists(), "bob's deletes nothing of carol's"
    assert carol.post(f"{PAGE}/{number}/delete").url == PAGE
    assert "None yet" in carol.get(PAGE).content.decode()
    for path in ("/adapters?task=x", "/adapters"):
        assert (
            "Save this search" not in visit("carol" if path == "/adapters" else "anonymous").get(path).content.decode()
        )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "The name is empty"),
        ({"query": "nonsense=1"}, "There is no filter"),
        ({"query": f"q={quote('x' * 7000)}"}, "characters long"),
        ({"query": "&".join(f"tag={n}{'x' * 60}" for n in range(50))}, "characters long"),
        ({"type": "person"}, "Unknown type"),
        ({"name": "one more"}, "already have"),
    ],
)
def test_what_cannot_be_kept_is_said_beside_what_was_typed(visit, cast, monkeypatch, wrong, said):
    monkeypatch.setattr(verbs, "MAX_SEARCHES", 1)
    carol = visit("carol")
    good = {"name": "mine", "type": "dataset", "query": "q=words"}
    if wrong.get("name") == "one more":
        carol.post(PAGE, good)
    answer = carol.post(PAGE, good | wrong)
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert 'value="q=words"' in answer.content.decode() or "query" in wrong, "the filters wait for another name"


def test_rest_keeps_changes_and_deletes_them(visit, cast):
    carol = visit("carol")

    def send(**body):
        return carol.post(REST, {"name": "small"} | body, "application/json")

    made = send(query="size_max=100000")
    assert (made.status_code, made.json()["type"]) == (201, "model")
    assert made.json()["feed"].endswith("/feeds/adapters.atom?size_max=100000")
    changed = send(query="q=legal", type="dataset")
    assert (changed.status_code, changed.json()["id"]) == (200, made.json()["id"])
    assert [item["url"].rpartition("/")[2] for item in carol.get(REST).json()["items"]] == ["datasets?q=legal"]
    assert visit("bob").get(REST).json()["items"] == []
    refused = send(query="rank_min=many")
    assert (refused.status_code, refused.json()["code"]) == (400, "value-invalid")
    assert visit("bob").delete(f"{REST}/{made.json()['id']}").status_code == 204
    assert SavedSearch.objects.count() == 1
    assert carol.delete(f"{REST}/{made.json()['id']}").status_code == 204
    assert not SavedSearch.objects.exists()
    assert visit().get(REST).status_code == 401


def test_labels_of_filters_and_tasks_are_translated_as_they_stand(visit, reviews):
    client = visit("carol")
    client.cookies["language"] = "de"
    client.post(PAGE, {"name": "x", "type": "model", "query": "verdict=passed&task=text-classification"})
    page = client.get(PAGE).content.decode()
    assert "Adapter · Prüfergebnis: bestanden · Aufgabe: Textklassifikation" in page
