"""Derived artifacts: the safetensors form of a pushed pickle, and the pickle that some library requires.

They belong to the bytes they were made of: a revision shows one if it holds the source and no pushed file has that
name. They change neither a revision's id nor who may download it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from dovetail.adapters.formats.twins import SAFE
from registry.models import Blob, DerivedArtifact
from registry.repos import manifest
from registry.repos.manifest import Entry

PEFT = "adapter_model.bin"  # PEFT prefers safetensors itself, so no pickle is derived for it
PICKLED = {safe: pickle for pickle, safe in SAFE.items() if pickle != PEFT}
NAMES = frozenset({*SAFE.values(), *PICKLED.values()})  # names that derived files can have


@dataclass(frozen=True, slots=True)
class DerivedEntry(Entry):
    """A derived file of a revision; `source` is the path of the file it was made of."""

    source: str


@dataclass(frozen=True, slots=True)
class Derivation:
    """A file that could be derived: its path, its source and its form."""

    path: str
    source: Entry
    form: str

    @property
    def key(self) -> tuple[str, str]:
        """The sha256 of the source and the form, which identify the artifact."""
        return self.source.sha256, self.form


def derived_entries(pushed: Mapping[str, Entry]) -> dict[str, DerivedEntry]:
    """Return path → entry of every derived file of these; at most one query."""
    return derived_entries_of({0: pushed})[0]


def derived_entries_of(trees: Mapping[int, Mapping[str, Entry]]) -> dict[int, dict[str, DerivedEntry]]:
    """Return path → entry of every derived file of many revisions, by their row ids; at most one query."""
    possible = {revision: list(derivable(pushed)) for revision, pushed in trees.items()}
    blobs = {(row.source_id, row.form): row.blob for row in _rows(chain.from_iterable(possible.values()))}
    return {
        revision: {
            derivation.path: _entry(derivation, blobs[derivation.key])
            for derivation in derivations
            if derivation.key in blobs
        }
        for revision, derivations in possible.items()
    }


def not_yet_derived(pushed: Mapping[str, Entry]) -> list[Derivation]:
    """Return the files that could be derived of these and do not exist yet."""
    possible = list(derivable(pushed))
    existing = {(row.source_id, row.form) for row in _rows(possible)}
    return [derivation for derivation in possible if derivation.key not in existing]


def derivable(pushed: Mapping[str, Entry]) -> Iterator[Derivation]:
    """Yield the files that could be derived of these, by path; a pushed file is never replaced."""
    for path in sorted(pushed):
        folder, slash, name = path.rpartition("/")
        for names, form in ((SAFE, DerivedArtifact.Form.SAFETENSORS), (PICKLED, DerivedArtifact.Form.TORCH)):
            if name in names and (place := f"{folder}{slash}{names[name]}") not in pushed:
                yield Derivation(place, pushed[path], form)


def _rows(possible: Iterable[Derivation]) -> Iterable[DerivedArtifact]:
    sources = {derivation.source.sha256 for derivation in possible}
    return DerivedArtifact.objects.filter(source__in=sources).select_related("blob") if sources else []


def _entry(derivation: Derivation, blob: Blob) -> DerivedEntry:
    oid = manifest.git_blob_oid(manifest.pointer(blob.sha256, blob.size))
    return DerivedEntry(derivation.path, blob.sha256, blob.size, True, oid, derivation.source.path)
