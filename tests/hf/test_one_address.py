"""Unchanged scripts with HF_ENDPOINT and HF_TOKEN alone: base and adapter by name, trained, pushed, proven, loaded."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.clients import Client
from tests.live import BASE, TOKENS, Hub

PROGRAM = Path(__file__).parent / "programs" / "one_address.py"
SETTINGS = {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
pytestmark = pytest.mark.engine


def verdict_of(hub: Hub, name: str) -> dict:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{hub.url}/api/v1/adapters/{name}/revisions/main/verdict") as answer:
                verdict = json.load(answer)
        except urllib.error.HTTPError as refusal:  # its owner knows more than a stranger does
            info = urllib.request.Request(
                f"{hub.url}/api/models/{name}", headers={"Authorization": f"Bearer {TOKENS['alice']}"}
            )
            raise AssertionError((refusal.read(), urllib.request.urlopen(info).read())) from refusal
        if verdict["finished_at"]:
            return verdict
        time.sleep(0.5)
    raise AssertionError("no verdict")


def test_a_script_has_base_and_adapter_by_name_at_one_address(working_hub: Hub, tmp_path: Path):
    name = "alice/one-address"
    alice = Client("e5", working_hub.url, TOKENS["alice"], tmp_path / "alice", SETTINGS)
    assert alice.program(PROGRAM, "train", BASE, name, str(tmp_path / "out")).endswith("fine\n")
    verdict = verdict_of(working_hub, name)
    assert verdict["state"] == "passed", [one for one in verdict["checks"] if one["outcome"] == "failed"]
    assert verdict["base"]["id"] == BASE
    assert alice.program(PROGRAM, "load", BASE, name, "").endswith("fine\n"), "with what it has in its cache"
    for prefix in ("", "/verified"):
        stranger = Client("e5", working_hub.url + prefix, "", tmp_path / f"stranger{prefix}", SETTINGS)
        assert stranger.program(PROGRAM, "load", BASE, name, "").endswith("fine\n")
    refused = alice.try_hf("upload", BASE, str(PROGRAM), "x.py")
    assert refused.returncode != 0
    assert "base model of this hub: it is read-only" in refused.stdout + refused.stderr
