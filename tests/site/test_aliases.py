"""Aliases on the page of the versions: labels, history, and the forms that move them without JavaScript."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from registry.models import Alias, Revision
from registry.proof.verified import aliases as deeds
from registry.proof.verified import withdrawals
from registry.repos import pull
from tests.api.conftest import FILES, judged, pushed

PAGE = "/alice/reviews/commits/main"


@pytest.fixture
def versions(cast, reviews) -> list[Revision]:
    """Two verified versions, the oldest first."""
    first = pull.resolve(reviews, "main")
    second = pushed(cast, reviews, files={**FILES, "README.md": b"# Two\n"}, title="Train longer")
    judged(second, depth="run")
    return [first, second]


def send(browser, deed: str, **fields: str):
    return browser.post(f"{PAGE}/aliases/{deed}", fields)


def test_an_alias_is_set_moved_rolled_back_and_removed(visit, reviews, versions):
    alice, (first, second) = visit("alice"), versions
    assert send(alice, "set", alias="prod", revision=first.oid, reason="The <first>.").status_code == 302
    assert send(alice, "set", alias="prod", revision="").status_code == 302  # verified
    assert pull.resolve(reviews, "prod") == second
    page = visit().get(PAGE).content.decode()
    assert page.count('<span class="chip alias">prod</span>') >= 2, "in the table, and at its version"
    assert "The &lt;first&gt;." in page
    assert 'name="alias"' not in page, "a visitor has no form"
    assert f"Roll prod back to {first.oid[:8]}" in alice.get(PAGE).content.decode()
    assert send(alice, "prod/rollback").status_code == 302
    assert pull.resolve(reviews, "prod") == first
    assert "Roll prod back" not in alice.get(PAGE).content.decode()
    refused = send(alice, "prod/rollback")
    assert refused.status_code == 409
    assert "has no earlier version" in refused.content.decode()
    assert send(alice, "prod/remove").status_code == 302
    assert not Alias.objects.exists()
    assert "remove" in visit().get(PAGE).content.decode(), "the history stays"


def test_a_refused_form_shows_why_beside_its_field(cast, visit, reviews, versions):
    alice = visit("alice")
    unproven = pushed(cast, reviews, files={**FILES, "README.md": b"# Three\n"})
    for fields, status, sentence in (
        ({"alias": "main", "revision": "verified"}, 400, "is not a valid alias"),
        ({"alias": "prod", "revision": "nothing"}, 404, "Invalid rev id"),
        ({"alias": "prod", "revision": unproven.oid}, 409, "has not passed"),
        ({"alias": "prod", "revision": unproven.oid, "force": "on"}, 400, "requires a reason"),
    ):
        refused = send(alice, "set", **fields)
        assert refused.status_code == status
        assert sentence in refused.content.decode(), fields
    assert send(alice, "set", alias="prod", revision="main", force="on", reason="A trial.").status_code == 302
    assert '<span class="state noted" title="A trial.">forced</span>' in visit().get(PAGE).content.decode()


def test_who_may_not_write_moves_nothing(visit, versions):
    assert send(visit(), "set", alias="prod", revision="verified").status_code == 302  # to the sign-in
    for deed in ("set", "prod/rollback", "prod/remove"):
        assert send(visit("carol"), deed, alias="prod", revision="verified").status_code == 403
    assert not Alias.objects.exists()


def test_pages_show_a_fallback_and_its_reason(cast, visit, reviews, versions):
    for revision in versions:
        deeds.set_alias(reviews, "prod", revision, cast.session("alice"))
    withdrawals.yank(versions[1], cast.session("alice"), "Wrong labels.")
    listed, shown = visit().get(PAGE).content.decode(), visit().get("/alice/reviews/tree/prod").content.decode()
    assert "yanked: Wrong labels." in listed
    assert "prod fell back to this version." in shown
    assert versions[0].oid[:8] in shown


def test_a_version_that_is_held_back_is_not_named_to_visitors(cast, visit, reviews, versions):
    for revision in versions:
        deeds.set_alias(reviews, "prod", revision, cast.session("alice"))
    withdrawals.hold(versions[1], "A pickle with more than tensors.")
    states = visit().get(PAGE).context
    assert states["hidden"] == {versions[1].oid}
    assert visit("alice").get(PAGE).context["hidden"] == set()


def test_the_page_asks_no_more_with_many_aliases(cast, visit, reviews, versions):
    counts = []
    for number in (1, 6):
        for index in range(number):
            deeds.set_alias(reviews, f"slot-{number}-{index}", versions[0], cast.session("alice"))
        browser = visit()
        browser.get(PAGE)
        with CaptureQueriesContext(connection) as captured:
            browser.get(PAGE)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_an_alias_is_pointed_at_a_version_from_its_row(cast, visit, reviews, versions):
    alice, (first, second) = visit("alice"), versions
    deeds.set_alias(reviews, "prod", second, cast.session("alice"))
    page = " ".join(alice.get(PAGE).content.decode().split())
    assert page.count("Point prod here") == 1, "not at the version that it names"
    assert f'<button form="point-prod" name="revision" value="{first.oid}">' in page
    assert "Point prod here" not in visit("carol").get(PAGE).content.decode()
    chosen = alice.get(PAGE, {"revision": first.oid}).content.decode()
    assert f'value="{first.oid}"' in chosen.partition('id="set-alias" open')[2]


def test_the_rows_are_the_versions_that_were_pushed_and_ask_no_more_when_there_are_more(cast, visit, reviews, versions):
    browser, counts = visit("alice"), []
    for number in (0, 3):
        for index in range(number):
            judged(pushed(cast, reviews, files={**FILES, "README.md": f"# {index}\n".encode()}))
        browser.get(PAGE)
        with CaptureQueriesContext(connection) as captured:
            page = browser.get(PAGE).content.decode()
        counts.append(len(captured))
        assert page.count('class="version-title"') == 2 + number
        assert f"Versions <span>{2 + number}</span>" in " ".join(page.split())
        assert "initial commit" not in page
    assert counts[0] == counts[1]
    assert page.index('class="version-title"') < page.index('id="aliases"') < page.index("Branches and tags")


def test_a_repository_without_a_push_has_no_version(cast, visit):
    cast.repository("alice/empty")
    page = visit("alice").get("/alice/empty/commits/main").content.decode()
    assert "No version yet." in page
    assert "Versions <span>0</span>" in " ".join(page.split())
