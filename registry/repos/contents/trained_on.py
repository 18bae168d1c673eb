"""The checkpoint on which a LoRA for images was trained, by its digest in the header, beside the base that is named."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dovetail.adapters.files import config as configs
from dovetail.adapters.shapes.trainer_facts import Training
from registry.kernel.errors import RegistryError
from registry.kernel.policy import Caller, Permission
from registry.repos import bases, lookup, pull
from registry.repos.contents import facts
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN

KEY = "ss_new_sd_model_hash"  # of kohya's trainer: the sha256 of the file
SUFFIXES = (".safetensors", ".ckpt")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A digest, and the file of the named base that has it; no path where none of those that are known here has."""

    sha256: str
    base: str
    path: str


def checkpoint_of(entries: Mapping[str, Entry], stated: Training, by: Caller) -> Checkpoint | None:
    """Return what the header says beside the base that the card names; None where either, or its files, are not known.

    No query for a header without the digest.
    """
    sha256 = next((str(fact.value).lower() for fact in stated.facts if fact.name == KEY), "")
    if not SHA256.fullmatch(sha256):
        return None
    named = next(iter(configs.names(dict(facts.card_of(entries).data), "base_model")), "")
    files = _files_of(named, by) if named else {}
    checkpoints = {digest: path for path, digest in files.items() if path.endswith(SUFFIXES) and "/" not in path}
    return Checkpoint(sha256, named, checkpoints.get(sha256, "")) if checkpoints else None


def _files_of(named: str, by: Caller) -> dict[str, str]:
    """Return path → sha256 of a base in the cache, or of the repository of that name on main."""
    if (base := bases.find_base(named)) and base.files:
        return dict(base.files)
    try:
        revision = pull.resolve(lookup.find(named, by, Permission.DOWNLOAD), MAIN)
        pull.require_served(revision, by)
    except RegistryError:
        return {}
    return {entry.path: entry.sha256 for entry in pull.entries(revision).values()}
