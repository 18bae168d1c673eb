"""The cast, an empty store in a folder, and the wire in this process: for everything that needs no real client."""

from collections.abc import Callable
from pathlib import Path

import pytest

from registry.bytes import blobs
from registry.bytes.blobs import BlobStore
from tests.cast import Cast
from tests.hf.wire import Wire


@pytest.fixture
def cast(everybody: Callable[[], Cast], db: None) -> Cast:
    """Everybody, in a database of their own."""
    return everybody()


@pytest.fixture(autouse=True)
def _quiet_hub(settings, tmp_path: Path) -> None:
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.hf.wire.notify"


@pytest.fixture
def store(_quiet_hub) -> BlobStore:
    """An empty store, which settings.BLOBS names."""
    return blobs.store()


@pytest.fixture
def wire(cast: Cast) -> Wire:
    """The Hub routes, spoken by hand."""
    return Wire(cast)
