"""Reads the blocks of a page, writes those that have a file name, and runs those that are marked `sh run`."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

from tests.live import BIN, ROOT

DOCS = ROOT / "docs"
SECONDS = 300


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, and the word after it: the name of a file, `run` for a shell, or nothing."""

    language: str
    word: str
    text: str


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """Return the blocks of docs/PAGE.md in their order."""
    tokens = MarkdownIt("commonmark").parse((DOCS / f"{page}.md").read_text())
    fences = [(token.info.split(maxsplit=1), token.content) for token in tokens if token.type == "fence"]
    return tuple(Block(info[0] if info else "", info[1] if len(info) > 1 else "", text) for info, text in fences)


def pins(page: str) -> dict[str, str]:
    """Return the releases that a page says it was run with."""
    sentence = re.search(r"^Run with ([^.]+(?:\.\d[^.]*)*)", (DOCS / f"{page}.md").read_text(), re.MULTILINE)
    return dict(re.findall(r"([a-z][a-z-]*) (\d+(?:\.\d+)+)", sentence[1])) if sentence else {}


@dataclass
class Walker:
    """A person with a folder, a home, and an interpreter, who has set HF_ENDPOINT and HF_TOKEN and nothing else."""

    folder: Path
    interpreters: Path
    endpoint: str
    token: str = ""
    quiet: dict[str, str] = field(default_factory=lambda: {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"})

    def __post_init__(self) -> None:
        programs = self.folder / "programs"
        programs.mkdir(parents=True)
        for name in ("dovetail", "hf"):
            (programs / name).symlink_to(BIN / name)

    def environment(self) -> dict[str, str]:
        ours = ("HF_", "DOVETAIL_", "DJANGO_", "PYTEST_", "XDG_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = f"{self.folder / 'programs'}:{self.interpreters}:{kept['PATH']}"
        token = {"HF_TOKEN": self.token} if self.token else {}
        client = str(ROOT / "client/src")  # in place of an installed dovetail-hub
        return (
            kept
            | {"HOME": str(self.folder), "PATH": path, "PYTHONPATH": client, "HF_ENDPOINT": self.endpoint}
            | (token | self.quiet)
        )

    def walk(self, page: str) -> str:
        """Do what a page says from its top to its end; return what was printed."""
        printed = ""
        for block in blocks(page):
            if block.language == "sh" and block.word == "run":
                printed += self.run(block.text)
            elif block.word:
                (self.folder / block.word).write_text(block.text)
        return printed

    def run(self, script: str) -> str:
        """Run lines of a shell, the first error ends them and the test; return what they printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout
