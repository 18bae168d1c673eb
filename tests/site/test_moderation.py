"""The pages and acts of moderators that every hub has: suspension."""

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
