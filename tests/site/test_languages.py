"""The language of a page is the visitor's choice, else their browser's; programs get English."""

import re

import pytest
from django.utils import translation
from django.utils.formats import localize

from hub.site.measures import decimals, number, percent, size

GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de-CH, de;q=0.9, en;q=0.5"}


def language_of(answer) -> str:
    [named] = re.findall(r'<html lang="([\w-]+)"', answer.content.decode())
    assert answer["Content-Language"] == named
    return named


@pytest.mark.parametrize(
    ("asked", "language"), [("de", "de"), ("de-AT, en", "de"), ("en-US", "en-gb"), ("fr, it;q=0.5", "en-gb")]
)
def test_a_page_is_in_the_language_that_the_browser_asks_for(visit, asked, language):
    answer = visit().get("/", HTTP_ACCEPT_LANGUAGE=asked)
    assert language_of(answer) == language
    assert {"Accept-Language", "Cookie"} <= set(answer["Vary"].split(", "))
    assert not answer.cookies


def test_a_visitor_chooses_a_language_and_comes_back_to_the_page(visit, reviews):
    client = visit(enforce_csrf_checks=True)
    before = {"HTTP_REFERER": "http://testserver/alice/reviews?page=1"}
    answer = client.post("/settings/language", {"language": "en-gb"}, **before)
    assert (answer.status_code, answer["Location"]) == (302, "/alice/reviews?page=1")
    assert language_of(client.get(answer["Location"], **GERMAN)) == "en-gb"
    client.post("/settings/language", {"language": "de"})
    page = client.get("/alice/reviews")
    assert language_of(page) == "de"
    assert "Zum Inhalt springen" in page.content.decode()


@pytest.mark.parametrize("before", ["", "https://example.org/x", "http://testserver//example.org/x", "http://["])
def test_the_choice_of_a_language_leads_to_no_other_host(visit, before):
    answer = visit().post("/settings/language", {"language": "de"}, HTTP_REFERER=before)
    assert answer["Location"] == "/"


def test_there_are_no_pages_in_other_languages(visit):
    answer = visit().post("/settings/language", {"language": "tlh"})
    assert answer.status_code == 400
    assert not answer.cookies


@pytest.mark.parametrize("address", ["/api/v1/adapters?limit=many", "/changes.atom", "/admin/login/", "/metrics"])
def test_programs_and_the_administration_get_english_and_nothing_of_the_page_before(visit, address):
    client = visit()
    client.cookies["language"] = "de"
    assert language_of(client.get("/")) == "de"
    assert translation.get_language() == "en-gb"
    assert "Content-Language" not in client.get(address, **GERMAN)


@pytest.mark.parametrize("address", ["/nobody/nothing", "/nobody/nothing/blob/main/plot.png"])
def test_a_missing_page_is_in_the_language_too(visit, address):
    answer = visit().get(address, **GERMAN)
    assert (answer.status_code, language_of(answer)) == (404, "de")


def test_english_sentences_say_that_they_are_on_pages_in_another_language(visit, reviews):
    client, wrong = visit(), {"username": "alice", "password": "wrong"}
    for client.cookies["language"], is_german in (("en-gb", False), ("de", True)):
        answers = [
            client.get("/alice/reviews/verdict/main"),  # what a worker wrote
            client.get("/adapters?rank_min=x"),  # a filter that was left out
            client.post("/login", wrong),  # a refusal beside its field
        ]
        found = [re.findall('<span lang="en" dir="ltr">(.*?)</span>', each.content.decode()) for each in answers]
        assert list(map(bool, found)) == [is_german] * 3
    assert {"No revision.", "Name it."} <= set(found[0])
    assert found[1] == ["The filter &#x27;rank_min&#x27; was left out: A valid integer is required."]
    assert found[2] == ["Wrong user name or password. Check both and try again."]


def test_numbers_for_people_have_the_separators_of_the_language_and_those_in_drawings_a_point():
    with translation.override("de"):
        assert translation.gettext("Close") == "Schließen"
        assert localize(0.25) == "0.25"
        shown = [number(1204), number(0.512), number(12345.6), size(1_500_000), percent(0.0123), decimals(1204.5, 1)]
        assert shown == ["1.204", "0,512", "12.346", "1,5 MB", "1,2 %", "1.204,5"]
    assert [number(1204), size(1_500_000)] == ["1,204", "1.5 MB"]
