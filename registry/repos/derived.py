"""Files that the hub makes of a pushed one: the safetensors twin of a pickle, and the pickle that a library insists on.

They hang on the bytes they were made of: a revision shows one where it holds the source and nobody pushed a file of
that name. Revisions, their ids and who may have them know nothing of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from dovetail.adapters.twins import SAFE
from registry.models import Blob, DerivedArtifact
from registry.repos import manifest
from registry.repos.manifest import Entry

PEFT = "adapter_model.bin"  # PEFT takes safetensors of its own accord: nothing is made for it in the other direction
PICKLED = {safe: pickle for pickle, safe in SAFE.items() if pickle != PEFT}
NAMES = frozenset({*SAFE.values(), *PICKLED.values()})  # what derived files may be called


@dataclass(frozen=True, slots=True)
class DerivedEntry(Entry):
    """A file beside those of a revision; `source` is the path of the one it was made of."""

    source: str


@dataclass(frozen=True, slots=True)
class Derivation:
    """What could be derived: where it would be, from which file, in which form."""

    path: str
    source: Entry
    form: str


def derived_entries(pushed: Mapping[str, Entry]) -> dict[str, DerivedEntry]:
    """Return path → entry of every derived file beside these; one query, none where nothing could be derived."""
    return derived_entries_of({0: pushed})[0]


def derived_entries_of(trees: Mapping[int, Mapping[str, Entry]]) -> dict[int, dict[str, DerivedEntry]]:
    """Return the same for the files of many revisions, by their row ids, in one query too."""
    possible = {revision: list(derivable(pushed)) for revision, pushed in trees.items()}
    found = {(row.source_id, row.form): row.blob for row in _rows(chain.from_iterable(possible.values()))}
    return {
        revision: {one.path: _entry(one, found[key]) for one in some if (key := (one.source.sha256, one.form)) in found}
        for revision, some in possible.items()
    }


def not_yet_derived(pushed: Mapping[str, Entry]) -> list[Derivation]:
    """Return what could be derived of these files and is not there yet."""
    possible = list(derivable(pushed))
    there = {(row.source_id, row.form) for row in _rows(possible)}
    return [one for one in possible if (one.source.sha256, one.form) not in there]


def derivable(pushed: Mapping[str, Entry]) -> Iterator[Derivation]:
    """Yield what could be derived of these files, by path; a file that somebody pushed is never replaced."""
    for path in sorted(pushed):
        folder, slash, name = path.rpartition("/")
        for names, form in ((SAFE, DerivedArtifact.Form.SAFETENSORS), (PICKLED, DerivedArtifact.Form.TORCH)):
            if name in names and (place := f"{folder}{slash}{names[name]}") not in pushed:
                yield Derivation(place, pushed[path], form)


def _rows(possible: Iterable[Derivation]) -> Iterable[DerivedArtifact]:
    sources = {one.source.sha256 for one in possible}
    return DerivedArtifact.objects.filter(source__in=sources).select_related("blob") if sources else []


def _entry(one: Derivation, blob: Blob) -> DerivedEntry:
    oid = manifest.git_blob_oid(manifest.pointer(blob.sha256, blob.size))
    return DerivedEntry(one.path, blob.sha256, blob.size, True, oid, one.source.path)
