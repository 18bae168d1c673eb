"""The cast, and an empty store of our own in a folder, for every test of Xet that has a database."""

from collections.abc import Callable
from pathlib import Path

import pytest

from registry.bytes import blobs
from registry.bytes.blobs import BlobStore
from tests.cast import Cast


@pytest.fixture
def cast(everybody: Callable[[], Cast], db: None) -> Cast:
    """Everybody, in a database of their own."""
    return everybody()


@pytest.fixture
def store(tmp_path: Path, settings) -> BlobStore:
    """An empty store, which settings.BLOBS names."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    return blobs.store()
