"""`dovetail alias` against a running hub, and the aliases that the command and stock clients pull."""

import json

import pytest

from tests import live
from tests.clients import Client

NAME = "alice/reviews-lora"
SNAPSHOT = f"""
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
folder = snapshot_download("{NAME}", revision="prod")
assert hf_hub_download("{NAME}", "README.md", revision="prod").startswith(folder)
refs = HfApi().list_repo_refs("{NAME}")
assert [ref.name for ref in refs.branches + refs.tags] == ["main"], refs
print(folder.rpartition("/")[2])
"""
FORCED = ("--force", "--reason", "No worker runs here.")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with live.hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def commits(here, folder, hub):
    """Two versions, the oldest first; nothing has passed, since no worker runs."""
    made = []
    for words in ("# One\n", "# Two\n"):
        (folder / "README.md").write_text(words)
        assert here("push", folder, NAME, hub=hub, who="alice").returncode == 0
        pulled = here("pull", NAME, "--to", "newest", "--json", hub=hub, who="alice")
        made.append(json.loads(pulled.stdout)["revision"])
    return made


def test_an_alias_is_set_pulled_rolled_back_and_removed(here, hub, commits, tmp_path):
    first, second = commits

    def alias(*words, who="alice"):
        return here("alias", *words, hub=hub, who=who)

    assert "has no alias" in alias(NAME).stderr
    refused = alias("set", f"{NAME}@main", "prod")
    assert (refused.returncode, "has not passed" in refused.stderr) == (2, True), refused.stderr
    done = alias("set", f"{NAME}@{first}", "prod", *FORCED)
    assert (done.returncode, done.stdout) == (0, f"{first}\n"), done.stderr
    moved = json.loads(alias("set", f"{NAME}@main", "prod", *FORCED, "--json").stdout)
    assert (moved["alias"], moved["revision"], moved["forced"]) == ("prod", second, True)
    assert alias(NAME, who="carol").stdout == f"prod\t{second}\n"
    [listed] = json.loads(alias(NAME, "--json").stdout)["aliases"]
    assert listed["reason"] == "No worker runs here."
    pulled = json.loads(here("pull", f"{NAME}@prod", "--to", "at-prod", "--json", hub=hub, who="carol").stdout)
    assert pulled["revision"] == second
    stock = Client("2.4.0", hub.url, live.TOKENS["carol"], tmp_path / "stock")
    assert stock.python(SNAPSHOT).strip() == second
    back = alias("rollback", NAME, "prod")
    assert (back.returncode, back.stdout) == (0, f"{first}\n"), back.stderr
    assert stock.python(SNAPSHOT).strip() == first
    assert alias("rollback", NAME, "prod").returncode == 2
    assert alias("rm", NAME, "prod", who="carol").returncode == 3
    assert alias("rm", NAME, "prod").returncode == 0
    assert here("pull", f"{NAME}@prod", hub=hub, who="carol").returncode == 4
    assert alias("rm", NAME, "prod").returncode == 4


def test_what_is_written_wrong_is_a_usage_error(here):
    for words in (
        ("set", NAME, "prod"), ("set", f"{NAME}@main"), ("set", f"{NAME}@main", "prod", "--force"),
        ("rollback", NAME), ("rm", NAME, ""), ("move", NAME),
    ):  # fmt: skip
        assert here("alias", *words, hub="http://127.0.0.1:9", who="alice").returncode == 2, words
