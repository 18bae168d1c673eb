"""One validation as a straight pipe: lay out → prove → survey → derive → record; each step returns a new report.

One dossier with the knowledge of the hub goes through it. A report says what it was made with: the libraries of
the engines, and digests of the checks and the serving rules. A proven revision gets its derived artifacts, safetensors
of its pickles and the reverse; or it is quarantined.
"""

import ast
import functools
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import BinaryIO, NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction

from dovetail.adapters.files import header as headers
from dovetail.adapters.files import torchfile
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.files.pickle_interpreter import Refused
from dovetail.adapters.formats.description import WEIGHTS, within
from dovetail.adapters.formats.twins import MAX_TWINS
from dovetail.adapters.results.report import BasePin, EngineRow, Provenance, Report
from registry.bytes import blobs, intake, tensor_digests
from registry.bytes.blobs import Digest, Keys
from registry.kernel import traces
from registry.kernel.errors import ClaimStale, ShelfProblem, StoreUnavailable
from registry.models import Base, Blob, DerivedArtifact
from registry.proof import fit
from registry.proof.dossiers import Dossier
from registry.proof.reports import provenance_digest
from registry.proof.verdicts import jobs
from registry.proof.verdicts.queue import Claim
from registry.proof.verified import withdrawals
from registry.repos import derived
from registry.repos.contents import facts
from registry.repos.derived import Derivation
from workers import base_measurements
from workers.engine import work_folders
from workers.engine.job import ENGINES, Job
from workers.engines import capabilities, sessions, warm_engines
from workers.engines.sandbox import Engine, EngineSlow
from workers.validation import claims
from workers.validation.claims import Listener, Progress, lay_out
from workers.validation.reports import combine, contents_of, placing, record, worst_rows

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).parents[1] / "engine" / "derive.py"
SECONDS = 130  # of wall time, for all files of one revision; each process bounds its own CPU time
MAX_WORDS = 500


def derive(dossier: Dossier, report: Report) -> Report:
    """Quarantine a revision whose pickle holds more than tensors, else make the files that are served beside its own.

    Returns the report with the bases that a derived artifact fits, where the pushed files could not tell. Nothing here
    decides a verdict, and a file that cannot be derived now is tried again with the next verdict.
    """
    revision = dossier.claim.verdict.revision
    is_hostile = [check for check in report.failed if check.id == "file.pickle" and check.where.get("quarantine")]
    if is_hostile:
        withdrawals.hold(revision, f"{is_hostile[0].message} {is_hostile[0].fix}", finding=is_hostile[0].id)
        return report
    if any(check.id.startswith("file.") for check in report.failed):
        return report
    details = {"revision": revision.oid}
    try:
        for artifact, is_kept in _make(dossier.derivable):
            logger.info("A file was derived", extra=details | {"path": artifact.path, "kept": is_kept})
    except (StoreUnavailable, OSError) as problem:
        logger.warning("Nothing was derived: %s", problem, extra=details)
        return report
    if report.fits is not None or WEIGHTS not in (made := derived.derived_entries(dossier.entries)):
        return report
    files = facts.file_openers({**dossier.entries, **made})
    return fit.with_fits(report, fit.survey_files(files), dossier.stated_bases)


def _make(derivations: Sequence[Derivation]) -> list[tuple[Derivation, bool]]:
    deadline = time.monotonic() + SECONDS
    return [
        (artifact, _make_one(artifact, deadline)) for artifact in derivations[:MAX_TWINS] if time.monotonic() < deadline
    ]


def _make_one(artifact: Derivation, deadline: float) -> bool:
    """Make one file and store it, in a folder that holds no other file.

    A file derived from a pickle is served wherever that pickle lies, so the process sees that pickle alone: a pickle
    that takes its process over can spoil only its own artifact, which nobody has who has not the pickle as well.
    """
    with work_folders.folder("twin") as folder:
        source, target = folder / "from", folder / "to" / "made"
        target.parent.mkdir()
        blobs.copy_blob(artifact.source.sha256, source)
        if artifact.form == DerivedArtifact.Form.SAFETENSORS:
            _write_safetensors(source, target, deadline - time.monotonic())
        else:
            _write_pickle(source, target)
        return target.is_file() and store_derived(artifact, target) is not None


def _write_safetensors(source: Path, target: Path, seconds: float) -> None:
    """Convert a pickle in a jailed process; if that fails, there is no file."""
    python = str(capabilities.interpreter(capabilities.built()[0]))  # of any engine: the standard library is enough
    command = [python, "-I", str(SCRIPT), str(source), str(target)]
    with (source.parent / "said").open("w+b") as stderr:  # a file, since its size is bounded and our memory is not
        with sessions.program(command, target.parent, stderr=stderr) as program:
            way = program.wait(max(seconds, 1))
        if way is None:
            raise TimeoutError("the process that derives reached its limit of time")
        if way != sessions.WELL:
            stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - MAX_WORDS))
            words = stderr.read().decode(errors="replace")
            logger.warning("The process that derives ended %s: %s", way, words)


def _write_pickle(source: Path, target: Path) -> None:
    """Write a file of torch.save in this process: of its source, safetensors, only the header is interpreted."""
    try:
        with source.open("rb") as reader, target.open("xb") as writer:
            torchfile.write(headers.read(reader), reader, writer)
    except (HeaderError, torchfile.Unwritable) as problem:
        logger.info("No pickle for %s: %s", source, problem)
        target.unlink()


def store_derived(artifact: Derivation, path: Path) -> DerivedArtifact | None:
    """Store a derived file; return None if it exceeds the size limit or is not a valid file of its form.

    The file comes out of a sandbox, so it is parsed and hashed here. Raises StoreUnavailable.
    """
    if path.stat().st_size > settings.MAX_FILE_BYTES or not _is_sound(path, artifact.form):
        return None
    digest = blobs.digest_of_file(path)
    intake.store_verified(digest.sha256, blobs.pieces_of_file(path))
    try:
        row = _note(artifact, digest)
    except IntegrityError:  # the sweep deleted the blob's row between the two inserts
        row = _note(artifact, digest)
    intake.store_verified(digest.sha256, blobs.pieces_of_file(path))
    if not blobs.object_exists(Keys.blob(digest.sha256)):
        raise StoreUnavailable(
            f"The bytes of {digest.sha256} were removed by garbage collection while they were stored."
        )
    return row


def _note(artifact: Derivation, digest: Digest) -> DerivedArtifact:
    with transaction.atomic():
        Blob.objects.bulk_create([Blob(sha256=digest.sha256, size=digest.size)], ignore_conflicts=True)
        row, _ = DerivedArtifact.objects.get_or_create(
            source_id=artifact.source.sha256, form=artifact.form, defaults={"blob_id": digest.sha256}
        )
        if artifact.form == DerivedArtifact.Form.SAFETENSORS:
            tensor_digests.enqueue_digests([artifact.source.sha256])
    return row


def _is_sound(path: Path, form: str) -> bool:
    read: Callable[[BinaryIO], object] = headers.read if form == DerivedArtifact.Form.SAFETENSORS else torchfile.read
    try:
        with path.open("rb") as file:
            read(file)
    except (HeaderError, Refused):
        return False
    return True


ROOT = Path(__file__).resolve().parents[2]
KNOWLEDGE = ROOT / "client" / "src" / "dovetail" / "adapters"
RULES = KNOWLEDGE / "serving"
LIBRARIES = ("torch", "transformers", "peft", "adapters", "tokenizers", "safetensors")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SHOWN = 12  # digits of a digest: enough to tell versions of our own code apart


class Proof(NamedTuple):
    """The report on one adapter, and a row for each engine that judged it."""

    report: Report
    rows: tuple[EngineRow, ...]


def prove(dossier: Dossier, jobs: Sequence[Job], on_check: Listener) -> Report:
    """Return one report on all adapters that the verdict is about, with a row for each engine that judged them."""
    base = dossier.claim.base
    proofs = {job.place: _prove_adapter(job, base, on_check) for job in jobs}
    reports = {place: proof.report for place, proof in proofs.items()}
    report = combine(reports)
    engines = worst_rows({place: proof.rows for place, proof in proofs.items()})
    return replace(
        report,
        base=BasePin(base.id, base.revision, base.sha256) if base else None,  # as the base cache knows it
        engines=engines,
        contents=contents_of(dossier.adapters, reports),
        path=jobs[0].place if len(jobs) == 1 else "",
        proven_with=provenance_of(report.depth, [row.name for row in engines]),
    )


def _prove_adapter(job: Job, base: Base | None, on_check: Listener) -> Proof:
    """Return the proof with the report of the first engine that passes the adapter, else of the first engine."""
    reports = dict(_ask_engines(job, base, on_check))
    first = next(iter(reports.values()))
    decisive = next((report for report in reports.values() if report.is_passed), first)
    return Proof(decisive, tuple(capabilities.engine_row(name, report) for name, report in reports.items()))


def _ask_engines(job: Job, base: Base | None, on_check: Listener) -> Iterator[tuple[str, Report]]:
    """Yield engine and report until an engine passes the adapter, or until no other engine could judge differently."""
    listener = placing(on_check, job.place)
    for name in capabilities.engines(job.folder, job.place):
        report = _run(warm_engines.engine_for(base, name), name, job, listener)
        yield name, report
        if report.is_passed or not _is_run(base) or not capabilities.depends_on_engine(report):
            return
        listener = claims.ignore_check  # the page of a running verdict shows the checks of the first engine alone


def _run(engine: Engine, name: str, job: Job, listener: Listener) -> Report:
    """Run a job, and log which process did it: the kernel's own log names processes by their numbers."""
    started = time.monotonic()
    with traces.span("engine", engine=name, job=job.id):
        report = engine.run(job, on_check=listener)
    milliseconds = round(1000 * (time.monotonic() - started))
    details = {"engine": name, "engine_pid": engine.pid, "job": job.id, "state": report.state, "ms": milliseconds}
    logger.info("An engine answered", extra=details)
    return report


def _is_run(base: Base | None) -> bool:
    """Return whether adapters of this base are loaded and run: only if its weights are here."""
    return base is not None and base.has_weights


def survey(dossier: Dossier, report: Report) -> Report:
    """Return the report with the known bases that the adapter fits."""
    stated, base = dossier.stated_bases, dossier.claim.base
    base_measurements.measure_named_shapes([*stated, *([base.id] if base else [])])
    answers = fit.survey_files(within(dossier.files, dossier.places[0]))
    return fit.with_fits(report, answers, stated)


def validate(claim: Claim) -> None:
    """Prove the revision of a claimed verdict and record the report; the claim is let go whatever happens."""
    details = claims.details_of(claim.verdict) | {"attempt": claim.attempt.number}
    with traces.working_for(claim.verdict.request_id), traces.span("validate", **details):
        logger.info("A validation began", extra=details)
        try:
            with claims.kept_alive(partial(jobs.heartbeat, claim)):
                _validate(claim, details)
        except ClaimStale:
            logger.warning("A claim was lost during its validation", extra=details)
        except EngineSlow as problem:  # it goes on starting meanwhile
            logger.warning("A validation waits: %s", problem, extra=details)
            _give_back(claim, str(problem), details, counted=False)
        except (StoreUnavailable, ShelfProblem, OSError) as problem:  # a part of the hub is down, a disk is full
            logger.error("A validation waits: %s", problem, extra=details)
            _give_back(claim, str(problem), details, counted=False)
        except Exception as problem:  # whatever broke, the row must not wait for its lease to end
            logger.exception("A validation broke", extra=details)
            _give_back(claim, f"{type(problem).__name__}: {problem}", details)


def _validate(claim: Claim, details: Mapping[str, object]) -> None:
    started = time.monotonic()
    with lay_out(claim, f"{claim.verdict.pk}-{claim.attempt.number}") as (dossier, adapters):
        report = prove(dossier, adapters, Progress(claim))
        report = survey(dossier, report)
    milliseconds = round(1000 * (time.monotonic() - started))
    report = derive(dossier, report)
    record(claim, report, milliseconds)
    outcome = {"engine": report.engine.name if report.engine else None, "state": report.state, "ms": milliseconds}
    if report.state == "errored" and report.refusal:
        logger.error("A validation ended by a fault of ours: %s", report.refusal.message, extra={**details, **outcome})
    else:
        logger.info("A validation ended", extra={**details, **outcome})


def _give_back(claim: Claim, reason: str, details: Mapping[str, object], *, counted: bool = True) -> None:
    """Put the verdict back into its queue; a claim that is stale was put back already."""
    try:
        jobs.give_back(claim, reason, counted=counted)
    except ClaimStale:
        logger.warning("A claim was lost during its validation", extra=details)


def provenance_of(depth: str | None, engines: Iterable[str]) -> Provenance:
    """Return what a report was made with. An adapter that was refused by its files alone depends on no engine."""
    return _provenance({} if depth == "static" else {name: libraries(name) for name in engines})


def current_provenances() -> frozenset[str]:
    """Return the digests of every provenance that a report made on this machine can have now."""
    installed = {name: libraries(name) for name in proving_engines()}
    if not installed:
        return frozenset()  # nothing can be proven here
    return frozenset(
        provenance_digest(_provenance({name: installed[name] for name in names}))
        for count in range(len(installed) + 1)
        for names in combinations(installed, count)
    )


def proving_engines() -> list[str]:
    """Return the engines of this machine."""
    return capabilities.present(ENGINES)


def libraries(engine: str) -> dict[str, str]:
    """Return the versions of an engine's libraries, read from their folders: nothing of them is imported."""
    versions = {}
    for folder in (capabilities.interpreter(engine).parent.parent / "lib").glob("python*/site-packages/*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        if name.lower() in LIBRARIES:
            versions[name.lower()] = version
    return dict(sorted(versions.items()))


def _provenance(engines: dict[str, dict[str, str]]) -> Provenance:
    return Provenance(dict(sorted(engines.items())), _checks(), _rules())


@functools.cache  # the code of this process, even if the files change meanwhile
def _checks() -> str:
    files = [file for folder in (KNOWLEDGE, ROOT / "workers" / "engine") for file in _sources(folder)]
    return _hash(file for file in files if RULES not in file.parents)


@functools.cache
def _rules() -> str:
    return _hash(_sources(RULES))


def _sources(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in (".py", ".json"))


def _hash(files: Iterable[Path]) -> str:
    hasher = hashlib.sha256()
    for file in files:
        hasher.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(_meaning(file)).digest())
    return hasher.hexdigest()[:SHOWN]


def _meaning(file: Path) -> bytes:
    """Return the code of a file without comments, docstrings and layout.

    A change of words alone must not make a hub prove everything again. The syntax tree depends on the version of
    Python, and the workers of one hub run the same version.
    """
    if file.suffix != ".py":
        return file.read_bytes()
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree).encode()
