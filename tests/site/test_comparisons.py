"""The page that compares adapters and versions, the ways to it, and the numbers on the page of a commit."""

import re

import numpy as np
import pytest

from registry.people import gates
from tests.api.conftest import BASE, accuracy, judged, pushed
from tests.api.test_comparisons import Q, V, files, lora
from tests.site.conftest import CHECKS

SERVING = [
    {"engine": "vllm", "version": "0.11", "outcome": "serves", "reason": "Yes.", "flags": ["--enable-lora"]},
    {"engine": "mlx", "outcome": "refuses", "reason": "No LoRA for BERT."},
]


def text(answer) -> str:
    assert answer.status_code == 200, answer
    return " ".join(answer.content.decode().split())


@pytest.fixture
def versions(cast):
    """Two proven versions of alice/reviews; the second has another rank, twice the weights, and one tensor more."""
    down, up = np.ones((4, 6)), np.ones((5, 4))
    made = cast.repository("alice/reviews")
    old = pushed(cast, made, title="a", files=files(lora(Q, down, up) | lora(V, down, up), r=4))
    shown = {"checks": CHECKS, "base": {"id": BASE, "revision": "r", "sha256": "0" * 64}, "depth": "evaluated"}
    judged(old, evals=[accuracy(30)], serving=SERVING[:1], **shown)
    new = files(lora(Q, 2 * down, up) | lora(V, down, up) | {"extra": np.ones(2)}, r=4, use_dora=True)
    new = pushed(cast, made, title="b", files=new)
    judged(new, evals=[accuracy(45, interval=[0.85, 0.99])], serving=SERVING, **shown)
    return old, new


def test_two_versions_differ_in_config_weights_engines_and_numbers(visit, versions):
    old, new = versions
    page = text(visit().get(f"/alice/reviews/compare/{old.oid}...main"))
    assert "moved by <b>71 %</b>" in page  # one of two equal modules is twice as large
    assert "1 tensor added." in page
    assert '<code class="break">use_dora</code>' in page.partition("Keys that differ")[2].partition("</table>")[0]
    assert "keys with equal values" in page
    assert '<span class="change-word passed">+0.3125</span>' in page
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
    new = pushed(cast, versions[0].repository, title="c", files=files(lora(Q, spoilt, up) | lora(V, down, up), r=4))
    page = text(visit().get(f"/alice/reviews/compare/{versions[0].oid}...{new.oid}"))
    assert "holds NaN or infinity</b>" in page
    assert "The weights of all other modules are equal." in page
    assert ">not finite<" in page
    assert "was zero" not in page


def test_the_first_page_has_numbers_and_engines_and_the_versions_are_one_joint(visit, versions):
    page = text(visit().get("/alice/reviews"))
    assert page.index('class="dumbbell"') < page.index('class="engine passed"') < page.index('id="compatibility"')
    assert 'href="#engine-vllm"' in page
    assert 'id="engine-vllm"' in page
    assert "the version before" in page  # 30 of 48 rows
    strip = text(visit().get("/alice/reviews/commits/main")).partition('class="strip"')[2]
    assert "2 versions with an adapter, the oldest first: 2 passed with notes; accuracy from 0.625 to 0.9375" in strip
