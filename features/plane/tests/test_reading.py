"""Reading from a read plane: a client takes only the documents and bytes that the hub signed."""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from django.utils import timezone

from dovetail import Client
from dovetail.hub_reader import Plane
from dovetail.problems import Problem
from features.plane import documents
from features.plane.tests.hub import NAME, OTHER, WEIGHTS, Silent, head
from hub.site import documentation


def pulled(address: Plane, monkeypatch: pytest.MonkeyPatch, adapter: str, to: Path) -> Path:
    """Pull with a client whose hub is away."""
    monkeypatch.setenv("DOVETAIL_PLANE", address.endpoint)
    monkeypatch.setenv("DOVETAIL_PLANE_KEY", " ".join(documents.public_keys()))
    return Client("http://127.0.0.1:1").pull(adapter, to)


def test_a_pull_by_name_and_by_commit_goes_on_without_the_hub(plane, monkeypatch, tmp_path):
    manifest = plane.manifest(NAME, "main")
    assert manifest.revision == head()
    assert ("a/w.onnx", len(WEIGHTS)) in {(file.path, file.size) for file in manifest.files}
    assert manifest.as_of
    for number, rev in enumerate(("main", head(), head()[:8])):
        folder = pulled(plane, monkeypatch, f"{NAME}@{rev}", tmp_path / str(number))
        assert (folder / "a/w.onnx").read_bytes() == WEIGHTS


def change(name: str, changed: dict[str, object], settings, *, key: str = "") -> None:
    """Change members of a signed document where it lies, and sign it again with the secret key, if one is given."""
    file = Path(settings.BLOBS.removeprefix("file://")) / "plane" / name
    envelope = json.loads(file.read_bytes())
    document = json.loads(envelope["signed"]) | changed
    if key:
        settings.SECRET_KEY = key
        file.write_bytes(documents.sign(document))
    else:
        file.write_text(json.dumps({"signed": json.dumps(document), "signature": envelope["signature"]}))


def test_what_was_changed_on_its_way_is_refused(plane, settings):
    ours, theirs = settings.SECRET_KEY, "x" * 60
    index, revision = f"index/{NAME}.json", f"revisions/{NAME}/{head()}.json"
    later = (timezone.now() + timedelta(days=1)).isoformat()
    for name, changed, key, code in (
        (index, {"names": {"main": "0" * 40}}, "", "client-plane-refused"),
        (index, {}, theirs, "client-plane-refused"),
        (index, {"repository": OTHER}, ours, "client-plane-refused"),
        (index, {"repository": NAME, "expires_at": "2026-01-01T00:00:00+00:00"}, ours, "client-plane-stale"),
        (index, {"expires_at": later, "names": {"main": head()}}, ours, ""),
        (revision, {"revision": "0" * 40}, ours, "client-plane-refused"),
        (revision, {"revision": head(), "files": []}, "", "client-plane-refused"),
    ):
        change(name, changed, settings, key=key)
        if code:
            with pytest.raises(Problem) as refused:
                plane.manifest(NAME, "main")
            assert refused.value.code == code, changed
        settings.SECRET_KEY = ours
        if name == index and not code:
            assert plane.manifest(NAME, "main").revision == head()


def test_other_bytes_are_refused_by_their_digest(plane, settings, monkeypatch, tmp_path):
    for file in (Path(settings.BLOBS.removeprefix("file://")) / "plane/blobs").rglob("*"):
        if file.is_file():
            file.unlink()
            file.write_bytes(b"other bytes")
    with pytest.raises(Problem) as refused:
        pulled(plane, monkeypatch, f"{NAME}@main", tmp_path / "pulled")
    assert refused.value.code == "client-digest-mismatch"
    assert not (tmp_path / "pulled").exists()


def test_a_plane_without_a_known_key_is_not_trusted(plane, monkeypatch):
    monkeypatch.setenv("DOVETAIL_PLANE", plane.endpoint)
    for key, why in (
        ("", "No known key can verify"),
        ("no-key", "'no-key' is no"),
        (base64.b64encode(b"short").decode(), "is no"),
    ):
        monkeypatch.setenv("DOVETAIL_PLANE_KEY", key)
        with pytest.raises(Problem, match=why):
            Client("http://127.0.0.1:1")


def test_a_client_remembers_the_plane_of_a_hub(plane, client, settings, answer_once, monkeypatch, tmp_path):
    manifest = client.get(f"/api/v1/adapters/{NAME}/revisions/main").json()
    assert manifest["plane"] == client.get("/api/v1/site").json()["plane"] == documents.stated()
    hub = Client(answer_once(manifest))
    assert hub.pull(f"{NAME}@main", tmp_path / "pulled").is_dir()  # the manifest is the hub's, which dies with it
    assert Client(hub.endpoint).manifest(NAME, "main").as_of
    settings.PLANE_URL = ""
    assert documents.stated() is None


@pytest.fixture
def answer_once() -> Iterator[object]:
    """Return a function that starts a hub which answers one request with a document, and is away from then on."""
    left: list[dict[str, object]] = []

    class Once(Silent):
        def do_GET(self) -> None:
            self.send_response(200 if left else 503)
            self.end_headers()
            self.wfile.write(json.dumps(left.pop()).encode() if left else b"")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Once)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def start(document: dict[str, object]) -> str:
        left.append(document)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    server.shutdown()
    server.server_close()


def test_the_words_lead_to_its_part_of_a_page():
    assert documentation.search_docs("read plane").hits[0].section.address == "production#a-read-plane"
