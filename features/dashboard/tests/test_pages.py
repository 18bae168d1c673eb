"""The home of a signed-in person: what waits for them with the button that helps, what runs, and what is theirs."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from registry.models import Verdict
from registry.people import gates
from registry.people.organizations import invitations, organizations
from tests.api.conftest import judged, pushed, regressed
from tests.questions import Questions
from tests.site.conftest import CHECKS, push_more

FAILED = [
    {"id": "config.rank", "outcome": "failed", "message": "r is 16, the tensors have 8.", "fix": "Set r to 8."},
    {"id": "tensors.pair", "outcome": "failed", "message": "One half is missing.", "fix": "Save it again."},
]


def home(visit, who):
    answer = visit(who).get("/")
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def section(page, id):
    """Return a section of the page by the id of its heading; "" where it is not there."""
    found = re.search(rf'<section class="[^"]*" aria-labelledby="{id}">(.*?)</section>', page)
    return found[1] if found else ""


def test_somebody_new_is_led_to_a_first_push_and_shown_what_others_made(visit, reviews):
    page = home(visit, "carol")
    assert "hf upload carol/my-adapter ./adapter" in section(page, "first-push")
    assert 'href="/upload"' in section(page, "first-push")
    assert "/alice/reviews" in section(page, "lately")
    assert not section(page, "needs-you")
    assert not section(page, "own-adapters")


def test_a_failed_version_is_there_with_its_first_reason_and_the_way_to_its_fix(visit, cast, reviews):
    assert "Nothing waits for you" in section(home(visit, "alice"), "needs-you")
    broken = push_more(cast, reviews, **{"README.md": b"# Broken\n"})
    judged(broken, "failed", checks=FAILED)
    needs = section(home(visit, "alice"), "needs-you")
    assert '<code>config.rank</code> <span lang="en">Set r to 8.</span>' in needs or "Set r to 8." in needs
    assert "Save it again" not in needs, "the first reason alone"
    assert f'href="/alice/reviews/verdict/{broken.oid}#fix-title"' in needs
    assert "/alice/reviews" not in section(home(visit, "bob"), "needs-you"), "it is not theirs"
    judged(push_more(cast, reviews, **{"README.md": b"# Mended\n"}), checks=CHECKS)
    assert "Nothing waits for you" in section(home(visit, "alice"), "needs-you")


def test_a_version_that_verified_passes_by_waits_for_a_decision(visit, cast):
    worse = regressed(cast, cast.repository("acme/reviews"))
    needs = section(home(visit, "bob"), "needs-you")
    assert "scores worse than the verified version" in needs
    assert f'href="/acme/reviews/verdict/{worse.oid}#regression"' in needs
    assert "scores worse" not in home(visit, "erin"), "who may not push cannot decide"


def test_invitations_are_accepted_and_requests_for_files_are_reached_from_it(visit, cast, reviews):
    gates.set_gate(reviews, "manual", cast.session("alice"))
    for who in ("carol", "erin"):
        gates.request_access(reviews, cast.session(who))
    needs = section(home(visit, "alice"), "needs-you")
    assert "2 people ask for its files." in needs
    assert 'href="/alice/reviews/access"' in needs
    invitations.invite("acme", "carol", "write", cast.session("alice"))
    assert "alice invites you. You would push to all its adapters." in home(visit, "carol")
    form = re.search(r'<form method="post" action="([^"]*accept[^"]*)"', home(visit, "carol"))[1]
    assert visit("carol").post(form).status_code == 302
    page = home(visit, "carol")
    assert "invites you" not in page
    assert "/acme" in section(page, "own-organizations")


def test_what_is_queued_shows_its_place_and_follows_until_it_ends(visit, cast, reviews):
    for name in ("acme/first", "acme/second"):
        pushed(cast, cast.repository(name), by="bob")
    alice = visit("alice")
    judged_first = Verdict.objects.get(revision__repository__name="first")
    Verdict.objects.filter(pk=judged_first.pk).update(queued_at=timezone.now() - timedelta(seconds=75))
    running = section(home(visit, "alice"), "running")
    assert running.count("<li>") == 2
    if "in the queue" not in running:  # its base is not here yet
        assert "Waiting for the base model" in running
    judged(judged_first.revision)  # its base arrives, and the other one is next
    page = home(visit, "alice")
    assert "Next in the queue" in section(page, "running")
    assert "htmx.min" in page, "which sends what polls"
    poll = re.search(r'hx-get="([^"]+)"', section(page, "running"))[1]
    part = alice.get(poll)
    assert part.status_code == 200
    assert "/acme/second" in part.content.decode()
    assert "<html" not in part.content.decode()
    assert "/acme/second" not in home(visit, "carol")
    second = Verdict.objects.get(revision__repository__name="second")
    judged(second.revision)
    assert alice.get(poll)["HX-Refresh"] == "true"
    assert not section(home(visit, "alice"), "running")


def test_nobody_sees_the_queue_of_others_or_what_was_hidden_from_them(visit, cast, reviews):
    hidden = cast.repository("acme/secret", private=True)
    pushed(cast, hidden)
    for who in ("carol", "mona"):
        assert "/acme/secret" not in home(visit, who)
    assert visit().get("/dashboard/running").status_code == 302
    assert visit("carol").get("/dashboard/running?was=").content.decode().count("<li>") == 0
    organizations.remove_member("acme", "bob", cast.session("alice"))
    assert "acme/secret" not in home(visit, "bob")


def test_adapters_have_their_number_downloads_and_storage_beside_them(visit, cast, reviews, secret):
    page = home(visit, "alice")
    adapters = section(page, "own-adapters")
    assert "accuracy 1.00" in adapters
    assert "/acme/secret" in adapters, "what one may push to"
    assert "private" in adapters
    assert "repositor" in section(page, "own-storage")
    assert 'href="/settings/usage"' in section(page, "own-storage")


@pytest.mark.parametrize("who", ["alice", "carol"])
def test_the_home_costs_the_same_whatever_one_has(visit, cast, who):
    client = visit(who)

    def cost():
        client.get("/")
        with Questions() as queries:
            client.get("/")
        return len(queries)

    def fill(number):
        made = cast.repository(f"{who}/made-{number}", by=who)
        judged(pushed(cast, made, by=who), "failed", checks=FAILED)
        gates.set_gate(made, "manual", cast.session(who))
        gates.request_access(made, cast.session("erin"))
        pushed(cast, cast.repository(f"{who}/waits-{number}", by=who), by=who)
        regressed(cast, cast.repository(f"{who}/worse-{number}", by=who)) if who == "alice" else None

    fill(0)
    few = cost()
    for number in range(1, 4):
        fill(number)
    assert cost() == few <= 32
