"""Sharing with a stock client as the judge: `hf auth login` by browser, collections, gates, likes, and webhooks."""

import json
import random
import re
import subprocess
import time
from pathlib import Path

import pytest
import requests
from huggingface_hub._webhooks_payload import WebhookPayload

from tests import live
from tests.clients import Client, build
from tests.live import PASSWORD, TOKENS, Hub
from tests.services import valkey
from tests.workers.listener import listening

pytestmark = pytest.mark.merge

RELEASE = "2.4.0"


@pytest.fixture
def alice(live_hub: Hub, tmp_path: Path) -> Client:
    return Client(RELEASE, live_hub.url, TOKENS["alice"], tmp_path / "home")


@pytest.fixture
def carol(live_hub: Hub, tmp_path: Path) -> Client:
    return Client(RELEASE, live_hub.url, TOKENS["carol"], tmp_path / "carol")


@pytest.fixture
def repo(alice: Client) -> str:
    """A repository with one file."""
    name = f"alice/shared-{random.randrange(1 << 40)}"
    alice.hf("repos", "create", name)
    alice.python(
        "import sys; from huggingface_hub import HfApi; "
        "HfApi().upload_file(path_or_fileobj=b'hello', path_in_repo='notes.txt', repo_id=sys.argv[1])",
        name,
    )
    return name


# --- signing in by a browser -----------------------------------------------------------------------------------------
class Browser:
    """A person's browser without scripts: cookies, and forms with their secrets."""

    def __init__(self, url: str, username: str) -> None:
        self.url, self.session = url, requests.Session()
        self.submit("/login", username=username, password=PASSWORD)

    def get(self, address: str) -> str:
        answer = self.session.get(address if address.startswith("http") else self.url + address, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.text

    def submit(self, path: str, *, page: str = "", **fields: str) -> str:
        """Open the page, and send its form to `path`."""
        secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(page or path))
        assert secret
        fields["csrfmiddlewaretoken"] = secret[1]
        answer = self.session.post(self.url + path, fields, headers={"Origin": self.url}, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.text


def login(client: Client) -> subprocess.Popen:
    """Start `hf auth login`; without a terminal it goes by browser."""
    environment = client.environment() | {"PYTHONUNBUFFERED": "1"}
    command = [str(build(RELEASE) / "hf"), "auth", "login"]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def shown(running: subprocess.Popen) -> str:
    """Return the address with the code that the program shows."""
    said = ""
    assert running.stdout
    for line in running.stdout:
        said += line
        if found := re.search(r"http\S+/login/device\?code=[A-Z]{4}-[A-Z]{4}", said):
            return found[0]
    raise AssertionError(said)


def test_hf_auth_login_is_let_in_by_a_person_in_a_browser(live_hub: Hub, tmp_path: Path):
    client = Client(RELEASE, live_hub.url, "", tmp_path / "home")
    running = login(client)
    try:
        address = shown(running)
        browser = Browser(live_hub.url, "carol")
        page = browser.get(address)
        assert address[-9:] in page
        assert "Say yes only if you started it yourself" in page
        done = browser.submit("/login/device/approve", page=address, code=address[-9:], role="write")
        assert "signed in as you" in done
        assert running.wait(120) == 0
    finally:
        running.kill()
        running.communicate()
    assert "carol" in client.hf("auth", "whoami")
    stored = (tmp_path / "home" / "stored_tokens").read_text()
    assert "expires_at" in stored
    name = f"signed-in-{random.randrange(1 << 40)}"
    client.hf("repos", "create", name)
    assert name in client.hf("repos", "ls")
    assert re.search(r"hf \d{4}-\d\d-\d\d [A-Z]{8}", browser.get("/settings/tokens"))


def test_hf_auth_login_ends_when_the_person_says_no(live_hub: Hub, tmp_path: Path):
    running = login(Client(RELEASE, live_hub.url, "", tmp_path / "home"))
    try:
        address = shown(running)
        browser = Browser(live_hub.url, "carol")
        browser.submit("/login/device/deny", page=address, code=address[-9:])
        assert running.wait(120) != 0
        assert running.stdout
        assert "denied" in running.stdout.read()
    finally:
        running.kill()
        running.communicate()


# --- likes, people, collections --------------------------------------------------------------------------------------
PEOPLE = """
import json, sys
from huggingface_hub import HfApi
api, repo = HfApi(), sys.argv[1]
print(json.dumps({
    "likers": [one.username for one in api.list_repo_likers(repo)],
    "liked": repo in api.list_liked_repos("carol").models,
    "overview": [api.get_user_overview("carol").num_likes, api.get_user_overview("carol").user_type],
    "org": [api.get_organization_overview("acme").name, api.get_organization_overview("acme").num_users],
    "members": sorted(one.username for one in api.list_organization_members("acme")),
    "followers": [one.username for one in api.list_user_followers("alice")],
    "following": [one.username for one in api.list_user_following("carol")],
    "sizes": [one.storage for one in api.list_user_repos() if one.id == repo],
    "avatar": api.get_user_overview("carol").avatar_url,
}))
"""


def test_what_the_library_asks_of_people_is_answered(live_hub: Hub, alice: Client, repo: str):
    carol = {"Authorization": f"Bearer {TOKENS['carol']}"}
    assert requests.post(f"{live_hub.url}/api/models/{repo}/like", headers=carol, timeout=60).status_code == 200
    requests.post(f"{live_hub.url}/api/users/alice/follow", headers=carol, timeout=60)
    said = json.loads(alice.python(PEOPLE, repo))
    assert said["likers"] == ["carol"]
    assert said["liked"]
    assert said["overview"][1] == "user"
    assert said["org"] == ["acme", 4]
    assert said["members"] == ["alice", "bob", "dave", "erin"]
    assert said["followers"] == ["carol"]
    assert said["following"] == ["alice"]
    assert said["sizes"][0] > 0
    picture = requests.get(said["avatar"], timeout=60)
    assert picture.headers["Content-Type"] == "image/svg+xml"
    undone = "import sys; from huggingface_hub import HfApi; HfApi().unlike(sys.argv[1])"
    Client(RELEASE, live_hub.url, TOKENS["carol"], alice.home).python(undone, repo)
    assert json.loads(alice.python(PEOPLE, repo))["likers"] == []


COLLECTIONS = """
import json, sys
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
api, repo = HfApi(), sys.argv[1]
one = api.create_collection("Mine " + repo, description="All of it")
again = api.create_collection("Mine " + repo, exists_ok=True)
one = api.add_collection_item(one.slug, repo, "model", note="first")
api.add_collection_item(one.slug, repo, "model", exists_ok=True)
try:
    api.add_collection_item(one.slug, repo, "dataset")
    missing = 0
except HfHubHTTPError as error:
    missing = error.response.status_code
new = api.update_collection_metadata(one.slug, title="Ours " + repo, theme="indigo")
listed = [c.slug for c in api.list_collections(owner="alice", item="models/" + repo, limit=3)]
old = api.get_collection(one.slug)
api.update_collection_item(new.slug, old.items[0].item_object_id, note="changed", position=0)
note = api.get_collection(new.slug).items[0].note
api.delete_collection_item(new.slug, old.items[0].item_object_id)
left = len(api.get_collection(new.slug).items)
api.delete_collection(new.slug)
api.delete_collection(new.slug, missing_ok=True)
print(json.dumps({"same": again.slug == one.slug, "missing": missing, "moved": old.slug == new.slug != one.slug,
                  "listed": listed == [new.slug], "note": note, "left": left, "url": new.url}))
"""


def test_the_library_makes_fills_and_empties_a_collection(live_hub: Hub, alice: Client, repo: str):
    said = json.loads(alice.python(COLLECTIONS, repo))
    url = said.pop("url")
    assert said == {"same": True, "missing": 404, "moved": True, "listed": True, "note": "changed", "left": 0}
    assert url.startswith(f"{live_hub.url}/collections/alice/ours-alice")


def test_a_collection_has_its_page(live_hub: Hub, alice: Client, repo: str):
    said = alice.hf("collections", "create", f"Of {repo}", "--format", "json")
    slug = re.search(r"alice/of-[\w-]+[0-9a-f]{24}", said)[0]
    alice.hf("collections", "add-item", slug, repo, "model", "--note", "Worth a look.")
    page = requests.get(f"{live_hub.url}/collections/{slug}", timeout=60).text
    assert repo in page.replace("</span><b>", "")
    assert "Worth a look." in page


# --- gates -----------------------------------------------------------------------------------------------------------
PULL = """
import sys
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import GatedRepoError
repo, said = sys.argv[1], []
assert HfApi().model_info(repo).gated == "manual"
roads = [lambda: hf_hub_download(repo, "notes.txt"), lambda: snapshot_download(repo), lambda: HfApi().auth_check(repo)]
for road in roads:
    try:
        road()
        said.append("ok")
    except GatedRepoError as error:
        said.append("gated" if "is restricted" in str(error) else str(error))
print(" ".join(said))
"""
DECIDE = """
import sys
from huggingface_hub import HfApi
api, repo = HfApi(), sys.argv[1]
(asked,) = api.list_pending_access_requests(repo)
print(asked.username, asked.email, asked.fields)
api.accept_access_request(repo, "carol")
"""


def test_a_gate_opens_for_whom_its_owner_lets_in(live_hub: Hub, alice: Client, carol: Client, repo: str):
    alice.hf("repos", "settings", repo, "--gated", "manual")
    assert carol.python(PULL, repo).strip() == "gated gated gated"
    nobody = Client(RELEASE, live_hub.url, "", carol.home / "nobody")
    assert nobody.python(PULL, repo).strip() == "gated gated gated"
    browser = Browser(live_hub.url, "carol")
    page = browser.submit(f"/{repo}/ask-access", page=f"/{repo}", text="For a study.")
    assert "has not decided yet" in page
    assert alice.python(DECIDE, repo).strip() == "carol carol@example.org {'text': 'For a study.'}"
    assert carol.python(PULL, repo).strip() == "ok ok ok"


# --- webhooks --------------------------------------------------------------------------------------------------------
WEBHOOK = """
import json, sys
from huggingface_hub import HfApi
api, url = HfApi(), sys.argv[1]
hook = api.create_webhook(url=url, watched=[{"type": "user", "name": "alice"}], domains=["repo"], secret="s3cret")
api.create_repo("alice/told")
commit = api.upload_file(path_or_fileobj=b"hello", path_in_repo="notes.txt", repo_id="alice/told")
print(json.dumps([hook.id, commit.oid]))
"""


@pytest.mark.redis
def test_a_push_reaches_a_webhook_through_the_queue(tmp_path: Path):
    with listening() as listener, valkey() as broker:
        settings = {"BROKER_URL": broker, "WEBHOOK_ALLOW": "127.0.0.0/8", "ENGINES": str(tmp_path / "no-engines")}
        with live.hub(tmp_path / "data", **settings) as hub:
            hub.start_worker(beat=False)
            client = Client(RELEASE, hub.url, TOKENS["alice"], tmp_path / "home")
            hook, oid = json.loads(client.python(WEBHOOK, listener.url))
            until = time.monotonic() + 240
            while len(listener.heard) < 2 and time.monotonic() < until:
                time.sleep(0.1)
    messages = sorted((WebhookPayload(**heard.json) for heard in listener.heard), key=lambda one: one.event.scope)
    assert [(one.event.action, one.event.scope) for one in messages] == [
        ("create", "repo"),
        ("update", "repo.content"),
    ]
    assert {one.webhook.id for one in messages} == {hook}
    assert messages[1].updatedRefs[0].newSha == oid
    assert {heard.headers["x-webhook-secret"] for heard in listener.heard} == {"s3cret"}


def test_the_command_line_manages_webhooks(alice: Client):
    made = alice.hf("webhooks", "create", "--url", "https://example.org/x", "--watch", "user:alice", "--format", "json")
    number = re.search(r"[0-9a-f]{24}", made)[0]
    assert number in alice.hf("webhooks", "ls", "--format", "json")
    alice.hf("webhooks", "disable", number)
    assert "true" in alice.hf("webhooks", "info", number, "--format", "json").lower()
    alice.hf("webhooks", "delete", number, "--yes")
    assert number not in alice.hf("webhooks", "ls", "--format", "json")
