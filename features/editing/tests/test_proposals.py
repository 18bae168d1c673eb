"""Who may not write proposes a change on the pages of files."""

import pytest

from features.editing.tests.test_editing import WORDS
from features.editing.tests.test_uploading import PAGE, names_of, sent, staged_in
from registry.models import Repository
from registry.repos import pull


@pytest.mark.parametrize("page", ["edit", "rename", "delete"])
def test_who_may_not_write_proposes_the_change(visit, reviews, page):
    carol, before = visit("carol"), pull.resolve(reviews, "main")
    seen = pull.entries(before)["README.md"].sha256
    form = {**WORDS, "seen": seen, "text": "# Better", "path": "BETTER.md", "commit": "yes"}
    answer = carol.post(f"/alice/reviews/{page}/main/README.md", form)
    assert answer.url == "/alice/reviews/discussions/1"
    assert pull.resolve(reviews, "main") == before
    assert visit().get(f"/alice/reviews/{page}/main/README.md").status_code == 302  # to the sign-in
    assert carol.get(f"/acme/secret/{page}/main/README.md").status_code == 404


def test_who_may_not_write_proposes(cast, visit, reviews):
    before = pull.resolve(reviews, "main")
    carol = visit("carol")
    answer = carol.post(PAGE, {"files": sent(hint__txt=b"Try this.\n")})
    assert 'name="where"' not in answer.content.decode()
    landed = carol.post(PAGE, {"staged": staged_in(answer), "title": "A hint", "commit": "yes", "where": "branch"})
    assert landed.url == "/alice/reviews/discussions/1"
    assert pull.resolve(reviews, "main") == before
    assert "hint.txt" in names_of(reviews, "refs/pr/1")
    for client, status in ((visit(), 302), (visit("alice"), 200)):
        assert client.get(PAGE).status_code == status
    assert visit("carol").get("/acme/secret/upload/main").status_code == 404
    assert visit("alice").get("/alice/reviews/upload/nothing").status_code == 404


def test_a_gate_hides_what_the_files_say(cast, visit, reviews):
    Repository.objects.filter(pk=reviews.pk).update(gated="manual")
    own = sent(README__md=b"# Mine\n")
    for who, is_told in (("alice", True), ("carol", False)):
        page = visit(who).post(PAGE, {"files": own}).content.decode()
        assert 'name="card-base"' in page
        assert ('value="sentence-transformers/all-MiniLM-L6-v2"' in page) == is_told, who
