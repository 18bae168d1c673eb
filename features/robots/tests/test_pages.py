"""The pages of robots: what an administrator types, and who sees them."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client

from features.robots import verbs
from registry.kernel.policy import Caller
from registry.models import Token, User
from registry.people.tokens import tokens
from tests.cast import Cast, signed_in


@pytest.fixture
def alice(cast: Cast) -> Any:  # a Client, whose answers have what Django adds to them
    return signed_in(Client(), cast["alice"])


def text(answer: Any) -> str:
    return answer.content.decode()


ROBOTS = "/organizations/acme/settings/robots"


def token_form(**changed: str) -> dict[str, str]:
    end = date.today() + timedelta(days=30)
    given = {"name": "nightly", "patterns": "acme/nightly-*\nacme/reviews", "right": "write", "expires_at": str(end)}
    return given | changed


def test_a_robot_from_its_making_to_its_end(alice: Any, cast: Cast):
    assert ROBOTS in text(alice.get("/organizations/acme/settings"))
    answer = alice.post(ROBOTS, token_form(name="deploy", purpose="Nightly builds"))
    assert "upload acme/nightly-${{ github.event.repository.name }} ./adapter" in text(answer)
    assert "secrets.DOVETAIL_TOKEN" in text(answer)
    value = text(answer).split("data-token>")[1].partition("<")[0]
    by = tokens.caller_of(value)
    assert isinstance(by, Caller)
    assert by.user.username == "acme+deploy"
    assert by.token.grants == {"acme/nightly-*": "write", "acme/reviews": "write"}
    page = text(alice.get(f"{ROBOTS}/deploy"))
    assert value not in page
    assert "acme/nightly-*: write" in page
    assert "acme+deploy" in text(alice.get(ROBOTS))
    alice.post(f"{ROBOTS}/deploy/tokens/{by.token.pk}/revoke")
    assert not Token.objects.exists()
    assert alice.post(f"{ROBOTS}/deploy/remove").url == ROBOTS
    assert "None yet." in text(alice.get(ROBOTS))
    assert alice.get(f"{ROBOTS}/deploy").status_code == 404


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"expires_at": str(date.today() + timedelta(days=400))}, "must expire within a year"),
        ({"expires_at": str(date.today() - timedelta(days=1))}, "must expire within a year"),
        ({"expires_at": ""}, "must expire"),
        ({"patterns": "alice/x"}, "is not a repository of acme"),
        ({"patterns": ""}, "0 repositories"),
        ({"patterns": "acme"}, "is not of the form"),
        ({"name": ""}, "needs a name"),
    ],
)
def test_a_robots_token_that_may_not_be_is_shown_again(alice: Any, cast: Cast, changed: dict, words: str):
    verbs.create_robot("acme", "deploy", cast.session("alice"))
    answer = alice.post(f"{ROBOTS}/deploy", token_form(**changed))
    assert answer.status_code in {400, 403}
    assert words in text(answer)
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"patterns": "alice/x"}, "patterns"), ({"name": "a..b"}, "name"), ({"expires_at": "2020-01-01"}, "expires_at")],
)
def test_no_robot_is_made_without_its_token(alice: Any, changed: dict, field: str):
    answer = alice.post(ROBOTS, token_form(**changed))
    assert answer.status_code == 400
    assert list(answer.context["form"].errors) == [field]
    assert not User.objects.filter(kind="robot").exists()


def test_a_robot_is_hidden_from_who_does_not_administer(cast: Cast):
    verbs.create_robot("acme", "deploy", cast.session("alice"))
    for who in ("bob", "carol"):
        browser = signed_in(Client(), cast[who])
        answers = [browser.get(f"{ROBOTS}/{name}") for name in ("deploy", "absent")]
        assert [answer.status_code for answer in answers] == [403, 403]
        pages = [re.sub(r'value="\w{64}"|deploy|absent', "", text(answer)) for answer in answers]
        assert pages[0] == pages[1]
    assert User.objects.filter(kind="robot").count() == 1
