"""Dossiers: what the hub knows of a version that a worker proves, gathered once and handed from step to step.

No step comes back for more, so each fact must hold until the report is recorded. A version, its card and its files
never change. Statements about a base are about the base as it was: the report pins its sha256, and an engine that does
not find it any more says so. Whether the readers of an adapter may see the rows that its card names is asked as they
are copied. Rows of earlier versions are only candidates: which version counts is decided with the verdict
(registry/proof/verified/regressions.py). A file that another worker derives meanwhile is made twice and kept once.
The conditions of the end are asked there, in `jobs.record`: that the claim was not lost, the adapter not deleted, and
the version not held back.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Opener
from dovetail.adapters.formats.description import Content, contents, judged, within
from dovetail.adapters.readers.folder import files_in
from dovetail.adapters.shapes.fit import encode
from registry.bytes import blobs
from registry.bytes.blobs import BlobMissing, Keys, store
from registry.models import Base, Revision
from registry.proof import fit
from registry.proof.verdicts.comparisons import Comparing
from registry.proof.verdicts.queue import Claim
from registry.proof.verified import regressions
from registry.repos import bases, derived, pull
from registry.repos.contents.card import Card, read_card
from registry.repos.derived import Derivation
from registry.repos.manifest import Entry


@dataclass(frozen=True)
class Dossier:
    """The facts that the steps of one validation, or of one comparison, need.

    `files` opens what was laid out. `places` are the folders of those of its `adapters` that the verdict is about.
    `rows_from` is the set that the card names and whose rows were laid out too, for a version that brings none. For a
    validation, but not for a comparison, `earlier` has the rows of earlier versions by place, as a job holds them, and
    `derivable` what nobody has derived of the files yet.
    """

    claim: Claim | Comparing
    entries: Mapping[str, Entry]
    files: Mapping[str, Opener]
    card: Card
    adapters: Sequence[Content]
    places: Sequence[str]
    rows_from: str
    base_names: tuple[str, ...]
    shapes: Mapping[str, Any] | None  # of a base without weights, to which an engine fits the adapter
    known_bases: tuple[str, ...] | None  # what an adapter without a base is compared with
    earlier: Mapping[str, Sequence[Mapping[str, Any]]]
    derivable: Sequence[Derivation]

    @property
    def stated_bases(self) -> tuple[str, ...]:
        """The bases that the card names."""
        return configs.names(dict(self.card.data), "base_model")


def gather(claim: Claim | Comparing, folder: Path) -> Dossier:
    """Lay the files of a claimed version out in a folder, and return what is known of it.

    Raises ShelfProblem if its base has neither weights nor measured shapes, and StoreUnavailable.
    """
    revision, base = claim.verdict.revision, claim.base
    entries = pull.copy_files(revision, folder)
    files, card = files_in(folder), read_card(folder)
    adapters = contents(files)
    places = judged(adapters)
    is_validation = isinstance(claim, Claim)
    rows_path = regressions.path_of(places[0] if len(places) == 1 else "")
    rows = None if rows_path in entries else regressions.find_eval_rows(revision.repository, card)
    if rows is not None:
        blobs.copy_blob(rows.entry.sha256, folder / rows_path)
    return Dossier(
        claim,
        entries,
        files,
        card,
        adapters,
        places,
        rows_from=rows.name if rows else "",
        base_names=bases.names_of(base) if base else (),
        shapes=_shapes(base, within(files, places[0])) if base and not base.has_weights else None,
        known_bases=None if base else tuple(Base.objects.values_list("id", flat=True)),
        earlier=_earlier_rows(revision, places, base) if is_validation and base and base.has_weights else {},
        derivable=derived.not_yet_derived(entries) if is_validation else (),
    )


def _shapes(base: Base, files: Mapping[str, Opener]) -> Mapping[str, Any]:
    task, shapes = fit.shapes_of(base, fit.task_in(files))
    return {"id": base.id, "task": task, "shapes": encode(shapes)}


def _earlier_rows(revision: Revision, places: Sequence[str], base: Base) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Return the rows of earlier versions by place, as a job holds them; those whose bytes are lost are left out."""
    earlier: dict[str, list[Mapping[str, Any]]] = {place: [] for place in places}
    for place, sets in earlier.items():
        for rows in regressions.find_earlier_rows(revision, place, base.sha256):
            with suppress(BlobMissing), store().open(Keys.blob(rows.sha256)) as reader:
                text = reader.read(regressions.MAX_BYTES).decode("utf-8", "replace")
                sets.append({"revision": rows.revision, "rows": text, "label_names": rows.label_names})
    return earlier
