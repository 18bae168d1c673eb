"""The cast, with a store of its own, for the walk over states and roads."""

from typing import Any

import pytest

from registry.kernel import site_settings
from tests.cast import Cast, assemble
from tests.roads.world import World, build_world


@pytest.fixture
def cast(db: None, settings: Any, tmp_path: Any) -> Cast:
    """Everybody, with a store of their own, no workers and no limits."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    site_settings.clear_cache()
    return assemble()


@pytest.fixture
def world(cast: Cast) -> World:
    """acme/held, public, with links and tickets in everybody's hands."""
    return build_world(cast)
