"""docs/versions.md: its commands print what it shows, on three versions like those that it was written with."""

import json
import os
import re
import shlex
import subprocess
import urllib.request

import pytest

from dovetail import cli, places
from tests.guide.pages import blocks
from tests.live import TOKENS

pytestmark = pytest.mark.merge

PAGE, NAME = "alice/reviews", "alice/of-the-guide"
OF_PAGE = ("9ea5d30", "9b1b1ef", "f3174e6")  # the ids in the page, the oldest first
MAKE = f"from tests import held_version; held_version.make({NAME!r}, ((1.0, 46), (0.9, 46), (0.5, 30)))"


def test_the_commands_print_what_the_page_shows(live_hub, tmp_path, monkeypatch, capsys):
    live_hub.manage("shell", "-v", "0", "-c", MAKE)
    with urllib.request.urlopen(f"{live_hub.url}/api/v1/adapters/{NAME}/revisions") as answer:
        newest = [item["revision"] for item in json.load(answer)["items"]]
    ids = dict(zip(OF_PAGE, newest[2::-1], strict=True))

    def here(text: str) -> str:
        known = re.sub(r"\b([0-9a-f]{7})([0-9a-f]{33})?\b", lambda id: ids[id[1]][: len(id[0])], text)
        return known.replace(PAGE, NAME)

    monkeypatch.setattr(cli, "settle_streams", lambda: None)
    monkeypatch.setattr(places, "_hf_token_file", lambda: tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    variables = {"DOVETAIL_ENDPOINT": live_hub.url, "DOVETAIL_TOKEN": TOKENS["alice"], "HUB": live_hub.url}
    variables |= {name: str(tmp_path / name.lower()) for name in ("DOVETAIL_HOME", "DOVETAIL_CACHE", "HF_HOME")}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def run(command: str) -> list[str]:
        words = shlex.split(command)
        if words[0] == "dovetail":
            with pytest.raises(SystemExit) as left:
                cli.main(words[1:])
            assert left.value.code == 0, command
            shown = capsys.readouterr()
            return (shown.out + shown.err).splitlines()
        done = subprocess.run(command, shell=True, env=os.environ, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    texts = [block.text for block in blocks("versions") if block.language == "console"]
    steps = [step.splitlines() for text in texts for step in re.split(r"^\$ ", text, flags=re.MULTILINE) if step]
    steps = [step for step in steps if not step[0].startswith("dovetail push")]
    assert len(steps) > 15
    for command, *shown in steps:
        printed = [line.rstrip() for line in run(here(command))]
        for line in map(here, shown):
            pattern = re.escape(line).replace("…", ".*")
            assert any(re.fullmatch(pattern, one) for one in printed), (command, line, printed)
        assert "…" in shown or len(printed) == len(shown), (command, printed)
