"""A repository whose main is held back is in no list, count or facet for strangers, and its writers find it."""

import json
import re
from collections import Counter

import pytest
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from registry.kernel.policy import NOBODY
from registry.models import Repository
from registry.proof import holding
from registry.repos import catalog
from registry.repos.catalog import Query
from registry.talk import collections, social
from tests.api.conftest import BASE, pushed
from tests.cast import PASSWORD

HELD = "acme/held"
SUMMARY = "Tells good reviews from bad ones."
# Every list of repositories, and what counts them: the Hub's API, REST, the website.
LISTS = (
    "/api/models", "/api/models?author=acme", "/api/models?search=held", "/api/models?full=true", "/api/models?limit=1",
    "/api/models?filter=license:apache-2.0", "/api/models-tags-by-type", "/api/users/carol/likes", "/api/collections",
    "/api/collections/{slug}", "/api/organizations/acme/overview", "/api/v1/adapters", "/api/v1/adapters?q=reviews",
    "/api/v1/adapters?facets=true", "/api/v1/adapters?base={base}", "/api/v1/bases", "/api/v1/bases/{base}",
    "/api/v1/adapters/acme/held",
    "/", "/adapters", "/adapters?q=held", "/adapters?kind=lora", "/adapters?base={base}", "/adapters?sort=created",
    "/bases", "/bases/{base}", "/acme", "/acme?tab=adapters", "/carol?tab=likes", "/collections", "/collections/{slug}",
    "/stats/changes",
)  # fmt: skip


@pytest.fixture
def held(cast, settings, tmp_path):
    """acme/held, the only adapter here, in a collection of carol's and liked by her; main can be held back."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.deaf"
    settings.FIRST_THROTTLE = "off"
    repository = cast.repository(HELD)
    repository.head = pushed(cast, repository)
    Repository.objects.update(kind="lora", state="passed")
    social.like(repository, cast.session("carol"))
    repository.collection = collections.create("carol", "Mine", cast.session("carol"))
    collections.add(repository.collection, "model", HELD, cast.session("carol"))
    return repository


def walk(who, collection):
    """Return what each list answers to somebody, without what differs from one answer to the next."""
    client = Client()
    if who != "anonymous":
        assert client.login(username=who, password=PASSWORD)
    answers = {}
    for route in LISTS:
        caches["default"].clear()
        response = client.get(route.format(slug=collection.slug, base=BASE))
        answers[route] = (response.status_code, response.content.decode())
    return answers


@pytest.mark.parametrize("who", ["anonymous", "dave", "erin"])
def test_what_is_held_back_is_nowhere_for_strangers_and_readers(cast, held, who):
    before = walk(who, held.collection)
    shown = [route for route, (_, text) in before.items() if HELD in text]
    assert len(shown) >= 15, "the lists showed it before"
    holding.hold(held.head, "A pickle with more than tensors.")
    after = walk(who, held.collection)
    assert [route for route, (_, text) in after.items() if "acme/held" in text and "/held" not in route] == []
    assert [route for route, (_, text) in after.items() if SUMMARY in text] == []
    for route in ("/api/models", "/api/models?full=true", "/api/users/carol/likes"):
        assert json.loads(after[route][1]) == []
    assert json.loads(after["/api/organizations/acme/overview"][1])["numModels"] == 0
    assert json.loads(after["/api/v1/adapters?facets=true"][1])["items"] == []
    assert not any(json.loads(after["/api/v1/adapters?facets=true"][1])["facets"].values())
    assert after["/api/v1/adapters/acme/held"][0] == 404


@pytest.mark.parametrize("who", ["anonymous", "dave", "erin"])
@pytest.mark.parametrize("page", ["", "/tree/main", "/commits/main", "/verdict/main", "/likers", "/discussions"])
def test_the_pages_of_what_is_held_back_look_as_if_there_were_none(cast, held, who, page):
    client = Client()
    if who != "anonymous":
        assert client.login(username=who, password=PASSWORD)
    holding.hold(held.head, "A pickle with more than tensors.")
    answer, never = (client.get(f"/acme/{name}{page}") for name in ("held", "hexd"))
    assert answer.status_code == never.status_code == 404
    texts = [re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", each.content.decode()) for each in (answer, never)]
    assert texts[0] == texts[1].replace("hexd", "held")
    assert "Invalid rev id" not in texts[0]


def test_of_what_is_held_back_nothing_is_counted_for_strangers(cast, held):
    assert catalog.count_matches(NOBODY, Query()) == catalog.public_totals().adapters == 1
    assert catalog.count_tags("model") != Counter()
    holding.hold(held.head, "A pickle with more than tensors.")
    caches["default"].clear()
    assert catalog.count_matches(NOBODY, Query()) == catalog.public_totals().adapters == 0
    assert catalog.count_tags("model") == Counter()
    assert catalog.count_by_base(NOBODY, [BASE]) == {}
    assert not any(catalog.facet_counts(NOBODY, Query()).values())
    assert [line.adapters for line in catalog.list_bases(NOBODY).items] in ([], [0])


@pytest.mark.parametrize("who", ["alice", "bob", "mona", "ada"])
def test_writers_and_moderators_find_it_and_count_it(cast, held, who):
    holding.hold(held.head, "A pickle with more than tensors.")
    by = cast.session(who)
    assert [row.full_name for row in catalog.search(by, Query()).items] == [HELD]
    assert catalog.count_matches(by, Query()) == 1
    assert catalog.facet_counts(by, Query())["kind"] == [("lora", 1)]


def test_it_is_back_with_the_next_push_and_an_old_revision_hides_nothing(cast, held):
    holding.hold(held.head, "A pickle with more than tensors.")
    assert catalog.search(NOBODY, Query()).items == []
    pushed(cast, held, files={"README.md": b"# Without it\n"})
    assert [row.full_name for row in catalog.search(NOBODY, Query()).items] == [HELD]


def test_a_contributor_finds_what_is_his_own(cast, held):
    own = cast.repository("acme/own", by="dave")
    holding.hold(own.refs.get(name="refs/heads/main").revision, "A reason.")
    holding.hold(held.head, "A reason.")
    assert [row.full_name for row in catalog.search(cast.session("dave"), Query()).items] == ["acme/own"]


def test_it_costs_a_list_no_query(cast, held):
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            catalog.search(NOBODY, Query())
        counts.append(len(queries))
        holding.hold(held.head, "A reason.")
    assert counts[0] >= counts[1]
