"""The operator's rules for other hubs: settings, modes, allowed names and licenses, limits, and what garbage leaves."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone
from huggingface_hub import HfApi

from hub.environment import Environment
from hub.upstreams import Upstream, Upstreams, upstreams
from registry.bytes import blobs, garbage
from registry.bytes.blobs import Keys
from registry.kernel import site_settings
from registry.kernel.errors import UpstreamUnavailable
from registry.models import Blob, UpstreamFile, UpstreamRepository
from registry.people import organizations
from registry.upstream import asking
from tests import live
from tests.fault_proxy import Faults, proxy


def read(**variables: str) -> Upstreams:
    return upstreams(Environment({f"DOVETAIL_UPSTREAM{name}": value for name, value in variables.items()}), size=5)


def test_settings_name_hubs_with_their_tokens_in_order(tmp_path: Path) -> None:
    two = read(**{"": "https://a.example/, http://b.example:8444", "_TOKEN": ",hf_secret", "_ALLOW": "Acme/*"})
    assert two.hubs == (("https://a.example", ""), ("http://b.example:8444", "hf_secret"))
    assert "hf_secret" not in repr(two)
    assert (two.allow, two.size, two.mode, two.gated) == (("acme/*",), 5, "cache", "off")
    (tmp_path / "token").write_text("hf_from_file\n")
    assert read(**{"": "https://a.example", "_TOKEN_FILE": str(tmp_path / "token")}).hubs[0].token == "hf_from_file"
    assert read() == Upstreams(size=5, refs_seconds=300, missing_seconds=300, streams=16)


@pytest.mark.parametrize(
    "variables",
    [
        {"": "ftp://a.example"},
        {"": "https://user:hunter2@a.example"},
        {"": "https://a.example?x=1"},
        {"": "https://a.example", "_TOKEN": "a,hunter2"},
        {"": "https://a.example", "_TOKEN": "a b"},
        {"": "https://a.example", "_TOKEN_FILE": "/does/not/exist"},
        {"": "https://a.example", "_TOKEN": "a", "_TOKEN_FILE": "b"},
        {"_MODE": "mirror"},
        {"_SIZE": "0"},
        {"_GATED": "everybody"},
        {"_OFFLINE": "perhaps"},
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_their_secrets(variables: dict[str, str]) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(**variables)
    assert "hunter2" not in str(refusal.value)


@pytest.fixture
def far(live_hub: live.Hub, settings, db) -> Iterator[Faults]:
    """Another hub, from which this process reads; nobody has a name here."""
    with proxy(live_hub.url) as faults:
        settings.UPSTREAM = Upstreams(hubs=(Upstream(faults.url),), size=1 << 20, refs_seconds=300, missing_seconds=300)
        yield faults
    asking._resting.clear()


@pytest.fixture(scope="module")
def name(live_hub: live.Hub) -> str:
    """An adapter of the other hub."""
    writer, name = HfApi(endpoint=live_hub.url, token=live.TOKENS["mona"]), "mona/rules"
    writer.create_repo(name)
    files = {"README.md": b"---\nlicense: mit\n---\n# Words\n", "adapter_config.json": b'{"peft_type": "LORA"}'}
    for path, content in files.items():
        writer.upload_file(repo_id=name, path_or_fileobj=content, path_in_repo=path)
    return name


def get(path: str, method: str = "GET", **headers: str):
    return Client().generic(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})


def test_redirect_mode_tells_all_about_a_file_and_where_it_is(far: Faults, name: str, settings) -> None:
    settings.UPSTREAM = settings.UPSTREAM._replace(mode="redirect", hubs=(Upstream(far.url, live.TOKENS["mona"]),))
    commit = get(f"/api/models/{name}").json()["sha"]
    for method in ("HEAD", "GET"):
        answer = get(f"/{name}/resolve/main/README.md", method)
        assert answer.status_code == 302
        assert answer["Location"] == f"{far.url}/{name}/resolve/{commit}/README.md"
        assert (answer["X-Repo-Commit"], answer["X-Dovetail-Source"]) == (commit, "upstream")
        assert len(answer["ETag"].strip('"')) == 40
    assert live.TOKENS["mona"] not in str(answer.headers)
    assert far.paths("/resolve/") == []


def test_offline_serves_what_is_here_and_asks_nobody(far: Faults, name: str, settings) -> None:
    assert get(f"/{name}/resolve/main/README.md", "HEAD").status_code == 200
    settings.UPSTREAM = settings.UPSTREAM._replace(offline=True, refs_seconds=0)
    far.seen.clear()
    assert get(f"/api/models/{name}").status_code == 200
    assert get(f"/{name}/resolve/main/README.md", "HEAD").status_code == 200
    assert get(f"/{name}/resolve/main/README.md").status_code == 503
    assert get("/api/models/mona/unknown").status_code == 401
    assert get(f"/{name}/resolve/{'0' * 40}/README.md").status_code == 503
    assert far.seen == []


def test_rules_for_names_and_licenses(far: Faults, name: str, settings) -> None:
    settings.UPSTREAM = settings.UPSTREAM._replace(allow=("mona/*",), deny=("mona/secret-*",), licenses=("apache-2.0",))
    for other in ("alice/x", "mona/secret-x", "mona"):
        assert get(f"/api/models/{other}").status_code == 401
    assert far.seen == []
    refused = get(f"/{name}/resolve/main/README.md")
    assert (refused.status_code, refused.json()["code"]) == (403, "upstream-refused")
    assert "states mit" in refused.json()["error"]
    settings.UPSTREAM = settings.UPSTREAM._replace(licenses=("apache-2.0", "mit"))
    assert get(f"/{name}/resolve/main/README.md", "HEAD").status_code == 200


def test_an_id_without_a_namespace_leads_to_the_one_that_the_other_hub_means(far: Faults, name: str) -> None:
    far.path, far.answer = "/api/models/rules$", json.dumps({"id": name}).encode()
    for path in ("/api/models/rules", "/api/models/rules/revision/main", "/rules/resolve/main/README.md?x=1"):
        answer = get(path, "HEAD" if "resolve" in path else "GET")
        assert (answer.status_code, answer["Location"]) == (307, path.replace("/rules", f"/{name}"))
    far.answer = json.dumps({"id": "acme/tools"}).encode()
    far.path = "/api/models/tools$"
    organizations.create_organization("acme", by=None)
    assert get("/api/models/tools").status_code == 401, "a namespace of this hub is never what another hub means"
    assert get("/api/models/acme").status_code == 401
    assert far.paths() == ["/api/models/rules", "/api/models/tools"]


def test_requests_beyond_the_limit_are_refused_at_once(far: Faults, name: str) -> None:
    with ExitStack() as held:
        while asking._asking.acquire(blocking=False):
            held.callback(asking._asking.release)
        refused = get(f"/api/models/{name}")
        assert (refused.status_code, refused.json()["code"]) == (503, "upstream-unavailable")
        assert refused["Retry-After"]
        assert far.seen == []
    assert get(f"/api/models/{name}").status_code == 200


def test_hubs_do_not_ask_in_a_circle(far: Faults, name: str) -> None:
    assert get(f"/api/models/{name}", X_Dovetail_Hops=str(asking.MAX_HOPS)).status_code == 401
    assert far.seen == []
    assert get(f"/api/models/{name}", X_Dovetail_Hops="1").status_code == 200
    assert far.seen[0][1]["X-Dovetail-Hops"] == "2"


def test_only_proven_versions_are_served_where_the_policy_says_so(far: Faults, name: str, settings) -> None:
    settings.FIRST_PULL_POLICY = "verified"
    site_settings.clear_cache()
    for path in (f"/{name}/resolve/main/adapter_config.json", f"/api/models/{name}"):
        answer = get(path)
        assert (answer.status_code, answer["X-Error-Code"]) == (404, "RevisionNotFound")
    row = UpstreamRepository.objects.get(folded=name)
    assert row.wanted == HfApi(endpoint=far.url, token=False).model_info(name).sha, "a worker will prove it"
    site_settings.clear_cache()


def test_garbage_collection_knows_files_of_other_hubs(db, store) -> None:
    content = b"of another hub"
    digest = blobs.digest_of(content)
    store.put(Keys.blob(digest.sha256), [content])
    Blob.objects.create(sha256=digest.sha256, size=digest.size, created_at=timezone.now() - timedelta(days=3))
    row = UpstreamRepository.objects.create(type="model", full_name="A/b", folded="a/b", namespace="a", origin="x")
    file = UpstreamFile.objects.create(repository=row, etag=digest.sha256, blob_id=digest.sha256, size=digest.size)
    assert garbage.count_garbage().blobs == garbage.sweep().blobs == garbage.drop_unnamed([digest.sha256]) == 0
    assert blobs.object_exists(Keys.blob(digest.sha256))
    file.delete()
    assert garbage.drop_unnamed([digest.sha256]) == 1
    assert not blobs.object_exists(Keys.blob(digest.sha256))


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b'HTTP/1.1 200 OK\r\n\r\n{"id": "'])
def test_an_answer_that_drips_ends_in_time(head: bytes, settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 0.4)
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=drip, args=(server, head, is_over))
        dripping.start()
        hub = Upstream(f"http://127.0.0.1:{server.getsockname()[1]}")
        settings.UPSTREAM = Upstreams(hubs=(hub,))
        began = time.monotonic()
        with pytest.raises(UpstreamUnavailable):
            asking.ask(hub, "/api/models/acme/slow")
        assert time.monotonic() - began < 2
        is_over.set()
        dripping.join()
    asking._resting.clear()


def drip(server: socket.socket, head: bytes, is_over: threading.Event) -> None:
    """Answer one connection byte by byte, until the client hangs up or the test is over (five seconds at most)."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        connection.recv(4096)
        connection.sendall(head)
        for _ in range(50):
            if is_over.wait(0.1):
                return
            connection.sendall(b"x")


def test_an_id_without_a_namespace_costs_one_query_where_nothing_is_read_from_other_hubs(
    db, django_assert_num_queries
) -> None:
    get("/api/models/gpt2")  # settings of the site are cached
    with django_assert_num_queries(1):
        assert get("/gpt2/resolve/main/config.json", "HEAD").status_code == 401
