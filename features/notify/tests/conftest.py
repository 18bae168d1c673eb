"""The visitors, adapters and cases of tests elsewhere, with everybody on a hub without workers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry.kernel import site_settings
from tests.api.conftest import ask, ask_json
from tests.cast import Cast
from tests.registry.test_aliases import versions
from tests.registry.test_eligibility import repository, version
from tests.registry.test_moderation import adapter
from tests.site.conftest import reviews, secret, visit

__all__ = ["adapter", "ask", "ask_json", "repository", "reviews", "secret", "version", "versions", "visit"]


@pytest.fixture
def cast(everybody: Callable[[], Cast], db: None, settings: Any, tmp_path: Any) -> Iterator[Cast]:
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = settings.POSTMAN = "tests.api.conftest.notify_nobody"
    yield everybody()
    site_settings.clear_cache()
