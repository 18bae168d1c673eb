"""Branches and tags on the page of commits, and the list of files."""

import re

from registry.models import Ref
from tests.api.conftest import pushed


def test_branches_and_tags_are_made_and_deleted(visit, reviews):
    alice, page = visit("alice"), "/alice/reviews/commits/main"
    assert alice.post(f"{page}/refs/create", {"name": "v1", "kind": "tag", "revision": "main"}).status_code == 302
    assert alice.post(f"{page}/refs/create", {"name": "trial", "kind": "branch"}).status_code == 302
    assert set(Ref.objects.values_list("name", flat=True)) >= {"refs/tags/v1", "refs/heads/trial"}
    shown = alice.get(page).content.decode()
    assert 'aria-label="Delete the tag v1"' in shown
    assert 'aria-label="Delete the branch main"' not in shown
    for fields, status in (({"name": "v1"}, 409), ({"name": "a..b"}, 400), ({"name": "v2", "revision": "nope"}, 404)):
        assert alice.post(f"{page}/refs/create", {"kind": "tag", **fields}).status_code == status
    assert alice.post(f"{page}/refs/delete", {"ref": "refs/tags/v1"}).status_code == 302
    assert not Ref.objects.filter(name="refs/tags/v1").exists()
    for ref in ("refs/verified", "refs/heads/main"):
        assert alice.post(f"{page}/refs/delete", {"ref": ref}).status_code in (400, 403)
    assert visit("carol").post(f"{page}/refs/delete", {"ref": "refs/heads/trial"}).status_code == 403
    assert "Branches and tags" not in visit().get(page).content.decode()


def test_the_list_of_files_tells_the_last_commit_and_finds_files(cast, visit, reviews):
    pushed(cast, reviews, files={"data/Rows.jsonl": b"{}"}, title="Add <rows>")
    page = visit().get("/alice/reviews/tree/main").content.decode()
    assert "Add &lt;rows&gt;" in page
    assert page.count("<time") >= 4
    assert "Add files" not in page, "a visitor has no form"
    found = visit().get("/alice/reviews/tree/main?q=rows").content.decode()
    assert "data/Rows.jsonl" in found
    assert "adapter_config.json" not in found.partition("<main")[2]
    assert "0 files with" in visit().get("/alice/reviews/tree/main?q=%3Cb%3E").content.decode()


def test_each_line_of_a_file_has_its_number(cast, visit, reviews):
    pushed(cast, reviews, files={"empty-first.txt": b"\nsecond\nthird"})
    page = visit().get("/alice/reviews/blob/main/empty-first.txt").content.decode()
    # A browser drops the line break that follows <pre> at once.
    numbers, text = re.findall(r"<pre[^>]*>\n(.*?)</pre>", page, re.DOTALL)
    assert (numbers.split("\n"), text) == (["1", "2", "3", ""], "\nsecond\nthird")
