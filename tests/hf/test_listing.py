"""Lists of repositories: every filter, sort and page of the Hub, and what stock clients make of them."""

import json
import random
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone
from huggingface_hub import DatasetInfo, ModelInfo, SpaceInfo

from hub.hf.lists import EXPANDABLE
from registry.kernel.policy import NOBODY
from registry.models import Repository
from registry.repos import download_counts
from registry.repos.contents import facts
from registry.repos.lists import catalog, tallies
from registry.repos.lists.search_terms import search_text
from tests.adapters import TINY_BERT, lora
from tests.clients import Client
from tests.hf.wire import Wire, file, header
from tests.live import TOKENS, Hub
from tests.sweep import at_merge, sweep

CARDS = {
    "acme/alpha-lora": {
        "downloads": 3,
        "likes": 1,
        "trending": 5.5,
        "parameters": 74_498,
        "serves": "\nvllm\n",
        "tags": ["peft", "lora", "en", "license:mit", "text-classification"],
    },
    "acme/beta": {
        "downloads": 1,
        "likes": 3,
        "parameters": 9_000_000,
        "trending": 7.25,
        "tags": ["peft", "ia3", "de", "license:mit", "dataset:imdb"],
    },
    "alice/gamma-lora": {"downloads": 2, "likes": 2, "tags": ["adapter-transformers", "en"], "gated": "auto"},
}


@pytest.fixture
def shelf(cast, store) -> None:
    """Three repositories, the last made last, and a private one."""
    for at, (name, told) in enumerate(CARDS.items()):
        repository = cast.repository(name)
        words = search_text(name, tags=told["tags"])
        then = timezone.now() - timedelta(hours=9 - at)
        Repository.objects.filter(pk=repository.pk).update(**told, search_text=words, updated_at=then, created_at=then)
    cast.repository("acme/covert-lora", private=True)


def ids(wire: Wire, query: str, *, who: str = "nobody", kind: str = "models") -> list[str]:
    answer = wire.get(f"/api/{kind}?{query}", who=who)
    assert answer.status_code == 200, answer.content
    return [one["id"].partition("/")[2] for one in answer.json()]


def test_counts_over_many_repositories_are_kept_for_a_minute(wire: Wire, cast, shelf, monkeypatch):
    monkeypatch.setattr(tallies, "MANY", 0)
    before = tallies.count_matches(NOBODY, catalog.Query()), tallies.tally(NOBODY, catalog.Query()).commonest
    assert before[0] > 0
    cast.repository("alice/one-more")
    assert (tallies.count_matches(NOBODY, catalog.Query()), tallies.tally(NOBODY, catalog.Query()).commonest) == before


@sweep(
    "query, found",
    {
        "": ["gamma-lora", "beta", "alpha-lora"],
        "search=LoRA": ["gamma-lora", "alpha-lora"],
        "search=acme%20lora": ["alpha-lora"],
        "search=acme&search=lora": ["alpha-lora"],
        "search=imdb": [],  # a tag, and no part of an id
        "search=e/b": ["beta"],
        "author=ACME": ["beta", "alpha-lora"],
        "author=alice&search=lora": ["gamma-lora"],
        "filter=peft&filter=en": ["alpha-lora"],
        "filter=peft,en": ["alpha-lora"],
        "filter=License:MIT": ["beta", "alpha-lora"],
        "filter=dataset:imdb": ["beta"],
        "filter=lor": [],
        "filter=adapters": ["gamma-lora"],
        "filter=adapter-transformers": ["gamma-lora"],
        "library=peft": ["beta", "alpha-lora"],
        "language=en": ["gamma-lora", "alpha-lora"],
        "pipeline_tag=text-classification": ["alpha-lora"],
        "gated=true": ["gamma-lora"],
        "gated=False": ["beta", "alpha-lora"],
        "inference=warm": [],
        "sort=downloads": ["alpha-lora", "gamma-lora", "beta"],
        "sort=likes&direction=-1": ["beta", "gamma-lora", "alpha-lora"],
        "sort=likes&direction=1": ["alpha-lora", "gamma-lora", "beta"],
        "sort=createdAt&direction=1": ["alpha-lora", "beta", "gamma-lora"],
        "sort=trendingScore": ["beta", "alpha-lora", "gamma-lora"],
        "num_parameters=min:50K,max:1M": ["gamma-lora", "alpha-lora"],  # of gamma nobody knows
        "num_parameters=min:1.5M": ["gamma-lora", "beta"],
        "num_parameters=max:0.1B": ["gamma-lora", "beta", "alpha-lora"],
        "apps=vllm": ["alpha-lora"],
        "apps=ollama": [],
    }.items(),
)
def test_each_filter_and_sort_finds_what_the_hub_would(wire: Wire, shelf, query: str, found: list[str]):
    assert ids(wire, query) == found


def test_a_size_that_cannot_be_read_is_refused(wire: Wire, shelf):
    answer = wire.get("/api/models?num_parameters=many")
    assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid")


def test_what_is_newer_trends_more(wire: Wire, cast):
    old, new = (cast.repository(f"acme/{name}") for name in ("old", "new"))
    long_ago = timezone.now() - timedelta(days=21)
    Repository.objects.filter(pk=old.pk).update(trending=4 * download_counts.download_weight(long_ago))
    Repository.objects.filter(pk=new.pk).update(trending=download_counts.download_weight())
    assert ids(wire, "sort=trendingScore") == ["new", "old"]
    scores = {one["id"]: one["trendingScore"] for one in wire.get("/api/models").json()}
    assert scores == {"acme/old": pytest.approx(0.5, abs=0.01), "acme/new": pytest.approx(1, abs=0.01)}


def test_bases_and_those_who_build_on_a_model_are_named(wire: Wire, cast, shelf):
    Repository.objects.filter(name__in=["beta", "covert-lora"]).update(base="acme/alpha-lora")
    [one] = wire.get("/api/models?search=alpha&expand=childrenModelCount", who="nobody").json()
    assert one["childrenModelCount"] == 1, "what one may not see is not counted"
    assert (
        wire.get("/api/models/acme/alpha-lora?expand=childrenModelCount", who="erin").json()["childrenModelCount"] == 2
    )
    wire.push("alice/gamma-lora", lora())
    shown = wire.get("/api/models/alice/gamma-lora?expand=baseModels").json()
    assert shown["baseModels"] == {"relation": "adapter", "models": [{"id": TINY_BERT.id}]}


def test_private_repositories_are_listed_for_members_only(wire: Wire, shelf):
    assert "covert-lora" in ids(wire, "search=covert", who="erin")
    for who in ("nobody", "carol"):
        assert ids(wire, "search=covert", who=who) == []


@pytest.mark.parametrize("query", ["sort=downloads", "sort=likes&direction=1", "full=true&filter=peft", "expand=tags"])
def test_pages_hold_everything_once_and_keep_the_filters(wire: Wire, shelf, query: str):
    whole, paged, path = ids(wire, query), [], f"/api/models?{query}&limit=1"
    while path:
        answer = wire.get(path, who="nobody")
        paged += [one["id"].partition("/")[2] for one in answer.json()]
        link = answer.headers.get("Link", "")
        assert not link or link.startswith(f"<{settings.PUBLIC_URL}/api/models?")
        path = link[len(f"<{settings.PUBLIC_URL}") :].partition(">")[0]
    assert paged == whole


@pytest.mark.parametrize(("kind", "type"), [("models", "model"), ("datasets", "dataset")])
def test_expand_answers_the_asked_keys_alone_and_teaches_its_words(wire: Wire, cast, shelf, kind: str, type: str):
    cast.repository("acme/some", type=type)
    for word in EXPANDABLE[type]:
        [shown] = wire.get(f"/api/{kind}?search=acme/some&expand={word}&expand[]=author").json()
        assert {"_id", "id", "author"} <= set(shown) <= {"_id", "id", "author", word}
    for path in (f"/api/{kind}?expand=nonsense", f"/api/{kind}/acme/never?expand=nonsense"):
        answer = wire.get(path)
        assert answer.status_code == 400
        assert 'expected one of "author"|' in answer.json()["error"]
        assert all(f'"{word}"' in answer.json()["error"] for word in EXPANDABLE[type])


def test_unknown_sorts_are_refused_with_the_words_that_exist(wire: Wire, shelf):
    answer = wire.get("/api/models?sort=size")
    assert (answer.status_code, "lastModified" in answer.json()["error"]) == (400, True)


def test_details_come_when_they_are_asked_for(wire: Wire, shelf):
    [plain] = wire.get("/api/models?search=beta").json()
    said = {"_id", "id", "modelId", "likes", "private", "downloads", "tags", "createdAt", "trendingScore"}
    assert said <= set(plain) <= said | {"pipeline_tag"}
    [full] = wire.get("/api/models?search=beta&full=True").json()
    assert full["siblings"] == [{"rfilename": ".gitattributes"}]
    assert {"author", "sha", "lastModified", "gated", "disabled"} <= set(full)
    assert "config" in wire.get("/api/models?search=beta&config=True").json()[0]
    assert "cardData" in wire.get("/api/models?search=beta&cardData=true").json()[0]


SOURCES = ["{name: me}", "me", "[me]"]
RESULT = "{task: {type: t}, dataset: {type: d, name: n}, metrics: [{type: m, value: 1}], source: %s}"
ODD_CARDS = ["self: 1", "ignore_metadata_errors: true", "tags: 5", "tags: {a: b}"]
ODD_CARDS += [f"model-index: [{{name: x, results: [{RESULT % source}]}}]" for source in SOURCES]


@pytest.mark.parametrize("said", ODD_CARDS)
def test_no_card_can_end_a_list_for_stock_clients(wire: Wire, cast, said):
    for kind, parse in (("models", ModelInfo), ("datasets", DatasetInfo), ("spaces", SpaceInfo)):
        name = f"alice/odd-{kind}"
        cast.repository(name, type=kind.removesuffix("s"))
        body = header(), file("README.md", f"---\n{said}\nlicense: mit\n---\n".encode())
        lines = b"".join(json.dumps(line).encode() + b"\n" for line in body)
        pushed = wire.ask("POST", f"/api/{kind}/{name}/commit/main", lines, Content_Type="application/x-ndjson")
        assert pushed.status_code == 200, pushed.content
        for shown in (wire.get(f"/api/{kind}/{name}").json(), *wire.get(f"/api/{kind}?full=true").json()):
            assert shown["cardData"]["license"] == parse(**shown).card_data.license == "mit"


def test_the_adapters_library_finds_its_names_under_both_keys(wire: Wire, cast, shelf):
    config = {"model_name": "bert-base-uncased", "model_type": "bert", "name": "x", "config": {}}
    wire.push("alice/gamma-lora", {"adapter_config.json": json.dumps(config).encode()})
    for alias in ("adapters", "adapter-transformers"):
        [shown] = wire.get(f"/api/models?filter={alias}&full=True&config=True").json()
        assert shown["modelId"] == "alice/gamma-lora"
        assert shown["config"]["adapters"]["model_name"] == "bert-base-uncased"
        assert shown["config"]["adapter_transformers"]["model_name"] == "bert-base-uncased"


def test_tags_by_type_sorts_what_everybody_may_see(wire: Wire, cast, shelf):
    Repository.objects.filter(name="covert-lora").update(tags=["license:secret"])
    found = wire.get("/api/models-tags-by-type", who="nobody").json()
    assert set(found) == set(facts.KINDS)
    assert found["license"] == [{"id": "license:mit", "label": "mit", "type": "license"}]
    assert [one["id"] for one in found["dataset"]] == ["dataset:imdb"]
    assert {one["id"] for one in found["language"]} == {"en", "de"}
    assert {one["id"] for one in found["library"]} == {"peft", "adapter-transformers"}
    assert {one["id"] for one in found["pipeline_tag"]} == {"text-classification"}
    assert {one["id"] for one in found["other"]} == {"lora", "ia3"}
    assert all(one == [] for one in wire.get("/api/datasets-tags-by-type", who="nobody").json().values())


# --- stock clients ---------------------------------------------------------------------------------------------------
LISTS = """
import sys
from huggingface_hub import HfApi
api, mark = HfApi(), sys.argv[1]
names = [f"alice/{mark}-{n}" for n in range(5)]
for name in names:
    api.create_repo(name)
    api.create_repo(name, repo_type="dataset")
card = "---\\ntags: [%s]\\nlicense: mit\\nlanguage: en\\n---\\n# x\\n" % mark
api.upload_file(repo_id=names[2], path_or_fileobj=card.encode(), path_in_repo="README.md")
newest = list(reversed(names))
assert [one.id for one in api.list_models(author="alice", search=mark, sort="created_at", limit=3)] == newest[:3]
assert {one.id for one in api.list_models(search=mark)} == set(names)
assert {one.id for one in api.list_datasets(search=mark, author="alice")} == set(names)
assert [one.id for one in api.list_models(filter=[mark, "license:mit"])] == [names[2]]
assert [one.id for one in api.list_models(filter=mark, gated=True)] == []
[full] = api.list_models(filter=mark, full=True, cardData=True, fetch_config=True)
assert full.card_data.license == "mit" and {one.rfilename for one in full.siblings} == {".gitattributes", "README.md"}
assert full.config == {} and full.last_modified and full.sha and full.author == "alice"
[one] = api.list_models(filter=mark, expand=["downloads", "likes", "private", "gated", "disabled", "cardData"])
assert (one.downloads, one.likes, one.private, one.gated, one.sha) == (0, 0, False, False, None)
assert one.card_data.language == "en"
assert len(list(api.list_datasets(search=mark, expand=["sha"]))) == 5
assert "license" in api.get_model_tags() and "license" in api.get_dataset_tags()
print("fine")
"""


@pytest.mark.parametrize("release", ["2.4.0", *at_merge("0.36.2")])
def test_stock_clients_list(live_hub: Hub, tmp_path: Path, release: str):
    client = Client(release, live_hub.url, TOKENS["alice"], tmp_path / "home")
    assert client.python(LISTS, f"m{random.randrange(1 << 40)}") == "fine\n"
