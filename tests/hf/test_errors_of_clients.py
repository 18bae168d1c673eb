"""Which exception the stock client raises for each refusal, over plain http, and that people can read what it says."""

import json
import random
from pathlib import Path

import pytest

from tests.clients import Client
from tests.live import TOKENS, Hub
from tests.sweep import sweep

RELEASE = "2.4.0"
# Each road is one line of the client's API. `{repo}` is alice's and public, with README.md in it; `{secret}` is
# alice's and private; `{gated}` is alice's with a gate; who asks is `carol`, a stranger, unless it says otherwise.
ROWS = {
    "a revision that is not there": ("model_info('{repo}', revision='nothing')", "RevisionNotFoundError", 404),
    "a file that is not there": ("hf_hub_download('{repo}', 'nothing.txt')", "RemoteEntryNotFoundError", 404),
    "a folder that is not there": ("list(list_repo_tree('{repo}', 'nothing'))", "RemoteEntryNotFoundError", 404),
    "a repository that is not there": ("model_info('alice/nothing')", "RepositoryNotFoundError", 404),
    "a private one, for a stranger": ("model_info('{secret}')", "RepositoryNotFoundError", 404),
    "a private one's file, for a stranger": ("hf_hub_download('{secret}', 'x')", "RepositoryNotFoundError", 404),
    "a private one's file, unsigned": ("hf_hub_download('{secret}', 'x')", "RepositoryNotFoundError", 401, "nobody"),
    "one that is not there, unsigned": ("model_info('alice/nothing')", "RepositoryNotFoundError", 401, "nobody"),
    "a dataset that is not there": ("dataset_info('alice/nothing')", "RepositoryNotFoundError", 404),
    "a gated file, for a stranger": ("hf_hub_download('{gated}', 'README.md')", "GatedRepoError", 403),
    "a gated file, unsigned": ("hf_hub_download('{gated}', 'README.md')", "GatedRepoError", 401, "nobody"),
    "a gate, asked about": ("auth_check('{gated}')", "GatedRepoError", 403),
    "a quarantined file, its owner's": ("get_hf_file_metadata(url=endpoint + '/{held}/resolve/main/README.md')",
                                       "DisabledRepoError", 403, "alice"),
    "no right to write": ("delete_file('README.md', '{repo}')", "HfHubHTTPError", 403),
    "a wrong token": ("model_info('{repo}')", "HfHubHTTPError", 401, "hf_wrong"),
    "who a wrong token is": ("whoami()", "HfHubHTTPError", 401, "hf_wrong"),
    "a wrong word": ("model_info('{repo}', expand=['nothing'])", "BadRequestError", 400),
    "a stale parent": ("upload_file(path_or_fileobj=b'x', path_in_repo='x', repo_id='{repo}', parent_commit='0' * 40)",
                       "HfHubHTTPError", 412, "alice"),
    "a name that is taken": ("create_repo('{repo}')", "HfHubHTTPError", 409, "alice"),
    "a tag that is taken": ("create_tag('{repo}', tag='taken')", "HfHubHTTPError", 409, "alice"),
    "a file that cannot be": ("upload_file(path_or_fileobj=b'x', path_in_repo='a' * 300, repo_id='{repo}')",
                              "HfHubHTTPError", 422, "alice"),
    "bytes beyond the end": ("get_past('{repo}')", "HfHubHTTPError", 416),
    "what is not served": ("create_bucket('alice/b')", "HfHubHTTPError", 501, "alice"),
    "a file of a hub out of reach": ("off('{repo}')", "LocalEntryNotFoundError", None),
}  # fmt: skip
PROGRAM = """
import json, sys
from huggingface_hub import HfApi, get_session, hf_hub_download
from huggingface_hub.utils import hf_raise_for_status
api = HfApi()

def get_past(repo):
    url = f"{api.endpoint}/{repo}/resolve/main/README.md"
    hf_raise_for_status(get_session().get(url, headers={"range": "bytes=900-"}))

def off(repo):
    hf_hub_download(repo, "README.md", endpoint="http://127.0.0.1:9", etag_timeout=1)

names = {name: getattr(api, name) for name in dir(api) if not name.startswith("_")}
names |= {"get_past": get_past, "off": off, "hf_hub_download": hf_hub_download}
found = {}
for what, road in json.loads(sys.argv[1]).items():
    try:
        eval(road, names)
        found[what] = ["nothing was raised", None, ""]
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        found[what] = [type(error).__name__, status, str(error)]
print(json.dumps(found))
"""

QUARANTINE = """
from registry.moderation import quarantine
from registry.models import Repository, User
from registry.kernel.policy import Caller
mona = Caller(user=User.objects.get(username="mona"))
quarantine.quarantine(Repository.objects.get(name="{name}"), mona, reason="A test.", note="")
"""


@pytest.fixture(scope="module")
def names(live_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Repositories of alice, one of each kind."""
    alice = Client(RELEASE, live_hub.url, TOKENS["alice"], tmp_path_factory.mktemp("alice"))
    mark = random.randrange(1 << 40)
    names = {kind: f"alice/{kind}-{mark}" for kind in ("repo", "secret", "gated", "held")}
    program = """
import json, sys
from huggingface_hub import HfApi
api = HfApi()
for kind, repo in json.loads(sys.argv[1]).items():
    api.create_repo(repo, private=kind == "secret")
    api.upload_file(path_or_fileobj=b"---\\nlicense: mit\\n---\\n", path_in_repo="README.md", repo_id=repo)
    api.create_tag(repo, tag="taken")
    if kind == "gated":
        api.update_repo_settings(repo, gated="manual")
"""
    alice.python(program, json.dumps(names))
    held = names["held"].partition("/")[2]
    live_hub.manage("shell", "-v", "0", "-c", QUARANTINE.format(name=held))
    return names


@pytest.fixture(scope="module")
def found(live_hub: Hub, names: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """Return the error of each route: class, status, message; one process for each caller."""
    raised: dict[str, list] = {}
    for who in ("carol", "alice", "nobody", "hf_wrong"):
        token = "" if who == "nobody" else TOKENS.get(who, who)
        asking = Client(RELEASE, live_hub.url, token, tmp_path_factory.mktemp(who))
        roads = {what: row[0].format(**names) for what, row in ROWS.items() if (*row, "carol")[3] == who}
        raised |= json.loads(asking.python(PROGRAM, json.dumps(roads)))
    return raised


@sweep("what", ROWS)
def test_each_refusal_is_the_exception_that_programs_catch(found: dict[str, list], what: str):
    _, wanted, status, *_ = ROWS[what]
    assert found[what][:2] == [wanted, status], found[what]


def test_refusals_are_sentences(found: dict[str, list], names: dict[str, str], tmp_path: Path):
    assert "you are not in the authorized list" in found["a gated file, for a stranger"][2]
    assert "Invalid rev id: nothing" in found["a revision that is not there"][2]
    assert "Invalid username or password." in found["one that is not there, unsigned"][2]
    assert "Invalid credentials in Authorization header" in found["a wrong token"][2]
    assert "carol" in found["no right to write"][2]
    assert "already exists" in found["a tag that is taken"][2]
    assert "keeps models, datasets and spaces only" in found["what is not served"][2]


def test_what_is_private_raises_what_is_missing_raises(found: dict[str, list], names: dict[str, str]):
    secret, nothing = found["a private one, for a stranger"], found["a repository that is not there"]
    assert secret[:2] == nothing[:2]
    said = [text.split("Request ID")[0] + text.partition(")")[2] for text in (secret[2], nothing[2])]
    assert said[0].replace(names["secret"], "alice/nothing") == said[1]
