"""Changing files in the browser: text, names, deletion; branches and tags; and the list of files."""

import re
from html import unescape

import pytest

from features.editing import examinations, staged_files
from registry.kernel import seams
from registry.repos import pull
from tests.api.conftest import FILES, pushed

pytestmark = pytest.mark.usefixtures("patient")

EDIT = "/alice/reviews/edit/main/"
WORDS = {"title": "", "message": "", "where": "branch"}


def text_of(repository, path: str, rev: str = "main") -> str:
    return staged_files.read(pull.find_file(pull.resolve(repository, rev), path)).decode()


def seen_in(answer) -> str:
    return re.search(r'name="seen"[^>]*value="([^"]*)"', answer.content.decode())[1]


def test_a_card_is_edited_with_a_preview(visit, reviews):
    alice = visit("alice")
    opened = alice.get(EDIT + "README.md")
    assert "Tells good reviews from bad ones." in opened.content.decode()
    form = {**WORDS, "seen": seen_in(opened), "text": "---\nlicense: mit\n---\r\n# Now <b>two</b>"}
    live = alice.post(EDIT + "README.md", form, headers={"HX-Request": "true"}).content.decode()
    assert "<h2" in live
    assert "<html" not in live
    assert "Now <b>two</b>" in alice.post(EDIT + "README.md", {**form, "preview": "yes"}).content.decode()
    landed = alice.post(EDIT + "README.md", {**form, "commit": "yes"})
    assert landed.url == "/alice/reviews/verdict/main", "it follows by itself"
    assert text_of(reviews, "README.md") == "---\nlicense: mit\n---\n# Now <b>two</b>\n"
    assert pull.resolve(reviews, "main").title == "Update README.md"


def test_checks_come_before_the_commit_and_can_be_overruled(visit, reviews, monkeypatch):
    run, runs = examinations._run, []
    monkeypatch.setattr(examinations, "_run", lambda *job: runs.append(job) or run(*job))
    monkeypatch.setattr(examinations, "_known", {})
    alice, before = visit("alice"), pull.resolve(reviews, "main")
    seen = pull.entries(before)["adapter_config.json"].sha256
    for text, sentence in (
        ("{", "not valid JSON"),
        (FILES["adapter_config.json"].decode().replace('"r": 8', '"r": 0'), "config.rank"),
    ):
        form = {**WORDS, "seen": seen, "text": text, "commit": "yes"}
        answer = alice.post(EDIT + "adapter_config.json", form)
        assert answer.status_code == 400
        assert sentence in unescape(answer.content.decode())
        assert pull.resolve(reviews, "main") == before
    assert alice.post(EDIT + "adapter_config.json", {**form, "commit": "anyway"}).status_code == 302
    assert '"r": 0' in text_of(reviews, "adapter_config.json")
    assert len(runs) == 3, "the files as they were, and each text once"


def test_a_file_that_changed_meanwhile_is_not_overwritten(cast, visit, reviews):
    alice = visit("alice")
    seen = seen_in(alice.get(EDIT + "README.md"))
    pushed(cast, reviews, files={"README.md": b"# Theirs\n"})
    form = {**WORDS, "seen": seen, "text": "# Mine\n", "commit": "yes"}
    answer = alice.post(EDIT + "README.md", form)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Somebody else changed this file in the meantime" in page
    assert "# Theirs" in page
    assert "# Mine" in page
    assert text_of(reviews, "README.md") == "# Theirs\n"
    long = alice.post(EDIT + "README.md", {**form, "text": "\n".join(map(str, range(3_001)))})
    assert "There is not enough space for it here." in long.content.decode()
    assert alice.post(EDIT + "README.md", {**form, "seen": seen_in(answer)}).status_code == 302
    assert text_of(reviews, "README.md") == "# Mine\n"
    pushed(cast, reviews, files={"other.txt": b"other"})  # another file is no conflict
    seen = pull.entries(pull.resolve(reviews, "main"))["README.md"].sha256
    assert alice.post(EDIT + "README.md", {**form, "seen": seen, "text": "# Three"}).status_code == 302
    assert text_of(reviews, "other.txt") == "other"


def test_a_new_file_is_written_where_its_path_says(visit, reviews):
    alice = visit("alice")
    assert alice.get("/alice/reviews/edit/main?path=notes/a.md").url == EDIT + "notes/a.md"
    assert "New file" in alice.get(EDIT + "notes/a.md").content.decode()
    assert alice.post(EDIT + "notes/a.md", {**WORDS, "text": "Hello", "commit": "yes"}).status_code == 302
    assert text_of(reviews, "notes/a.md") == "Hello\n"
    assert alice.get(EDIT + "../a").status_code in (404, 422)
    assert alice.get(EDIT + "adapter_model.safetensors").status_code == 400


def test_a_file_is_renamed_and_deleted(visit, reviews):
    alice, address = visit("alice"), "/alice/reviews/{}/main/README.md"
    assert 'value="README.md"' in alice.get(address.format("rename")).content.decode()
    taken = alice.post(address.format("rename"), {**WORDS, "path": "adapter_config.json"})
    assert (taken.status_code, "There is already a file" in taken.content.decode()) == (400, True)
    assert alice.post(address.format("rename"), {**WORDS, "path": "a/../b"}).status_code == 422
    assert alice.post(address.format("rename"), {**WORDS, "path": "docs/card.md"}).url == "/alice/reviews/verdict/main"
    assert text_of(reviews, "docs/card.md") == FILES["README.md"].decode()
    assert alice.get(address.format("delete")).status_code == 404
    assert "Delete the file" in alice.get("/alice/reviews/delete/main/docs/card.md").content.decode()
    assert alice.post("/alice/reviews/delete/main/docs/card.md", WORDS).status_code == 302
    assert "docs/card.md" not in pull.entries(pull.resolve(reviews, "main"))


def test_a_hub_without_pull_requests_offers_none(visit, reviews, monkeypatch):
    monkeypatch.setattr(seams, "_joined", [one for one in seams.joined() if one.threads is None])
    assert EDIT not in visit("carol").get("/alice/reviews/blob/main/README.md").content.decode()
    alice = visit("alice")
    assert EDIT in alice.get("/alice/reviews/blob/main/README.md").content.decode()
    page = alice.get(EDIT + "README.md")
    assert "Open a pull request" not in page.content.decode()
    form = {"title": "", "message": "", "seen": seen_in(page), "text": "# Another\n", "commit": "yes"}
    assert alice.post(EDIT + "README.md", form).url == "/alice/reviews/verdict/main"
    assert text_of(reviews, "README.md") == "# Another\n"
