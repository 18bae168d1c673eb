"""The wire on what production runs on, PostgreSQL and S3, and several pushes to one repository at the same moment."""

import json
import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import live
from tests.adapters import MINILM, WEIGHTS, lora, write
from tests.clients import Client
from tests.hf.wire import file, header
from tests.live import TOKENS, Hub
from tests.services import new_database

pytestmark = pytest.mark.merge


@pytest.fixture(scope="module")
def production(tmp_path_factory, postgres_server, s3_server) -> Iterator[Hub]:
    """A hub on PostgreSQL and S3."""
    folder = tmp_path_factory.mktemp("production") / "data"
    bucket = f"wire-{random.randrange(1 << 40)}"
    with live.hub(folder, DATABASE_URL=new_database(postgres_server), BLOBS=s3_server.url(bucket)) as hub:
        yield hub


@pytest.fixture(params=["files", pytest.param("production", marks=[pytest.mark.postgres, pytest.mark.s3])])
def hub(request) -> Hub:
    return request.getfixturevalue("live_hub" if request.param == "files" else "production")


def ask(hub: Hub, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """Speak to a running hub as alice, past every client."""
    headers = {"Authorization": f"Bearer {TOKENS['alice']}", "Content-Type": "application/json"}
    request = urllib.request.Request(hub.url + path, body or None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def new_repo(hub: Hub) -> str:
    name = f"race{random.randrange(1 << 40)}"
    status, made = ask(hub, "POST", "/api/repos/create", json.dumps({"name": name}).encode())
    assert status == 200, made
    return f"alice/{name}"


def commit(hub: Hub, repo: str, path: str, **more: str) -> tuple[int, Any]:
    lines = [header(f"Push {path}", **more), file(path, path.encode())]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return ask(hub, "POST", f"/api/models/{repo}/commit/main", body)


def test_pushes_at_once_land_one_after_the_other_and_lose_nothing(hub: Hub):
    repo, names = new_repo(hub), [f"file-{number}" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda name: commit(hub, repo, name), names))
    assert [status for status, _ in answers] == [200] * len(names), answers
    _, tree = ask(hub, "GET", f"/api/models/{repo}/tree/main")
    assert {one["path"] for one in tree} == {".gitattributes", *names}
    _, history = ask(hub, "GET", f"/api/models/{repo}/commits/main")
    assert len({one["id"] for one in history}) == len(history) == len(names) + 1


def test_of_pushes_at_once_that_name_the_same_parent_one_wins(hub: Hub):
    repo = new_repo(hub)
    parent = ask(hub, "GET", f"/api/models/{repo}")[1]["sha"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: commit(hub, repo, f"file-{n}", parentCommit=parent), range(6)))
    assert sorted(status for status, _ in answers) == [200] + [412] * 5, answers
    assert len(ask(hub, "GET", f"/api/models/{repo}/tree/main")[1]) == 2


def test_the_same_push_many_times_at_once_is_one_revision(hub: Hub):
    repo = new_repo(hub)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: commit(hub, repo, "same"), range(6)))
    assert len({answer["commitOid"] for _, answer in answers}) == 1, answers
    assert len(ask(hub, "GET", f"/api/models/{repo}/commits/main")[1]) == 2


@pytest.mark.postgres
@pytest.mark.s3
@pytest.mark.parametrize("release", ["2.4.0", "0.36.2"])
@pytest.mark.parametrize("by_xet", [True, False])
def test_the_loop_on_postgres_and_s3(production: Hub, tmp_path: Path, release: str, by_xet: bool):
    client = Client(release, production.url, TOKENS["alice"], tmp_path / "home")
    if not by_xet:
        client.settings["HF_HUB_DISABLE_XET"] = "1"
    repo = f"alice/s3-{random.randrange(1 << 40)}"
    folder = write(lora(MINILM, rank=8, seed=random.randrange(1 << 30)), tmp_path / "adapter")
    client.hf("upload", repo, folder)
    assert "No files have been modified" in client.hf("upload", repo, folder)
    client.hf("download", repo, "--local-dir", tmp_path / "pulled")
    for one in folder.iterdir():
        assert (tmp_path / "pulled" / one.name).read_bytes() == one.read_bytes()
    assert f'"message": "GET /{repo}/resolve/' in production.log("web")
    with pytest.raises(urllib.error.HTTPError) as redirected:
        urllib.request.build_opener(Follow).open(f"{production.url}/{repo}/resolve/main/{WEIGHTS}")
    answer = redirected.value.headers
    assert redirected.value.code == 302
    assert answer["X-Linked-Size"] == str((folder / WEIGHTS).stat().st_size)
    assert answer["X-Linked-Etag"] == answer["ETag"]
    assert answer["X-Repo-Commit"]
    assert "X-Amz-Expires=60" in answer["Location"]


class Follow(urllib.request.HTTPRedirectHandler):
    """Follows nothing."""

    def redirect_request(self, *args: object) -> None:
        return None
