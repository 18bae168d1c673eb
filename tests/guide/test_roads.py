"""Three roads from a script to a version that is known to work; `make bench ARGS=start` walks the others."""

import json
import os
import subprocess
import urllib.request
from pathlib import Path

import pytest

from ops import environments
from tests.adapters import MINILM, lora, write
from tests.clients import Client, build
from tests.guide.pages import DOCS, Walker, blocks, pins
from tests.live import BASE, BIN, ROOT, TOKENS, Hub
from tests.sweep import sweep

pytestmark = [pytest.mark.merge, pytest.mark.engine]


PAGES = sorted(file.stem for file in DOCS.glob("start-*.md"))


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


# Beside what each page is run with, and beside tools that bound what the client shares with them.
STACKS = {page: [f"{name}=={release}" for name, release in pins(page).items()] for page in PAGES}
STACKS = {page: stack for page, stack in STACKS.items() if stack} | {
    "a generated client": ["openapi-python-client==0.29.1"],
    "the oldest that the client takes": ["huggingface_hub==0.36.0", "typer==0.20.0"],
}


@pytest.mark.night
@sweep("page, stack", STACKS.items())
def test_the_client_is_installed_and_works_beside(live_hub: Hub, tmp_path: Path, page: str, stack: list[str]):
    assert environments.ensure_wheel()
    environments.uv("venv", "--quiet", tmp_path / "venv")
    (tmp_path / "without.txt").write_text("torch ; sys_platform == 'never'\n")  # 200 MB that the client has no part in
    line = ["-r", f"{live_hub.url}/simple/dovetail-hub/latest.txt", "--override", tmp_path / "without.txt"]
    environments.uv("pip", "install", "--quiet", "--python", tmp_path / "venv/bin/python", *line, *stack)
    write(lora(MINILM), tmp_path / "adapter")
    ours = ("HF_", "DOVETAIL_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"HOME": str(tmp_path)}
    kept |= {"DOVETAIL_ENDPOINT": live_hub.url, "DOVETAIL_TOKEN": TOKENS["alice"]}
    name = f"alice/beside-{''.join(filter(str.isalnum, page))}"
    for words in (
        ["whoami"],
        ["search", "--kind", "lora"],
        ["push", "adapter", name],
        ["pull", name, "--to", "pulled"],
        ["doctor"],
    ):
        command = [tmp_path / "venv/bin/dovetail", *words]
        done = subprocess.run(command, env=kept, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    weights = (tmp_path / "adapter/adapter_model.safetensors").read_bytes()
    assert (tmp_path / "pulled/adapter_model.safetensors").read_bytes() == weights


@pytest.mark.night
@sweep("page, stack", STACKS.items())
def test_pip_finds_releases_that_fit_together(live_hub: Hub, tmp_path: Path, page: str, stack: list[str]):
    assert environments.ensure_wheel()
    report = tmp_path / "report.json"
    pip = [BIN / "python", "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", report]
    ours = ("HF_", "DOVETAIL_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"HOME": str(tmp_path)}
    line = ["-r", f"{live_hub.url}/simple/dovetail-hub/latest.txt", *stack]
    done = subprocess.run([*pip, *line], env=kept, capture_output=True, text=True)
    assert done.returncode == 0, (page, done.stderr)
    chosen = {one["metadata"]["name"]: one["metadata"]["version"] for one in json.loads(report.read_text())["install"]}
    assert chosen["dovetail-hub"].startswith(environments.client_version()), page


# --- what the pages say of themselves ---------------------------------------------------------------------------------
@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_the_releases_that_it_is_run_with(page: str):
    texts = [file.read_text() for file in ROOT.glob("requirements/*.txt") if "constraints" not in file.name]
    pinned = {line.partition(" ")[0] for text in texts for line in text.splitlines() if "==" in line}
    stated = pins(page)
    assert stated or "has not been run" in (DOCS / f"{page}.md").read_text(), "it says so where it was not run"
    assert {f"{name}=={version}" for name, version in stated.items()} <= pinned


def test_every_page_is_named_by_the_first_one():
    first = (DOCS / "start.md").read_text()
    assert {file.name for file in DOCS.glob("start-*.md") if f"]({file.name})" not in first} == set()
