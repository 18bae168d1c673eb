"""The lines of *Use* that need the network do what they say when a person pastes them into a shell."""

import hashlib
import os
import re
import subprocess
from html import unescape
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi

from ops import environments
from tests import live
from tests.adapters import MINILM, lora, write
from tests.live import BIN

pytestmark = pytest.mark.merge

NAME = "alice/lines-to-copy"
CARD = f"---\nbase_model: {MINILM.id}\nlicense: apache-2.0\n---\n\n# Lines\n"


@pytest.fixture(scope="module")
def pushed(live_hub: live.Hub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A public adapter of which everybody may copy the lines."""
    assert environments.ensure_wheel(), "the hub serves it"
    folder = tmp_path_factory.mktemp("pushed")
    write(lora(MINILM), folder)
    (folder / "README.md").write_text(CARD)
    api = HfApi(endpoint=live_hub.url, token=live.TOKENS["alice"])
    api.create_repo(NAME)
    api.upload_folder(repo_id=NAME, folder_path=folder)
    return folder


def lines(hub: live.Hub, tool: str) -> str:
    """Return what *Use* offers for a tool, as it is copied."""
    page = httpx.get(f"{hub.url}/{NAME}/use", params={"tool": tool}).raise_for_status().text
    copied = re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    assert copied, f"no lines for {tool}"
    return "\n".join(map(unescape, copied))


def paste(text: str, folder: Path) -> None:
    """Run lines in a shell that knows nothing but the way to our programs."""
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8"}
    environment["PYTHONPATH"] = str(live.ROOT / "client" / "src")
    done = subprocess.run(["bash", "-euc", text], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, text + done.stdout + done.stderr


@pytest.mark.parametrize("tool", ["hf", "curl", "dovetail"])
def test_lines_that_fetch_a_version_bring_its_weights(live_hub, pushed, tmp_path, tool):
    text = lines(live_hub, tool)
    # The packages that the client needs come from an index of packages, which this test does not ask.
    paste(text.replace("pip install ", "pip download --quiet --no-deps "), tmp_path)
    weights = (pushed / "adapter_model.safetensors").read_bytes()
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in tmp_path.rglob("*.safetensors")}
    assert hashlib.sha256(weights).hexdigest() in digests, text
