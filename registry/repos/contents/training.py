"""Facts that trainers state in the files of a revision (shapes.trainer_facts); cached by the files."""

from collections.abc import Mapping
from functools import lru_cache

from dovetail.adapters.shapes import trainer_facts
from dovetail.adapters.shapes.trainer_facts import Training
from registry.repos.contents.facts import card_of, file_openers, parse_settings
from registry.repos.manifest import Entry


def training_of(entries: Mapping[str, Entry]) -> Training:
    """Return what trainers state in a revision with these files. Raises StoreUnavailable."""
    files = tuple(entries[path] for path in sorted(set(trainer_facts.paths(entries))))
    return _training(files) if files else Training()


@lru_cache(maxsize=256)
def _training(files: tuple[Entry, ...]) -> Training:
    entries = {entry.path: entry for entry in files}
    return trainer_facts.read(file_openers(entries), card_of(entries).data, parse_settings)
