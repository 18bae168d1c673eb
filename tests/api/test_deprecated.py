"""An operation that goes away says so in its answers."""

from datetime import UTC, datetime

import pytest

from hub.api import views


@pytest.mark.parametrize("route", ["", "/api/v1/bases"])
def test_a_deprecated_operation_says_so_until_it_is_gone(ask, repository, monkeypatch, route):
    going = views.Deprecated(
        datetime(2026, 1, 2, tzinfo=UTC), datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC), "/docs/stability"
    )
    monkeypatch.setattr(views, "DEPRECATED", {"GET /api/v1/adapters/{ns}/{name}": going})
    answer = ask().get(route or "/api/v1/adapters/alice/reviews")
    said = {name: answer.headers.get(name) for name in ("Deprecation", "Sunset", "Link")}
    expected = {
        "Deprecation": "@1767312000",
        "Sunset": "Sat, 02 Jan 2027 03:04:05 GMT",
        "Link": '</docs/stability>; rel="deprecation"; type="text/html"',
    }
    assert said == (dict.fromkeys(expected) if route else expected)
