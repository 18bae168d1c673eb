"""A hub that lies: whatever it answers, nobody here reads what they may not, and no answer is an accident."""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.test import Client

from features.upstream import asking, documents
from features.upstream.models import UpstreamFile, UpstreamRepository
from hub.environment import Upstream, Upstreams
from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.models import Blob, BlockedFile, DerivedArtifact
from registry.repos import pull
from tests.sweep import at_merge

OID = "a" * 40
NAME = "liar/model"
API = f"/api/models/{NAME}"


@dataclass
class Liar:
    """Another hub that answers as a test says: path → status, headers and body; 404 for all other paths."""

    url: str = ""
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def say(self, path: str, value: object, *, status: int = 200, **headers: str) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.answers[path] = status, headers, body

    def describe(self, oid: str = OID, **more: object) -> None:
        """State one commit as main."""
        for path in (API, f"{API}/revision/main", f"{API}/revision/{oid}"):
            self.say(path, {"id": NAME, "sha": oid, "lastModified": "2026-01-02T03:04:05.000Z", "siblings": []} | more)

    def hold(self, path: str, content: bytes, commit: str = OID, **lies: object) -> None:
        """List one file in a commit, and serve it."""
        lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)} | lies
        item = {"type": "file", "path": path, "size": lfs["size"], "oid": "b" * 40, "lfs": lfs}
        self.say(f"{API}/tree/{commit}", [item])
        self.say(f"/{NAME}/resolve/{commit}/{path}", content)


@pytest.fixture
def liar(db, settings, store) -> Iterator[Liar]:
    hub = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.asked.append(self.path.partition("?")[0])
            status, headers, body = hub.answers.get(self.path.partition("?")[0], (404, {}, b"{}"))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    settings.UPSTREAM = Upstreams(
        hubs=(Upstream(hub.url, "hf_of_this_hub"),), size=1 << 20, refs_seconds=300, missing_seconds=300
    )
    hub.describe()
    hub.hold("w.bin", b"weights")
    yield hub
    server.shutdown()
    server.server_close()
    asking._resting.clear()
    documents._KNOWN.clear()


def get(path: str, method: str = "GET", **headers: str):
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Client(raise_request_exception=False).generic(method, path, headers=named)


@pytest.mark.parametrize(
    ("restriction", "statuses"), [({"private": True}, (401, 401)), ({"gated": "manual"}, (200, 403))]
)
def test_what_becomes_private_or_gated_there_is_told_to_nobody_from_then_on(liar, settings, restriction, statuses):
    settings.UPSTREAM = settings.UPSTREAM._replace(refs_seconds=0)
    for path, status in zip((API, f"/{NAME}/resolve/main/w.bin"), statuses, strict=True):
        liar.describe()
        assert get(path, "HEAD").status_code == 200
        liar.describe("c" * 40, **restriction)
        liar.hold("w.bin", b"other weights", "c" * 40)
        assert get(path, "HEAD").status_code == status, "the answer that brought the news tells nothing more"
        UpstreamRepository.objects.all().delete()
    liar.describe()
    unknown = get("/api/models/liar/none")
    assert get(API).status_code == 200
    liar.describe("c" * 40, private=True)
    if statuses[0] == 401:
        hidden = get(API)
        assert hidden.json() == {**unknown.json(), "detail": unknown.json()["detail"].replace("none", "model")}
        assert "X-Dovetail-Source" not in hidden


def test_what_becomes_gated_there_is_not_served_by_its_commit_either(liar, settings):
    settings.UPSTREAM = settings.UPSTREAM._replace(refs_seconds=0)
    path, main = f"/{NAME}/resolve/{OID}/w.bin", f"{API}/revision/main"
    assert get(path, "HEAD").status_code == 200
    liar.say(main, {}, status=500)
    kept = get(path, "HEAD")
    assert (kept.status_code, "X-Dovetail-Stale" in kept) == (200, False), "a commit does not grow old"
    liar.describe(gated="manual")
    assert [get(path, "HEAD").status_code for _ in range(2)] == [403] * 2


@pytest.mark.parametrize(
    ("restriction", "path", "hidden"),
    [({"private": True}, API, 401), *at_merge(({"gated": "auto"}, f"/{NAME}/resolve/main/w.bin", 403))],
)
def test_what_was_private_or_gated_there_is_asked_for_again(liar, settings, restriction, path, hidden):
    settings.UPSTREAM = settings.UPSTREAM._replace(refs_seconds=1, missing_seconds=1)
    liar.describe(**restriction)
    assert [get(path, "HEAD").status_code for _ in range(2)] == [hidden] * 2
    asked = len(liar.asked)
    liar.describe("c" * 40)
    liar.hold("w.bin", b"other weights", "c" * 40)
    assert get(path, "HEAD").status_code == hidden, "not with each request"
    assert len(liar.asked) == asked
    threading.Event().wait(1.1)
    assert get(path, "HEAD").status_code == 200, "opened there, so also here"
    liar.answers.clear()
    threading.Event().wait(1.1)
    assert [get(path, "HEAD").status_code for _ in range(2)] == [404] * 2, "deleted there"
    assert len([one for one in liar.asked if one.endswith("/revision/main")]) == 2, "and remembered"


def test_a_digest_that_another_hub_states_opens_no_file_of_this_one(liar, store, monkeypatch):
    secret, made = (blobs.digest_of(text) for text in (b"secret weights", b"made of them"))
    store.put(Keys.blob(secret.sha256), [b"secret weights"])
    rows = [Blob.objects.create(sha256=one.sha256, size=one.size) for one in (secret, made)]
    DerivedArtifact.objects.create(source=rows[0], form=DerivedArtifact.Form.SAFETENSORS, blob=rows[1])
    monkeypatch.setattr(pull, "download_url", lambda entry: f"https://store/{entry.sha256}?signed")
    liar.hold("adapter_model.bin", bytes(300 << 10), oid=secret.sha256)
    listed = get(f"{API}/tree/main?recursive=1").json() + get(f"{API}/paths-info/main", "POST").json()
    assert {item["path"] for item in listed} == {"adapter_model.bin"}
    answer = get(f"/{NAME}/resolve/main/adapter_model.bin", Range="bytes=999999999-")
    assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{300 << 10}")
    assert "Location" not in answer


def test_what_was_read_before_it_was_blocked_is_served_no_more(liar, store):
    assert get(API).status_code == 200
    digest = blobs.digest_of(b"weights")
    store.put(Keys.blob(digest.sha256), [b"weights"])
    Blob.objects.create(sha256=digest.sha256, size=digest.size)
    row = UpstreamRepository.objects.get()
    UpstreamFile.objects.create(repository=row, etag=digest.sha256, blob_id=digest.sha256, size=digest.size)
    assert get(f"/{NAME}/resolve/main/w.bin").content == b"weights"
    BlockedFile.objects.create(sha256=digest.sha256, reason="malware", by="system")
    for method in ("GET", "HEAD"):
        refused = get(f"/{NAME}/resolve/main/w.bin", method)
        assert (refused.status_code, "malware" in refused["X-Error-Message"]) == (403, True)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"siblings": 5}, 502),
        ({"lastModified": "9999-12-31T23:59:59-23:59"}, 200),
        ({"Location": "http://["}, 502),
        ({"Location": "//["}, 502),
        ({"Link": '<http://[>; rel="next"'}, 502),
    ],
)
def test_no_answer_of_another_hub_is_an_accident_here(liar, answer, status):
    if "Location" in answer:
        liar.say(API, {}, status=302, **answer)
    elif "Link" in answer:
        liar.say(f"{API}/tree/{OID}", [], **answer)
    else:
        liar.describe(**answer)
    assert get(f"{API}/tree/main?expand=true").status_code == status


def test_a_tree_of_too_many_files_is_refused_however_long_its_pages_are(liar, monkeypatch):
    monkeypatch.setattr(documents, "MAX_FILES", 2)
    row = {"type": "file", "size": 1, "oid": "b" * 40}
    liar.say(f"{API}/tree/{OID}", [{**row, "path": path} for path in "abc"])
    assert get(f"{API}/tree/main").status_code == 502


def test_an_encoded_name_without_a_namespace_leads_where_the_plain_one_does(liar):
    liar.say("/api/models/gpt2", {"id": "liar/gpt2"})
    answer = Client().get("/api/models/gpt2/tree/main", RAW_URI="/api/models/gpt%32/tree/main")
    assert (answer.status_code, answer["Location"]) == (307, "/api/models/liar/gpt2/tree/main")
