"""The command line of stock releases, command by command, against a hub that runs."""

import json
import random
import re
import subprocess
from pathlib import Path

import pytest

from tests.adapters import CONFIG, MINILM, WEIGHTS, lora, write
from tests.clients import Client
from tests.live import TOKENS, Hub

pytestmark = pytest.mark.merge

BOTH = pytest.mark.parametrize("release", ["2.4.0", "1.33.0"])  # what 0.36 has of this is in test_clients.py


@pytest.fixture
def release() -> str:
    return "2.4.0"


@pytest.fixture
def alice(release: str, live_hub: Hub, tmp_path: Path) -> Client:
    return Client(release, live_hub.url, TOKENS["alice"], tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(lora(MINILM, rank=8, seed=random.randrange(1 << 30)), tmp_path / "adapter")


@pytest.fixture
def repo() -> str:
    return f"alice/cli-{random.randrange(1 << 40):x}"


def refs(client: Client, repo: str, kind: str) -> set[str]:
    names = client.python(
        "import sys; from huggingface_hub import HfApi\n"
        "print(*(one.name for one in getattr(HfApi().list_repo_refs(sys.argv[1]), sys.argv[2])))",
        repo,
        kind,
    )
    return set(names.split())


def test_repositories_from_their_making_to_their_end(alice: Client, repo: str, folder: Path):
    hf = alice.hf
    assert repo in hf("repos", "create", repo, "--private")
    assert alice.try_hf("repos", "create", repo).returncode != 0
    hf("repos", "create", repo, "--exist-ok")
    assert repo in hf("repos", "ls", "--search", repo.partition("/")[2])
    hf("upload", repo, folder, "--commit-message", "First")
    hf("upload", repo, folder / CONFIG, "deep/er/config.json", "--revision", "try/one")
    hf("repos", "branch", "create", repo, "side", "--revision", "main")
    hf("repos", "tag", "create", repo, "v1", "-m", "The first")
    assert "v1" in hf("repos", "tag", "list", repo)
    assert refs(alice, repo, "branches") == {"main", "try/one", "side"}
    hf("repos", "branch", "delete", repo, "side")
    hf("repos", "tag", "delete", repo, "v1", "--yes")
    assert refs(alice, repo, "branches") == {"main", "try/one"}
    assert refs(alice, repo, "tags") == set()
    hf("repos", "settings", repo, "--gated", "auto", "--public")
    hf("repos", "delete-files", repo, "*.md")
    moved = f"{repo}-moved"
    hf("repos", "move", repo, moved)
    assert moved in hf("models", "info", repo)  # the old name leads to the new one
    hf("repos", "duplicate", moved, f"{moved}-twice", "--private")
    hf("cp", f"hf://{moved}/{WEIGHTS}", f"hf://{moved}-twice/copied.safetensors")
    hf("cp", str(folder / CONFIG), f"hf://{moved}-twice/local.json")
    hf("cp", f"hf://{moved}-twice/copied.safetensors", str(folder.parent / "back"))
    assert (folder.parent / "back").read_bytes() == (folder / WEIGHTS).read_bytes()
    for name in (moved, f"{moved}-twice"):
        hf("repos", "delete", name, "--yes")
    assert alice.try_hf("models", "info", moved).returncode != 0
    hf("repos", "delete", moved, "--yes", "--missing-ok")


@BOTH
def test_models_are_found_read_pulled_and_verified(alice: Client, repo: str, folder: Path):
    hf, pulled = alice.hf, folder.parent / "pulled"
    hf("upload", repo, folder, "--exclude", "*.jsonl")
    wanted = ("--author", "alice", "--search", repo.partition("/")[2], "--filter", "lora", "--sort", "last_modified")
    assert repo in hf("models", "ls", *wanted, "--quiet")
    assert WEIGHTS in hf("models", "ls", repo, "-R")
    assert json.loads(hf("models", "info", repo, "--json"))["id"] == repo
    assert "base_model" in hf("models", "card", repo)
    assert WEIGHTS in hf("download", repo, "--dry-run")
    hf("download", repo, WEIGHTS, "--local-dir", pulled)
    assert (pulled / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    assert not (pulled / CONFIG).exists()
    hf("download", repo, "--include", "*.json", "--local-dir", pulled)
    assert (pulled / CONFIG).read_bytes() == (folder / CONFIG).read_bytes()
    hf("download", repo, "--local-dir", pulled)
    assert "erified" in hf("cache", "verify", repo, "--local-dir", pulled)
    (pulled / CONFIG).write_text("{}")
    assert alice.try_hf("cache", "verify", repo, "--local-dir", pulled).returncode != 0
    hf("download", repo)
    assert repo in hf("cache", "ls")
    hf("cache", "prune", "--yes")
    hf("cache", "rm", f"model/{repo}", "--yes")
    assert repo not in hf("cache", "ls")


def test_discussions_and_pull_requests(alice: Client, repo: str, folder: Path):
    hf = alice.hf
    hf("upload", repo, folder)
    hf("discussions", "create", repo, "--title", "Why rank 8?", "--body", "Is four not enough?")
    hf("discussions", "comment", repo, "1", "--body", "It is not.")
    hf("discussions", "rename", repo, "1", "Why rank eight?")
    assert "Why rank eight?" in hf("discussions", "ls", repo)
    assert "Why rank eight?" in hf("discussions", "info", repo, "1")
    hf("discussions", "close", repo, "1", "--yes")
    assert "Why rank eight?" not in hf("discussions", "ls", repo, "--status", "open")
    hf("discussions", "reopen", repo, "1", "--yes")
    (folder / "notes.md").write_text("Notes.\n")
    hf("upload", repo, folder, "--create-pr", "--commit-message", "Add notes")
    assert "+Notes." in hf("discussions", "diff", repo, "2")
    hf("discussions", "reopen", repo, "2", "--yes")  # what a program proposes is a draft
    hf("discussions", "merge", repo, "2", "--yes", "--comment", "Thanks.")
    assert "notes.md" in hf("models", "ls", repo)


def test_collections(alice: Client, repo: str):
    hf = alice.hf
    hf("repos", "create", repo)
    slug = re.search(r"alice/of-[\w-]+[0-9a-f]{24}", hf("collections", "create", f"Of {repo}", "--json"))[0]
    hf("collections", "add-item", slug, repo, "model", "--note", "Good.")
    shown = hf("collections", "info", slug, "--json")
    assert repo in shown
    item = re.search(r'"(?:_id|item_object_id)": *"([0-9a-f]{24})"', shown)[1]
    hf("collections", "update-item", slug, item, "--note", "Better.")
    hf("collections", "update", slug, "--description", "What is good.")
    assert slug in hf("collections", "ls", "--owner", "alice", "--item", f"models/{repo}", "--json")
    hf("collections", "delete-item", slug, item)
    hf("collections", "delete", slug, "--yes" if "--yes" in hf("collections", "delete", "--help") else "--missing-ok")
    assert alice.try_hf("collections", "info", slug).returncode != 0


def test_a_token_is_kept_shown_and_forgotten(alice: Client):
    token, alice.token = alice.token, ""
    alice.hf("auth", "login", "--token", token)
    assert "alice" in alice.hf("auth", "whoami")
    assert token in alice.hf("auth", "token")
    assert "live" in alice.hf("auth", "list")
    alice.hf("auth", "logout")
    assert alice.try_hf("auth", "whoami").returncode != 0 or "Not logged in" in alice.hf("auth", "whoami")
    refused = alice.try_hf("auth", "login", "--token", "hf_nobodys_token")
    assert refused.returncode != 0 or "nvalid" in refused.stdout + refused.stderr


def test_git_is_told_in_a_sentence_what_to_use(live_hub: Hub, tmp_path: Path):
    for address in ("alice/any", "alice/any.git", "datasets/alice/any"):
        done = subprocess.run(
            ["git", "clone", f"{live_hub.url}/{address}", tmp_path / "x"], capture_output=True, text=True
        )
        assert done.returncode
        assert "This hub does not speak git itself: bring a repository with `hf download`" in done.stderr
