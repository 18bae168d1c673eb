"""The callers of the tests of REST, and the visitors of pages, who wait for checks as long as a busy machine needs."""

import pytest

from features.editing import examinations
from tests.api.conftest import ask, repository
from tests.site.conftest import cast, patient, reviews, secret, visit

__all__ = ["ask", "cast", "patient", "repository", "reviews", "secret", "visit"]


@pytest.fixture(autouse=True)
def _patient_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examinations, "PATIENCE", 300)
