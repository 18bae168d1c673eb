"""Every release of the library in every way it moves files, many of them at the same moment, and with lesser tokens."""

import json
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from tests.clients import Client, build
from tests.live import TOKENS, Hub

pytestmark = pytest.mark.merge

PROGRAMS = Path(__file__).parent / "programs"
RELEASES = ("2.4.0", "1.33.0", "0.36.2")


def new(kind: str) -> str:
    return f"alice/{kind}-{random.randrange(1 << 40):x}"


def client(hub: Hub, folder: Path, release: str, **settings: str) -> Client:
    return Client(release, hub.url, TOKENS["alice"], folder / f"home-{random.randrange(1 << 40)}", settings)


@pytest.mark.parametrize("release", RELEASES)
def test_files_move_in_every_way_that_the_library_has(live_hub: Hub, tmp_path: Path, release: str):
    done = client(live_hub, tmp_path, release).program(PROGRAMS / "files_in_every_way.py", new("ways"))
    assert done.endswith("fine\n")


# --- at the same moment ----------------------------------------------------------------------------------------------
PUSH = """
import os, sys
from huggingface_hub import HfApi
api = HfApi()
for number, repo in enumerate(sys.argv[2:]):
    api.create_repo(repo, exist_ok=True)
    folder = f"{os.environ['HF_HOME']}/{number}"
    os.makedirs(folder)
    open(f"{folder}/notes-{sys.argv[1]}.txt", "w").write(sys.argv[1])
    open(f"{folder}/weights-{sys.argv[1]}.safetensors", "wb").write(os.urandom(200_000))
    api.upload_folder(repo_id=repo, folder_path=folder, commit_message=sys.argv[1])
    api.upload_file(repo_id=repo, path_or_fileobj=sys.argv[1].encode(), path_in_repo="both.txt")
"""


def test_eight_clients_push_to_one_repository_and_to_their_own_and_nothing_is_lost(live_hub: Hub, tmp_path: Path):
    shared, api = new("shared"), HfApi(live_hub.url, TOKENS["alice"])
    pushers = [
        client(live_hub, tmp_path, RELEASES[number % 3], **({"HF_HUB_DISABLE_XET": "1"} if number == 6 else {}))
        for number in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: one[1].python(PUSH, str(one[0]), shared, f"{shared}-{one[0]}"), enumerate(pushers)))
    names = {f"{kind}-{number}.{ending}" for number in range(8) for kind, ending in
             (("notes", "txt"), ("weights", "safetensors"))}  # fmt: skip
    assert set(api.list_repo_files(shared)) == {".gitattributes", "both.txt", *names}
    for repo, pushes in ((shared, 16), *((f"{shared}-{number}", 2) for number in range(8))):
        history = api.list_repo_commits(repo)
        assert len({one.commit_id for one in history}) == len(history) == 1 + pushes, repo
        for newer, older in pairwise(history):  # a line: each adds to the one before
            files = [set(api.list_repo_files(repo, revision=one.commit_id)) for one in (newer, older)]
            assert files[0] >= files[1], (newer.title, older.title)


# --- broken off ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("release", ["1.33.0", "0.36.2"])  # 2.4 has no such command any more
def test_a_large_upload_that_was_killed_goes_on_where_it_was(live_hub: Hub, tmp_path: Path, release: str):
    repo, folder, api = new("large"), tmp_path / "folder", HfApi(live_hub.url, TOKENS["alice"])
    folder.mkdir()
    for number in range(60):
        (folder / f"part-{number}.bin").write_bytes(random.randbytes(20_000))
    pusher = client(live_hub, tmp_path, release)
    command = [str(build(release) / "hf"), "upload-large-folder", repo, str(folder), "--repo-type", "model"]
    command += ["--num-workers", "2", "--no-report", "--no-bars"]
    api.create_repo(repo)
    running = subprocess.Popen(command, env=pusher.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = folder / ".cache" / "huggingface" / "upload"
    until = time.monotonic() + 180
    while sum(1 for _ in started.glob("*.metadata")) < 20 and running.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    for note in started.glob("*.metadata"):
        if not note.stat().st_size:  # killed while it wrote it: 0.36 does not get over that itself
            note.unlink()
    pusher.hf(*command[1:])
    pulled = api.snapshot_download(repo, cache_dir=tmp_path / "pulled")
    for one in folder.glob("*.bin"):
        assert Path(pulled, one.name).read_bytes() == one.read_bytes()
    assert not [path for path in api.list_repo_files(repo) if ".cache" in path]


# --- with less -------------------------------------------------------------------------------------------------------
LESSER = """
import json, sys
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
api, said = HfApi(), []
for repo in sys.argv[1:]:
    for deed in (
        lambda: api.hf_hub_download(repo, "notes.txt"),
        lambda: api.upload_file(repo_id=repo, path_or_fileobj=b"more", path_in_repo="more.txt"),
        lambda: api.upload_file(repo_id=repo, path_or_fileobj=bytes(range(256)) * 999, path_in_repo="more.bin"),
        lambda: api.update_repo_settings(repo, gated="auto"),
    ):
        try:
            deed()
            said.append("yes")
        except RepositoryNotFoundError:
            said.append("not there")
        except HfHubHTTPError as error:
            said.append(str(error.response.status_code))
print(json.dumps([api.whoami()["auth"]["accessToken"]["role"], *said]))
"""


@pytest.mark.parametrize("release", RELEASES)
def test_a_fine_grained_token_does_what_it_names(live_hub: Hub, tmp_path: Path, release: str):
    read, write, other = (new(kind) for kind in ("read", "write", "other"))
    api = HfApi(live_hub.url, TOKENS["alice"])
    for repo in (read, write, other):
        api.create_repo(repo, private=True)
        api.upload_file(repo_id=repo, path_or_fileobj=b"notes", path_in_repo="notes.txt")
    value = f"hf_fine_{random.randrange(1 << 80):x}"
    token = {"name": f"fine-{release}", "role": "fine-grained", "value": value, "repos": {read: "read", write: "write"}}
    people = tmp_path / "people.json"
    people.write_text(json.dumps({"users": [{"name": "alice", "tokens": [token]}]}))
    live_hub.manage("provision", str(people))
    lesser = client(live_hub, tmp_path, release)
    lesser.token = value
    said = json.loads(lesser.python(LESSER, read, write, other))
    assert said[0] == "fineGrained"
    assert said[1:5] == ["yes", "403", "403", "403"]
    assert said[5:9] == ["yes", "yes", "yes", "403"]
    assert said[9:] == ["not there"] * 4
