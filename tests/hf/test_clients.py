"""The loop, with stock clients as judges: create, push, push nothing, look, pull, propose, and load from the cache."""

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.adapters import MINILM, lora, write
from tests.clients import Client
from tests.live import TOKENS, Hub

CASES = {
    "2.4.0-xet": ("2.4.0", {}),
    "0.36.2": ("0.36.2", {}),  # by LFS
    "2.4.0-lfs": ("2.4.0", {"HF_HUB_DISABLE_XET": "1"}),
    "1.33.0": ("1.33.0", {}),
}
MERGE = {"2.4.0-lfs", "1.33.0", "0.36.2"}


@dataclass
class Stage:
    """One client, one repository of its own, and an adapter whose bytes nobody has pushed before."""

    hub: Hub
    client: Client
    repo: str
    folder: Path
    by_xet: bool

    def requests(self, start: str) -> int:
        """Count the requests the hub has answered whose line begins so; `start` is a regular expression."""
        return len(re.findall(f'"message": "{start}', self.hub.log("web")))


@pytest.fixture(
    params=[pytest.param(CASES[id], id=id, marks=[pytest.mark.merge] if id in MERGE else []) for id in CASES]
)
def stage(request, live_hub: Hub, tmp_path: Path) -> Stage:
    release, settings = request.param
    client = Client(release, live_hub.url, TOKENS["alice"], tmp_path / "home", settings)
    unique = lora(MINILM, rank=8, targets=("query", "value"), seed=random.randrange(1 << 30))
    folder = write(unique, tmp_path / "adapter")
    by_xet = release != "0.36.2" and not settings
    return Stage(live_hub, client, f"alice/t{random.randrange(1 << 40)}", folder, by_xet)


SMOKE = """
import io, json, os, sys
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
api, repo = HfApi(), sys.argv[1]
info = api.model_info(repo, files_metadata=True)
tree = {item.path: item for item in api.list_repo_tree(repo, recursive=True)}
weights = tree["adapter_model.safetensors"]
print(json.dumps({
    "who": api.whoami()["name"],
    "sha": info.sha, "tags": info.tags, "library": info.library_name, "pipeline": info.pipeline_tag,
    "siblings": sorted(one.rfilename for one in info.siblings), "config": info.config,
    "lfs": weights.lfs.sha256, "size": weights.size,
    "commits": [one.title for one in api.list_repo_commits(repo)],
    "branches": [one.name for one in api.list_repo_refs(repo).branches],
    "listed": [one.id for one in api.list_models(author="alice", search=repo.split("/")[1], filter="lora")],
    "paths": [one.path for one in api.get_paths_info(repo, ["adapter_config.json", "missing"])],
    "exists": [api.repo_exists(repo), api.repo_exists(repo + "x"), api.repo_exists("no-namespace")],
    "files": [api.file_exists(repo, "README.md"), api.file_exists(repo, "no")],
    "snapshot": snapshot_download(repo),
}))
"""


def test_the_loop(stage: Stage) -> None:
    client, repo, folder = stage.client, stage.repo, stage.folder
    create = ("repo", "create") if client.release == "0.36.2" else ("repos", "create")
    shards, puts = stage.requests(r"POST /xet/\S+/shards 200"), stage.requests("PUT /api/lfs/uploads 200")
    assert "alice" in client.hf("auth", "whoami")
    client.hf(*create, repo)

    client.hf("upload", repo, folder)
    assert stage.requests(r"POST /xet/\S+/shards 200") == shards + stage.by_xet
    assert stage.requests("PUT /api/lfs/uploads 200") == puts + (not stage.by_xet)
    assert "No files have been modified" in client.hf("upload", repo, folder)

    seen = json.loads(client.python(SMOKE, repo))
    assert seen["who"] == "alice"
    assert seen["commits"] == ["Upload folder using huggingface_hub", "initial commit"]
    assert seen["branches"] == ["main"]
    assert seen["siblings"] == sorted([".gitattributes", *(one.name for one in folder.iterdir())])
    assert {"peft", "lora", "safetensors", f"base_model:adapter:{MINILM.id}"} <= set(seen["tags"])
    assert (seen["library"], seen["pipeline"]) == ("peft", "text-classification")
    assert seen["config"]["peft"]["base_model_name_or_path"] == MINILM.id
    assert seen["listed"] == [repo]
    assert seen["paths"] == ["adapter_config.json"]
    assert seen["exists"] == [True, False, False]
    assert seen["files"] == [(folder / "README.md").exists(), False]
    assert _same(folder, Path(seen["snapshot"]))

    client.hf("download", repo, "--local-dir", folder.parent / "pulled")
    assert _same(folder, folder.parent / "pulled")


def test_bytes_from_memory_travel_by_lfs(stage: Stage) -> None:
    puts = stage.requests("PUT /api/lfs/uploads 200")
    stage.client.python(
        "import io, os, sys; from huggingface_hub import HfApi; api = HfApi(); api.create_repo(sys.argv[1])\n"
        "data = os.urandom(12 << 20)\n"
        "api.upload_file(repo_id=sys.argv[1], path_or_fileobj=io.BytesIO(data), path_in_repo='x.bin')\n"
        "assert open(api.hf_hub_download(sys.argv[1], 'x.bin'), 'rb').read() == data",
        stage.repo,
    )
    assert stage.requests("PUT /api/lfs/uploads 200") == puts + 1


def test_a_proposal_is_a_ref_of_its_own(stage: Stage) -> None:
    client, repo = stage.client, stage.repo
    client.hf("upload", repo, stage.folder)
    client.hf("upload", repo, stage.folder, "--create-pr", "--revision", "main")
    (stage.folder / "notes.md").write_text("more\n")
    client.hf("upload", repo, stage.folder, "--create-pr")
    seen = client.python(
        "import sys; from huggingface_hub import HfApi; api, repo = HfApi(), sys.argv[1]\n"
        "print([one.ref for one in api.list_repo_refs(repo, include_pull_requests=True).pull_requests])\n"
        "print([api.file_exists(repo, 'notes.md', revision=rev) for rev in ('main', 'refs/pr/1', 'refs/pr/2')])",
        repo,
    )
    assert seen.splitlines() == ["['refs/pr/1', 'refs/pr/2']", "[False, False, True]"]


def test_branches_and_tags(stage: Stage) -> None:
    client, repo = stage.client, stage.repo
    client.hf("upload", repo, stage.folder)
    (stage.folder / "odd %? #é name.txt").write_text("odd")
    client.hf("upload", repo, stage.folder, "--revision", "feature/x")
    program = """
import sys
from huggingface_hub import HfApi
from huggingface_hub.utils import EntryNotFoundError, HfHubHTTPError, RevisionNotFoundError
api, repo = HfApi(), sys.argv[1]
odd = "odd %? #é name.txt"
assert open(api.hf_hub_download(repo, odd, revision="feature/x")).read() == "odd"
api.create_tag(repo, tag="v1/rc", revision="feature/x")
sha = lambda rev: api.model_info(repo, revision=rev).sha
assert sha("v1/rc") == sha("feature/x") != sha("main")
assert sha(sha("main")[:7]) == sha("main") == sha(None)
for name in ("v1/rc", "bad..name"):
    try:
        api.create_tag(repo, tag=name)
    except HfHubHTTPError as error:
        print(error.response.status_code)
for revision, path in (("nowhere", "x"), ("main", odd)):
    try:
        api.hf_hub_download(repo, path, revision=revision)
    except (EntryNotFoundError, RevisionNotFoundError) as error:
        print(type(error).__name__.removeprefix("Remote"))
api.delete_tag(repo, tag="v1/rc")
api.delete_branch(repo, branch="feature/x")
print([one.name for one in api.list_repo_refs(repo).branches], api.list_repo_refs(repo).tags)
api.delete_files(repo_id=repo, delete_patterns=["*.json"])
print(api.file_exists(repo, "adapter_config.json"))
api.delete_repo(repo)
print(api.repo_exists(repo))
"""
    said = client.python(program, repo).splitlines()
    assert said == ["409", "400", "RevisionNotFoundError", "EntryNotFoundError", "['main'] []", "False", "False"]


def test_what_was_pulled_once_needs_no_network(stage: Stage) -> None:
    client = stage.client
    client.hf("upload", stage.repo, stage.folder)
    program = "import sys; from huggingface_hub import snapshot_download; print(snapshot_download(sys.argv[1]))"
    pulled = client.python(program, stage.repo)
    client.settings = client.settings | {"HF_HUB_OFFLINE": "1"}
    assert client.python(program, stage.repo) == pulled


@pytest.mark.parametrize("stage", [CASES["2.4.0-xet"]], ids=["2.4.0"], indirect=True)  # 0.x knows no `cache verify`
def test_cached_files_verify_against_the_hub(stage: Stage) -> None:
    stage.client.hf("upload", stage.repo, stage.folder)
    stage.client.hf("download", stage.repo)
    assert "Verified" in stage.client.hf("cache", "verify", stage.repo)


def _same(pushed: Path, pulled: Path) -> bool:
    return all((pulled / one.name).read_bytes() == one.read_bytes() for one in pushed.iterdir())
