"""Pages that show notifications, lead to them, or are told of by them."""

import json
import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.utils import timezone

from features.notify import mail as alert_mail
from features.notify.models import Alert
from registry.models import User
from registry.moderation import quarantine, suspension
from registry.people import gates
from registry.people.organizations import invitations
from registry.talk import dispatch
from tests.api.conftest import judged, pushed
from tests.api.test_account import TOKENS
from tests.cast import Cast
from tests.site import test_pages, test_sharing
from tests.site.conftest import CHECKS, leads_back, push_more
from tests.site.test_links import FAILED, broken_links
from tests.site.test_sharing import REVIEWS


@pytest.mark.merge
def test_every_link_that_a_moderator_sees_leads_to_a_page(visit, reviews, secret, cast: Cast, settings):
    """On pages from each of their starting points, in alerts, in e-mails and in the answers of REST."""
    settings.MAIL_FROM = "dovetail@example.org"
    mona = cast.session("mona")
    User.objects.filter(username="mona").update(email="mona@example.org")
    judged(push_more(cast, reviews, **{"notes.txt": b"new"}), "failed", checks=FAILED)
    held = push_more(cast, reviews, **{"passwords.txt": b"hunter2"})
    quarantine.quarantine(reviews, mona, reason="Passwords.", revision=held)
    withheld = cast.repository("alice/withheld")
    judged(pushed(cast, withheld), checks=CHECKS)
    quarantine.quarantine(withheld, mona, reason="malware")
    gated = cast.repository("acme/gated")
    gates.set_gate(gated, "manual", cast.session("alice"))
    gates.request_access(gated, mona)
    gates.decide_request(gated, "accepted", cast.session("alice"), username="mona")
    visit("carol").post("/alice/reviews/discussions/new", {"title": "Which rank?", "text": "@mona, eight?"})
    visit("mona").post("/alice/reviews/discussions/1/comment", {"text": "@mona: eight."})
    invitations.invite("acme", "mona", "read", cast.session("alice"))
    suspension.suspend(cast["dave"], mona, reason="Floods the hub.")
    dispatch.run()

    client = visit("mona")
    alerts_read = client.get("/api/v1/me/notifications").json()["items"]
    Alert.objects.update(created_at=timezone.now() - timedelta(minutes=3))
    alert_mail.send_due()
    [letter] = [letter for letter in mail.outbox if letter.to == ["mona@example.org"]]
    adapters = client.get("/api/v1/adapters").content.decode()
    addresses = re.findall(r"https?://[^\s\"<>\\]+", " ".join([letter.body, json.dumps(alerts_read), adapters]))
    paths = {urlsplit(address).path for address in addresses}
    assert {"/alice/reviews/discussions/1", "/acme/gated", "/settings/notifications"} <= paths

    starts = paths | {"/", "/alice/reviews", "/alice/reviews/commits/main", "/alice/withheld", "/dave", "/mona"}
    wrong, seen = broken_links(client, starts)
    assert wrong == []
    assert not [address for address in seen if address.startswith("/admin")]
    assert len(seen) > 60


def test_a_fine_grained_token_is_told_of_what_it_names_alone(ask, cast):
    for name in ("acme/secret", "acme/other"):
        repository = cast.repository(name, private=True)
        judged(pushed(cast, repository, by="bob"), "failed", checks=FAILED)
    dispatch.run()
    wish = {"name": "ci", "role": "fine-grained", "repos": {"acme/other": "read"}}
    value = ask("alice").post(TOKENS, wish, "application/json").json()["value"]
    for asking, told in ((ask("alice"), ["acme/other", "acme/secret"]), (ask(value=value), ["acme/other"])):
        items = asking.get("/api/v1/me/notifications").json()["items"]
        assert sorted(item["adapter"] for item in items) == told


def test_an_invitation_rings_the_bell_until_it_is_seen(visit, ask, cast):
    invitations.invite("acme", "carol", "write", cast.session("alice"))
    [told] = ask("carol", "read").get("/api/v1/me/notifications").json()["items"]
    about = (told["kind"], told["organization"], told["adapter"], told["by"])
    assert about == ("invited", "acme", None, "alice")
    carol = visit("carol")
    settings = test_sharing.text(carol.get("/settings/profile"))
    assert 'class="button bell rings"' in settings
    assert 'href="/settings/notifications"' in settings
    assert "1 not read" in settings
    assert "invites you as write" in test_sharing.text(carol.get("/settings/notifications"))
    carol.get("/settings/organizations")
    assert 'class="button bell rings"' not in test_sharing.text(carol.get("/settings/profile")), "carol has seen it"


def test_topics_are_translated(visit):
    client = visit("carol")
    client.cookies["language"] = "de"
    assert "Jemand bittet um Zugang zu Ihren Dateien" in client.get("/settings/notifications/choices").content.decode()


def test_forms_lead_back_to_their_page_and_need_their_secret(visit, reviews):
    leads_back(visit, f"{REVIEWS}/watch", REVIEWS)
    alice = visit("alice", enforce_csrf_checks=True)
    for path in ("/settings/notifications/read", f"{REVIEWS}/watch"):
        assert alice.post(path, {"level": "all"}).status_code == 403


@pytest.mark.parametrize("address", ["/settings/notifications", "/api/v1/me/notifications"])
def test_many_notifications_cost_as_much_as_one(visit, cast, address):
    test_pages.what_became_of_many_costs_as_much_as_of_one(visit, cast, address)
