"""Discussions on the website: what a visitor reads, and what the forms do."""

import json
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from features import FEATURES
from features.discussions import pull_requests, verbs
from features.discussions.feature import FEATURE
from registry.kernel import site_settings
from registry.models import Case, Discussion, DiscussionEvent, Membership, Repository, Revision
from registry.moderation import suspension
from registry.people import gates
from registry.publish import push
from registry.publish.push import Deletion, Inline, Intent
from tests.api.conftest import CONFIG, accuracy, judged, pushed
from tests.cast import Cast

HERE = "/acme/reviews/discussions"


@pytest.fixture
def repo(cast: Cast) -> Repository:
    return cast.repository("acme/reviews")


def signed_in(cast: Cast, name: str) -> Client:
    client = Client()
    client.force_login(cast[name])
    return client


def propose(cast: Cast, repo: Repository, who: str = "carol") -> Discussion:
    intent = Intent(repo, "refs/heads/main", cast.session(who), title="Add a card", propose=True)
    push.receive(intent, [Inline("README.md", b"# Hello")])
    return repo.discussions.get()


def test_a_thread_is_opened_answered_closed_and_opened_again(cast: Cast, repo: Repository) -> None:
    carol, bob = signed_in(cast, "carol"), signed_in(cast, "bob")
    opened = carol.post(f"{HERE}/new", {"title": "Which rank?", "text": "I **wonder**."})
    assert opened["Location"] == f"{HERE}/1"
    page = carol.get(f"{HERE}/1").content.decode()
    assert "Which rank?" in page
    assert "<strong>wonder</strong>" in page
    assert bob.post(f"{HERE}/1/comment", {"text": "Eight."}).status_code == 302
    assert bob.post(f"{HERE}/1/close").status_code == 302
    assert "Which rank?" not in Client().get(HERE).content.decode()
    assert "Which rank?" in Client().get(f"{HERE}?status=closed").content.decode()
    carol.post(f"{HERE}/1/open")
    assert "Discussions <span>1</span>" in Client().get("/acme/reviews").content.decode()


def test_nothing_that_was_written_runs(cast: Cast, repo: Repository) -> None:
    evil = "<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n[x](javascript:alert(1))"
    verbs.start(repo, "<script>alert(2)</script>", evil, cast.session("carol"))
    verbs.comment(repo.discussions.get(), "plain 1 < 2 & <b>", cast.session("carol"))
    for page in (HERE, f"{HERE}/1"):
        text = Client().get(page).content.decode()
        assert "<script>alert" not in text
        assert "onerror" not in text
        assert 'href="javascript' not in text


def test_a_pull_request_shows_its_files_and_is_merged_by_a_writer(cast: Cast, repo: Repository) -> None:
    propose(cast, repo)
    stranger, bob = signed_in(cast, "carol"), signed_in(cast, "bob")
    page = stranger.get(f"{HERE}/1").content.decode()
    assert "README.md" in page
    assert '/1/merge"' not in page
    assert stranger.post(f"{HERE}/1/merge").status_code == 403
    assert '/1/merge"' in bob.get(f"{HERE}/1").content.decode()
    assert bob.post(f"{HERE}/1/merge").status_code == 302
    assert Client().get("/acme/reviews/blob/main/README.md").status_code == 200
    assert "merged" in Client().get(f"{HERE}/1").content.decode()


def test_what_a_form_must_not_do_it_says_and_does_not(cast: Cast, repo: Repository) -> None:
    carol = signed_in(cast, "carol")
    assert carol.post(f"{HERE}/new", {"title": " "}).status_code == 400
    carol.post(f"{HERE}/new", {"title": "x", "text": "mine"})
    said = DiscussionEvent.objects.get().pk
    assert signed_in(cast, "erin").post(f"{HERE}/1/comments/{said}/hide").status_code == 403
    assert carol.post(f"{HERE}/1/comments/999/hide").status_code == 404
    assert carol.post(f"{HERE}/1").status_code == 405
    assert carol.get(f"{HERE}/2").status_code == 404
    assert Client().post(f"{HERE}/1/comment", {"text": "x"})["Location"].startswith("/login?")
    assert not DiscussionEvent.objects.filter(hidden=True).exists()
    assert carol.post(f"{HERE}/1/comments/{said}/hide").status_code == 302
    assert "mine" not in carol.get(f"{HERE}/1").content.decode()


def test_a_long_thread_comes_in_pages(cast: Cast, repo: Repository) -> None:
    thread = verbs.start(repo, "Long", "", cast.session("carol"))
    for number in range(40):
        verbs.comment(thread, f"comment {number} end", cast.session("carol"))
    page = Client().get(f"{HERE}/1")
    assert "comment 39 end" in page.content.decode()
    assert "comment 5 end" not in page.content.decode()
    earlier = Client().get(f"{HERE}/1?before={page.context['earlier']}").content.decode()
    assert "comment 5 end" in earlier


# --- the list --------------------------------------------------------------------------------------------------------
def test_texts_that_take_long_together_are_shown_as_they_were_written(
    cast: Cast, repo: Repository, monkeypatch
) -> None:
    thread = verbs.start(repo, "Slow", "*first* <script>", cast.session("carol"))
    verbs.comment(thread, "*second* <script>", cast.session("carol"))

    def rendered(patience: float) -> list[bool]:
        monkeypatch.setattr("hub.site.markdown_texts.PATIENCE_SECONDS", patience)
        text = Client().get(f"{HERE}/1").content.decode()
        assert "first" in text
        assert text.count("&lt;script&gt;") == (0 if "<em>first" in text else 2)
        return [f"<em>{word}</em>" in text for word in ("first", "second")]

    assert rendered(-1) == [False, False]
    assert rendered(60) == [True, True]
    assert rendered(-1) == [True, True], "what was rendered once is there at once"


def test_the_list_is_filtered_by_state_kind_and_author_in_its_address(cast: Cast, repo: Repository) -> None:
    verbs.start(repo, "A question", "", cast.session("carol"))
    pull_requests.start(repo, "A draft", "", cast.session("dave"))
    done = verbs.start(repo, "Settled", "", cast.session("carol"))
    verbs.set_status(done, "closed", cast.session("carol"))
    shown = {
        "": {"A question", "A draft"},
        "?status=all": {"A question", "A draft", "Settled"},
        "?status=closed": {"Settled"},
        "?type=pull_request": {"A draft"},
        "?status=all&type=discussion&author=CAROL": {"A question", "Settled"},
        "?status=everything&type=x&author=nobody": set(),
    }
    for query, titles in shown.items():
        answer = Client().get(HERE + query)
        assert {row.title for row in answer.context["rows"]} == titles, query
    answer = Client().get(f"{HERE}?status=all")
    assert answer.context["states"] == [("open", "open", 2), ("closed", "closed", 1), ("all", "all", 3)]
    assert [count for _, _, count in answer.context["kinds"]] == [3, 2, 1]


def test_a_list_costs_the_same_however_long_it_is(cast: Cast, repo: Repository) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            Client().get(HERE)
        return len(asked)

    verbs.start(repo, "x", "", cast.session("carol"))
    cost()  # the settings of the site are read once
    first = cost()
    for number in range(20):
        verbs.start(repo, f"x{number}", "", cast.session("carol"))
    assert cost() == first


# --- comments --------------------------------------------------------------------------------------------------------
def test_an_author_edits_his_comment_and_nobody_elses(cast: Cast, repo: Repository) -> None:
    verbs.start(repo, "Which rank?", "Fuor", cast.session("carol"))
    said = DiscussionEvent.objects.get()
    carol, bob = signed_in(cast, "carol"), signed_in(cast, "bob")
    answer = carol.post(f"{HERE}/1/comments/{said.pk}/edit", {"text": "Four"})
    assert answer["Location"] == f"{HERE}/1#{said.pk}"
    page = carol.get(f"{HERE}/1").content.decode()
    assert "Four" in page
    assert "edited" in page
    assert bob.post(f"{HERE}/1/comments/{said.pk}/edit", {"text": "Five"}).status_code == 403
    assert '/edit"' not in bob.get(f"{HERE}/1").content.decode()
    assert '/hide"' in bob.get(f"{HERE}/1").content.decode()
    carol.post(f"{HERE}/1/comments/{said.pk}/hide")
    assert carol.post(f"{HERE}/1/comments/{said.pk}/edit", {"text": "Six"}).status_code == 403


def test_a_text_is_previewed_before_it_is_sent(cast: Cast, repo: Repository, patient) -> None:
    verbs.start(repo, "Which rank?", "Fuor", cast.session("carol"))
    said, carol = DiscussionEvent.objects.get(), signed_in(cast, "carol")
    asked = {"title": "x", "text": "*Really* @bob", "preview": "yes"}
    for address in (f"{HERE}/new", f"{HERE}/1/comment", f"{HERE}/1/comments/{said.pk}/edit"):
        page = carol.post(address, asked)
        assert page.status_code == 200
        assert '<em>Really</em> <a href="/bob"' in page.content.decode(), address
        assert "*Really* @bob</textarea>" in page.content.decode(), "what was typed is there to go on with"
        part = carol.post(address, asked, headers={"HX-Request": "true"}).content.decode()
        assert part.lstrip().startswith('<div id="preview"'), address
    assert DiscussionEvent.objects.get().text == "Fuor"
    assert repo.discussions.count() == 1


@pytest.mark.skipif("compare" not in FEATURES, reason="the page is of comparisons")
def test_a_pull_request_shows_what_it_changes_beside_merge(cast: Cast, repo: Repository) -> None:
    main = pushed(cast, repo)
    judged(main, evals=[accuracy(36)], depth="evaluated")
    thread = propose(cast, repo)
    proposed = repo.refs.get(name=thread.ref).revision
    verdict = judged(proposed, evals=[accuracy(48)], depth="evaluated")
    page = Client().get(f"{HERE}/1")
    [change] = page.context["metric_changes"]
    assert (change.metric, change.before, change.after, change.colour) == ("accuracy", 0.75, 1.0, "passed")
    assert '<span class="change-word passed">+0.25</span>' in page.content.decode()
    assert f"compare/{main.oid}..." in page.content.decode()
    for evaluation, words in (
        (accuracy(38), ("", "within chance", True)),
        (accuracy(48, rows="b" * 64), ("", "on other rows", False)),
        (accuracy(48, scores=None), ("", "not tested", True)),
    ):
        verdict.result["evals"] = [evaluation]
        verdict.save()
        page = Client().get(f"{HERE}/1")
        [change] = page.context["metric_changes"]
        assert (change.colour, change.word, change.change is not None) == words
        assert "change-word passed" not in page.content.decode()


def test_what_was_typed_is_not_lost_with_a_refusal(cast: Cast, repo: Repository) -> None:
    verbs.start(repo, "x", "", cast.session("alice"))
    answer = signed_in(cast, "carol").post(f"{HERE}/1/close", {"text": "I typed this"})
    assert answer.status_code == 403
    assert "I typed this" in answer.content.decode()


def test_names_of_people_lead_to_them_and_others_stay_text(cast: Cast, repo: Repository) -> None:
    text = "@Bob, @nobody-here: see `@bob` and **@carol**. bob@example.org [@bob](https://example.org)"
    verbs.start(repo, "x", text, cast.session("dave"))
    page = Client().get(f"{HERE}/1").content.decode()
    assert page.count('href="/bob"') == 1
    assert '<a href="/carol" rel="nofollow ugc noopener">@carol</a>' in page
    assert "nobody-here</a>" not in page
    assert "<code>@bob</code>" in page


def test_numbers_and_ids_lead_to_discussions_and_commits_that_the_reader_may_see(cast: Cast, repo: Repository) -> None:
    push.receive(Intent(repo, "refs/heads/main", cast.session("alice"), title="x"), [Inline("README.md", b"# Hi")])
    oid = Revision.objects.filter(repository=repo).latest("pk").oid
    hidden = cast.repository("carol/hidden", by="carol", private=True)
    verbs.start(hidden, "secret", "", cast.session("carol"))
    text = f"See #1 and acme/reviews#1, not #9, `#1`, carol/hidden#1, or x#1. Since {oid[:8]}, not 00000aa."
    verbs.start(repo, "x", text, cast.session("dave"))
    page = Client().get(f"{HERE}/1").content.decode()
    body = page[page.index("See ") : page.index("00000aa")]
    links = re.findall(r'<a href="([^"]+)"[^>]*>([^<]+)</a>', body)
    assert links == [(f"{HERE}/1", "#1"), (f"{HERE}/1", "acme/reviews#1"), (f"/acme/reviews/commit/{oid}", oid[:8])]
    assert 'href="/carol/hidden/discussions/1"' in signed_in(cast, "carol").get(f"{HERE}/1").content.decode()


# --- pull requests ---------------------------------------------------------------------------------------------------
def test_a_draft_made_by_a_form_says_how_to_push_and_becomes_ready(cast: Cast, repo: Repository) -> None:
    carol = signed_in(cast, "carol")
    carol.post(f"{HERE}/new", {"title": "A card", "text": "", "type": "pull_request"})
    page = carol.get(f"{HERE}/1").content.decode()
    assert "hf upload acme/reviews ./adapter --revision refs/pr/1" in page
    assert "draft" in page
    push.receive(Intent(repo, "refs/pr/1", cast.session("carol"), title="Write it"), [Inline("README.md", b"# Hi\n")])
    page = carol.get(f"{HERE}/1").content.decode()
    assert "Ready to merge" in page
    assert '/1/merge"' not in signed_in(cast, "bob").get(f"{HERE}/1").content.decode()
    carol.post(f"{HERE}/1/open")
    assert '/1/merge"' in signed_in(cast, "bob").get(f"{HERE}/1").content.decode()


def test_changed_files_are_shown_line_by_line_with_what_is_in_them_escaped(cast: Cast, repo: Repository) -> None:
    first = [Inline("README.md", b"# Hello\n\none\n"), Inline("old.txt", b"gone")]
    push.receive(Intent(repo, "refs/heads/main", cast.session("alice"), title="Begin"), first)
    changed = [
        Inline("README.md", b"# Hello\n\n<script>two</script>\n"),
        Inline("more/data.bin", b"\0\1"),
        Deletion("old.txt"),
    ]
    push.receive(Intent(repo, "refs/heads/main", cast.session("carol"), title="Change", propose=True), changed)
    page = Client().get(f"{HERE}/1/files")
    patches = {file.path: file for file in page.context["patches"]}
    readme = patches["README.md"]
    assert (readme.what, readme.added, readme.removed) == ("changed", 1, 1)
    assert [(line.kind, line.old, line.new) for line in readme.lines][1:] == [
        ("kept", 1, 1),
        ("kept", 2, 2),
        ("removed", 3, None),
        ("added", None, 3),
    ]
    assert patches["more/data.bin"].why.startswith("It is not text")
    assert patches["old.txt"].removed == 1
    text = page.content.decode()
    assert "&lt;script&gt;two" in text
    assert "<script>two" not in text
    assert Client().get(f"{HERE}/2/files").status_code == 404


def test_a_discussion_has_no_changed_files(cast: Cast, repo: Repository) -> None:
    verbs.start(repo, "x", "", cast.session("carol"))
    assert Client().get(f"{HERE}/1/files").status_code == 400


def test_a_huge_change_is_named_and_not_shown(cast: Cast, repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.site.repository.diff_view.MAX_LINES", 20)
    files = [Inline(f"{name}.txt", b"line\n" * 15) for name in "abc"]
    push.receive(Intent(repo, "refs/heads/main", cast.session("carol"), title="Much", propose=True), files)
    patches = Client().get(f"{HERE}/1/files").context["patches"]
    assert [bool(file.lines) for file in patches] == [True, False, False]
    assert patches[1].why == "There is not enough space for it here."


def test_what_a_gate_keeps_is_not_shown_in_a_diff_either(cast: Cast, repo: Repository) -> None:
    push.receive(Intent(repo, "refs/heads/main", cast.session("alice"), title="x"), [Inline("notes.md", b"the secret")])
    gates.set_gate(repo, "manual", cast.session("alice"))
    new = [Inline("notes.md", b"another secret")]
    push.receive(Intent(repo, "refs/heads/main", cast.session("alice"), title="y", propose=True), new)
    for who, sees in (("carol", False), ("bob", True)):
        page = signed_in(cast, who).get(f"{HERE}/1/files").content.decode()
        assert ("secret" in page) == sees
        assert "notes.md" in page


def test_where_only_what_is_verified_is_served_a_proposal_shows_strangers_no_lines(
    cast: Cast, repo: Repository
) -> None:
    made = pushed(cast, repo)
    judged(made, "failed")
    push.receive(
        Intent(repo, "refs/heads/main", cast.session("alice"), title="y", propose=True),
        [Inline("adapter_config.json", json.dumps(CONFIG | {"r": 16}).encode())],
    )
    site_settings.change_setting("pull_policy", "verified", None)
    assert b"peft_type" not in signed_in(cast, "carol").get(f"{HERE}/1/files").content
    assert b"peft_type" in signed_in(cast, "bob").get(f"{HERE}/1/files").content


def test_a_conflict_names_the_files_and_offers_no_merge(cast: Cast, repo: Repository) -> None:
    propose(cast, repo)
    push.receive(Intent(repo, "refs/heads/main", cast.session("alice"), title="x"), [Inline("README.md", b"# Mine")])
    bob = signed_in(cast, "bob")
    page = bob.get(f"{HERE}/1").content.decode()
    assert "It cannot be merged" in page
    assert '/1/merge"' not in page
    answer = bob.post(f"{HERE}/1/merge")
    assert answer.status_code == 409
    assert "README.md" in answer.content.decode()


def test_a_private_adapters_talk_is_not_there_for_strangers(cast: Cast) -> None:
    covert = cast.repository("acme/covert", private=True)
    verbs.start(covert, "Secret", "", cast.session("alice"))
    pull_requests.start(covert, "Secret too", "", cast.session("alice"))
    carol = signed_in(cast, "carol")
    for path in ("", "?author=alice", "/new", "/1", "/2", "/2/files"):
        answer, never = carol.get(f"/acme/covert/discussions{path}"), carol.get(f"/acme/coyert/discussions{path}")
        assert answer.status_code == never.status_code == 404
        assert bare(answer.content) == bare(never.content)
    for deed in ("comment", "merge", "close", "rename"):
        assert carol.post(f"/acme/covert/discussions/1/{deed}", {"text": "x", "title": "x"}).status_code == 404


def bare(page: bytes) -> bytes:
    return re.sub(rb'name="csrfmiddlewaretoken" value="[^"]+"|/acme/co.ert', b"", page)


def test_moderators_read_what_is_said_in_the_repositories_of_a_suspended_person(repo, cast):
    """They decide about it: no page of theirs may say that there is nothing, while the repository's own is there."""
    own = cast.repository("carol/notes", by="carol")
    thread = verbs.start(own, "Buy this", "spam", cast.session("carol"))
    suspension.suspend(cast["carol"], cast.session("mona"), reason="Spam.")
    for page in ("/carol/notes", "/carol/notes/discussions", f"/carol/notes/discussions/{thread.number}"):
        assert signed_in(cast, "mona").get(page).status_code == 200, page
        assert signed_in(cast, "bob").get(page).status_code == 404, page
    answer = signed_in(cast, "mona").post(f"/carol/notes/discussions/{thread.number}/comment", {"text": "Bye."})
    assert answer.status_code == 404, "it is withheld: nobody writes there"


def test_a_discussion_and_a_comment_have_their_report_links(cast: Cast, repo: Repository) -> None:
    comment = verbs.start(repo, "Hello", "World", cast.session("bob")).events.get()
    carol = signed_in(cast, "carol")
    links = re.findall(r'href="(/reports/new\?[^"]+)"', carol.get(f"{HERE}/1").content.decode())
    for kind in ("discussion", "comment"):
        [link] = {link.replace("&amp;", "&") for link in links if f"type={kind}&" in link}
        assert carol.post(link, {"reason": "spam", "text": "Spam.", "commit": ""}).status_code == 302
    assert set(Case.objects.values_list("target", "comment")) == {("discussion", None), ("comment", comment.pk)}


def test_the_form_needs_its_secret(cast: Cast, repo: Repository) -> None:
    carol = Client(enforce_csrf_checks=True)
    carol.force_login(cast["carol"])
    assert carol.post(f"{HERE}/new", {"title": "Which rank?"}).status_code == 403


def test_only_what_led_to_a_version_is_counted_among_its_versions(cast: Cast, repo: Repository) -> None:
    client, counted = signed_in(cast, "carol"), r"Versions <span>(\d+)</span>"
    before = re.search(counted, client.get("/acme/reviews").content.decode())[1]
    intent = Intent(repo, "refs/heads/main", cast.session("carol"), title="Try", propose=True)
    push.receive(intent, [Inline("notes.md", b"Proposed.")])
    assert re.search(counted, client.get("/acme/reviews").content.decode())[1] == before


@pytest.mark.skipif("dashboard" not in FEATURES, reason="the home of a person is a feature")
def test_a_pull_request_waits_on_the_home_of_who_may_merge_it_with_its_verdict(cast: Cast, repo: Repository) -> None:
    def needs(who: str) -> str:
        page = signed_in(cast, who).get("/").content.decode()
        return page.partition('id="needs-you"')[2].partition("</section>")[0]

    pushed(cast, repo, by="bob")
    thread = propose(cast, repo)
    assert "carol proposes a change" in needs("bob")
    assert f'href="{HERE}/{thread.number}"' in needs("bob")
    judged(Revision.objects.get(refs__name=thread.ref), checks=[])
    assert 'class="state passed"' in needs("bob")
    for who in ("carol", "dave", "erin"):
        assert "proposes a change" not in needs(who), f"{who} cannot merge it"
    Discussion.objects.filter(pk=thread.pk).update(status="draft")
    assert "proposes a change" not in needs("bob")
    empty = pull_requests.start(repo, "Nothing yet", "", cast.session("carol"))
    Discussion.objects.filter(pk=empty.pk).update(status="open")
    assert "Nothing yet" not in needs("bob"), "there is nothing to look at"


def test_the_export_of_a_person_names_no_repository_that_they_do_not_see_any_more(cast):
    cast.thread(cast.repository("acme/covert", private=True), "bob", bob="Mine all the same.")
    for place, is_named in (("member", True), ("gone", False)):
        if place == "gone":
            Membership.objects.filter(user=cast["bob"]).delete()
        rows = list(dict(FEATURE.personal_data(cast["bob"]))["comments"])
        assert [row["text"] for row in rows] == ["Mine all the same."]
        assert ("acme/covert" in str(rows)) is is_named
