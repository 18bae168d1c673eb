"""Leaderboards: what was measured, on the same rows beside each other, as far as the visitor may see it."""

import re

import pytest
from django.core.cache import caches

from registry.models import Repository
from registry.proof import leaderboards
from tests import questions
from tests.api.conftest import BASE, FILES, accuracy, judged, pushed

TASK = "text-classification"
SAME, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def measured(cast):
    """Three adapters on the same rows, one on other rows, one private on the same rows, two without a score."""
    caches["default"].delete(leaderboards.KEY)
    for name, right, rows, more in (
        ("alice/good", 46, SAME, {"interval": [0.9, 1.0], "head_alone": 0.75}),
        ("alice/best", 47, SAME, {"guess": True}),
        ("alice/fair", 30, SAME, {}),
        ("alice/alone", 48, OTHER, {}),
        ("acme/secret", 48, SAME, {}),
    ):
        repository = cast.repository(name, private=name == "acme/secret")
        judged(pushed(cast, repository), evals=[accuracy(right, rows=rows, **more)], depth="evaluated")
    judged(pushed(cast, cast.repository("alice/unmeasured")))
    failed = pushed(cast, cast.repository("alice/failed"), files={**FILES, "notes.txt": b"x"})
    judged(failed, "failed", evals=[accuracy(48, rows=SAME)])


def tables(answer):
    """Return the adapters of each table of a page."""
    return [re.findall(r'data-item\s+href="/(\S+)/verdict/verified"', part)
            for part in answer.content.decode().split("<table")[1:]]  # fmt: skip


def test_only_scores_on_the_same_rows_stand_in_one_table(visit, measured):
    client = visit()
    page = client.get(f"/leaderboards/{TASK}")
    assert tables(page) == [["alice/best", "alice/good", "alice/fair"], ["alice/alone"]]
    text = re.sub(r"<[^>]+>|\s+", " ", page.content.decode())
    text = re.sub(r"\s+", " ", text)
    for expected in (
        "0.90–1.00 (95 %), n = 48",
        "0.50 guess",
        "On rows of their own",
        "+0.2083 its head alone: 0.75",
    ):
        assert expected in text, expected
    assert tables(visit("alice").get(f"/leaderboards/{TASK}"))[0][0] == "acme/secret"
    newest = Repository.objects.filter(name__in=["good", "best", "fair"]).order_by("-updated_at", "-pk")
    by_date = tables(client.get(f"/leaderboards/{TASK}?sort=updated"))[0]
    assert by_date == [repository.full_name for repository in newest]
    assert tables(client.get(f"/leaderboards/{TASK}?base={BASE}")) == tables(page)
    assert tables(client.get(f"/leaderboards/{TASK}?base=other/base")) == []
    wrong = client.get(f"/leaderboards/{TASK}?sort=size2")
    assert "There is no order" in wrong.content.decode()
    assert tables(wrong) == tables(page)
    assert "Nothing was measured for this" in client.get("/leaderboards/fill-mask").content.decode()


def test_tasks_and_bases_are_counted_as_far_as_the_visitor_sees_them(visit, measured, cast):
    assert leaderboards.count_measured(cast.session("anonymous")) == {TASK: {BASE: 4}}
    for who in ("alice", "mona"):
        assert leaderboards.count_measured(cast.session(who))[TASK][BASE] == (5 if who == "alice" else 4)
    page = visit().get("/leaderboards").content.decode()
    assert f'href="/leaderboards/{TASK}"' in page
    assert f'href="/leaderboards/{TASK}?base=' in page
    assert "Nothing was measured yet" in visit().get("/leaderboards?base=other/base").content.decode()


def test_rest_has_the_same_boards_and_they_are_drawn(visit, cast, measured):
    client = visit()
    assert client.get("/api/v1/leaderboards").json()["items"] == [
        {"task": TASK, "adapters": 4, "bases": [{"base": BASE, "adapters": 4}]}
    ]
    found = client.get(f"/api/v1/leaderboards/{TASK}", {"base": BASE}).json()
    [board], [alone] = found["boards"], found["alone"]
    assert (board["metric"], board["rows_sha256"], found["is_capped"]) == ("accuracy", SAME, False)
    assert [one["adapter"] for one in board["standings"]] == ["alice/best", "alice/good", "alice/fair"]
    assert board["standings"][1]["evaluation"]["interval"] == [0.9, 1.0]
    assert alone["adapter"] == "alice/alone"
    assert [one["place"] for one in (*board["standings"], alone)] == [1, 2, 3, None]
    of_alice = visit("alice").get(f"/api/v1/leaderboards/{TASK}?sort=gain").json()
    assert "acme/secret" in {one["adapter"] for one in of_alice["boards"][0]["standings"]}
    assert client.get(f"/api/v1/leaderboards/{TASK}?base=other/base").json()["boards"] == []
    assert client.get(f"/api/v1/leaderboards/{TASK}?sort=stars").status_code == 400
    Repository.objects.filter(name="fair").update(size=10_000)
    for path, drawn in ((f"/leaderboards/{TASK}", 3), (f"/bases/{BASE}", 4)):
        page = client.get(path).content.decode()
        [picture] = re.findall(r'<figure class="scatter">.*?</figure>', page, re.DOTALL)
        assert picture.count('href="/alice/') == drawn, path
        assert 'aria-label="alice/fair: ' in picture
    again = pushed(cast, cast.repository("alice/again"), files={**FILES, "notes.txt": b"the same"})
    judged(again, evals=[accuracy(47, rows=SAME)], depth="evaluated")
    page = client.get(f"/leaderboards/{TASK}").content.decode()
    assert re.findall(r'<td class="right">(\d)</td>', page) == ["1", "1", "3", "4"]


def test_a_board_costs_a_constant_number_of_queries(visit, measured):
    client = visit()
    client.get("/leaderboards")
    with questions.at_most(2):
        client.get(f"/leaderboards/{TASK}")


def test_of_equal_scores_the_smallest_comes_first_then_the_oldest(visit, cast):
    for name, more in (("large", b"x" * 900), ("old", b"x"), ("new", b"x"), ("small", b"")):
        files = {**FILES, "notes.txt": more}
        judged(pushed(cast, cast.repository(f"alice/{name}"), files=files), evals=[accuracy(46)], depth="evaluated")
    right = ["alice/small", "alice/old", "alice/new", "alice/large"]
    assert tables(visit().get(f"/leaderboards/{TASK}")) == [right]
    [board] = visit().get(f"/api/v1/leaderboards/{TASK}?sort=gain").json()["boards"]
    assert [one["adapter"] for one in board["standings"]] == right
