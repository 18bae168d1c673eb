"""`dovetail yank` against a running hub: what others pull before, meanwhile and afterwards."""

import json

import pytest

from tests import live

NAME = "alice/reviews-lora"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with live.hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def test_a_yanked_version_is_pulled_by_its_commit_with_the_reason(here, folder, hub):
    assert here("push", folder, NAME, hub=hub, who="alice").returncode == 0
    pulled = json.loads(here("pull", NAME, "--json", hub=hub, who="carol").stdout)
    commit = pulled["revision"]
    done = here("yank", f"{NAME}@{commit}", "--reason", "Wrong labels.", hub=hub, who="alice")
    assert (done.returncode, done.stdout) == (0, f"{commit}\n"), done.stderr
    gone = here("pull", NAME, hub=hub, who="carol")
    assert gone.returncode == 4
    assert "main of alice/reviews-lora is yanked (Wrong labels.)" in gone.stderr
    pinned = here("pull", f"{NAME}@{commit}", "--to", "pinned", hub=hub, who="carol")
    assert pinned.returncode == 0
    assert "Its owners yanked this version: Wrong labels." in pinned.stderr
    assert here("push", folder, "alice/again", hub=hub, who="alice").returncode == 0
    told = here("info", "alice/again", hub=hub, who="carol").stdout
    assert f"The same weights were withdrawn in {NAME} at {commit[:12]}: Wrong labels." in " ".join(told.split())
    back = json.loads(here("yank", f"{NAME}@{commit}", "--undo", "--json", hub=hub, who="alice").stdout)
    assert back == {"schema": 1, "revision": commit, "yanked": None}
    assert here("pull", NAME, "--to", "again", hub=hub, who="carol").returncode == 0


def test_who_may_not_write_yanks_nothing(here, folder, hub):
    here("push", folder, NAME, hub=hub, who="alice")
    assert here("yank", f"{NAME}@main", "-m", "No.", hub=hub, who="carol").returncode == 3


def test_a_yank_names_a_revision_and_a_reason(here):
    for words in ((NAME, "-m", "x"), (f"{NAME}@", "-m", "x"), (f"{NAME}@main",)):
        assert here("yank", *words, hub="http://127.0.0.1:9", who="alice").returncode == 2
