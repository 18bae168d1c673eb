"""Runs the static checks on a local folder, as a hub does before it loads the adapter; needs neither hub nor torch."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import yaml

from dovetail import verdict
from dovetail.adapters.families import ask_all
from dovetail.adapters.serving import serving_of
from dovetail.problems import usage
from dovetail.verdict import Verdict

MAX_CARD_BYTES = 1 << 20
_FRONT_MATTER = re.compile(r"\A\ufeff?\s*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def check(folder: Path) -> Verdict:
    """Run the static checks on the adapter in a folder; checks that need its base are skipped."""
    files = {path: _opener(folder / path) for path in sorted(_files(folder))}
    if not files:
        raise usage(f"{folder} holds no files.", "Name the folder that holds adapter_config.json.")
    checks = [result.as_json() for result in ask_all(files, _card(folder / "README.md"))]
    state = "failed" if any(item["outcome"] == "failed" for item in checks) else "passed"
    serving = [answer.as_json() for answer in serving_of(files)] if state == "passed" else []
    document = {"state": state, "depth": "static", "adapter": str(folder), "checks": checks, "serving": serving}
    return verdict.read(document)


def _files(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if file.is_file() and not {".git", ".cache", "__pycache__"} & set(parts):
            yield "/".join(parts)


def _opener(file: Path) -> Callable[[], BinaryIO]:
    return lambda: file.open("rb")


def _card(readme: Path) -> Mapping[str, object]:
    """Return the front matter; {} where there is none or it cannot be read."""
    if not readme.is_file() or readme.stat().st_size > MAX_CARD_BYTES:
        return {}
    front_matter = _FRONT_MATTER.match(readme.read_text(errors="replace"))
    try:
        card = yaml.safe_load(front_matter[1]) if front_matter else None
    except yaml.YAMLError:
        return {}
    return card if isinstance(card, dict) else {}
