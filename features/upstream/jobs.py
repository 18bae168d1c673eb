"""Work that reads from other hubs: adapters that are to be recorded, and bases that adapters wait for."""

import logging
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

from django.conf import settings
from django.core.cache import cache

from features.upstream import asking, fetching, reading, records, store
from features.upstream.asking import UpstreamRefused
from registry.bytes import blobs
from registry.kernel.errors import RegistryError
from registry.kernel.seams import Jobs
from registry.models import Repository, Verdict
from registry.repos import bases
from registry.repos.manifest import Entry
from workers.base_cache import add_folder, is_data
from workers.engine import work_folders

log = logging.getLogger(__name__)
CARD = "README.md"  # read for the license; no part of the base
FETCH_SECONDS, AGAIN_SECONDS = 700.0, 900  # a task ends after 840 s, and the next goes on
LOOKED_AT = 50  # bases that verdicts wait for


def add_a_base() -> bool:
    """Add one base that a verdict waits for and the operator allows; return whether one was added."""
    if not settings.UPSTREAM.bases or settings.UPSTREAM.offline:
        return False
    for base_id in _missing():
        if cache.add(f"upstream:base:{base_id.lower()}", 1, AGAIN_SECONDS):
            try:
                return _add(base_id)
            except RegistryError as problem:
                log.warning("The base %s was not fetched: %s", base_id, problem.detail)
    return False


def _missing() -> list[str]:
    waiting = Verdict.objects.filter(state=Verdict.State.QUEUED, reason__startswith="Waiting for the base model")
    ids = waiting.exclude(base="").values_list("base", flat=True).distinct()[:LOOKED_AT]
    allowed = settings.UPSTREAM.bases
    named = [base_id for base_id in ids if any(fnmatchcase(base_id.lower(), pattern) for pattern in allowed)]
    return [base_id for base_id in named if bases.find_base(base_id) is None]


def _add(base_id: str) -> bool:
    row = reading.find(base_id, Repository.Type.MODEL)
    if row is None:
        return False
    at = reading.version(row, "main")
    at.require_allowed()
    wanted = [entry for path, entry in at.entries().items() if path == CARD or is_data(path)]
    if row.restricted or not wanted:
        raise UpstreamRefused(f"{base_id} is not for everybody at {row.origin}, or holds no weights.")
    with work_folders.folder("base") as folder:
        for entry in wanted:
            (folder / entry.path).parent.mkdir(parents=True, exist_ok=True)
            _write(at, entry, folder / entry.path)
        add_folder(base_id, folder, source=f"hub {row.origin}", revision=at.oid, tell=log.info)
    return True


def _write(at: reading.Version, entry: Entry, path: Path) -> None:
    if store.find(at.repository, entry) is None:
        follower = fetching.follow(at.repository, at.oid, entry)
        try:
            follower.wait(FETCH_SECONDS)
        finally:
            follower.close()
    kept = store.find(at.repository, entry)
    if kept is None:
        raise UpstreamRefused(f"{entry.path} was dropped again: DOVETAIL_UPSTREAM_SIZE is too small for this base.")
    with blobs.store().open(blobs.Keys.blob(kept.sha256)) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


JOBS = Jobs(reads=(asking.look_again, records.work, add_a_base))
