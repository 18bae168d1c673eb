"""Both blob stores, so that every test of this folder runs on each."""

import uuid
from pathlib import Path

import pytest

from features.buckets.s3 import S3Store
from registry.bytes.blobs import BlobStore, FileStore
from tests.services import s3_server  # noqa: F401  (a fixture)


@pytest.fixture(params=["folder", "s3"])
def blob_store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """An empty store of each kind."""
    if request.param == "folder":
        return FileStore(tmp_path / "blobs")
    server = request.getfixturevalue("s3_server")
    return S3Store(f"t-{uuid.uuid4()}", server.endpoint, public=server.endpoint, seconds=60)
