"""The cast, and an empty store of our own in a folder, for every test of Xet that has a database."""

from pathlib import Path

import pytest

from registry.bytes import blobs
from registry.bytes.blobs import BlobStore
from tests.cast import Cast, assemble


@pytest.fixture
def cast(db) -> Cast:
    """Everybody, in a database of their own."""
    return assemble()


@pytest.fixture
def store(tmp_path: Path, settings) -> BlobStore:
    """An empty store, which settings.BLOBS names."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    return blobs.store()
