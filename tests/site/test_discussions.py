"""Discussions on the website: what a visitor reads, and what the forms do."""

import pytest
from django.test import Client

from registry import discussions, push
from registry.models import Adapter, Discussion, DiscussionEvent
from registry.push import Inline, Intent
from tests.cast import Cast

HERE = "/acme/reviews/discussions"


@pytest.fixture
def repo(cast: Cast) -> Adapter:
    return cast.adapter("acme/reviews")


def signed_in(cast: Cast, name: str) -> Client:
    client = Client()
    client.force_login(cast[name])
    return client


def propose(cast: Cast, repo: Adapter, who: str = "carol") -> Discussion:
    intent = Intent(repo, "refs/heads/main", cast.session(who), title="Add a card", propose=True)
    push.receive(intent, [Inline("README.md", b"# Hello")])
    return repo.discussions.get()


def test_a_thread_is_opened_answered_closed_and_opened_again(cast: Cast, repo: Adapter) -> None:
    carol, bob = signed_in(cast, "carol"), signed_in(cast, "bob")
    opened = carol.post(f"{HERE}/new", {"title": "Which rank?", "text": "I **wonder**."})
    assert opened.url == f"{HERE}/1"
    page = carol.get(f"{HERE}/1").content.decode()
    assert "Which rank?" in page
    assert "<strong>wonder</strong>" in page
    assert bob.post(f"{HERE}/1", {"do": "comment", "text": "Eight."}).status_code == 302
    assert bob.post(f"{HERE}/1", {"do": "close"}).status_code == 302
    assert "Which rank?" not in Client().get(HERE).content.decode()
    assert "Which rank?" in Client().get(f"{HERE}?status=closed").content.decode()
    carol.post(f"{HERE}/1", {"do": "open"})
    assert "Discussions <span>1</span>" in Client().get("/acme/reviews").content.decode()


def test_nothing_that_was_written_runs(cast: Cast, repo: Adapter) -> None:
    evil = "<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n[x](javascript:alert(1))"
    discussions.start(repo, "<script>alert(2)</script>", evil, cast.session("carol"))
    discussions.comment(repo.discussions.get(), "plain 1 < 2 & <b>", cast.session("carol"))
    for page in (HERE, f"{HERE}/1"):
        text = Client().get(page).content.decode()
        assert "<script>alert" not in text
        assert "onerror" not in text
        assert 'href="javascript' not in text


def test_a_pull_request_shows_its_files_and_is_merged_by_a_writer(cast: Cast, repo: Adapter) -> None:
    propose(cast, repo)
    stranger, bob = signed_in(cast, "carol"), signed_in(cast, "bob")
    page = stranger.get(f"{HERE}/1").content.decode()
    assert "README.md" in page
    assert 'value="merge"' not in page
    assert stranger.post(f"{HERE}/1", {"do": "merge"}).status_code == 403
    assert 'value="merge"' in bob.get(f"{HERE}/1").content.decode()
    assert bob.post(f"{HERE}/1", {"do": "merge"}).status_code == 302
    assert Client().get("/acme/reviews/blob/main/README.md").status_code == 200
    assert "merged" in Client().get(f"{HERE}/1").content.decode()


def test_what_a_form_must_not_do_it_says_and_does_not(cast: Cast, repo: Adapter) -> None:
    carol = signed_in(cast, "carol")
    assert carol.post(f"{HERE}/new", {"title": " "}).status_code == 400
    carol.post(f"{HERE}/new", {"title": "x", "text": "mine"})
    said = DiscussionEvent.objects.get().pk
    assert signed_in(cast, "erin").post(f"{HERE}/1", {"do": "hide", "comment": said}).status_code == 403
    assert carol.post(f"{HERE}/1", {"do": "hide", "comment": "x"}).status_code == 404
    assert carol.post(f"{HERE}/1", {"do": "everything"}).status_code == 400
    assert carol.get(f"{HERE}/2").status_code == 404
    assert Client().post(f"{HERE}/1", {"do": "comment", "text": "x"}).url.startswith("/login?")
    assert not DiscussionEvent.objects.filter(hidden=True).exists()
    assert carol.post(f"{HERE}/1", {"do": "hide", "comment": said}).status_code == 302
    assert "mine" not in carol.get(f"{HERE}/1").content.decode()


def test_a_long_thread_comes_in_pages(cast: Cast, repo: Adapter) -> None:
    thread = discussions.start(repo, "Long", "", cast.session("carol"))
    for number in range(40):
        discussions.comment(thread, f"comment {number} end", cast.session("carol"))
    page = Client().get(f"{HERE}/1")
    assert "comment 39 end" in page.content.decode()
    assert "comment 5 end" not in page.content.decode()
    earlier = Client().get(f"{HERE}/1?before={page.context['earlier']}").content.decode()
    assert "comment 5 end" in earlier


def test_a_private_adapters_talk_is_not_there_for_strangers(cast: Cast) -> None:
    covert = cast.adapter("acme/covert", private=True)
    discussions.start(covert, "Secret", "", cast.session("alice"))
    for path in ("", "/new", "/1"):
        answer = signed_in(cast, "carol").get(f"/acme/covert/discussions{path}")
        assert answer.status_code == 404
        assert b"Secret" not in answer.content
