"""What the search field suggests, to whom, in which order, and at which cost."""

import re

from django.urls import reverse

from features.palette import pages
from hub.site import panels
from registry.models import Base
from tests.sweep import sweep

ADDRESS = "/search/suggestions"


def titles(answer) -> list[str]:
    return re.findall(r'role="presentation"[^>]*>([^<]+)<', answer.content.decode())


def rows(answer) -> list[str]:
    return re.findall(r'role="option"[^>]*href="([^"]+)"', answer.content.decode())


def ask(browser, words: str = "") -> list[str]:
    return rows(browser.get(ADDRESS, {"q": words}))


def test_exact_names_come_first_of_each_kind(visit, cast, reviews):
    for name in ("alice/best-reviews", "bob/reviews-two"):
        cast.repository(name, by=name.split("/")[0])
    found = ask(visit(), "reviews")
    assert found[0] == "/alice/reviews"
    assert {"/alice/best-reviews", "/bob/reviews-two"} < set(found)
    assert found[-1] == "/adapters?q=reviews"
    Base.objects.create(id="acme/lamp-base", revision="1" * 40, sha256="2" * 64)
    assert ask(visit(), "lamp-base")[0] == "/bases/acme/lamp-base"
    assert ask(visit(), "alice")[0] == "/alice"


def test_pages_and_deeds_are_found_by_their_names_and_by_other_words_for_them(visit):
    alice = visit("alice")
    assert ask(alice, "tokens")[0] == "/settings/tokens"
    assert "/upload" in ask(alice, "publish")
    assert "/docs/checks#config-rank" in ask(alice, "config.rank")
    assert "/settings/tokens" not in ask(visit(), "tokens")
    assert "/login" in ask(visit(), "sign in")


def test_before_anything_is_typed_it_offers_ones_own_adapters_and_deeds(visit, reviews):
    assert titles(visit("alice").get(ADDRESS)) == ["Your adapters", "Go to"]
    assert ask(visit("alice"))[0] == "/alice/reviews"
    assert titles(visit().get(ADDRESS)) == ["Go to"]


def test_what_a_visitor_may_not_see_is_not_suggested(visit, cast, secret):
    assert "/acme/secret" in ask(visit("erin"), "secret")
    assert "/acme/secret" not in ask(visit("carol"), "secret")
    assert "/acme/secret" not in ask(visit(), "acme/secret")
    for link in panels.links("staff"):
        assert reverse(link.route) not in ask(visit("alice"), str(link.title))
        assert reverse(link.route) in ask(visit("mona"), str(link.title))


def test_odd_words_are_words(visit):
    visitor = visit()
    odd = ("<script>", "%00x", "a" * 500, '"', "\\", "日本語", "\u202eabc", "   ", "a/b/c/d", "ı", "?q=&", "#")
    assert [words for words in odd if visitor.get(ADDRESS, {"q": words}).status_code != 200] == []
    assert "<script>" not in visitor.get(ADDRESS, {"q": "<script>"}).content.decode()


@sweep("who", ["anonymous", "alice", "mona", "ada"])
def test_each_deed_leads_to_a_page(visit, cast, who):
    browser = visit(who)
    addresses = [reverse(deed.route) for deed in pages.deeds(cast.session(who))]
    assert len(addresses) == len(set(addresses))
    assert [address for address in addresses if browser.get(address, follow=True).status_code != 200] == []


def test_the_cost_does_not_grow_with_what_is_found(visit, cast, reviews, django_assert_max_num_queries):
    alice = visit("alice")
    ask(alice, "reviews")
    with django_assert_max_num_queries(14):
        ask(alice, "reviews")
    for number in range(30):
        cast.repository(f"alice/reviews-{number}")
    with django_assert_max_num_queries(14):
        assert sum("/alice/reviews" in row for row in ask(alice, "reviews")) <= pages.MOST
