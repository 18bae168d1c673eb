"""The cast, with a store of its own, for the walk over states and roads."""

from collections.abc import Callable
from typing import Any

import pytest

from registry.kernel import site_settings
from tests.cast import Cast
from tests.roads.world import World, build_world


@pytest.fixture
def cast(everybody: Callable[[], Cast], db: None, settings: Any, tmp_path: Any) -> Cast:
    """Everybody, with a store of their own, no workers and no limits."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    site_settings.clear_cache()
    return everybody()


@pytest.fixture
def world(cast: Cast) -> World:
    """acme/held, public, with links and tickets in everybody's hands."""
    return build_world(cast)
