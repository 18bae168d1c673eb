"""Filters live in the address: each can be shared, combined, and taken away one by one."""

import re
from html import unescape

import pytest

from hub.list_parameters import Search
from hub.site.catalogue.catalogue import CHIPS
from registry.repos.lists import catalog, spreads
from tests.api.conftest import BASE, CONFIG, FILES, judged, pushed
from tests.questions import Questions


@pytest.fixture
def many(cast):
    import json

    for name, kind, state in (("one", "LORA", "passed"), ("two", "IA3", "passed"), ("three", "IA3", "failed")):
        files = {**FILES, "adapter_config.json": json.dumps({**CONFIG, "peft_type": kind}).encode()}
        judged(pushed(cast, cast.repository(f"alice/{name}"), files=files), state)
    cast.repository("alice/empty")


def listed(answer):
    return re.findall(r'data-item\s+href="/alice/(\w+)"', answer.content.decode())


def links(answer):
    return [unescape(link) for link in re.findall(r'href="(/adapters\?[^"]*)"', answer.content.decode())]


def test_values_of_one_filter_are_alternatives_and_filters_add_up(visit, many):
    client = visit()
    assert set(listed(client.get("/adapters?kind=ia3"))) == {"two", "three"}
    assert set(listed(client.get("/adapters?kind=ia3&kind=lora&verdict=passed"))) == {"one", "two"}
    assert listed(client.get("/adapters?kind=ia3&verdict=failed&license=apache-2.0")) == ["three"]


def test_each_filter_in_force_can_be_taken_away_alone(visit, many):
    page = visit().get("/adapters?kind=ia3&verdict=passed&q=two")
    assert {"/adapters?kind=ia3&verdict=passed", "/adapters?verdict=passed&q=two", "/adapters?kind=ia3&q=two"} <= set(
        links(page)
    )


def test_facets_count_and_lead_on(visit, many):
    page = visit().get("/adapters?verdict=passed")
    assert "/adapters?verdict=passed&kind=ia3" in links(page)
    assert re.search(r"<span>IA³</span><span>1</span>", page.content.decode())


def test_a_value_nobody_has_still_shows_as_chosen(visit, many):
    page = re.sub(r">\s+<", "><", visit().get("/adapters?kind=nonsense").content.decode())
    assert 'aria-current="true"><span>nonsense</span><span>0</span>' in page
    assert "No adapter matches all of that" in page
    assert "without Kind: nonsense" in page


def test_pages_follow_by_link_and_lose_nothing(visit, cast):
    for number in range(33):
        cast.repository(f"alice/n{number:02}")
    client, seen, address = visit(), [], "/adapters"
    while address:
        page = client.get(address)
        seen += listed(page)
        following = re.search(r'rel="next" href="([^"]+)"', page.content.decode())
        address = following and unescape(following[1])
    assert sorted(seen) == [f"n{number:02}" for number in range(33)]


def test_every_order_of_rest_is_one_of_the_page(visit, many):
    for name in catalog.SORTS:
        assert visit().get(f"/adapters?sort={name}").status_code == 200, name


def test_filters_of_rest_hold_in_an_address_of_the_page_and_are_taken_away_there(visit, many):
    page = visit().get("/adapters?rank_min=9&kind=lora")
    assert (listed(page), "/adapters?kind=lora" in links(page)) == ([], True)
    assert listed(visit().get("/adapters?rank_min=8&kind=lora")) == ["one"]
    assert listed(visit().get("/adapters?language=xx")) == []
    assert listed(visit().get("/adapters?target=nothing")) == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/adapters?sort=size", "&#x27;sort&#x27; was left out: size is none of updated, created"),
        ("/adapters?cursor=forged", "its address is of another list"),
        ("/adapters?rank_min=many&kind=ia3&kind=lora", "&#x27;rank_min&#x27; was left out: A valid integer"),
        ("/adapters?verdict=pased&verdict=passed&verdict=failed", "pased is none of"),
        ("/adapters?colour=red", "There is no filter &#x27;colour&#x27;. Known are archived, author, base"),
        ("/bases?cursor=forged", "its address is of another list"),
        (f"/bases/{BASE}?cursor=forged", "its address is of another list"),
        ("/alice?cursor=forged", "its address is of another list"),
    ],
)
def test_a_wrong_parameter_is_said_above_the_list_without_it(visit, many, address, said):
    answer = visit().get(address)
    page = re.sub(r"\s+", " ", answer.content.decode())
    assert answer.status_code == 200
    assert said in page
    assert {"one", "two", "three"} <= set(listed(answer)) or BASE in page
    assert "cursor=forged" not in page.partition("<main")[2]


def test_the_dense_table_has_the_same_rows_and_stays_while_filters_change(visit, many):
    page = visit().get("/adapters?view=table&kind=ia3")
    assert set(listed(page)) == {"two", "three"}
    assert page.content.decode().count('<th scope="row"') == 2
    assert {"/adapters?kind=ia3&view=table&sort=likes", "/adapters?kind=ia3", "/adapters?view=table"} <= set(
        links(page)
    )
    assert 'href="/feeds/adapters.atom?kind=ia3"' in page.content.decode()
    assert "There is no view" in visit().get("/adapters?view=grid").content.decode()


def test_ranks_and_sizes_are_drawn_and_their_ranges_are_links(visit, many):
    page = visit().get("/adapters?rank_min=5&rank_max=8&size_max=1000000")
    text = re.sub(r"\s+", " ", page.content.decode())
    ranks, sizes = re.findall(r'<section class="facet histogram">.*?</section>', text)
    assert re.findall(r"<span>([^<]+)</span><span>(\d+)</span>", ranks)[:3] == [
        ("≤ 4", "0"),
        ("5–8", "3"),
        ("9–16", "0"),
    ]
    assert '<rect x="1.04" width=".92" height="36" class="chosen" />' in ranks
    assert ("≤ 1 MB", "3") in re.findall(r"<span>([^<]+)</span><span>(\d+)</span>", sizes)
    kept = "size_max=1000000"
    assert {f"/adapters?{kept}", f"/adapters?rank_min=9&rank_max=16&{kept}"} <= set(links(page))
    empty = visit().get("/adapters?size_min=500000001.0")
    assert listed(empty) == []
    assert "Size from: 500 MB" in empty.content.decode()
    assert "histogram" not in visit().get("/datasets").content.decode()


def test_of_many_adapters_the_newest_are_drawn(cast, many, monkeypatch):
    monkeypatch.setattr(spreads, "MOST", 2)
    [drawn] = spreads.spread(cast.session("alice"), catalog.Query(), ["size"])
    assert drawn.is_newest
    assert sum(range.count for range in drawn.ranges) == 2


def test_the_page_names_every_filter_of_rest():
    assert {*CHIPS, "q", "sort"} == set(Search().fields)


def test_several_bases_cost_no_more_queries_than_one(visit, many):
    client, counts = visit(), []
    for names in ([BASE], [BASE], [BASE, "other/base", "third/base"]):  # the first warms the site settings
        with Questions() as queries:
            client.get("/adapters", {"base": names, "kind": "lora", "verdict": "passed"})
        counts.append(len(queries))
    assert counts[1] == counts[2]


def test_what_is_typed_is_shown_as_typed(visit, many):
    page = visit().get("/adapters", {"q": '"><script>alert(1)</script>', "kind": "<b>"}).content.decode()
    assert "<script>alert" not in page
    assert "<b></span>" not in page
    assert "&lt;script&gt;" in page
