"""Lays the files of a revision out in a private folder, describes the job that an engine gets, and compares the adapter
with every base that the hub knows.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from django.conf import settings

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Opener
from dovetail.adapters.formats.description import WEIGHTS, Content, contents, judged, within
from dovetail.adapters.readers.folder import files_in
from dovetail.adapters.results.report import Report
from dovetail.adapters.shapes.fit import encode
from registry.bytes.blobs import BlobMissing, Keys, store
from registry.kernel.errors import ShelfProblem
from registry.models import Base, Revision, Verdict
from registry.proof import fit
from registry.proof.verdicts import requests
from registry.proof.verified import regressions
from registry.repos import bases, pull
from registry.repos.contents import card, facts
from registry.repos.derived import DerivedEntry
from workers import base_measurements, scratch_folders
from workers.engine.job import Job, wall_for

PIECE = 1 << 20  # bytes copied at once


@dataclass(frozen=True)
class LaidOut:
    """The files of a revision on disk. `places` are the folders of the adapters that the verdict is about."""

    base: Base | None
    job: Job
    files: Mapping[str, Opener]
    adapters: Sequence[Content]
    places: Sequence[str]
    earlier: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)  # rows for each place

    @property
    def jobs(self) -> list[Job]:
        """Return a job for each adapter that the verdict is about."""
        return [replace(self.job, place=place, earlier=self.earlier.get(place, ())) for place in self.places]


@contextmanager
def lay_out(verdict: Verdict, name: str, *, compared: bool = False) -> Iterator[LaidOut]:
    """Lend a folder with the files of a verdict's revision, and the job called `name` for it.

    With `compared` the jobs have the rows of earlier versions too. Raises ShelfProblem and StoreUnavailable.
    """
    base = base_of(verdict)
    with scratch_folders.folder("job") as folder:
        copy_files(verdict.revision, folder)
        files = files_in(folder)
        adapters = contents(files)
        places = judged(adapters)
        job = _job(name, base, folder, verdict.revision, places)
        if base is None and (adapter := requests.adapter_named(verdict.base, verdict.revision)):
            job = replace(job, adapter_base=adapter.base)
        is_run = compared and base is not None and base.has_weights
        earlier = {place: _earlier_rows(verdict.revision, place, base) for place in places} if base and is_run else {}
        yield LaidOut(base, job, files, adapters, places, earlier)


def _earlier_rows(revision: Revision, place: str, base: Base) -> list[Mapping[str, Any]]:
    """Return the rows of earlier versions as a job holds them; those whose bytes are lost are left out."""
    sets: list[Mapping[str, Any]] = []
    for rows in regressions.find_earlier_rows(revision, place, base.sha256):
        try:
            with store().open(Keys.blob(rows.sha256)) as reader:
                text = reader.read(regressions.MAX_BYTES).decode("utf-8", "replace")
        except BlobMissing:
            continue
        sets.append({"revision": rows.revision, "rows": text, "label_names": rows.label_names})
    return sets


def base_of(verdict: Verdict) -> Base | None:
    """Return the base, or None if the adapter names none that a base cache can hold. Raises ShelfProblem if it left."""
    base = requests.base_for(verdict.base)
    waits = base is None and requests.is_base_id(verdict.base) and verdict.format not in requests.NOT_RUN
    if waits and requests.adapter_named(verdict.base, verdict.revision) is None:
        raise ShelfProblem(f"{verdict.base} was taken out of the base cache while its adapters were proven.")
    return base


def copy_files(revision: Revision, folder: Path) -> None:
    """Copy the revision's files into the folder. A hard link would let a job write to the store's own bytes."""
    for file in revision.files.all():
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(file.sha256, target)


def _copy(sha256: str, target: Path) -> None:
    with store().open(Keys.blob(sha256)) as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, PIECE)


def _job(name: str, base: Base | None, folder: Path, revision: Revision, places: Sequence[str]) -> Job:
    metadata = read_card(folder)
    return Job(
        id=name,
        folder=folder,
        seconds=settings.ENGINE_SECONDS,
        idle_seconds=settings.ENGINE_HANG_SECONDS,
        wall_seconds=wall_for(settings.ENGINE_SECONDS),
        memory_bytes=settings.ENGINE_MEMORY,
        base_revision=base.revision if base else None,
        base_names=bases.names_of(base) if base else (),
        base_license=bases.license_of(base),
        card=metadata.data,
        rows_from=_borrow_rows(revision, folder, metadata, places),
        known_bases=None if base else tuple(Base.objects.values_list("id", flat=True)),
        shapes=_base_shapes(base, folder, places) if base and not base.has_weights else None,
    )


def _base_shapes(base: Base, folder: Path, places: Sequence[str]) -> Mapping[str, Any]:
    """Return the shapes of a base without weights, to which an engine fits the adapter. Raises ShelfProblem."""
    base_measurements.measure_named_shapes([base.id])
    task, shapes = fit.shapes_of(base, fit.task_in(within(files_in(folder), places[0])))
    return {"id": base.id, "task": task, "shapes": encode(shapes)}


def read_card(folder: Path) -> card.Card:
    """Read the metadata of the card in the worker: the engine has no YAML."""
    readme = folder / "README.md"
    if not readme.is_file() or readme.stat().st_size > card.MAX_CARD_BYTES:
        return card.Card()
    return card.parse_card(readme.read_text(errors="replace"))


def _borrow_rows(revision: Revision, folder: Path, metadata: card.Card, places: Sequence[str]) -> str:
    """Copy the rows of the evaluation set that the card names beside an adapter that brings none.

    Returns the name of the set, "" if no rows were borrowed.
    """
    target = folder / (places[0] if len(places) == 1 else "") / regressions.NAME
    if target.exists():
        return ""
    rows = regressions.find_eval_rows(revision.repository, metadata)
    if rows is None:
        return ""
    _copy(rows.entry.sha256, target)
    return rows.name


def survey(laid_out: LaidOut, report: Report) -> Report:
    """Return the report with the known bases that the adapter fits."""
    stated = configs.names(dict(laid_out.job.card), "base_model")
    base_measurements.measure_named_shapes([*stated, *([laid_out.base.id] if laid_out.base else [])])
    answers = fit.survey_files(within(laid_out.files, laid_out.places[0]))
    return fit.with_fits(report, answers, stated)


def survey_derived(revision: Revision, report: Report) -> Report:
    """Return the report with the bases that the derived safetensors fit, if the pushed files could not be surveyed."""
    entries = pull.served_entries(revision)
    if report.fits is not None or not isinstance(entries.get(WEIGHTS), DerivedEntry):
        return report
    names = configs.names(dict(facts.read_facts(entries).card.data), "base_model")
    return fit.with_fits(report, fit.survey_files(facts.file_openers(entries)), names)
