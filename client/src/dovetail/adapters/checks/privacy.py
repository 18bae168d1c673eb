"""Checks for unintended contents: traces of training, and secrets; they warn and never fail."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dovetail.adapters import pickles
from dovetail.adapters.checks.pickle import TRAINING_STATE
from dovetail.adapters.findings import Finding, some, warned
from dovetail.adapters.folder import MAX_TEXT_BYTES, Folder

TEXTS = (".json", ".jsonl", ".md", ".txt", ".yaml", ".yml", ".py", ".toml", ".cfg", ".ini", ".env", ".sh", ".log")
ARGUMENTS, MAX_FILES = "training_args.bin", 50
HOME = re.compile(r"(?:/home/|/Users/|/root/|[A-Za-z]:\\\\?Users\\)[A-Za-z0-9_.\-]{1,40}")
# Of the notes of image trainers: what was in the training set, and where it lay.
PRIVATE = re.compile(r"ss_(?:dataset|tag_frequency|bucket_info|reg_dataset|training_comment|datasets|session_id)")
SECRETS = (
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,40}\b")),
    ("a Dovetail token", re.compile(r"\bdvt_[A-Za-z0-9]{32}\b")),
    ("a Dovetail token of a directory", re.compile(r"\bdvs_[A-Za-z0-9_\-]{43}(?![A-Za-z0-9_\-])")),
    ("a GitHub token", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b")),
    ("an AWS key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("an API key", re.compile(r"\bsk-[A-Za-z0-9_\-]{32,120}\b")),
    ("a Weights & Biases key", re.compile(r"WANDB_API_KEY\W{1,4}[0-9a-f]{40}\b")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----")),
)


def training_data(folder: Folder) -> str | Finding:
    states = sorted(path for path in folder.files if _is_ballast(path))
    if states:
        return warned(f"{some(states)} is state of the training, of no use to others.", "Delete it.", files=states[:20])
    notes = sorted(key for key, value in folder.metadata.items() if PRIVATE.match(key) or HOME.search(value))
    if notes:
        return warned(
            f"The header carries notes of the training's data or machine ({some(notes)}).",
            "Strip these, and keep what programs need: the network's module, rank and alpha, the base and its version.",
            keys=notes[:20],
        )
    for path, text in _texts(folder):
        if home := HOME.search(text):
            return warned(f"{path} names a home folder ({home[0]}).", "Remove the path.", file=path)
    return "No trace of the training's machine or data."


def secret(folder: Folder) -> str | Finding:
    for path, text in _texts(folder):
        for name, pattern in SECRETS:
            if pattern.search(text):
                return warned(
                    f"{path} holds {name}.", "Revoke it at once: whoever can read the repository has it.", file=path
                )
    return "No secret was recognised."


def _is_ballast(path: str) -> bool:
    """Return whether a file is state of a training; every Trainer pushes its arguments along, which are small."""
    name = path.rpartition("/")[2]
    return (name in TRAINING_STATE and name != ARGUMENTS) or "rng_state" in name


def _texts(folder: Folder) -> Iterator[tuple[str, str]]:
    """Yield path and text of text files, and of the arguments of trainings, which hold tokens and paths as well."""
    paths = [path for path in sorted(folder.files) if folder.sizes[path] <= MAX_TEXT_BYTES]
    for path in [path for path in paths if path.lower().endswith(TEXTS)][:MAX_FILES]:
        yield path, folder.text(path)
    for path in [path for path in paths if path.rpartition("/")[2] == ARGUMENTS][:MAX_FILES]:
        with folder.files[path]() as file:
            pickle = pickles.read(path, file)
        yield path, "\n".join(sorted(pickle.texts)) if pickle else ""
