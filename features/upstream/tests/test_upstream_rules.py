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
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone
from huggingface_hub import HfApi

from features.upstream import asking, documents, reading
from features.upstream.asking import UpstreamUnavailable
from features.upstream.models import UpstreamDocument, UpstreamFile, UpstreamRepository
from features.upstream.store import forget
from hub.environment import Environment, Upstream, Upstreams, upstreams
from hub.monitoring import gauges
from registry.bytes import blobs, garbage
from registry.bytes.blobs import Keys
from registry.kernel import site_settings
from registry.models import Blob, Namespace, Repository, Revision, RevisionFile, User
from registry.people import accounts
from registry.people.organizations import organizations
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
    assert read() == Upstreams(size=5, refs_seconds=300, missing_seconds=300, streams=8)


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
    documents._KNOWN.clear()


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


def test_expanded_trees_say_what_the_other_hub_says(far: Faults, name: str, settings) -> None:
    theirs = HfApi(endpoint=far.target, token=False)
    commits = {entry.path: entry.last_commit.oid for entry in theirs.list_repo_tree(name, recursive=True, expand=True)}
    assert len(set(commits.values())) > 1

    def listed(query: str = "recursive=1") -> dict[str, str | None]:
        items = get(f"/api/models/{name}/tree/main?expand=1&{query}").json()
        return {item["path"]: item["lastCommit"] and item["lastCommit"]["id"] for item in items}

    settings.UPSTREAM = settings.UPSTREAM._replace(refs_seconds=1000)
    get(f"/api/models/{name}/tree/main")
    far.path, far.status = "/paths-info/", 500
    assert listed() == dict.fromkeys(commits), "nobody knows: null, not the head"
    far.heal()
    asking._resting.clear()
    assert listed() == commits
    questions = len(far.paths("/paths-info/"))
    settings.UPSTREAM = settings.UPSTREAM._replace(offline=True)
    assert listed() == commits, "it is kept"
    path = next(iter(commits))
    question = {"paths": [path], "expand": True}
    asked = Client().post(f"/api/models/{name}/paths-info/main", question, content_type="application/json")
    assert asked.json()[0]["lastCommit"]["id"] == commits[path]
    assert len(far.paths("/paths-info/")) == questions == 1


def silence(url: str) -> float:
    """Return since how many seconds a hub has not answered, as the metrics say."""
    [line] = [line for line in gauges.exposition().decode().splitlines() if f'hub="{url}"' in line]
    return float(line.rpartition(" ")[2])


def test_who_reads_learns_how_old_an_answer_is_while_the_other_hub_fails(
    far: Faults, name: str, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.UPSTREAM = settings.UPSTREAM._replace(refs_seconds=60)
    paths = (f"/api/models/{name}", f"/{name}/resolve/main/README.md")
    assert ["X-Dovetail-Stale" in get(path, "HEAD") for path in paths] == [False, False]
    commit = get(paths[0]).json()["sha"]
    UpstreamDocument.objects.update(asked_at=timezone.now() - timedelta(hours=1))
    assert asking.IMPATIENT_SECONDS < 9, "clients wait for ten seconds"
    monkeypatch.setattr(asking, "IMPATIENT_SECONDS", 1.0)
    far.path, far.pause = "/revision/", 3.0
    for path in paths:
        stale = get(path, "HEAD")
        assert stale.status_code == 200
        assert 3600 <= int(stale["X-Dovetail-Stale"]) < 3700
    assert silence(far.url) > 0, "operators see it"
    assert "X-Dovetail-Stale" not in get(f"/{name}/resolve/{commit}/README.md", "HEAD")
    far.heal()
    asking._resting.clear()
    asking.look_again()
    assert silence(far.url) == 0, "also where nobody reads from there"
    assert "X-Dovetail-Stale" not in get(f"/api/models/{name}")


def test_what_nobody_read_for_long_is_forgotten_but_for_names_and_records(far: Faults, settings, store) -> None:
    settings.UPSTREAM = settings.UPSTREAM._replace(days=30)
    rows = {}
    for full_name, days in (("a/old", 40), ("a/older", 50), ("b/new", 20), ("c/old", 40), ("d/proven", 40)):
        namespace = full_name.partition("/")[0]
        at = timezone.now() - timedelta(days=days)
        row = UpstreamRepository.objects.create(
            type="model", full_name=full_name, folded=full_name, namespace=namespace, origin=far.url, read_at=at
        )
        rows[full_name] = row
        for key in ("info:x", "rev:main"):
            row.documents.create(key=key, body=b"", read_at=at)
        blob = Blob.objects.create(sha256=blobs.digest_of(full_name.encode()).sha256, size=1)
        row.files.create(etag=blob.sha256, blob=blob, size=1, read_at=at)
    rows["b/new"].documents.create(key="rev:old", body=b"", read_at=timezone.now() - timedelta(days=40))
    owner = Namespace.objects.create(name="D", kind=Namespace.Kind.ORGANIZATION, source=far.url)
    reader = accounts.create_machine("upstream:reader", User.Kind.ROBOT, None)
    record = Repository.objects.create(namespace=owner, name="Proven", source=far.url, created_by=reader)
    revision = Revision.objects.create(repository=record, oid="a" * 40, author=reader)
    file = rows["d/proven"].files.get()
    RevisionFile.objects.create(revision=revision, path="w.bin", blob=file.blob, size=1, git_oid="b" * 40, is_lfs=True)
    for _ in range(2):
        forget()
        left = {row.full_name: (row.documents.count(), row.files.count()) for row in UpstreamRepository.objects.all()}
        assert left == {"a/older": (0, 0), "b/new": (2, 1), "c/old": (0, 0), "d/proven": (2, 1)}, (
            "a name stays reserved"
        )
    assert reading.find("c/old", "model") == rows["c/old"], "and is asked there again"


def test_pages_of_histories_drive_out_nothing_that_makes_commits_readable(far: Faults, name: str, monkeypatch) -> None:
    monkeypatch.setattr(documents, "MAX_DOCUMENTS", 10)
    sha = get(f"/api/models/{name}").json()["sha"]
    get(f"/api/models/{name}/tree/main")
    for limit in range(1, 15):
        assert get(f"/api/models/{name}/commits/main?limit={limit}").status_code == 200
    UpstreamDocument.objects.exclude(key__startswith="commits:").update(read_at=timezone.now() - timedelta(hours=1))
    for number in range(20):
        documents.store(UpstreamRepository.objects.get(), f"rev:{number}", sha)
    keys = set(UpstreamDocument.objects.values_list("key", flat=True))
    assert {"rev:main", f"info:{sha}", f"tree:{sha}"} <= keys
    assert len(keys) <= 10


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
    assert far.paths() == ["/api/models/rules", f"/api/models/{name}?blobs=true", "/api/models/tools"]
    LocMemCache.clear(caches["default"])
    far.status, far.answer = 503, None
    far.path = "."
    assert get("/api/models/rules")["Location"] == f"/api/models/{name}", "while it fails, what it said before"
    assert get("/api/models/never").status_code == 503


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
        assert time.monotonic() - began < 60  # it would drip for ever
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
