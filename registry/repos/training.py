"""Facts that trainers state in the files of a revision (dovetail.adapters.trainer_facts); cached by the files."""

from collections.abc import Mapping
from functools import lru_cache

from dovetail.adapters import HeaderError, trainer_facts
from dovetail.adapters import header as headers
from dovetail.adapters.trainer_facts import Training
from registry.repos.facts import file_openers
from registry.repos.manifest import Entry


def training_of(entries: Mapping[str, Entry]) -> Training:
    """Return what trainers state in a revision with these files. Raises StoreUnavailable."""
    weights = min((path for path in entries if path.endswith(".safetensors")), key=_depth, default="")
    paths = [*trainer_facts.paths(entries), *([weights] if weights else [])]
    files = tuple(entries[path] for path in sorted(set(paths)))
    return _training(files, weights) if files else Training()


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


@lru_cache(maxsize=256)
def _training(files: tuple[Entry, ...], weights: str) -> Training:
    openers = file_openers({entry.path: entry for entry in files})
    notes: Mapping[str, str] = {}
    if weights:
        try:
            with openers[weights]() as file:
                notes = headers.read(file).metadata
        except HeaderError:
            notes = {}
    return trainer_facts.read(openers, notes, weights)
