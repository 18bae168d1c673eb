"""The page that compares adapters and versions, the ways to it, and the numbers on the page of a commit."""

import html
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from dovetail.adapters.results.report import EarlierRows, Evaluation, Report
from features.compare import jobs
from features.compare.models import RowsMeasurement
from features.compare.tests.test_rest import Q, V
from registry.models import Base
from registry.people import gates
from registry.proof.verdicts.queue import Capabilities
from registry.proof.verified import aliases, withdrawals
from tests.api.conftest import BASE, CONFIG, FILES, accuracy, adapter_files, judged, lora, pushed
from tests.site.conftest import CHECKS, push_more
from workers.engine.job import Job
from workers.engines import capabilities, warm_engines

SERVING = [
    {"engine": "vllm", "version": "0.11", "outcome": "serves", "reason": "Yes.", "flags": ["--enable-lora"]},
    {"engine": "mlx", "outcome": "refuses", "reason": "No LoRA for BERT."},
]


def text(answer) -> str:
    assert answer.status_code == 200, answer
    return " ".join(answer.content.decode().replace("<wbr>", "").split())


@pytest.fixture
def versions(cast):
    """Two proven versions of alice/reviews; the second has another rank, twice the weights, and one tensor more."""
    down, up = np.ones((4, 6)), np.ones((5, 4))
    made = cast.repository("alice/reviews")
    old = pushed(cast, made, title="a", files=adapter_files(lora(Q, down, up) | lora(V, down, up), r=4))
    shown = {"checks": CHECKS, "base": {"id": BASE, "revision": "r", "sha256": "0" * 64}, "depth": "evaluated"}
    judged(old, evals=[accuracy(30)], serving=SERVING[:1], **shown)
    new = adapter_files(lora(Q, 2 * down, up) | lora(V, down, up) | {"extra": np.ones(2)}, r=4, use_dora=True)
    new = pushed(cast, made, title="b", files=new)
    judged(new, evals=[accuracy(45, interval=[0.85, 0.99])], serving=SERVING, **shown)
    return old, new


def test_two_versions_differ_in_config_weights_engines_and_numbers(visit, versions):
    old, new = versions
    page = text(visit().get(f"/alice/reviews/compare/{old.oid}...main"))
    assert "moved by <b>71 %</b>" in page  # one of two equal modules is twice as large
    assert "1 tensor added." in page
    assert "<code>use_dora</code>" in page.partition("Keys that differ")[2].partition("</table>")[0]
    assert "keys with equal values" in page
    assert '<span class="change-word passed">+0.31</span>' in page
    assert "0.85 to 0.99" in page
    engines = page.partition('id="engines"')[2].partition("</section>")[0]
    assert "● serves" in engines
    assert "○ refuses" in engines
    assert "not asked" in engines
    assert f'href="/alice/reviews/compare/main...{old.oid}"' in page  # swapped
    assert "The weights are equal" in text(visit().get(f"/alice/reviews/compare/{new.oid}...main"))


def test_the_tray_leads_from_catalogue_and_versions_to_the_comparison(visit, versions, secret):
    old, new = versions
    browser = visit()
    listed = text(browser.get("/adapters"))
    assert re.findall(r'name="ids" value="([^"]+)"', listed) == ["alice/reviews"]
    picks = re.findall(r'name="ids" value="([^"]+)"', text(browser.get("/alice/reviews/commits/main")))
    assert picks == [f"alice/reviews@{new.oid}", f"alice/reviews@{old.oid}"]
    assert browser.get("/compare", {"ids": picks}).url == f"/alice/reviews/compare/{old.oid}...{new.oid}"
    assert "Nothing to compare yet" in text(browser.get("/compare"))
    assert "Add one" in text(browser.get("/compare?ids=alice/reviews"))
    both = text(visit("alice").get("/compare?ids=alice/reviews,acme/secret"))
    assert "acme/" in both
    assert browser.get("/compare?ids=alice/reviews,acme/secret").status_code == 404
    assert browser.get("/compare", {"ids": [f"a/{number}" for number in range(5)]}).status_code == 400


def test_a_version_that_did_not_pass_leads_to_its_comparison_with_verified(visit, cast, reviews):
    check = {"id": "base.unnamed", "outcome": "failed", "message": "No base.", "fix": "Name it."}
    newest = judged(push_more(cast, reviews, **{"notes.txt": b"new"}), "failed", checks=[check]).revision
    sides = f"/compare?ids=alice%2Freviews@verified&amp;ids=alice%2Freviews@{newest.oid}"
    assert sides in visit().get("/alice/reviews/tree/main").content.decode()


def test_what_is_gated_is_compared_by_its_report_alone(visit, cast, versions):
    old, new = versions
    gates.set_gate(new.repository, "manual", cast.session("alice"))
    address = f"/alice/reviews/compare/{old.oid}...{new.oid}"
    page = text(visit("carol").get(address))
    assert "Configs and weights are compared only if you may download all of them" in page
    assert "use_dora" not in page
    assert "moved by" not in page
    assert "use_dora" in text(visit("alice").get(address))


def test_the_page_of_a_commit_says_what_changed_in_the_weights(visit, versions):
    page = text(visit().get(f"/alice/reviews/commit/{versions[1].oid}"))
    assert "moved by <b>71 %</b>" in page
    assert "its digest" not in page


def test_a_module_with_nan_is_named_and_not_compared(cast, visit, versions):
    spoilt = np.full((4, 6), np.nan)
    down, up = np.ones((4, 6)), np.ones((5, 4))
    new = pushed(
        cast, versions[0].repository, title="c", files=adapter_files(lora(Q, spoilt, up) | lora(V, down, up), r=4)
    )
    page = text(visit().get(f"/alice/reviews/compare/{versions[0].oid}...{new.oid}"))
    assert "holds NaN or infinity</b>" in page
    assert "The weights of all other modules are equal." in page
    assert ">not finite<" in page
    assert "was zero" not in page


def test_the_first_page_has_numbers_and_engines_and_the_versions_are_one_joint(visit, versions):
    page = text(visit().get("/alice/reviews"))
    assert page.index('class="dumbbell"') < page.index('id="runs-on-title"')
    assert "#engine-vllm" in page
    assert 'id="compatibility"' not in page
    assert 'id="engine-vllm"' in text(visit().get("/alice/reviews/verdict/main"))
    assert "the version before" in page  # 30 of 48 rows
    strip = text(visit().get("/alice/reviews/commits/main")).partition('class="plot strip"')[2]
    assert "2 versions with an adapter, the oldest first: 2 passed with notes; accuracy from 0.625 to 0.9375" in strip


def conclusion(page: str) -> str:
    return html.unescape(page.partition('<p class="conclusion">')[2].partition("</p>")[0])


NEITHER = "Neither is better beyond chance: accuracy"
OTHER_ROWS = "A and B were measured on different rows: their numbers do not compare."
PAIRS = {  # two measurements, the outcome in REST, the sentence, and what stands beside the numbers
    (30, 45, "better"): ("B is better than A: accuracy 0.94 against 0.62 (p < 0.001, 48 rows). Use B.", ">+0.31<"),
    (46, 30, "worse"): ("A is better than B: accuracy 0.96 against 0.62 (p < 0.001, 48 rows). Keep A.", ">-0.33<"),
    (46, 44, "equal"): (f"{NEITHER} 0.96 and 0.92 on the same 48 rows (p = 0.25). Keep A.", "within chance"),
    (44, 44, "equal"): (f"{NEITHER} 0.92 and 0.92 on the same 48 rows (p = 1). Keep A.", "unchanged"),
}


def outcomes():
    """Return the pairs of above, those on other rows, and those without numbers row by row or without any."""
    for (before, after, outcome), said in PAIRS.items():
        yield [accuracy(before)], [accuracy(after)], outcome, *said
    yield [accuracy(30)], [accuracy(45, rows="b" * 64)], None, OTHER_ROWS, "on other rows"
    yield [accuracy(20, of=40)], [accuracy(45)], None, OTHER_ROWS, "on other rows"
    yield [accuracy(30)], [], None, "There is no score of B to compare.", "not measured"
    untested = [[accuracy(right, scores=None)] for right in (30, 45)]
    said = (
        "Accuracy is 0.62 and 0.94 on the same 48 rows, but without numbers row by row nothing tells a difference from "
        "chance."
    )
    yield *untested, None, said, "not tested"


@pytest.mark.parametrize(("before", "after", "outcome", "said", "beside"), list(outcomes()))
def test_the_test_of_the_pair_decides_who_wins_and_what_has_a_colour(cast, visit, before, after, outcome, said, beside):
    made = cast.repository("alice/pair")
    old, new = (pushed(cast, made, files={**FILES, "notes.txt": words}) for words in (b"1", b"2"))
    for revision, evals in ((old, before), (new, after)):
        judged(revision, evals=evals, depth="evaluated", base={"id": BASE, "revision": "r", "sha256": "0" * 64})
    page = text(visit().get(f"/alice/pair/compare/{old.oid}...{new.oid}"))
    assert conclusion(page) == said
    assert beside in page
    colours = re.findall(r'class="change-word (\w+)"', page)
    assert colours == {"better": ["passed"], "worse": ["failed"]}.get(outcome, [])
    document = visit().get(f"/api/v1/adapters/alice/pair/compare/{old.oid}...{new.oid}").json()
    [row] = document["evals"]
    assert row["outcome"] == outcome
    assert (row["change"] is None) == (beside in ("on other rows", "not measured"))


def test_a_loss_on_another_base_does_not_compare(cast, visit):
    loss = {"name": "smoke", "rows": 3, "metric": "loss", "better": "lower", "base": 4.0, "rows_sha256": "a" * 64}
    for name, digest, value in (("one", "0", 1.0), ("two", "1", 2.0), ("three", "0", 3.0)):
        judged(
            pushed(cast, cast.repository(f"alice/{name}")), evals=[{**loss, "adapter": value, "scores": [value] * 3}],
            base={"id": BASE, "revision": "r", "sha256": digest * 64}, depth="evaluated",
        )  # fmt: skip
    assert "run on different bases" in conclusion(text(visit().get("/compare?ids=alice/one,alice/two")))
    assert "Neither is better beyond chance: loss 1.00 and 3.00" in conclusion(
        text(visit().get("/compare?ids=alice/one,alice/three"))
    )


def test_the_best_of_several_is_better_only_if_it_beats_each(cast, visit):
    for name, right in (("low", 20), ("fair", 30), ("high", 46), ("near", 45), ("close", 44)):
        judged(pushed(cast, cast.repository(f"alice/{name}")), evals=[accuracy(right)], depth="evaluated")
    page = text(visit().get("/compare?ids=alice/low,alice/high,alice/fair"))
    assert conclusion(page).startswith(
        "B is better than A and C: accuracy 0.96 against 0.42 and 0.62 (p < 0.001, 48 rows). Use B."
    )
    page = text(visit().get("/compare?ids=alice/low,alice/high,alice/near"))
    assert conclusion(page).startswith(
        "B is better than A and within chance of C: accuracy 0.42, 0.96 and 0.94 on the same 48 rows."
    )
    page = text(visit().get("/compare?ids=alice/near,alice/high,alice/close"))
    assert conclusion(page).startswith("None is better beyond chance: accuracy 0.94, 0.96 and 0.92")


def test_those_of_several_that_compare_are_compared_and_lead_to_a_page_of_their_own(cast, visit):
    for name, right, rows in (("one", 20, "a"), ("two", 46, "b"), ("three", 45, "a"), ("four", 20, "c")):
        evals = [accuracy(right, rows=rows * 64)]
        judged(pushed(cast, cast.repository(f"alice/{name}")), evals=evals, depth="evaluated")
    judged(pushed(cast, cast.repository("alice/five")))
    page = text(visit().get("/compare?ids=alice/one,alice/two,alice/three,alice/five"))
    assert conclusion(page) == (
        "B was measured on other rows than A and C. D has no score to compare. "
        "C is better than A: accuracy 0.94 against 0.42 (p < 0.001, 48 rows)."
    )
    href = html.unescape(re.findall(r'href="([^"]+)">Compare A, C alone<', page)[0])
    assert conclusion(text(visit().get(href))).startswith("B is better than A: accuracy 0.94 against 0.42")
    none = text(visit().get("/compare?ids=alice/one,alice/two,alice/four"))
    assert conclusion(none) == "A, B and C were measured on different rows: their numbers do not compare."
    assert "alone<" not in none


def test_what_differs_is_marked_and_nothing_else(cast, visit):
    small = {"engine": "tgi", "outcome": "wrong", "reason": "The answers differ by 0.2.", "flags": []}
    ia3 = {**CONFIG, "peft_type": "IA3", "target_modules": ["query", "value"]}
    config = {"adapter_config.json": json.dumps(ia3).encode(), "notes.txt": b"x" * 9_000}
    judged(pushed(cast, cast.repository("alice/one")), serving=[small, SERVING[1]], evals=[accuracy(46)])
    other = pushed(cast, cast.repository("alice/two"), files={**FILES, **config})
    judged(other, serving=[{**small, "reason": "By 0.3."}, SERVING[0]], evals=[accuracy(44)])
    page = text(visit().get("/compare?ids=alice/one,alice/two"))
    facts, engines = (
        page.partition(f'id="{first}"')[2].partition(f'id="{after}"')[0]
        for first, after in (("sides-title", "evaluation"), ("engines", "config"))
    )
    differing, alike = facts.partition("</table>")[::2]
    assert [name for name in ("Kind", "Size", "Base", "Parameters", "Downloads") if name in differing] == [
        "Kind",
        "Size",
    ]
    assert [name for name in ("Kind", "Size", "Base", "Parameters") if f"{name} <b>" in alike] == ["Base", "Parameters"]
    differing, alike = engines.partition("<details")[::2]
    assert [name for name in ("vLLM", "MLX", "TGI") if name in differing] == ["vLLM", "MLX"]
    assert "TGI" in alike
    assert "different kinds (LORA and IA3)" in page
    assert "moved by" not in page
    assert "target_<wbr>modules" in visit().get("/compare?ids=alice/one,alice/two").content.decode()
    assert conclusion(page).endswith("and not better beyond chance (p = 0.25 on the same 48 rows). Use A.")
    rest = visit().get("/api/v1/adapters/alice/one/compare/main...main").json()
    assert rest["weights"][0]["state"] == "same"


def measured_on(rows: str, right: int):
    """Return an evaluation as a report keeps it of the rows of an earlier version."""
    return {"revision": "1" * 40, "evaluation": accuracy(right, rows=rows * 64)}


def test_the_rows_of_an_earlier_version_make_two_versions_comparable(cast, visit):
    made, base = cast.repository("alice/pair"), {"id": BASE, "revision": "r", "sha256": "0" * 64}
    old, new = (pushed(cast, made, files={**FILES, "notes.txt": words}) for words in (b"1", b"2"))
    judged(old, evals=[accuracy(30)], depth="evaluated", base=base)
    judged(new, evals=[accuracy(20, rows="b" * 64)], earlier=[measured_on("a", 45)], depth="evaluated", base=base)
    page = text(visit().get(f"/alice/pair/compare/{old.oid}...{new.oid}"))
    assert conclusion(page) == "B is better than A: accuracy 0.94 against 0.62 (p < 0.001, 48 rows). Use B."
    row = text(visit().get("/alice/pair/commits/main")).partition("<tbody")[2].partition("</tr>")[0]
    assert '<span class="change-word passed">+0.31</span>' in row
    assert "p &lt; 0.001" in row


def test_a_version_that_failed_is_never_the_one_to_use(cast, visit):
    made = cast.repository("alice/pair")
    old, new = (pushed(cast, made, files={**FILES, "notes.txt": words}) for words in (b"1", b"2"))
    judged(old, evals=[accuracy(30)], depth="evaluated")
    judged(new, "failed", evals=[accuracy(45)], depth="evaluated")
    address = f"/alice/pair/compare/{old.oid}...{new.oid}"
    assert conclusion(text(visit().get(address))) == "B failed its checks. Keep A."
    third = pushed(cast, made, files={**FILES, "notes.txt": b"3"})
    said = conclusion(text(visit().get(f"/alice/pair/compare/{new.oid}...{third.oid}")))
    assert said == "A failed its checks. B has no verdict yet."


def test_a_comparison_ends_with_the_deed(cast, visit):
    made, alice, said = cast.repository("alice/pair"), visit("alice"), cast.session("alice")
    revisions = []
    for words, right in ((b"1", 26), (b"2", 46), (b"3", 30)):
        revisions.append(pushed(cast, made, files={**FILES, "notes.txt": words}))
        judged(revisions[-1], evals=[accuracy(right)], depth="evaluated")
    old, best, newest = revisions
    up, down = (f"/alice/pair/compare/{one.oid}...{other.oid}" for one, other in ((old, best), (best, newest)))
    assert "#set-alias" in text(alice.get(up))
    aliases.set_alias(made, "prod", old, said)
    assert "Point prod at B" in text(alice.get(up))
    assert "Point prod" not in text(visit().get(up))
    for revision in (best, newest):
        aliases.set_alias(made, "prod", revision, said)
    page = text(alice.get(down))
    assert "Roll prod back to A" in page
    assert "Point prod" not in page, "B scored worse"
    withdrawals.yank(best, said, "Wrong labels.")
    assert "Roll prod back" not in text(alice.get(down))


def test_rows_that_flipped_have_their_text_where_a_side_brought_it(cast, visit):
    made = cast.repository("alice/pair")
    lines = "\n".join(json.dumps({"text": f"Row <{at}>", "label": at % 2}) for at in range(48)).encode()
    old, new = (pushed(cast, made, files={**FILES, "smoke.jsonl": lines, "n.txt": words}) for words in (b"1", b"2"))
    conditions = {"rows": "smoke", "seed": 0, "label_names": ["bad", "good"]}
    judged(old, evals=[accuracy(44)], depth="evaluated", conditions=conditions)
    sample = {"input": "Row <45>", "expected": "good", "base": "", "adapter": "good 0.97"}
    judged(new, evals=[accuracy(46)], depth="evaluated", conditions=conditions, samples=[sample])
    page = text(visit().get(f"/alice/pair/compare/{old.oid}...{new.oid}")).partition('id="flips"')[2]
    assert "2 of 48: 2 right on B alone, 0 on A alone" in page
    assert "Row &lt;44&gt;" in page
    assert "good 0.97" in page
    third = pushed(cast, made, files={**FILES, "n.txt": b"3"})
    judged(third, evals=[accuracy(46) | {"scores": [0.5] * 48}], depth="evaluated")
    assert 'id="flips"' not in text(visit().get(f"/alice/pair/compare/{old.oid}...{third.oid}"))


def test_all_sides_are_measured_on_the_rows_of_one_and_the_page_follows(cast, visit, monkeypatch):
    sides = [
        pushed(cast, cast.repository(f"alice/{name}"), files={**FILES, "smoke.jsonl": b"{}"}) for name in ("a", "b")
    ]
    Base.objects.create(id=BASE, sha256="0" * 64)
    for revision, evals in zip(sides, (accuracy(30), accuracy(20, rows="b" * 64)), strict=True):
        pin = {"id": BASE, "revision": "r", "sha256": "0" * 64}
        judged(revision, evals=[evals], base=pin, depth="evaluated", engines=[{"name": "e5", "state": "passed"}])
    address, alice = "/compare?ids=alice/a,alice/b", visit("alice")
    assert "Sign in to measure all on the rows of A" in text(visit().get(address))
    assert "Measure all on the rows of A" in text(alice.get(address))
    assert visit().post("/compare/measure", {"ids": ["alice/a", "alice/b"]}).url.startswith("/login")
    answer = alice.post("/compare/measure", {"ids": ["alice/a", "alice/b"]})
    assert answer.url == "/compare?ids=alice%2Fa&ids=alice%2Fb"
    page = text(alice.get(address))
    assert 'hx-trigger="every 2s"' in page
    assert "A worker measures the other sides on the rows of A." in page
    assert "Measure all" not in page
    alice.post("/compare/measure", {"ids": ["alice/a", "alice/b"]})
    [row] = RowsMeasurement.objects.all()
    assert (row.revision, row.rows_of, row.engine) == (sides[1], sides[0], "e5")
    done = Report(state="passed", earlier=(EarlierRows(sides[0].oid, Evaluation.parse(accuracy(45))),))
    monkeypatch.setattr(capabilities, "current", lambda: Capabilities(frozenset([BASE.lower()])))
    monkeypatch.setattr(capabilities, "built", lambda: ["e5"])
    asked: list[Job] = []
    engine = SimpleNamespace(run=lambda job, on_check: asked.append(job) or done)
    monkeypatch.setattr(warm_engines, "engine_for", lambda base, name: engine)
    assert jobs.measure()
    assert asked[0].earlier == [{"revision": sides[0].oid, "rows": "{}", "label_names": None}]
    assert not jobs.measure()
    assert alice.get(address, headers={"HX-Request": "true"})["HX-Refresh"] == "true"
    page = text(alice.get(address))
    assert conclusion(page) == "B is better than A: accuracy 0.94 against 0.62 (p < 0.001, 48 rows). Use B."
    assert "Measure all" not in page


def test_two_clicks_in_the_plot_of_versions_compare_them(visit, versions):
    old, new = versions
    page = visit().get("/alice/reviews/commits/main").content.decode()
    assert re.findall(r'href="/alice/reviews/commits/main\?chosen=(\w+)#plot"', page) == [old.oid, new.oid]
    chosen = visit().get(f"/alice/reviews/commits/main?chosen={old.oid}").content.decode()
    [second] = re.findall(r'href="(/compare\?ids=[^"]+ids=[^"]+)', chosen)
    to = f"/alice/reviews/compare/{old.oid}...{new.oid}"
    assert visit().get(html.unescape(second)).url == to
    assert "Click two versions" in visit().get("/alice/reviews/commits/main?chosen=none").content.decode()


def test_a_version_is_compared_with_the_one_before_from_its_row(visit, versions):
    first, second = versions
    page = visit().get("/alice/reviews/commits/main").content.decode()
    assert page.count("Compare with the previous version") == 1, "nothing precedes the first"
    assert f'href="/alice/reviews/compare/{first.oid}...{second.oid}"' in page
