"""The cast, with a store of its own, no workers and no limits."""

from collections.abc import Callable
from typing import Any

import pytest

from registry.kernel import site_settings
from tests.cast import Cast


@pytest.fixture
def cast(everybody: Callable[[], Cast], db: None, settings: Any, tmp_path: Any) -> Cast:
    """Everybody, with a store of their own."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    site_settings.clear_cache()
    return everybody()
