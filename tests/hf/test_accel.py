"""Files sent by a real nginx for the hub: the same bytes and headers as without it, and only to whom the hub says."""

import hashlib
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest

from ops.services import SYSTEM_PATH
from tests import live
from tests.clients import Client
from tests.live import TOKENS
from tests.ops.production import nginx_program
from tests.services import answers, free_ports, own_folder, running

ROOT = Path(__file__).resolve().parents[2]
REPO = "alice/sent"
FILE = random.Random(7).randbytes(3 << 20)


@dataclass
class Front:
    """A hub behind nginx: where nginx listens, and the hub itself."""

    url: str
    hub: live.Hub


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    program = nginx_program()
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no nginx: run `make services`")
        pytest.skip("there is no nginx: run `make services`")
    [port] = free_ports()
    url = f"http://127.0.0.1:{port}"
    with (
        own_folder() as folder,
        live.hub(folder / "data", ACCEL_REDIRECT="/_blobs", XET_READ="off", TRUSTED_PROXIES="127.0.0.1") as hub,
    ):
        for path in (folder, folder / "data"):
            path.chmod(0o755)  # nginx's own processes run as somebody else
        variables = {"HUB_SERVERS": hub.url.removeprefix("http://"), "NGINX_LISTEN": f"127.0.0.1:{port}"}
        variables |= {"BLOBS": f"{folder}/data/blobs", "TMPDIR": str(folder), "PATH": SYSTEM_PATH}
        command = ["sh", str(ROOT / "deploy/nginx/configure.sh"), "run"]
        with running(command, folder, lambda: answers(port), env=variables):
            client = Client("2.4.0", url, TOKENS["alice"], folder / "home")
            (folder / "x.onnx").write_bytes(FILE)
            client.hf("upload", REPO, folder / "x.onnx", "x.onnx")
            yield Front(url, hub)


def get(front: Front, path: str, who: str = "alice", **headers: str) -> httpx.Response:
    return httpx.get(front.url + path, headers={"Authorization": f"Bearer {TOKENS[who]}", **headers})


def test_nginx_sends_the_bytes_under_the_hubs_headers(front):
    answer = get(front, f"/{REPO}/resolve/main/x.onnx")
    digest = hashlib.sha256(FILE).hexdigest()
    assert hashlib.sha256(answer.content).hexdigest() == digest
    assert answer.headers["ETag"] == answer.headers["X-Linked-Etag"] == f'"{digest}"'
    assert answer.headers["X-Linked-Size"] == str(len(FILE))
    assert len(answer.headers["X-Repo-Commit"]) == 40
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "attachment" in answer.headers["Content-Disposition"]
    direct = httpx.get(
        f"{front.hub.url}/{REPO}/resolve/main/x.onnx", headers={"Authorization": f"Bearer {TOKENS['alice']}"}
    )
    assert (direct.content, direct.headers["X-Accel-Redirect"][:8]) == (b"", "/_blobs/"), "the hub itself sent nothing"


@pytest.mark.parametrize(
    ("range", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=1000-", 1000, None), ("bytes=-5", len(FILE) - 5, None)],
)
def test_ranges_are_nginxs(front, range: str, start: int, end: int | None):
    answer = get(front, f"/{REPO}/resolve/main/x.onnx", Range=range)
    assert answer.status_code == 206
    assert answer.content == FILE[start:end]
    assert answer.headers["Content-Range"].startswith(f"bytes {start}-")


def test_a_range_behind_the_end_and_what_one_has_already(front):
    assert get(front, f"/{REPO}/resolve/main/x.onnx", Range=f"bytes={len(FILE)}-").status_code == 416
    etag = get(front, f"/{REPO}/resolve/main/x.onnx").headers["ETag"]
    assert get(front, f"/{REPO}/resolve/main/x.onnx", **{"If-None-Match": etag}).status_code == 304


@pytest.fixture(scope="module")
def cdn(front) -> Iterator[str]:
    """The address of a cache before this nginx, which keeps what the hub's headers let it keep."""
    [port] = free_ports()
    with own_folder() as folder:
        folder.chmod(0o755)
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("fastcgi", "uwsgi", "scgi", "proxy"))
        (folder / "nginx.conf").write_text(f"""
            pid {folder}/nginx.pid;
            events {{}}
            http {{
              proxy_cache_path {folder}/kept keys_zone=kept:1m;
              client_body_temp_path {folder}/body; {temporary}
              server {{
                listen 127.0.0.1:{port};
                proxy_cache kept;
                proxy_set_header Host $http_host;
                add_header X-Kept $upstream_cache_status always;
                location / {{ proxy_pass {front.url}; }}
              }}
            }}""")
        command = [str(nginx_program()), "-c", f"{folder}/nginx.conf", "-e", "stderr", "-g", "daemon off;"]
        with running(command, folder, lambda: answers(port)):
            yield f"http://127.0.0.1:{port}"


def test_a_cache_keeps_public_files_by_commit_and_nothing_that_a_person_sees(front, cdn):
    commit = get(front, f"/{REPO}/resolve/main/x.onnx").headers["X-Repo-Commit"]
    with (
        httpx.Client(base_url=cdn) as stranger,
        httpx.Client(base_url=cdn) as person,
        httpx.Client(base_url=cdn) as pip,
    ):
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', person.get("/login").text)
        form = {"username": "alice", "password": live.PASSWORD, "csrfmiddlewaretoken": token[1]}
        assert person.post("/login", data=form, headers={"Origin": cdn, "Referer": cdn}).status_code == 302
        pip.headers["Authorization"] = f"Bearer {TOKENS['alice']}"
        pages = ["/", "/adapters", f"/{REPO}", f"/api/models/{REPO}", f"/{REPO}/resolve/main/x.onnx"]
        for path in [*pages, "/settings/tokens", "/api/whoami-v2"]:
            for who in (person, pip, stranger, person):  # whose answer would be the next one's
                answer = who.get(path)
                assert answer.headers.get("X-Kept") != "HIT", (path, who.headers)
                assert "public" not in answer.headers.get("Cache-Control", ""), path
        assert "alice" in person.get("/").text
        assert "alice" not in re.sub(REPO, "", stranger.get("/").text)
        by_commit = [stranger.get(f"/{REPO}/resolve/{commit}/x.onnx") for _ in range(2)]
        assert [answer.headers["X-Kept"] for answer in by_commit] == ["MISS", "HIT"]
        assert all(answer.content == FILE for answer in by_commit)
        assert "Set-Cookie" not in by_commit[1].headers


def test_nobody_asks_nginx_for_a_file_itself(front):
    digest = hashlib.sha256(FILE).hexdigest()
    for path in (f"/_blobs/blobs/{digest[:2]}/{digest[2:4]}/{digest}", "/_blobs/", "/_blobs/../db.sqlite3"):
        assert get(front, path).status_code == 404
    put = httpx.put(f"{front.url}/api/models/{REPO}/settings", json={"visibility": "private"},
                    headers={"Authorization": f"Bearer {TOKENS['alice']}"})  # fmt: skip
    assert put.status_code == 200
    assert get(front, f"/{REPO}/resolve/main/x.onnx", who="carol").status_code == 404


def test_the_stock_client_resumes_and_keeps_its_cache(front, tmp_path):
    client = Client("2.4.0", front.url, TOKENS["alice"], tmp_path / "home")
    program = "import sys; from huggingface_hub import hf_hub_download as get; print(get(sys.argv[1], 'x.onnx'))"
    first = client.python(program, REPO).strip().splitlines()[-1]
    assert Path(first).read_bytes() == FILE
    assert client.python(program, REPO).strip().splitlines()[-1] == first
