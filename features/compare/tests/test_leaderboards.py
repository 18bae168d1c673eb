"""Leaderboards: what was measured, on the same rows beside each other, as far as the visitor may see it."""

import hashlib
import re

import pytest
from django.core.cache import caches
from django.utils import timezone

from features.compare import leaderboards
from registry.models import Repository
from registry.proof.verdicts import requests
from tests import questions
from tests.api.conftest import BASE, FILES, accuracy, judged, pushed, weights
from tests.api.test_bases import evaluation
from workers import pushed_files

TASK = "text-classification"
SAME, OTHER = "a" * 64, "b" * 64


def trained(seed):
    """Return the files of an adapter, with weights of its own for each seed."""
    return {**FILES, "adapter_model.safetensors": weights(hashlib.sha256(seed.encode()).digest())}


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
        evals = [accuracy(right, rows=rows, **more)]
        judged(pushed(cast, repository, files=trained(name)), evals=evals, depth="evaluated")
    judged(pushed(cast, cast.repository("alice/unmeasured")))
    failed = pushed(cast, cast.repository("alice/failed"), files={**FILES, "notes.txt": b"x"})
    judged(failed, "failed", evals=[accuracy(48, rows=SAME)])


AT = f"/bases/{BASE}"
LINE = re.compile(r'class="named">\s*<a class="plain"\s+data-item\s+href="/([^"]+)"')


def tables(answer):
    """Return the adapters of each board of a page."""
    return [LINE.findall(part) for part in answer.content.decode().split('<table class="table board">')[1:]]


def words_of(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def test_only_scores_on_the_same_rows_stand_in_one_table(visit, measured):
    client = visit()
    page = client.get(AT)
    assert tables(page) == [["alice/best", "alice/good", "alice/fair"]]
    text = words_of(page)
    for expected in (
        "Accuracy on 48 rows of alice/good",
        "2nd of 3, within chance of the 1st",
        "3rd of 3 ",
        "0.96 0.90–1.00 +0.21 over its head, 0.75",
        "0.98 +0.48 over a guess, 0.50",
        "1 adapter was measured on its own rows",
    ):
        assert expected in text, expected
    assert tables(visit("alice").get(AT))[0][0] == "acme/secret"
    newest = Repository.objects.filter(name__in=["good", "best", "fair"]).order_by("-updated_at", "-pk")
    by_date = tables(client.get(f"{AT}?sort=updated"))[0]
    assert by_date == [repository.full_name for repository in newest]
    assert tables(client.get(f"{AT}?task={TASK}")) == tables(page)
    wrong = client.get(f"{AT}?sort=size2")
    assert "There is no order" in wrong.content.decode()
    assert tables(wrong) == tables(page)
    assert "No adapter that you may see has a verified version" in words_of(client.get(f"{AT}?task=fill-mask"))


def test_the_addresses_of_tasks_lead_on_to_their_bases(visit, measured):
    client = visit()
    for address, to in (
        ("/leaderboards", "/bases"),
        (f"/leaderboards?base={BASE}", AT),
        (f"/leaderboards/{TASK}", f"{AT}?task={TASK}#boards"),
        (f"/leaderboards/{TASK}?base=all-MiniLM-L6-v2&sort=gain", f"{AT}?task={TASK}&sort=gain#boards"),
        ("/leaderboards/fill-mask", "/bases?task=fill-mask"),
    ):
        assert client.get(address).url == to, address
    assert "No two adapters for it were measured on the same rows." in words_of(client.get("/bases?task=fill-mask"))
    assert "alice/best" in client.get(f"/bases?task={TASK}").content.decode()


def test_the_best_boards_are_those_of_the_commonest_tasks_and_bases(visit, cast, measured):
    judged(pushed(cast, cast.repository("alice/fills")), evals=[accuracy(40, rows=OTHER)], depth="evaluated")
    with questions.at_most(9):
        [best] = leaderboards.best_boards(cast.session("anonymous"))
    assert (best.task, best.base) == (TASK, BASE)
    assert [one.repository.full_name for one in best.board.standings] == ["alice/best", "alice/good", "alice/fair"]
    [of_member] = leaderboards.best_boards(cast.session("alice"))
    assert of_member.board.best.repository.full_name == "acme/secret"
    assert leaderboards.best_boards(cast.session("anonymous"), task="fill-mask") == []


def test_a_long_board_shows_its_first_ten_and_leads_to_all(visit, cast):
    for number in range(12):
        stand(cast, f"alice/n{number}", 26 + number)
    page = visit().get(AT)
    assert len(tables(page)[0]) == 10
    assert "All 12 adapters" in words_of(page)
    assert len(tables(visit().get(f"{AT}?all=1"))[0]) == 12


def test_tasks_and_bases_are_counted_as_far_as_the_visitor_sees_them(visit, measured, cast):
    assert leaderboards.count_measured(cast.session("anonymous")) == {TASK: {BASE: 4}}
    for who in ("alice", "mona"):
        assert leaderboards.count_measured(cast.session(who))[TASK][BASE] == (5 if who == "alice" else 4)
    assert "text classification 4" in words_of(visit().get(AT))


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
    page = client.get(AT).content.decode()
    [picture] = re.findall(r'<figure class="plot scatter">.*?</figure>', page, re.DOTALL)
    assert picture.count('href="/alice/') == 3
    assert "<title>alice/fair: " in picture
    again = pushed(cast, cast.repository("alice/again"), files=trained("alice/again"))
    judged(again, evals=[accuracy(47, rows=SAME)], depth="evaluated")
    places = ["shared 1st of 4", "shared 1st of 4", "3rd of 4, within chance of the 1st", "4th of 4"]
    assert re.findall(r"(?:shared )?\d\w\w of 4(?:, within chance of the 1st)?", words_of(client.get(AT))) == places


def test_a_board_costs_a_constant_number_of_queries(visit, cast, measured):
    client = visit()
    client.get(AT)
    with questions.at_most(14):
        client.get(AT)
    for name in ("alice/good", "alice/best", "alice/fair", "alice/alone"):
        for right in (45, 44):
            stand(cast, name, right, seed=f"{name} {right}")
    with questions.at_most(15):
        client.get(AT)


def test_of_equal_scores_the_smallest_comes_first_then_the_oldest(visit, cast):
    for name, more in (("large", b"x" * 900), ("old", b"x"), ("new", b"x"), ("small", b"")):
        files = trained(name) | {"notes.txt": more}
        judged(pushed(cast, cast.repository(f"alice/{name}"), files=files), evals=[accuracy(46)], depth="evaluated")
    right = ["alice/small", "alice/old", "alice/new", "alice/large"]
    assert tables(visit().get(AT)) == [right]
    [board] = visit().get(f"/api/v1/leaderboards/{TASK}?sort=gain").json()["boards"]
    assert [one["adapter"] for one in board["standings"]] == right


def stand(cast, name, right=40, rows=SAME, evals=(), **files):
    """Push an adapter whose weights are those of its seed, which is its name unless given, and judge it."""
    private, seed = files.pop("private", False), files.pop("seed", name)
    found = Repository.objects.filter(namespace__name=name.split("/")[0], name=name.split("/")[1]).first()
    repository = found or cast.repository(name, private=private)
    pushed_files = trained(seed) | {path.replace("__", "."): content for path, content in files.items()}
    revision = pushed(cast, repository, files=pushed_files)
    judged(revision, evals=evals or [accuracy(right, rows=rows)], depth="evaluated")
    return revision


def boards(client, **query):
    """Return each board of REST as adapter → its copies, in order, and in the end those on rows of their own."""
    found = client.get(f"/api/v1/leaderboards/{TASK}", query).json()
    return [{one["adapter"]: one["copies"] for one in lines}
            for lines in (*(board["standings"] for board in found["boards"]), found["alone"])]  # fmt: skip


def test_the_same_weights_stand_once_for_the_adapter_that_had_them_first(visit, cast):
    early = cast.repository("alice/early-but-empty")  # the older repository, not the older weights
    for name, right, seed in (("first", 40, "A"), ("other", 44, "B"), ("copy", 47, "A"), ("again", 40, "A")):
        stand(cast, f"alice/{name}", right, seed=seed, notes__txt=name.encode())
    stand(cast, early.full_name, 46, seed="A")
    same = ["alice/copy", "alice/again", "alice/early-but-empty"]
    for sort in leaderboards.SORTS:
        found = boards(visit(), sort=sort)[0]
        assert found == {"alice/other": [], "alice/first": same}, sort
    page = visit().get(AT).content.decode()
    assert 'href="/alice/first/lineage#copies"' in page
    assert "+3 copies" in page
    assert "alice/copy, alice/again" in page
    assert "The same weights elsewhere" in visit().get("/alice/first/lineage").content.decode()


@pytest.mark.merge
def test_another_header_and_files_beside_make_no_other_weights(visit, cast):
    value = hashlib.sha256(b"alice/first").digest()
    stand(cast, "alice/first")
    stand(cast, "alice/none-like-it")
    stand(cast, "alice/resaved", adapter_model__safetensors=weights(value, format="pt"))
    stand(cast, "alice/padded", seed="alice/first", aaa__safetensors=weights(b"padding"))
    stand(cast, "alice/pickled-too", seed="alice/first", adapter_model__bin=b"\x80\x02}q\x00.")
    stand(cast, "alice/scheduled", seed="alice/first", scheduler__pt=b"\x80\x02}q\x00.")
    pushed_files.digest_files()
    stand(cast, "alice/first", adapter_model__safetensors=weights(value, format="np"))  # its author saves it anew
    pushed_files.digest_files()
    copies = ["alice/resaved", "alice/padded", "alice/pickled-too", "alice/scheduled"]
    assert boards(visit())[0] == {"alice/first": copies, "alice/none-like-it": []}


def test_copies_that_the_caller_may_not_see_count_for_nothing(visit, cast):
    stand(cast, "acme/hidden-original", seed="A", private=True)
    for name in ("seen", "seen-too", "different"):
        stand(cast, f"alice/{name}", seed="A" if name != "different" else "B")
    stand(cast, "acme/hidden-copy", seed="B", private=True)
    assert boards(visit())[0] == {"alice/seen": ["alice/seen-too"], "alice/different": []}
    assert "+2" not in visit().get(AT).content.decode()
    of_member = boards(visit("alice"))[0]
    assert of_member == {"acme/hidden-original": ["alice/seen", "alice/seen-too"],
                         "alice/different": ["acme/hidden-copy"]}  # fmt: skip


def test_weights_on_rows_of_their_own_stand_once_and_copies_alone_make_no_board(visit, cast):
    for name, rows in (("one", SAME), ("two", SAME), ("three", OTHER), ("four", "c" * 64)):
        stand(cast, f"alice/{name}", rows=rows, seed="A" if name != "four" else "B", notes__txt=name.encode())
    assert boards(visit()) == [{"alice/one": ["alice/two", "alice/three"], "alice/four": []}]


def headings(client):
    """Return the headings of the boards of a page, as they are read."""
    page = client.get(AT).content.decode()
    found = re.findall(r'<h3 class="board-title" id="board-\d+">(.*?)</h3>', page, re.DOTALL)
    folded = re.findall(r"<details class=\"disclosure\">\s*<summary>((?:(?!</summary>).)*?)·", page, re.DOTALL)
    return [" ".join(heading.split()) for heading in (*found, *folded)]


def test_boards_are_named_by_their_data_and_rows_and_no_two_alike(visit, cast):
    tagged = b"---\ndatasets:\n- imdb\n- sst2\n---\n# Reviews\n"
    kinds = {
        "set": {"evals": [accuracy(40, rows="1" * 64, name="alice/data@0123abcd")]},
        "folder": {"evals": [accuracy(40, rows="2" * 64, name="some/where/acme/data@0123abcd")]},
        "card": {"evals": [accuracy(40, rows="3" * 64)], "README__md": tagged},
        "more": {"evals": [accuracy(40, of=50, rows="4" * 64)], "README__md": tagged},
        "file": {"evals": [accuracy(40, rows="5" * 64)]},
        "twin": {"evals": [accuracy(40, rows="6" * 64)]},
        "plain": {"evals": [accuracy(40, rows="7" * 64, name="neutral")], "README__md": tagged},
        "later": {"evals": [accuracy(40, rows="8" * 64, name="alice/data@89abcdef")]},
        "f1": {"evals": [accuracy(40, rows="9" * 64, metric="f1")]},
    }
    for kind, more in kinds.items():
        stand(cast, f"alice/{kind}-1", **more)
        stand(cast, f"alice/{kind}-2", **more | {"README__md": b"---\ndatasets: [yelp]\n---\n"})
    found = headings(visit())
    assert sorted(found) == sorted([
        "Accuracy on 48 rows of alice/data (as in alice/set-1)",
        "Accuracy on 48 rows of acme/data",
        "Accuracy on 48 rows of imdb",
        "Accuracy on 50 rows of imdb",
        "Accuracy on 48 rows of alice/file-1",
        "Accuracy on 48 rows of alice/twin-1",
        "Accuracy on 48 built-in samples",
        "Accuracy on 48 rows of alice/data (as in alice/later-1)",
        "F1 on 48 rows of alice/f1-1",
    ])  # fmt: skip
    rest = visit().get(f"/api/v1/leaderboards/{TASK}").json()["boards"]
    assert sorted((one["rows_of"], one["oldest"] or "") for one in rest) == sorted([
        ("alice/data", "alice/set-1"), ("acme/data", ""), ("imdb", ""), ("imdb", ""), ("smoke.jsonl", "alice/file-1"),
        ("smoke.jsonl", "alice/twin-1"), ("", ""), ("alice/data", "alice/later-1"), ("smoke.jsonl", ""),
    ])  # fmt: skip


def best(client, name, **query):
    """Return the score, the version and whether that is the verified one of an adapter on the boards of REST."""
    found = client.get(f"/api/v1/leaderboards/{TASK}", query).json()
    lines = [line for lines in (*(board["standings"] for board in found["boards"]), found["alone"]) for line in lines]
    [line] = [line for line in lines if line["adapter"] == name]
    return line["evaluation"]["adapter"], line["revision"], line["is_verified"]


def test_an_adapter_stands_with_the_version_that_measured_best(visit, cast):
    for name, right in (("rival", 45), ("other", 44)):
        stand(cast, f"alice/{name}", right)
    _, strong, _ = (
        stand(cast, "alice/many", right, seed=f"many {right}", notes__txt=b"x" * size)
        for right, size in ((43, 10), (47, 5000), (46, 20))
    )
    assert best(visit(), "alice/many") == (round(47 / 48, 4), strong.oid, False)
    page = visit().get(AT)
    assert tables(page) == [["alice/many", "alice/rival", "alice/other"]]
    assert f'href="/alice/many/verdict/{strong.oid}"' in page.content.decode()
    assert f">@{strong.oid[:8]}</code>" in page.content.decode()
    found = visit().get(f"/api/v1/leaderboards/{TASK}").json()["boards"][0]["standings"][0]
    assert (found["size"], found["rank"]) == (sum(file.size for file in strong.files.all()), None)
    assert visit().get(f"/alice/many/verdict/{strong.oid}").status_code == 200
    equal = stand(cast, "alice/many", 47, seed="many again")  # of equals the verified one
    assert best(visit(), "alice/many") == (round(47 / 48, 4), equal.oid, True)
    lower = {"metric": "perplexity", "better": "lower", "base": 20.0, "scores": None}
    _, fewest, _ = (
        stand(cast, "alice/words", evals=[accuracy(1, rows=OTHER, **lower, adapter=value)], seed=f"words {value}")
        for value in (12.0, 11.5, 11.9)
    )
    assert best(visit(), "alice/words") == (11.5, fewest.oid, False)


@pytest.mark.merge
def test_the_best_version_is_one_that_may_be_verified_on_the_same_rows(visit, cast):
    """Each case makes an older version that measured better one that does not count."""

    def yank(revision):
        revision.yanked_at, revision.yank_reason = timezone.now(), "wrong"
        revision.save()

    def hold(revision):
        revision.quarantined_at = timezone.now()
        revision.save()

    def expire(revision):
        revision.expired_at = timezone.now()
        revision.save()

    def leave_main(revision):
        """As on a branch: main never had it."""
        revision.children.update(parent=revision.parent)

    def renew_as_failed(revision):
        requests.again(revision, None)
        judged(revision, "failed", depth="evaluated", evals=[accuracy(48)])

    cases = {
        "nothing": (lambda revision: None, {}, False),
        "yanked": (yank, {}, True),
        "held": (hold, {}, True),
        "expired": (expire, {}, True),
        "on-a-branch": (leave_main, {}, True),
        "failed-since": (renew_as_failed, {}, True),
        "other-rows": (lambda revision: None, {"rows": OTHER}, True),
        "other-metric": (lambda revision: None, {"metric": "f1"}, True),
        "other-task": (lambda revision: None, {"task": "TOKEN_CLS"}, True),
        "not-above-its-head": (lambda revision: None, {"head_alone": 1.0}, True),
        "without-rows": (lambda revision: None, {"rows": ""}, True),
    }
    wrong = []
    for name, (change, more, is_verified) in cases.items():
        early = stand(cast, f"alice/{name}", 30, seed=f"{name} early")
        strong = stand(cast, f"alice/{name}", seed=f"{name} strong", evals=[accuracy(47, **more)])
        newest = stand(cast, f"alice/{name}", 46, seed=f"{name} newest")
        change(strong)
        found = best(visit(), f"alice/{name}")
        expected = (round(46 / 48, 4), newest.oid, True) if is_verified else (round(47 / 48, 4), strong.oid, False)
        if found != expected or early.oid == found[1]:
            wrong.append((name, found, expected))
    assert wrong == []


def test_the_weights_of_the_best_version_make_the_copies(visit, cast):
    for seed, right in (("A", 47), ("B", 46)):
        strong = stand(cast, "alice/author", right, seed=seed)
    stand(cast, "alice/copycat", 47, seed="A", notes__txt=b"mine")
    stand(cast, "alice/rival", 40)
    assert boards(visit())[0] == {"alice/author": ["alice/copycat"], "alice/rival": []}
    assert best(visit(), "alice/author")[1] != strong.oid


def test_versions_of_another_base_and_those_that_are_too_old_are_no_best(visit, cast, monkeypatch):
    old = stand(cast, "alice/moved", 47, seed="moved 1")
    newest = stand(cast, "alice/moved", 46, seed="moved 2")
    assert best(visit(), "alice/moved")[1] == old.oid
    monkeypatch.setattr(leaderboards, "NEWEST", 1)
    assert best(visit(), "alice/moved") == (round(46 / 48, 4), newest.oid, True)
    monkeypatch.undo()
    old.verdicts.update(base="tiny/other")
    assert best(visit(), "alice/moved") == (round(46 / 48, 4), newest.oid, True)


def test_the_leaderboard_has_the_measured_ones_by_their_gain(ask, cast, repository, secret):
    judged(repository.revisions.get(title="push"), evals=[evaluation(0.5, 0.75)])
    judged(secret.revisions.get(title="push"), evals=[evaluation(0.25, 1.0)])
    for name, state, evals in (
        ("worse", "passed", [evaluation(20.0, 15.0, "lower", "perplexity"), evaluation(0.0, 1.0)]),
        ("failed", "failed", [evaluation(0.0, 1.0)]),
        ("unmeasured", "passed", []),
    ):
        judged(pushed(cast, cast.repository(f"alice/{name}")), state, evals=evals)
    board = f"/api/v1/bases/{BASE}/leaderboard"
    with questions.at_most(9):
        answer = ask().get(board).json()
    assert [(row["adapter"], row["score"]) for row in answer["items"]] == [
        ("alice/reviews", 0.25),
        ("alice/worse", 0.25),
    ][::-1]
    assert answer["items"][1]["evals"][0]["adapter"] == 0.75
    assert ask("alice").get(board).json()["items"][0]["adapter"] == "acme/secret"
    assert ask().get(f"{board}?task=fill-mask").json()["items"] == []
    first = ask().get(f"{board}?limit=1").json()
    second = ask().get(first["next"][first["next"].index("/api/") :]).json()
    assert first["items"] + second["items"] == answer["items"]
    assert second["next"] is None
    names = [item["id"] for item in ask().get("/api/v1/adapters?sort=score").json()["items"]]
    assert names[:2] == ["alice/worse", "alice/reviews"]
    assert set(names[2:]) == {"alice/failed", "alice/unmeasured"}


def test_a_score_goes_with_the_version_it_was_measured_of(ask, cast, repository):
    judged(repository.revisions.get(title="push"), evals=[evaluation(0.5, 0.75)])
    judged(pushed(cast, repository, title="worse", files={"notes.txt": b"x"}), "failed")
    [row] = ask().get(f"/api/v1/bases/{BASE}/leaderboard").json()["items"]
    assert row["revision"] == repository.revisions.get(title="push").oid
    again = pushed(cast, repository, title="again", files={"notes.txt": b"y"})
    judged(again)
    assert ask().get(f"/api/v1/bases/{BASE}/leaderboard").json()["items"] == []


def test_a_base_that_nobody_names_has_no_leaderboard(ask):
    answer = ask().get("/api/v1/bases/no/such/leaderboard")
    assert (answer.status_code, answer.json()["code"]) == (404, "base-not-found")
