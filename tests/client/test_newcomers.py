"""A newcomer's hour: adapters are trained, pushed and judged, and the lines of *Use* are run as they stand."""

import os
import re
import subprocess
import time
from html import unescape
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi

from ops import environments
from tests import clients, live
from tests.live import BIN

pytestmark = [pytest.mark.night, pytest.mark.timeout(3600)]

MAKER = live.ROOT / "tests" / "client" / "make_newcomers.py"
SHELVED = ("t5", "whisper")
PYTHON = clients.build("e5") / "python"
KINDS = {  # the tools whose lines an engine of the hub runs
    "topics": {"peft", "pipeline"}, "names": {"peft", "pipeline"}, "translate": {"peft"},
    "speech": {"peft", "pipeline"}, "pictures": set(),
}  # fmt: skip
TOOLS = ("peft", "pipeline", "sentence-transformers", "diffusers", "dovetail", "hf", "curl")
PICTURES = ("diffusers==0.42.1", "pillow==13.0.0", "requests==2.34.2", "urllib3==2.8.0", "charset-normalizer==3.5.3",
            "certifi==2026.10.19.post1", "importlib_metadata==10.2.0", "zipp==4.1.2")  # fmt: skip
WAIT_SECONDS = 900


def way(hub: live.Hub, kind: str, tool: str) -> tuple[str, str]:
    """Return the lines of a tool as they are copied, and the text of its page around them."""
    page = httpx.get(f"{hub.url}/alice/{kind}/use", params={"tool": tool}).raise_for_status().text
    lines = "\n".join(map(unescape, re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)))
    around = re.sub(r"<pre[^>]*>.*?</pre>|<[^>]+>", " ", page, flags=re.DOTALL)
    return (lines if f"tool={tool}&" in unescape(page) else ""), " ".join(unescape(around).split())


def pasted(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run lines as a newcomer does: with stock libraries, an empty home, and no word about the hub but theirs."""
    folder.mkdir(parents=True)
    libraries = f"{clients.beside('e5', *PICTURES)}:{live.ROOT / 'client' / 'src'}"
    own = {"HOME": str(folder), "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": libraries, "OMP_NUM_THREADS": "1"}
    # The packages that the client needs come from an index of packages, which this test does not ask.
    shell = ["bash", "-euc", text.replace("pip install ", "pip download --quiet --no-deps ")]
    command = [str(PYTHON), "-c", text] if text.startswith("# pip install ") else shell
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True)


def problem(kind: str, tool: str, lines: str, around: str, done: subprocess.CompletedProcess[str]) -> str:
    """Return what is wrong with lines that were pasted; "" if they do what the page says."""
    if done.returncode != 0:
        return done.stderr[-600:]
    was_run = "These lines were run on this version" in around
    if was_run != (tool in KINDS[kind]) or (not was_run and "Not run here:" not in around):
        return "The page does not say whether an engine ran them."
    answer = lines.rpartition("  # ")[2] if was_run else ""
    # What a small Whisper says may be no character; the page shows a mark in its place.
    said = "".join(one if one.isprintable() or one.isspace() else "\N{REPLACEMENT CHARACTER}" for one in done.stdout)
    printed = " ".join(said.split())
    return "" if not was_run or printed.startswith(answer) else f"It printed {printed!r}, and the page says {answer!r}."


def trained(hub: live.Hub, home: Path) -> None:
    """Have a newcomer train each adapter with stock libraries, which load the base from the hub by its name."""
    environment = {"HF_ENDPOINT": hub.url, "PYTHONPATH": str(clients.beside("e5", *PICTURES)), "HOME": str(home)}
    made = subprocess.run([PYTHON, MAKER, home, *KINDS], env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-3000:]


def pushed(hub: live.Hub, home: Path) -> None:
    for base in SHELVED:
        hub.manage("shelf", "add", f"tiny/{base}", "--path", str(home / "bases" / base), "--license", "mit")
    api = HfApi(endpoint=hub.url, token=live.TOKENS["alice"])
    for name, folder in {"tiny-sdxl": home / "bases" / "sdxl", **{kind: home / kind for kind in KINDS}}.items():
        api.create_repo(f"alice/{name}")
        api.upload_folder(repo_id=f"alice/{name}", folder_path=folder)


def test_the_lines_of_each_kind_run_as_they_stand(tmp_path):
    assert environments.ensure_wheel(), "the hub serves it"
    deadline, wrong = time.monotonic() + WAIT_SECONDS, {}
    with live.hub(tmp_path / "hub", worker=True) as hub:
        trained(hub, tmp_path / "made")
        pushed(hub, tmp_path / "made")
        for kind, tools in KINDS.items():
            while any("These lines were run" not in way(hub, kind, tool)[1] for tool in tools):
                assert time.monotonic() < deadline, (kind, hub.log("worker")[-3000:])
                time.sleep(2)
            for tool in TOOLS:
                lines, around = way(hub, kind, tool)
                done = pasted(lines, tmp_path / "pasted" / f"{kind}-{tool}") if lines else None
                if done and (said := problem(kind, tool, lines, around, done)):
                    wrong[kind, tool] = said
    assert wrong == {}
