"""A stock client in a CI job that has nothing but its identity token, against a hub that runs."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import live
from tests.adapters import MINILM, lora, write
from tests.ci_issuer import RUNNER, Issuer, issuing
from tests.clients import Client
from tests.guide.runners import github
from tests.live import ROOT, Hub

TRUST = """
import os, sys
from registry.kernel.policy import Caller
from registry.models import User
from features.publishers import verbs
pinned = {"repository": ["acme/train"], "repository_owner_id": ["4711"], "ref": ["refs/heads/*"]}
alice = Caller(user=User.objects.get(username="alice"))
print(verbs.trust_pending(os.environ["REPOSITORY"], os.environ["ISSUER"], pinned, alice))
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture(scope="module")
def hub(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that allows the CI system of this test."""
    folder = tmp_path_factory.mktemp("publishing") / "data"
    with live.hub(folder, CI_ISSUERS=issuer.url, WEBHOOK_ALLOW="127.0.0.0/8") as running:
        yield running


@pytest.fixture
def repository(hub: Hub, issuer: Issuer) -> str:
    """The id of a repository that does not exist yet, for which the job of acme/train is trusted."""
    name = f"acme/from-ci-{random.randrange(1 << 40):x}"
    hub.environment |= {"REPOSITORY": name, "ISSUER": issuer.url}
    assert "publisher:acme-train-" in hub.manage("shell", "-v", "0", "-c", TRUST)
    return name


def job(release: str, hub: Hub, home: Path, repository: str, **environment: str) -> Client:
    """Return a client of a CI job: no token, and the repository that it wants to publish to."""
    return Client(release, hub.url, "", home, {"HF_OIDC_RESOURCE": repository, **environment})


@pytest.mark.parametrize("release", ["2.4.0", pytest.param("1.33.0", marks=pytest.mark.merge)])
def test_a_job_of_github_publishes_with_nothing_but_its_identity(
    release: str, hub: Hub, issuer: Issuer, repository: str, tmp_path: Path
):
    folder = write(lora(MINILM, rank=4, seed=random.randrange(1 << 30)), tmp_path / "adapter")
    runner = {
        "GITHUB_ACTIONS": "true",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer.url}/mint",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": RUNNER,
    }
    client = job(release, hub, tmp_path / "home", repository, **runner)
    client.hf("upload", repository, folder)  # creates it, by its pending publisher
    client.hf("upload", repository, folder / "adapter_config.json", "copy/adapter_config.json")
    author = client.python(
        "import sys; from huggingface_hub import HfApi\n"
        "print(*(author for commit in HfApi().list_repo_commits(sys.argv[1]) for author in commit.authors))",
        repository,
    )
    assert author.startswith("publisher:acme-train-")
    assert "publisher:acme-train-" in client.hf("auth", "whoami")
    refused = client.try_hf("upload", "acme/something-else", folder)
    assert refused.returncode != 0
    assert "may not create" in refused.stdout + refused.stderr


@pytest.mark.merge
def test_a_job_of_another_system_brings_its_token_itself(hub: Hub, issuer: Issuer, repository: str, tmp_path: Path):
    folder = write(lora(MINILM, rank=4, seed=random.randrange(1 << 30)), tmp_path / "adapter")
    token = issuer.token(hub.url)
    client = job("2.4.0", hub, tmp_path / "home", repository, HF_OIDC_ID_TOKEN=token)
    client.hf("upload", repository, folder)
    again = client.try_hf("upload", repository, folder)
    assert again.returncode != 0
    assert "used before" in again.stdout + again.stderr


def test_a_job_that_nobody_trusts_is_told_why(hub: Hub, issuer: Issuer, repository: str, tmp_path: Path):
    token = issuer.token(hub.url, repository="mallory/train")
    client = job("2.4.0", hub, tmp_path / "home", repository, HF_OIDC_ID_TOKEN=token)
    refused = client.try_hf("upload", repository, ROOT / "README.md", "README.md")
    assert refused.returncode != 0
    assert "No trusted publisher of" in refused.stdout + refused.stderr


@pytest.mark.merge
def test_the_action_publishes_by_its_identity_and_gates_what_has_no_verdict(
    hub: Hub, issuer: Issuer, repository: str, tmp_path: Path
):
    folder = write(lora(MINILM, rank=4, seed=random.randrange(1 << 30)), tmp_path / "adapter")
    inputs = {"hub": hub.url, "repository": repository, "path": str(folder), "timeout": "0"}
    runner = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer.url}/mint", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": RUNNER}
    done = github(tmp_path, inputs, **runner)
    assert done.returncode == 6, done.stdout + done.stderr
    assert "::add-mask::dvt_" in done.stdout
    assert "state=queued" in (tmp_path / "temp/output").read_text()
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    refused = github(stranger, inputs | {"repository": "acme/not-trusted"}, **runner)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "settings/publishers" in refused.stderr
