"""The settings of a repository, and the pages of datasets and spaces beside those of adapters."""

import hashlib
import re

import pytest

from registry.kernel.errors import StoreUnavailable
from registry.models import BlockedFile, Repository
from registry.people import gates
from registry.people.organizations import organizations
from registry.publish import push
from registry.publish.push import MAIN, Inline, Intent
from registry.repos.contents.facts import BlobFile

REVIEWS = "/alice/reviews"


def text(answer) -> str:
    return answer.content.decode()


def test_an_owner_hides_moves_and_deletes_a_repository(visit, cast, reviews: Repository):
    alice, carol = visit("alice"), visit("carol")
    assert f'href="{REVIEWS}/settings"' in text(alice.get(REVIEWS))
    assert f'href="{REVIEWS}/settings"' not in text(carol.get(REVIEWS))
    alice.post(f"{REVIEWS}/settings/visibility", {"visibility": "private"})
    assert carol.get(REVIEWS).status_code == 404
    moved = alice.post(f"{REVIEWS}/settings/move", {"name": "acme/reviews-two"})
    assert moved.url == "/acme/reviews-two/settings"
    assert alice.get(REVIEWS)["Location"] == "/acme/reviews-two"
    for wrong in ("reviews-two", REVIEWS, ""):
        assert alice.post("/acme/reviews-two/settings/delete", {"confirm": wrong}).status_code == 400
    assert alice.post("/acme/reviews-two/settings/delete", {"confirm": "acme/reviews-two"}).url == "/acme"
    assert not Repository.objects.exists()


@pytest.mark.parametrize("fields", [{}, {"name": "alice/a--b"}, {"name": "bob/x"}, {"name": "x" * 300}])
def test_what_cannot_be_is_refused_on_the_page(visit, reviews, fields):
    answer = visit("alice").post(f"{REVIEWS}/settings/move", fields)
    assert answer.status_code in (400, 403)
    assert 'role="alert"' in text(answer)
    assert Repository.objects.get().full_name == "alice/reviews"


@pytest.mark.parametrize("fields", [{}, {"visibility": ""}, {"visibility": "Private"}, {"gate": "Manual"}])
def test_a_form_without_an_answer_makes_nothing_public(visit, cast, secret, fields):
    alice = visit("alice")
    gates.set_gate(secret, "manual", cast.session("alice"))
    organizations.change_organization(cast.acme, full_name="Acme", private_by_default=True, by=cast["alice"])
    answers = [
        alice.post("/acme/secret/settings/visibility", fields),
        alice.post("/acme/secret/access/gate", fields),
        alice.post("/organizations/acme/settings/details/change", {"full_name": "Acme", **fields}),
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 400]
    for row in (secret, cast.acme):
        row.refresh_from_db()
    assert secret.private
    assert secret.gated == "manual"
    assert cast.acme.private_by_default


@pytest.mark.parametrize("who", ["carol", "erin", "mona"])
def test_the_settings_are_the_owners(visit, reviews, who):
    assert visit(who).get(f"{REVIEWS}/settings").status_code == 403
    assert visit(who).post(f"{REVIEWS}/settings/delete", {"confirm": "alice/reviews"}).status_code == 403
    assert visit().get(f"{REVIEWS}/settings").url.startswith("/login?")
    assert Repository.objects.exists()


@pytest.mark.parametrize("type", ["dataset", "space"])
def test_datasets_and_spaces_have_lists_and_commands_of_their_own(visit, cast, type):
    made = cast.repository("alice/rows", type=type)
    page = text(visit("alice").get(f"/{type}s/alice/rows"))
    assert f"--repo-type {type}" in page
    assert "save_pretrained" not in page
    push.receive(Intent(made, MAIN, cast.session("alice"), title="Rows"), [Inline("a b.txt", b"x")])
    for address in (f"/{type}s", f"/{type}s?q=rows", f"/alice?show={type}s"):
        assert f'href="/{type}s/alice/rows"' in text(visit().get(address)), address
    assert "alice/rows" not in text(visit().get("/adapters"))


def test_a_version_shows_what_it_changed_line_by_line_to_who_may_have_the_files(visit, cast):
    made = cast.repository("alice/notes")
    for content in (b"one\ntwo\n", b"one\nthree\n"):
        ref = push.receive(Intent(made, MAIN, cast.session("alice"), title="Edit"), [Inline("notes.md", content)])
    page = f"/alice/notes/commit/{ref.revision.oid}"
    shown = text_of_lines(visit().get(page))
    assert ("removed", "two") in shown
    assert ("added", "three") in shown
    gates.set_gate(made, "manual", cast.session("alice"))
    assert not text_of_lines(visit("carol").get(page))
    assert "notes.md" in text(visit("carol").get(page))
    assert text_of_lines(visit("alice").get(page)) == shown


def test_changes_that_were_shown_once_need_no_store_and_show_no_blocked_file(visit, cast, monkeypatch):
    made = cast.repository("alice/diary")
    for content in (b"one\ntwo\n", b"one\nthree\n"):
        ref = push.receive(Intent(made, MAIN, cast.session("alice"), title="Edit"), [Inline("notes.md", content)])
    page = f"/alice/diary/commit/{ref.revision.oid}"
    shown = text_of_lines(visit().get(page))
    assert ("added", "three") in shown

    def silent(*_: object) -> bytes:
        raise StoreUnavailable("It does not answer.")

    monkeypatch.setattr(BlobFile, "read", silent)
    assert text_of_lines(visit().get(page)) == shown
    assert text_of_lines(visit("alice").get(page)) == shown
    BlockedFile.objects.create(sha256=hashlib.sha256(b"one\nthree\n").hexdigest(), reason="malware")
    monkeypatch.undo()
    assert "three" not in text(visit().get(page))


def text_of_lines(answer) -> list[tuple[str, str]]:
    return re.findall(r'<tr class="(\w+)">.*?<pre>(.*?)</pre>', text(answer), re.DOTALL)
