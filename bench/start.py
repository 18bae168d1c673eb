"""Walks the pages docs/start-*.md whose libraries are not in the engines, from training to loading by name."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.line import Line
from ops import environments
from tests import live
from tests.clients import CLIENTS, once
from tests.guide.pages import Walker, pins

PAGES = ("start-trl", "start-sentence-transformers", "start-diffusers")
MAKERS = live.ROOT / "tests/guide"
CAUSAL = "HuggingFaceTB/SmolLM2-135M"  # the name on the pages; here a tiny model has it
MINUTES = 5


def lines() -> Iterator[Line]:
    """Yield the seconds of each page. A page that does not work raises."""
    home = CLIENTS / "start"
    once(home, lambda: _install(home))
    python = home / "bin" / "python"
    with tempfile.TemporaryDirectory() as temporary, live.hub(Path(temporary, "hub"), worker=True) as hub:
        causal, pipeline = Path(temporary, "causal"), Path(temporary, "pipeline")
        subprocess.run([python, MAKERS / "make_tiny_llama.py", causal], check=True, capture_output=True)
        subprocess.run([python, MAKERS / "make_tiny_pipeline.py", pipeline], check=True, capture_output=True)
        hub.manage("shelf", "add", CAUSAL, "--path", str(causal), "--license", "apache-2.0")
        for page in PAGES:
            alice = Walker(Path(temporary, page), python.parent, hub.url, live.TOKENS["alice"])
            (alice.folder / "pipeline").symlink_to(pipeline)
            if page == "start-diffusers":
                alice.run("hf upload alice/stable-diffusion ./pipeline .")
            began = time.monotonic()
            alice.walk(page)
            releases = ", ".join(f"{name} {version}" for name, version in pins(page).items())
            yield Line(page, time.monotonic() - began, "s", most=60 * MINUTES, note=releases)


def _install(home: Path) -> None:
    environments.uv("venv", "--quiet", "--clear", home)
    python, torch = home / "bin" / "python", environments.torch_pins("requirements/start.txt")
    environments.uv("pip", "install", "--quiet", "--python", python, *environments.torch_options(python, torch), *torch)
    environments.uv("pip", "install", "--quiet", "--python", python, "-r", live.ROOT / "requirements/start.txt")
