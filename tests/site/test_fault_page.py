"""The page for a fault, where the database itself is the fault."""

import pytest
from django.test import Client


@pytest.mark.usefixtures("outage")
@pytest.mark.parametrize("cookie", ["", "a" * 32])
def test_every_page_says_that_the_hub_is_at_fault(cookie: str, settings) -> None:
    client = Client(raise_request_exception=False)
    if cookie:
        client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    for page in (
        "/",
        "/adapters",
        "/login",
        "/join",
        "/alice",
        "/alice/thing",
        "/settings",
        "/notifications",
        "/admin/",
    ):
        answer = client.get(page)
        assert (answer.status_code, answer["Retry-After"]) == (503, "5"), page
        assert b"Something went wrong on our side" in answer.content, page
        assert b"10.0.0.7" not in answer.content, page
