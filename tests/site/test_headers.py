"""Every answer keeps the page to itself, and the pages live by the policy they send."""

import re

from tests.sweep import sweep

ADDRESSES = [
    "/",
    "/adapters",
    "/join",
    "/login",
    "/alice/reviews",
    "/nothing/here",
    "/alice/reviews/verdict/main",
    "/robots.txt",
]


@sweep("address", ADDRESSES)
def test_every_answer_has_the_headers(visit, reviews, address):
    answer = visit().get(address)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


@sweep("address", ADDRESSES)
def test_no_page_needs_what_its_policy_forbids(visit, reviews, address):
    page = visit("alice").get(address).content.decode()
    page = re.sub(r'<link rel="canonical"[^>]*>', "", page)  # no browser fetches it
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


@sweep("who, address", [("alice", "/alice/reviews"), ("anonymous", "/login"), ("anonymous", "/nothing/here")])
def test_pages_of_people_and_those_with_a_secret_are_kept_by_no_cache(visit, reviews, who, address):
    assert visit(who).get(address)["Cache-Control"] == "private, no-store"


def test_a_page_of_strangers_is_asked_for_again_and_sent_again_if_it_changed(visit, reviews):
    page = visit().get("/alice/reviews/tree/main")
    assert page["Cache-Control"] == "private, max-age=0, must-revalidate"
    again = {"headers": {"If-None-Match": page["ETag"]}}
    same = visit().get("/alice/reviews/tree/main", **again)
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", page["ETag"])
    assert visit("alice").get("/alice/reviews/tree/main", **again).status_code == 200
    client = visit()
    client.cookies["theme"] = "dark"
    assert client.get("/alice/reviews/tree/main", **again).status_code == 200


def test_the_theme_of_the_cookie_is_in_the_page_and_nothing_else_is(visit, cast):
    client = visit()
    client.cookies["theme"] = "dark"
    assert 'data-theme="dark"' in client.get("/").content.decode()
    client.cookies["theme"] = 'x" onload="alert(1)'
    assert "onload" not in client.get("/").content.decode()
