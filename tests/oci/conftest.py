"""The cast, with a store of its own, no workers and no limits."""

from typing import Any

import pytest

from registry.kernel import site_settings
from tests.cast import Cast, assemble


@pytest.fixture
def cast(db: None, settings: Any, tmp_path: Any) -> Cast:
    """Everybody, with a store of their own."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    site_settings.clear_cache()
    return assemble()
