"""The content of a push: the files of a folder, and with a base given the configs and the card that name it.

The folder itself is never changed.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Opener
from dovetail.base import ids
from dovetail.base.problems import local_files, usage

# Files of editors and version control, and those that `pull` and huggingface_hub keep for themselves.
KEPT_BACK = frozenset({".git", ".cache", "__pycache__", ".DS_Store"})
CARD = "README.md"
FENCE = "---"
BASE_FIELDS = {"peft": "base_model_name_or_path", "adapters": "model_name"}


@dataclass(frozen=True)
class Payload:
    """The files to send by their paths in the repository: on disk, or as bytes where they differ from the folder's."""

    files: Mapping[str, Path | bytes]
    rewritten: tuple[str, ...] = ()

    def openers(self) -> dict[str, Opener]:
        """Return path → function that opens the file for reading, for the checks."""
        return {path: _opener(content) for path, content in self.files.items()}

    def size(self, path: str) -> int:
        content = self.files[path]
        return len(content) if isinstance(content, bytes) else content.stat().st_size

    def open(self, path: str) -> BinaryIO:
        return _opener(self.files[path])()


def collect(folder: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = (), base: str = "") -> Payload:
    """Return what a push of this folder sends; patterns match whole paths, and `*` matches slashes too.

    Raises Problem where nothing is left, or a config cannot be read.
    """
    files: dict[str, Path | bytes] = {}
    for path, file in _walk(folder):
        if ids.is_chosen(path, include, exclude):
            files[path] = file
    if not files:
        if include or exclude:
            raise usage("The patterns leave no file to push.", "Change --include and --exclude.")
        raise usage(f"{folder} is empty: there is nothing to push.", "Name the folder that holds the adapter.")
    return Payload(files) if not base else _with_base(files, base)


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if KEPT_BACK.intersection(parts):
            continue
        if file.is_symlink() and not file.exists():
            raise local_files(FileNotFoundError(2, "it is a link to nothing", str(file)))
        if file.is_file():
            yield "/".join(parts), file


def _opener(content: Path | bytes) -> Opener:
    return (lambda: io.BytesIO(content)) if isinstance(content, bytes) else (lambda: content.open("rb"))


# --- the base ---------------------------------------------------------------------------------------------------------
def _with_base(files: Mapping[str, Path | bytes], base: str) -> Payload:
    """Return the files with this base in every config, and in a card that names the same one as a config did."""
    changed: dict[str, bytes] = {}
    former: set[str] = set()
    found = False
    for path, file in files.items():
        if path.rpartition("/")[2] != configs.NAME or isinstance(file, bytes):
            continue
        config = _read(file)
        field = "model_name" if "model_name" in config else BASE_FIELDS["peft"]
        found = True
        if (name := configs.text(config, field)) != base:
            former |= {name} if name else set()
            changed[path] = (json.dumps({**config, field: base}, indent=2, ensure_ascii=False) + "\n").encode()
    if not found:
        raise usage(f"There is no {configs.NAME} in which --base could be written.", "Leave --base out.")
    card = files.get(CARD)
    if former and isinstance(card, Path) and (text := _card_with(card.read_bytes(), former, base)) is not None:
        changed[CARD] = text
    return Payload({**files, **changed}, tuple(changed))


def _read(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            return dict(configs.read(opened))
    except configs.ConfigError as problem:
        raise usage(f"{file} cannot be used: {problem}.", "Save the adapter again.") from None


def _card_with(card: bytes, former: set[str], base: str) -> bytes | None:
    """Return the card with the base in its front matter in place of the former ones; None if it names none of them."""
    text = card.decode("utf-8", "surrogateescape")
    start, fence, rest = text.partition(FENCE)
    front, end, body = rest.partition(f"\n{FENCE}")
    if start.strip("\ufeff \n\r\t") or not (fence and end):
        return None
    after = front
    for name in sorted(former, key=len, reverse=True):
        after = after.replace(name, base)
    if after == front:
        return None
    return f"{start}{fence}{after}{end}{body}".encode("utf-8", "surrogateescape")
