"""Filters live in the address: each can be shared, combined, and taken away one by one."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from hub.list_parameters import Search
from hub.site.catalogue.catalogue import CHIPS
from registry.models import DailyDownloads
from registry.repos.lists import catalog
from tests.api.conftest import BASE, CONFIG, FILES, accuracy, judged, pushed
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
    assert "No adapter matches all filters" in page
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
        ("/adapters?cursor=forged", "This page of the list no longer exists"),
        ("/adapters?rank_min=many&kind=ia3&kind=lora", "&#x27;rank_min&#x27; was left out: A valid integer"),
        ("/adapters?verdict=pased&verdict=passed&verdict=failed", "pased is none of"),
        ("/adapters?colour=red", "There is no filter &#x27;colour&#x27;. Known are archived, author, base"),
        ("/bases?cursor=forged", "This page of the list no longer exists"),
        (f"/bases/{BASE}?cursor=forged", "This page of the list no longer exists"),
        ("/alice?cursor=forged", "This page of the list no longer exists"),
    ],
)
def test_a_wrong_parameter_is_said_above_the_list_without_it(visit, many, address, said):
    answer = visit().get(address)
    page = re.sub(r"\s+", " ", answer.content.decode())
    assert answer.status_code == 200
    assert said in page
    assert {"one", "two", "three"} <= set(listed(answer)) or BASE in page
    assert "cursor=forged" not in page.partition("<main")[2]


def test_the_table_has_the_same_rows_and_stays_while_filters_change(visit, many):
    page = visit().get("/adapters?view=table&kind=ia3")
    assert set(listed(page)) == {"two", "three"}
    assert page.content.decode().count('<th scope="row"') == 2
    assert {"/adapters?kind=ia3&view=table&sort=likes", "/adapters?kind=ia3", "/adapters?view=table"} <= set(
        links(page)
    )
    assert 'href="/feeds/adapters.atom?kind=ia3"' in page.content.decode()
    assert "Unknown view" in visit().get("/adapters?view=grid").content.decode()


def test_ends_of_ranks_and_sizes_are_fields_that_keep_the_other_filters(visit, many):
    page = visit().get("/adapters?rank_min=5&rank_max=8&size_max=1234567&kind=lora")
    [form] = [one for one in page.content.decode().split("<form") if 'type="number"' in one]
    text = re.sub(r"\s+", " ", form.partition("</form")[0])
    assert listed(page) == ["one"]
    assert re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', text) == [("kind", "lora")]
    assert 'name="rank_min" type="number" min="0" inputmode="numeric" value="5"' in text
    assert '<option value="1234567" selected>1.2 MB</option> <option value="5000000">5.0 MB</option>' in text
    assert "/adapters?rank_min=5&rank_max=8&kind=lora" in links(page)
    empty = visit().get("/adapters?size_min=500000001.0&rank_min=&rank_max=")  # as the form sends what nobody typed
    assert listed(empty) == []
    assert "Size from: 500 MB" in empty.content.decode()
    assert "left out" not in empty.content.decode()
    assert "rank_min" not in visit().get("/datasets?size_min=1").content.decode()


def measured(cast, name, task, rows, value):
    """Push a verified adapter with an accuracy on rows of that name."""
    card = f"---\nbase_model: {BASE}\npipeline_tag: {task}\n---\n# {name}\n".encode()
    files = {**FILES, "README.md": card}
    evals = [{**accuracy(value), "rows_sha256": rows * 64, "task": task}]
    return judged(pushed(cast, cast.repository(f"alice/{name}"), files=files), evals=evals, depth="evaluated")


def test_scores_are_compared_within_one_task(visit, cast):
    measured(cast, "good", "text-classification", "a", 46)
    client = visit()
    alone = client.get("/adapters?sort=score").content.decode()
    assert "Choose one:" not in alone, "there is no other task"
    assert "Sort:</span> verified score" in alone
    assert "All of these were measured on the same" in alone
    measured(cast, "names", "token-classification", "b", 44)
    measured(cast, "best", "text-classification", "a", 47)
    measured(cast, "other", "text-classification", "c", 48)
    for view in ("sort=score", "view=scatter", "sort=score&view=scatter"):
        page = client.get(f"/adapters?{view}")
        assert "Scores compare within one task only" in page.content.decode(), view
        assert listed(page) == ["other", "best", "names", "good"], view
        assert f"/adapters?{view}&task=text-classification" in links(page), view
    page = client.get("/adapters?sort=score&task=text-classification&verdict=passed")
    assert listed(page) == ["other", "best", "good"]
    assert "measured on 2 different sets of rows" in page.content.decode()


def test_the_scatter_draws_what_was_measured_on_the_same_rows(visit, cast):
    for name, rows, value in (("good", "a", 46), ("best", "a", 47), ("other", "c", 48)):
        measured(cast, name, "text-classification", rows, value)
    page = re.sub(r"\s+", " ", visit().get("/adapters?view=scatter&task=text-classification").content.decode())
    assert re.findall(r"<h3> (.*?) </h3>", page) == ["Accuracy on the 48 rows of alice/good: 2 adapters"]
    assert "1 adapter was measured on rows of its own" in page
    assert set(re.findall(r'<a href="(/alice/\w+)"', page)) >= {"/alice/good", "/alice/best"}
    assert "Unknown view" in visit().get("/datasets?view=scatter").content.decode()


def test_heads_of_the_table_sort_it(visit, many):
    page = re.sub(r"\s+", " ", visit().get("/adapters?view=table&sort=likes&kind=ia3").content.decode())
    assert re.findall(r'<th scope="col" class="[^"]*" aria-sort="descending"> <a [^>]*>(\w+)</a>', page) == ["Likes"]
    assert {f"/adapters?sort={sort}&kind=ia3&view=table" for sort in ("score", "downloads", "updated")} <= {
        unescape(link) for link in re.findall(r'href="([^"]*)"', page)
    }


def test_rows_draw_the_downloads_of_a_month_with_one_query(visit, many, cast):
    [row] = catalog.search(cast.session("alice"), catalog.Query(kind=["lora"])).items
    for days, count in ((0, 7), (3, 14)):
        DailyDownloads.objects.create(repository=row, day=timezone.now().date() - timedelta(days=days), count=count)
    page = visit().get("/adapters").content.decode()
    assert page.count('class="trend"') == 1
    assert 'h1V0h1V14h1V14h1V7h1V14z" />' in page
    assert "21 in the last 30 days" in page


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
