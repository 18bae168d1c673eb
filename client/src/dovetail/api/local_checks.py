"""Runs the static checks on a local folder, as a hub does before it loads the adapter; needs neither hub nor torch.

It also asks a hub which of its bases the adapter fits: config and header travel, the weights stay here.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from dovetail import verdicts
from dovetail.adapters.checks import ask_all
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import MAX_HEADER_BYTES, Opener
from dovetail.adapters.formats.description import WEIGHTS
from dovetail.adapters.results.report import Serving
from dovetail.adapters.serving import serving
from dovetail.adapters.serving.subject import subject_of
from dovetail.adapters.shapes import trainer_facts
from dovetail.answers.adapters import FitAnswer
from dovetail.problems import usage
from dovetail.serve.server_start import Target, completed
from dovetail.transport import Transport

MAX_CARD_BYTES = 1 << 20
MAX_DEPTH = 16  # of YAML
_FRONT_MATTER = re.compile(r"\A\ufeff?\s*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def check(folder: Path) -> verdicts.Verdict:
    """Run the static checks on the adapter in a folder; checks that need its base are skipped."""
    files = {path: _opener(folder / path) for path in sorted(_files(folder))}
    if not files:
        raise usage(f"{folder} contains no files.", "Name the folder that contains adapter_config.json.")
    return check_files(files, str(folder))


def check_files(files: Mapping[str, Opener], name: str) -> verdicts.Verdict:
    """Run the static checks on files (path → function that opens it); `name` stands for them in the verdict."""
    card = _card(files.get("README.md"))
    checks = [result.as_json() for result in ask_all(files, card)]
    state = "failed" if any(item["outcome"] == "failed" for item in checks) else "passed"
    serving = [answer.as_json() for answer in _serving(files, name)] if state == "passed" else []
    training = trainer_facts.read(files, card, _mapping).as_json()
    document = {"state": state, "depth": "static", "adapter": name, "checks": checks, "serving": serving}
    return verdicts.read({**document, "training": training})


def _serving(files: Mapping[str, Opener], folder: str) -> Sequence[Serving]:
    subject = subject_of(files)
    if subject is None:
        return ()
    base = configs.text(subject.config, "base_model_name_or_path") or ""
    return completed(serving(subject), Target.of_folder(folder, base))


def _files(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if file.is_file() and not {".git", ".cache", "__pycache__"} & set(parts):
            yield "/".join(parts)


def _opener(file: Path) -> Opener:
    return lambda: file.open("rb")


def _card(readme: Opener | None) -> Mapping[str, object]:
    """Return the front matter; {} where there is none or it cannot be read."""
    if readme is None:
        return {}
    with readme() as file:
        text = file.read(MAX_CARD_BYTES + 1)
    front_matter = _FRONT_MATTER.match(text.decode(errors="replace")) if len(text) <= MAX_CARD_BYTES else None
    return _mapping(front_matter[1]) if front_matter else {}


def read_card(files: Mapping[str, Opener]) -> Mapping[str, object]:
    """Return the front matter of the card among these files; {} where there is none or it cannot be read."""
    return _card(files.get("README.md"))


def label_names(files: Mapping[str, Opener]) -> list[str]:
    """Return the names of the labels that the card states, [] if it states none."""
    names = read_card(files).get("label_names")
    return [str(name) for name in names] if isinstance(names, list) else []


class _PlainLoader(yaml.SafeLoader):
    """YAML without anchors, aliases, tags and deep nesting, with which a short text can take long to read."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
        is_alias = isinstance(event, yaml.AliasEvent)
        if is_alias or getattr(event, "anchor", None) or getattr(event, "tag", None) not in (None, "!"):
            raise yaml.YAMLError("anchors, aliases and tags are not read")
        if self.depth > MAX_DEPTH:
            raise yaml.YAMLError("it is nested too deeply")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _mapping(text: str) -> Mapping[str, object]:
    """Return the mapping that a text in YAML holds; {} for any other text."""
    try:
        document = yaml.load(text, Loader=_PlainLoader)  # noqa: S506  # a SafeLoader: builds no objects
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return {str(key): value for key, value in document.items()} if isinstance(document, dict) else {}


def ask_fit(transport: Transport, folder: Path) -> FitAnswer:
    """Return the hub's answer: `fits` and `misfits`, a base each with `why`, and a `note` on the limits of shapes.

    Raises Problem, also for a folder without an adapter of PEFT in safetensors.
    """
    body = {"config": _config(folder), "header": base64.b64encode(_header(folder)).decode()}
    return transport.post("/fit", body, FitAnswer)


def _config(folder: Path) -> configs.Config:
    file = folder / configs.NAME
    if not file.is_file():
        raise usage(f"{folder} contains no {configs.NAME}.", "Name the folder that save_pretrained() wrote.")
    try:
        with file.open("rb") as opened:
            return configs.read(opened)
    except configs.ConfigError as problem:
        raise usage(f"{file} cannot be read: {problem}.", "Save the adapter again.") from None


def _header(folder: Path) -> bytes:
    """Return the JSON of the safetensors header, without reading the tensors."""
    file = folder / WEIGHTS
    if not file.is_file():
        raise usage(f"{folder} contains no {WEIGHTS}.", "Save with safe_serialization=True.")
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise usage(f"{file} is not a safetensors file.", "Save the adapter again.")
        return opened.read(length)
