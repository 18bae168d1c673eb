"""One validation from start to end: lay the files out, run the engine, hand in; what comes next is in `shift`."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from dovetail.adapters import config as configs
from dovetail.adapters import files_in
from dovetail.adapters.places import contents, judged, within
from dovetail.adapters.shapes import encode
from registry.bytes.blobs import Keys, store
from registry.kernel.errors import ClaimStale, ShelfProblem, StoreUnavailable
from registry.models import Base, Revision, Verdict
from registry.proof import fit, verdicts
from registry.proof.verdicts import Claim, Report, comparisons
from registry.proof.verdicts.comparisons import Comparing
from registry.repos import bases, card, eval_rows
from workers import matrix, provenance, scratch, several, shelf, twins
from workers.engine.job import Job
from workers.sandbox import Engine, EngineFault
from workers.warm import Engines

logger = logging.getLogger(__name__)

ENGINES = Engines(settings.WARM_MEMORY // settings.WORKER_CONCURRENCY)
PROGRESS_SECONDS = 0.25
COMPARE_AGAIN_SECONDS = 60
PIECE = 1 << 20


def validate(claim: Claim) -> None:
    """Prove the revision of a claimed verdict and hand in what was found; whatever happens, the claim is let go."""
    verdict = claim.verdict.pk
    try:
        with _heartbeat(lambda: verdicts.heartbeat(claim)):
            started = time.monotonic()
            report = _prove(claim)
            milliseconds = round(1000 * (time.monotonic() - started))
            report = twins.settle(claim.verdict.revision, report)
            verdicts.record(claim, report, milliseconds, compare=_others(claim, report))
            logger.info("A validation ended", extra={"verdict": verdict, "state": report["state"], "ms": milliseconds})
    except ClaimStale:
        logger.warning("A claim was lost while its verdict was worked on", extra={"verdict": verdict})
    except (StoreUnavailable, ShelfProblem, OSError) as problem:  # a part of the hub is down, a disk is full
        logger.error("A validation waits: %s", problem, extra={"verdict": verdict})
        _give_back(claim, str(problem), counted=False)
    except Exception as problem:  # whatever broke, the row must not wait for its lease to end
        logger.exception("A validation broke", extra={"verdict": verdict})
        _give_back(claim, f"{type(problem).__name__}: {problem}")


def _give_back(claim: Claim, reason: str, *, counted: bool = True) -> None:
    try:
        verdicts.give_back(claim, reason, counted=counted)
    except ClaimStale:
        logger.warning("A claim was lost while its verdict was worked on", extra={"verdict": claim.verdict.pk})


def _others(claim: Claim, report: Report) -> list[str]:
    """Return the engines that shall judge it as well: those of any worker, where it was run and passed."""
    if report["state"] != Verdict.State.PASSED or report["depth"] == "fit" or not claim.verdict.route:
        return []
    built = {*matrix.built(), *verdicts.Crew.now().engines}
    return [engine for engine in matrix.missing(report) if engine in built]


def compare(claim: Comparing) -> None:
    """Run a verdict that passed on one more engine, and add what it says; it decides nothing."""
    verdict, engine = claim.verdict, claim.row.engine
    try:
        base = _base_of(verdict)
        with _heartbeat(lambda: comparisons.heartbeat(claim)), scratch.folder("job") as folder:
            _lay_out(verdict.revision, folder)
            job = _job(f"{verdict.pk}-{engine}-{claim.row.attempt}", base, folder, verdict.revision)
            jobs = [replace(job, place=place) for place in judged(contents(files_in(folder)))]
            found = [matrix.row(engine, _engine(base, engine).run(each, on_check=_ignore)) for each in jobs]
            comparisons.record(claim, several.rows([found])[0])
    except ClaimStale:
        logger.warning("A comparison was lost while it was made", extra={"verdict": verdict.pk})
    except (EngineFault, StoreUnavailable, ShelfProblem, OSError) as problem:  # the verdict stands
        logger.warning("A verdict was not compared: %s", problem, extra={"verdict": verdict.pk})
        comparisons.pause(claim, COMPARE_AGAIN_SECONDS)


def warm(engine: str = "", base_id: str = "") -> None:
    """Start an engine without waiting for it: this one with this base, else one with the base asked for last."""
    last = base_id or Verdict.objects.exclude(base="").order_by("-id").values_list("base", flat=True).first()
    base = (verdicts.base_for(last) if last else None) or Base.objects.order_by("-added_at").first()
    if base is None or not base.has_weights:
        return
    try:
        _engine(base, engine or matrix.built()[0])
    except (EngineFault, ShelfProblem) as problem:  # the first job will say it again, and to whom it matters
        logger.warning("No engine could be warmed: %s", problem)


def _prove(claim: Claim) -> Report:
    """Return one report on the adapter, or on all that lie side by side; with a row for each engine that was asked."""
    revision, base = claim.verdict.revision, _base_of(claim.verdict)
    with scratch.folder("job") as folder:
        _lay_out(revision, folder)
        files = files_in(folder)
        held = contents(files)
        places, progress = judged(held), _Progress(claim)
        job = _job(f"{claim.verdict.pk}-{claim.attempt.number}", base, folder, revision)
        proven = {place: _prove_at(replace(job, place=place), base, progress) for place in places}
        fits = fit.survey_files(within(files, places[0]))
    decided = several.one_of({place: report for place, (report, _) in proven.items()})
    # What the base is, the shelf says: the engine was only told.
    pin = {"id": base.id, "revision": base.revision, "sha256": base.sha256} if base else None
    rows = several.rows([rows for _, rows in proven.values()])
    told = fit.tell(decided, fits, configs.names(dict(job.card), "base_model")) | {"base": pin, "engines": rows}
    told |= {"contents": several.listed(held, places), "path": places[0] if len(places) == 1 else ""}
    return told | {"proven_with": provenance.of(told)}


def _prove_at(job: Job, base: Base | None, progress: "_Progress") -> tuple[Report, list[Report]]:
    """Return the report of the first engine that passes the adapter, else of the first one, and a row for each."""
    rows: list[Report] = []
    first: Report | None = None
    progress.place = job.place
    for engine in matrix.engines(job.folder, job.place):
        report = _engine(base, engine).run(job, on_check=_ignore if first else progress)
        rows.append(matrix.row(engine, report))
        first = first or report
        if report["state"] == Verdict.State.PASSED or not _runs(base) or not matrix.depends_on_engine(report):
            break
    assert first is not None, "there is always an engine to ask"
    return (report if report["state"] == Verdict.State.PASSED else first), rows


def _runs(base: Base | None) -> bool:
    """Whether adapters of this base are loaded and run: not where its weights are not here."""
    return base is not None and base.has_weights


def _ignore(check: Report) -> None:
    """Take note of nothing: what is shown while it runs is what the first engine says."""


def _base_of(verdict: Verdict) -> Base | None:
    """Return the base; None: the adapter names none that could ever be on a shelf. Raises ShelfProblem if it left."""
    base = verdicts.base_for(verdict.base)
    if base is None and verdicts.is_base_id(verdict.base) and verdict.format not in verdicts.NOT_RUN:
        raise ShelfProblem(f"{verdict.base} was taken off the shelf while its adapters were proven.")
    return base


def _job(name: str, base: Base | None, folder: Path, revision: Revision) -> Job:
    known = _card(folder)
    return Job(
        id=name,
        folder=folder,
        seconds=settings.ENGINE_SECONDS,
        memory_bytes=settings.ENGINE_MEMORY,
        base_revision=base.revision if base else None,
        base_names=bases.names_of(base) if base else (),
        base_license=bases.license_of(base),
        card=known.data,
        rows_from=_borrow_rows(revision, folder, known),
        known_bases=None if base else tuple(Base.objects.values_list("id", flat=True)),
        name=revision.repository.full_name,
        shapes=_outline(base, folder) if base and not base.has_weights else None,
    )


def _outline(base: Base, folder: Path) -> dict[str, Any]:
    """Return what an engine fits the adapter to when the weights of its base are not here. Raises ShelfProblem."""
    files = files_in(folder)
    task, shapes = fit.shapes_of(base, fit.task_in(within(files, judged(contents(files))[0])))
    return {"id": base.id, "task": task, "shapes": encode(shapes)}


def _card(folder: Path) -> card.Card:
    """Read the metadata here, where no weights are opened: the engine has no YAML."""
    readme = folder / "README.md"
    if not readme.is_file() or readme.stat().st_size > card.MAX_CARD_BYTES:
        return card.Card()
    return card.parse_card(readme.read_text(errors="replace"))


def _borrow_rows(revision: Revision, folder: Path, known: card.Card) -> str:
    """Lay the rows of the set that the card names beside an adapter that brings none; return which, "" for none."""
    places = judged(contents(files_in(folder)))
    target = folder / (places[0] if len(places) == 1 else "") / eval_rows.NAME
    if target.exists() or (found := eval_rows.find_eval_rows(revision.repository, known)) is None:
        return ""
    _copy(found.entry.sha256, target)
    return found.name


def _engine(base: Base | None, engine: str) -> Engine:
    """Return a warm engine with the base, or with none; before one is started, every byte of its base is hashed."""
    python = str(matrix.interpreter(engine))
    if base is None or not base.has_weights:
        return ENGINES.get((engine, ""), (python, "", ""))
    arguments = (python, str(shelf.path(base)), base.id)
    return ENGINES.get((engine, base.id.lower()), arguments, size=base.size, before=lambda: shelf.verify(base))


def _lay_out(revision: Revision, folder: Path) -> None:
    """Copy the revision's files into the folder. Copies: a hard link would lend the store's own bytes."""
    for file in revision.files.all():
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(file.sha256, target)


def _copy(sha256: str, target: Path) -> None:
    with store().open(Keys.blob(sha256)) as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, PIECE)


class _Progress:
    """Shows the checks that ended, a few times a second at most: they come in bursts and each costs a write."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self.place = ""  # the folder of the adapter that is proven now
        self._checks: list[Report] = []
        self._shown_at = time.monotonic()

    def __call__(self, check: Report) -> None:
        self._checks.append(several.placed(check, self.place))
        if time.monotonic() - self._shown_at >= PROGRESS_SECONDS:
            verdicts.progress(self._claim, self._checks)
            self._shown_at = time.monotonic()


@contextmanager
def _heartbeat(beat: Callable[[], None]) -> Iterator[None]:
    """Keep the lease from a thread while the block runs."""
    ended = threading.Event()
    thread = threading.Thread(target=_keep_lease, args=(beat, ended), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _keep_lease(beat: Callable[[], None], ended: threading.Event) -> None:
    while not ended.wait(settings.HEARTBEAT_SECONDS):
        try:
            beat()
        except ClaimStale:  # the job goes on to its end and is refused there
            return
        except DatabaseError as problem:  # the lease outlives several beats
            logger.warning("A lease was not prolonged: %s", problem)
        finally:
            connection.close()
