"""Callers of our REST, and one function that asks as any of them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.api.conftest import ask, cast, repository

__all__ = ["ask", "cast", "repository", "rest"]


@pytest.fixture
def rest(ask: Callable[..., Client]) -> Callable[..., Any]:
    """Return what sends a body as somebody and returns the answer; of another status than the wanted one it fails."""

    def send(who: str, method: str, path: str, body: Any, wanted: int | None) -> Any:
        text = "" if body is None else json.dumps(body)
        answer = ask(who).generic(method, f"/api/v1/{path}", text, content_type="application/json")
        assert wanted in (answer.status_code, None), (path, answer.status_code, answer.content)
        return answer.json() if answer.content else None

    return send
