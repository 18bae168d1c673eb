"""Files that look like pickles and wait to be searched for code: only the writers of their repository may have them.

A push sets `RevisionFile.is_unsearched`, and the end of the search (registry/proof/pickle_scans.py) takes it away.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from registry.kernel import policy
from registry.kernel.errors import FileNotSearched
from registry.kernel.policy import Caller
from registry.models import Repository, Revision, RevisionFile, WorkerHeartbeat
from registry.repos import pull
from registry.repos.manifest import Entry

NO_WORKER = "No worker of this hub is running, which would search it: its operator starts one."


def still_unsearched(repository: Repository, entries: Iterable[Entry]) -> set[str]:
    """Return the paths of those of a new revision's files that must be searched; one query, none where none looks so.

    The same bytes under the same name are searched once, in this repository or in a public one: that nobody waits for
    known bytes must not tell a stranger that somebody has them in private.
    """
    waiting = {entry.path: entry.sha256 for entry in entries if entry.is_unsearched}
    if not waiting:
        return set()
    told = Q(revision__repository=repository) | Q(revision__repository__private=False)
    done = Q(is_unsearched=False, revision__quarantined_at=None, revision__pickle_scan=None)
    rows = RevisionFile.objects.filter(told, done, blob__in=set(waiting.values()))
    searched = {(sha256, _name(path)) for sha256, path in rows.order_by().values_list("blob", "path").distinct()}
    return {path for path, sha256 in waiting.items() if (sha256, _name(path)) not in searched}


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def require_searched(entries: Iterable[Entry], repository: Repository, by: Caller) -> None:
    """Raise FileNotSearched if one of these files of a repository waits, unless the caller may write there."""
    waiting = next((entry for entry in entries if entry.is_unsearched), None)
    if waiting is not None and not policy.may_write(by, repository):
        raise refusal(waiting.path)


def refusal(path: str) -> FileNotSearched:
    """Return the refusal of a file that waits; it says so where nobody is there to search it. One query."""
    beats = WorkerHeartbeat.objects.filter(beat_at__gte=Now() - timedelta(seconds=settings.LEASE_SECONDS))
    return FileNotSearched(
        f"{path[:200]} looks like a pickle by its name or its first bytes, and has not been searched for code yet.",
        fix="" if beats.exists() else NO_WORKER,
    )


def find_served(revision: Revision, path: str, by: Caller) -> Entry:
    """Return a file of the revision that the caller may have now.

    Raises what `pull.find_file` and `pull.require_served` raise, in this order, and FileNotSearched.
    """
    entry = pull.find_file(revision, path)
    pull.require_served(revision, by)
    require_searched([entry], revision.repository, by)
    return entry


def require_all_searched(revisions: Iterable[Revision], repository: Repository, by: Caller) -> None:
    """Call `require_searched` for every file of these revisions of a repository; one query."""
    path = RevisionFile.objects.filter(revision__in=revisions, is_unsearched=True).values_list("path", flat=True)
    if not policy.may_write(by, repository) and (waiting := path.first()) is not None:
        raise refusal(waiting)
