"""A hub with a read plane."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from dovetail.hub_reader import Plane, PlaneAddress
from features.plane import documents
from features.plane.tests.hub import NAME, Silent, fill, follow
from tests.cast import Cast
from tests.registry.conftest import cast

__all__ = ["cast", "plane"]


@pytest.fixture
def plane(cast: Cast, settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plane]:
    """A hub whose repository acme/reviews is in its read plane, which a plain web server serves."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.registry.test_upkeep.notify"
    folder = tmp_path / "blobs" / "plane"
    folder.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.PLANE_URL = f"http://127.0.0.1:{server.server_port}"
    for name in ("DOVETAIL_HOME", "DOVETAIL_CACHE", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    fill(cast, NAME)
    follow()
    yield Plane(PlaneAddress(settings.PLANE_URL, tuple(documents.public_keys())))
    server.shutdown()
    server.server_close()
