"""The pages and acts of moderators that every hub has: the site's settings, suspension, the way there."""

import re

from django.test import Client

from registry.models import User
from tests.cast import PASSWORD, Cast

WHY = "It opens a reverse shell."


def browser(cast: Cast, who: str) -> Client:
    client = Client()
    client.force_login(cast[who])
    return client


def signed_in(who: str) -> Client:
    """Return the browser of somebody who has just entered the password."""
    client = Client()
    assert client.post("/login", {"username": who, "password": PASSWORD}).status_code == 302
    return client


def test_the_menu_leads_moderators_to_a_page_of_theirs_and_from_there_to_the_log(cast):
    for who in ("mona", "ada"):
        menu = browser(cast, who).get("/adapters").content.decode()
        address = re.search(r'<a href="(/moderation[^"]*)">Moderation</a>', menu)
        assert address, who
        assert 'href="/moderation/log"' in browser(cast, who).get(address[1], follow=True).content.decode()
    assert "/moderation" not in browser(cast, "alice").get("/adapters").content.decode()


def test_a_suspension_by_rest_needs_the_password_of_the_last_minutes_and_its_end_does_not(cast):
    address, body = "/api/v1/moderation/users/dave/suspend", {"reason": WHY}
    refused = browser(cast, "mona").post(address, body, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication-required")
    assert User.objects.get(username="dave").is_active
    answer = signed_in("mona").post(address, body, "application/json")
    assert answer.json() == {"name": "dave", "suspended": True, "until": None, "changed": True}
    assert not User.objects.get(username="dave").is_active
    answer = browser(cast, "mona").post(address.replace("suspend", "unsuspend"), body, "application/json")
    assert answer.json() == {"name": "dave", "suspended": False, "until": None, "changed": True}
