"""Readers see what is verified: rows, filters, facets, feeds and the first page are about one and the same version."""

import json
import re
from importlib import import_module

import pytest

from registry.kernel.policy import NOBODY
from registry.models import Repository
from registry.proof.verdicts import requests
from registry.proof.verified import withdrawals
from registry.repos.lists import catalog
from tests import questions
from tests.api.conftest import CONFIG, FILES, accuracy, judged, pushed

GOOD = {**FILES, "README.md": b"---\nlicense: mit\n---\n# Harbour lights\n\nSorts lamps.\n"}
RANK = {"id": "config.rank", "outcome": "failed", "message": "r is 16, the tensors have 8.", "fix": "Set r to 8."}
SERVES = [{"engine": "vllm", "outcome": "serves", "reason": "Yes."}]


def of_kind(kind, rank, card=b"---\nlicense: apache-2.0\n---\n# Broken boats\n"):
    config = {**CONFIG, "peft_type": kind, "r": rank}
    return {**FILES, "adapter_config.json": json.dumps(config).encode(), "README.md": card, "big.txt": b"x" * 5_000}


@pytest.fixture
def lamps(cast):
    """alice/lamps: a verified LoRA of rank 8, then an IA³ that failed."""
    made = cast.repository("alice/lamps")
    judged(pushed(cast, made, files=GOOD), evals=[accuracy(46)], serving=SERVES, depth="evaluated")
    judged(pushed(cast, made, files=of_kind("IA3", 16)), "failed", checks=[RANK])
    return made


def item(client, query=""):
    found = client.get(f"/api/v1/adapters?{query}").json()["items"]
    return found[0] if found else None


def test_a_row_its_filters_and_facets_are_about_the_verified_version(visit, lamps):
    client, good = visit(), lamps.refs.get(name="refs/verified").revision
    row, main = item(client), lamps.refs.get(name="refs/heads/main").revision
    assert (row["kind"], row["rank"], row["license"], row["summary"]) == ("lora", 8, "mit", "Sorts lamps.")
    assert (row["verdict"]["state"], row["verdict"]["revision"]) == ("passed", good.oid)
    assert row["newest"] == {"revision": main.oid, "state": "failed", "checks": ["config.rank"]}
    assert row["size"] < 5_000
    for query in (
        "verdict=passed",
        "kind=lora",
        "license=mit",
        "rank_max=8",
        "engine=vllm",
        "q=lights",
        "tag=license:mit",
    ):
        assert item(client, query), query
    for query in ("verdict=failed", "kind=ia3", "license=apache-2.0", "rank_min=9", "q=boats", "size_min=5000"):
        assert item(client, query) is None, query
    facets = client.get("/api/v1/adapters?facets=1").json()["facets"]
    for name, value in (("verdict", "passed"), ("kind", "lora"), ("license", "mit"), ("engine", "vllm")):
        assert facets[name] == [{"value": value, "count": 1}], name
    feed = client.get("/feeds/adapters.atom").content.decode()
    assert "passed. accuracy 0.96" in feed
    assert "failed" not in feed


def test_the_home_of_strangers_shows_what_is_verified_alone(visit, cast, lamps):
    idle = cast.repository("alice/idle")
    judged(pushed(cast, idle, files=of_kind("LORA", 8)), evals=[accuracy(24)], depth="evaluated")
    assert not idle.refs.filter(name="refs/verified").exists(), "it passed and adds nothing"
    page = visit().get("/").content.decode()
    assert "alice/lamps" in page
    assert "alice/idle" not in page


@pytest.mark.parametrize("view", ["rows", "table"])
def test_the_failed_newest_is_a_small_word_after_the_verified_verdict(visit, lamps, view):
    page = " ".join(visit().get(f"/adapters?view={view}").content.decode().split())
    main = lamps.refs.get(name="refs/heads/main").revision
    assert re.search(r'<span class="(?:word )?passed">passed</span> <a class="newest failed"', page)
    assert f'href="/alice/lamps/verdict/{main.oid}" title="just now, config.rank"> <span aria-hidden="true">⚠' in page
    assert "</span> newest failed </a>" in page
    assert "Sorts lamps." in page or view == "table"
    assert not re.search(r'<span class="(?:word )?failed">', page)


def test_readers_open_on_the_verified_version_and_owners_on_the_newest(visit, lamps):
    main = lamps.refs.get(name="refs/heads/main").revision
    page = visit().get("/alice/lamps").content.decode()
    assert "Sorts lamps." in page
    assert "This page is about the verified version." in page
    assert f"/alice/lamps/verdict/{main.oid}" in page
    assert "Broken boats" in visit("alice").get("/alice/lamps").content.decode()
    assert "Broken boats" in visit().get("/alice/lamps/blob/main/README.md").content.decode()


def test_the_head_calls_the_newest_version_verified_where_it_is(visit, reviews):
    menu = '<summary class="button">'
    for page, word in (("", "verified"), ("/verdict/main", "verified"), ("/tree/main", "main")):
        assert f"{menu}{word} ▾" in re.sub(r">\s+", ">", visit().get(f"/alice/reviews{page}").content.decode()), page


def test_lists_follow_each_way_in_which_verified_moves(visit, cast, lamps):
    client = visit()
    third = pushed(cast, lamps, files=of_kind("IA3", 4))
    waiting = item(client)
    assert (waiting["kind"], waiting["verdict"]["state"], waiting["newest"]["state"]) == ("lora", "passed", "queued")
    assert (waiting["newest"]["checks"], item(client, "verdict=queued")) == ([], None)
    judged(third)
    row = item(client, "verdict=passed")
    assert (row["kind"], row["license"], row["newest"], row["verdict"]["revision"]) == (
        "ia3",
        "apache-2.0",
        None,
        third.oid,
    )
    assert item(client, "q=boats")
    assert item(client, "q=lights") is None
    withdrawals.yank(third, cast.session("alice"), "It forgets.")
    row = item(visit("alice"))
    assert (row["kind"], row["rank"], row["verdict"]["state"]) == ("lora", 8, "passed")
    withdrawals.unyank(third, cast.session("alice"))
    assert item(client)["kind"] == "ia3"


def test_without_a_verified_version_lists_are_about_the_newest_and_its_last_answer(visit, cast):
    made = cast.repository("alice/waits")
    first = pushed(cast, made, files=of_kind("IA3", 16))
    assert (item(visit())["verdict"]["state"], item(visit())["newest"]) == ("queued", None)
    judged(first, "failed", checks=[RANK])
    requests.again(first, None)
    row = item(visit(), "verdict=failed")
    assert (row["verdict"]["state"], row["newest"]) == ("failed", None), "the last answer holds until the next"
    assert item(visit(), "verdict=queued") is None


def test_a_page_of_such_rows_costs_as_many_queries_as_one(visit, cast, lamps):
    client = visit()
    for path in ("/api/v1/adapters", "/adapters", "/alice", "/adapters?q=lora"):
        client.get(path)
    with questions.at_most(2):
        catalog.search(NOBODY, catalog.Query())
    for number in range(5):
        made = cast.repository(f"alice/more-{number}")
        judged(pushed(cast, made, files=GOOD))
        judged(pushed(cast, made, files=of_kind("IA3", 16)), "failed", checks=[RANK])
    with questions.at_most(2):
        page = catalog.search(NOBODY, catalog.Query())
    assert [bool(page.verdicts[row.pk].newest) for row in page.items] == [True] * 6
    html = client.get("/adapters").content.decode()
    assert len(re.findall(r'class="newest failed"', html)) == 6


def test_what_an_upgrade_finds_is_corrected(lamps):
    Repository.objects.filter(pk=lamps.pk).update(outcome="failed")
    [operation] = import_module("registry.migrations.0016_listed_outcome").Migration.operations
    operation.code.change(Repository.objects.all())
    assert Repository.objects.get(pk=lamps.pk).outcome == "passed"
