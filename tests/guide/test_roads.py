"""Three roads from a script to a version that is known to work; `make bench ARGS=start` walks the others."""

import json
import urllib.request
from pathlib import Path

import pytest

from tests.clients import Client, build
from tests.guide.pages import DOCS, Walker, blocks, pins
from tests.live import BASE, ROOT, TOKENS, Hub

pytestmark = [pytest.mark.merge, pytest.mark.engine]


def walker(hub: Hub, folder: Path, engine: str, who: str = "alice", prefix: str = "") -> Walker:
    return Walker(folder, build(engine), hub.url + prefix, TOKENS.get(who, ""))


def verdict_of(hub: Hub, name: str) -> dict:
    with urllib.request.urlopen(f"{hub.url}/api/v1/adapters/{name}/revisions/main/verdict") as answer:
        return json.load(answer)


def test_trainer_has_base_and_adapter_by_name_at_one_address(working_hub: Hub, tmp_path: Path):
    printed = walker(working_hub, tmp_path / "alice", "e5").walk("start-trainer")
    assert "alice/film-reviews@" in printed
    assert printed.splitlines()[-1].startswith("passed "), printed
    assert "\ngood\n" in printed, "what it was trained for"
    verdict = verdict_of(working_hub, "alice/film-reviews")
    assert (verdict["state"], verdict["base"]["id"]) == ("passed", BASE)
    script = next(block.text for block in blocks("start-trainer") if block.word == "use.py")
    stranger = walker(working_hub, tmp_path / "stranger", "e5", "nobody", "/verified")
    (stranger.folder / "use.py").write_text(script)
    assert stranger.run("python use.py") == "good\n"
    alice = Client("e5", working_hub.url, TOKENS["alice"], tmp_path / "home")
    refused = alice.try_hf("upload", BASE, str(tmp_path / "alice" / "use.py"), "x.py")
    assert refused.returncode != 0
    assert "base model of this hub: it is read-only" in refused.stdout + refused.stderr


@pytest.mark.parametrize(("page", "engine"), [("start-peft", "e5"), ("start-adapters", "e4")])
def test_the_page_is_walked_from_top_to_end(working_hub: Hub, tmp_path: Path, page: str, engine: str):
    assert walker(working_hub, tmp_path / "alice", engine).walk(page).endswith("\ngood\n")


# --- what the pages say of themselves ---------------------------------------------------------------------------------
@pytest.mark.parametrize("page", sorted(file.stem for file in DOCS.glob("start-*.md")))
def test_a_page_names_the_releases_that_it_is_run_with(page: str):
    texts = [file.read_text() for file in ROOT.glob("requirements/*.txt") if "constraints" not in file.name]
    pinned = {line.partition(" ")[0] for text in texts for line in text.splitlines() if "==" in line}
    stated = pins(page)
    assert stated or "has not been run" in (DOCS / f"{page}.md").read_text(), "it says so where it was not run"
    assert {f"{name}=={version}" for name, version in stated.items()} <= pinned


def test_every_page_is_named_by_the_first_one():
    first = (DOCS / "start.md").read_text()
    assert {file.name for file in DOCS.glob("start-*.md") if f"]({file.name})" not in first} == set()
