"""Resolve names to revisions, and paths to bytes that the caller may have. Only reads."""

from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, When

from registry.bytes import blobs, blocked_files
from registry.bytes.blobs import BlobMissing, Keys, Reader
from registry.kernel import policy, refusals, seams, site_settings
from registry.kernel.callers import granted
from registry.kernel.errors import FileNotFound, RegistryError, RevisionNotFound, RevisionNotVerified
from registry.kernel.policy import Caller, Permission
from registry.models import Ref, Repository, Revision, RevisionFile, Verdict
from registry.repos import derived, refs
from registry.repos.manifest import Entry
from registry.repos.refs import Viewer
from registry.sql.prepared import Prepared


# --- revisions -------------------------------------------------------------------------------------------------------
def resolve(repository: Repository, rev: str, viewer: Viewer | None = None) -> Revision:
    """Return the revision of a branch, tag, alias, full ref, `verified`, `HEAD` or (short) commit id, in that order.

    Main may mean `verified` for the viewer. Raises RevisionNotFound, also below /verified for an adapter of which
    nothing is verified.
    """
    revision = None
    if viewer and rev in refs.MAIN_NAMES and viewer.prefers_verified(repository):
        revision = _named(repository, "verified")
        if revision is None and viewer.only_verified and repository.state:  # without a state there is no verdict
            raise refs.revision_not_found("verified", repository)
    revision = revision or _named(repository, rev) or _by_oid(repository, rev)
    if revision is None:
        raise refs.revision_not_found(rev, repository)
    revision.asked = rev
    revision.repository = repository  # the one that is loaded already, with its namespace
    return revision


def resolve_pulled(repository: Repository, rev: str, viewer: Viewer | None = None) -> Revision:
    """Return the revision that a name leads to when somebody pulls: `verified` in place of a yanked main.

    Branches with another name, tags and commit ids are somebody's own choice, and lead to yanked revisions too. Raises
    RevisionNotFound, also for a yanked main without a verified version.
    """
    revision = resolve(repository, rev, viewer)
    if not revision.is_yanked or rev not in refs.MAIN_NAMES:
        return revision
    try:
        return resolve(repository, "verified")
    except RevisionNotFound:
        raise refs.yanked(revision) from None


def _by_oid(repository: Repository, rev: str) -> Revision | None:
    oid = rev.lower()
    if refs.SHORTEST_OID <= len(oid) <= 40 and refs.HEX.issuperset(oid):
        match = {"oid": oid} if len(oid) == 40 else {"oid__startswith": oid}
        candidates = list(repository.revisions.filter(**match)[:2])
        if len(candidates) == 1:
            return candidates[0]
    return None


def resolve_within(repository: Repository, text: str, viewer: Viewer | None = None) -> tuple[Revision, str]:
    """Return the revision and the path in rev/path, where rev itself may hold slashes; the longest name wins.

    Some clients and proxies send refs/pr/1 unquoted instead of refs%2Fpr%2F1. Raises RevisionNotFound.
    """
    parts = text.split("/")
    for count in range(min(len(parts), 8), 0, -1):
        try:
            return resolve_pulled(repository, "/".join(parts[:count]), viewer), "/".join(parts[count:])
        except RevisionNotFound:
            if count == 1:
                raise
    raise refs.revision_not_found(text)


def _named(repository: Repository, rev: str) -> Revision | None:
    if not rev or "\0" in rev or len(rev) > refs.MAX_REF_NAME:
        return None
    names = [refs.MAIN] if rev == "HEAD" else [refs.BRANCHES + rev, refs.TAGS + rev]
    if rev == "verified":
        names.append(refs.VERIFIED)
    elif rev.startswith("refs/"):
        names.append(rev)
    elif rev != "HEAD":
        names.append(refs.ALIASES + rev)
    parameters = list(names)
    while len(parameters) < 3:  # the prepared query has three parameters: repeat the last name
        parameters.append(names[-1])
    revisions = {ref.name: ref.revision for ref in _REFS(repository.pk, *parameters)}
    return next((revisions[name] for name in names if name in revisions), None)


_REFS = Prepared(
    lambda repository, *names: (
        Ref.objects.filter(repository=repository, name__in=names).select_related("revision").defer("updated_at")
    ),
    int,
    str,
    str,
    str,
)
_FILES = Prepared(lambda revision: RevisionFile.objects.filter(revision=revision).order_by("path"), int)
_FILE = Prepared(lambda revision, path: RevisionFile.objects.filter(revision=revision, path=path), int, str)


def entries(revision: Revision) -> dict[str, Entry]:
    """Return path → entry of every file of the revision, in one query. Raises FilesExpired."""
    if revision.is_expired:
        raise refusals.files_expired(revision)
    return {row.path: entry_of(row) for row in _FILES(revision.pk)}


def copy_files(revision: Revision, folder: Path) -> dict[str, Entry]:
    """Copy every file of the revision into a folder, and return their entries. Raises FilesExpired."""
    files = entries(revision)
    for path, entry in files.items():
        blobs.copy_blob(entry.sha256, folder / path)
    return files


def entry_of(row: RevisionFile) -> Entry:
    """Return the entry for which a row of a revision's files stands."""
    return Entry(row.path, row.blob_id, row.size, row.is_lfs, row.git_oid, is_unsearched=row.is_unsearched)


def served_entries(revision: Revision) -> dict[str, Entry]:
    """Return path → entry of every file that may be downloaded: the pushed ones and those derived from them."""
    pushed = entries(revision)
    return pushed | derived.derived_entries(pushed)


def entries_of(revisions: Iterable[Revision]) -> dict[int, dict[str, Entry]]:
    """Return path → entry for many revisions, by their row ids, in one query."""
    trees: dict[int, dict[str, Entry]] = {revision.pk: {} for revision in revisions}
    rows = RevisionFile.objects.filter(revision__in=trees).order_by("path")
    columns = ("revision_id", "path", "blob_id", "size", "is_lfs", "git_oid", "is_unsearched")
    for pk, path, *values, is_unsearched in rows.values_list(*columns):
        trees[pk][path] = Entry(path, *values, is_unsearched=is_unsearched)
    return trees


# --- files -----------------------------------------------------------------------------------------------------------
def find_file(revision: Revision, path: str) -> Entry:
    """Return one file of the revision, pushed or derived. Raises FileNotFound and FilesExpired."""
    row = None
    if path and "\0" not in path:
        row = _FILE.first(revision.pk, path)
    if row is not None:
        return entry_of(row)
    if revision.is_expired:
        raise refusals.files_expired(revision)
    if path.rpartition("/")[2] in derived.NAMES:
        derived_entry = derived.derived_entries(entries(revision)).get(path)
        if derived_entry is not None:
            return derived_entry
    raise FileNotFound(f"Entry not found: {path[:200]!r} is not in {revision.oid}.")


def require_files(revision: Revision, by: Caller) -> None:
    """Raise what policy.require raises for DOWNLOAD, and what `require_served` raises."""
    policy.require(by, Permission.DOWNLOAD, revision.repository)
    require_served(revision, by)


def may_have_files(revision: Revision, by: Caller) -> bool:
    """Return whether `require_files` lets the caller pass."""
    try:
        require_files(revision, by)
    except RegistryError:
        return False
    return True


def require_served(revision: Revision, by: Caller) -> None:
    """Raise what `require_standing` raises, and the refusal of the pull policy (`unserved`)."""
    require_standing(revision, by)
    if (refusal := unserved(revision, by)) is not None:
        raise refusal


def require_standing(revision: Revision, by: Caller) -> None:
    """Raise unless there is something to tell of the revision.

    Of a quarantined one nothing is: RepositoryQuarantined for its writers, RevisionNotFound for others. Nor is of an
    expired one: FilesExpired.
    """
    if revision.is_quarantined:
        require_shown(revision, by)
        raise refusals.quarantined_revision(revision)
    if revision.is_expired:
        raise refusals.files_expired(revision)


def unserved(revision: Revision, by: Caller) -> RevisionNotVerified | None:
    """Return why the pull policy keeps the files from this caller, or None; the one place that says so.

    Under `verified` everything is told of a version to all who see its repository, and its page shows its card, as
    behind a gate; the contents of its files are for members until it has passed. A version that passed need not be
    `verified`: by that name and by main strangers get what is, by its commit id what passed.
    """
    repository = revision.repository
    if site_settings.get_setting("pull_policy") == "open" or by.is_staff or by.role_in(repository):
        return None
    if not (verdict := _unproven(revision)):
        return None
    verified = repository.refs.filter(name=refs.VERIFIED).values_list("revision__oid", flat=True).first()
    return RevisionNotVerified(
        f"Revision {revision.oid} of {repository.full_name} has not passed (its verdict: {verdict}), "
        "and this hub only serves verified revisions to people who cannot write to it. "
        + (f"The newest verified revision is {verified}." if verified else "No revision of it is verified yet."),
        verified=verified,
    )


def _unproven(revision: Revision) -> str:
    """Return the verdict in words if the pull policy does not take it for passed, else ""."""
    if revision.is_part:
        return "none, since it is a part of a push"
    last = revision.verdicts.order_by(*LAST_SAID).values_list("state", "result__depth").first()
    if last is None or (last[0] == Verdict.State.PASSED and last[1] != "static"):
        return ""
    return "looked at, since no engine here runs its format" if last[0] == Verdict.State.PASSED else str(last[0])


def require_each_served(revisions: Iterable[Revision], by: Caller) -> None:
    """Call require_served for many revisions of one repository; one query if all of them are served."""
    rows = {revision.pk: revision for revision in revisions}
    doubtful = _doubtful_among(rows)
    for row, revision in rows.items():
        if revision.is_quarantined or revision.is_part or row in doubtful:
            require_served(revision, by)


def served_to_anybody(revisions: Iterable[Revision]) -> list[Revision]:
    """Return which of these, of a public repository and no parts of a push, anybody may have; one query at most."""
    rows = {revision.pk: revision for revision in revisions}
    doubtful = _doubtful_among(rows)
    return [
        revision
        for row, revision in rows.items()
        if not (revision.is_quarantined or revision.is_expired or revision.is_part or row in doubtful)
    ]


def _doubtful_among(revisions: Iterable[int]) -> set[int]:
    """Return which of these revisions (row ids) the pull policy keeps back as unproven."""
    if site_settings.get_setting("pull_policy") == "open":
        return set()
    return set(_doubtful().filter(revision__in=list(revisions)).values_list("revision", flat=True))


# The verdict that counts is the last decided one, also while the revision is validated again and where that errored,
# which is the hub's fault; else the last errored one, else the newest.
_STANDING = Case(When(state__in=Verdict.DECIDED, then=0), When(state=Verdict.State.ERRORED, then=1), default=2)
LAST_SAID = (_STANDING.asc(), F("finished_at").desc(nulls_last=True), "-number")
LAST_SAID_LAST = (_STANDING.desc(), F("finished_at").asc(nulls_first=True), "number")


def is_shown(revision: Revision, by: Caller) -> bool:
    """Return whether the revision exists for this caller: held ones do for moderators and for who may write there."""
    return not revision.is_quarantined or by.is_staff or policy.may_write(by, revision.repository)


def require_shown(revision: Revision, by: Caller) -> None:
    """Raise RevisionNotFound unless `is_shown`."""
    if not is_shown(revision, by):
        raise refs.revision_not_found(revision.asked or revision.oid)


def shown_refs(repository: Repository, by: Caller) -> list[Ref]:
    """Return every ref by name, with its revision, but those to what is held back from this caller; one query."""
    listed = list(refs.list_refs(repository))
    for ref in listed:
        ref.revision.repository = repository  # the one that is loaded already, with its namespace
    return [ref for ref in listed if is_shown(ref.revision, by)]


def is_for_anybody(revision: Revision, entry: Entry) -> bool:
    """Return whether everybody may have this file of a revision now: caches may keep it, and show it to anybody."""
    is_searched = not (entry.is_unsearched or blocked_files.blocked_among([entry.sha256]))
    return is_searched and may_have_files(revision, policy.NOBODY)


def download_url(entry: Entry, revision: Revision | None = None) -> str | None:
    """Return a URL at which the store itself serves this file for a minute, or None if the web process must.

    Of one that `is_for_anybody` in this revision, the address that never changes, where there is one. Only for LFS
    files: clients follow no redirect for small ones.
    """
    if not entry.is_lfs:
        return None
    if revision and (url := seams.public_address(entry.sha256)) and is_for_anybody(revision, entry):
        return url
    name = entry.path.rpartition("/")[2]
    return blobs.store().presigned_get(Keys.blob(entry.sha256), name, settings.DOWNLOAD_URL_SECONDS)


def open_bytes(entry: Entry, start: int, end: int) -> "Reader | Span":
    """Open bytes [start, end) of a file; a Span for a local file, which the server can pass to sendfile(2).

    Raises StoreUnavailable, also if the store has lost the object.
    """
    return open_object(Keys.blob(entry.sha256), start, end)


def open_object(key: str, start: int, end: int) -> "Reader | Span":
    """Open bytes [start, end) of any object that a row names, as `open_bytes` does."""
    path = blobs.store().local_path(key)
    try:
        return Span(path, start, end) if path else blobs.store().open(key, start, end)
    except (BlobMissing, FileNotFoundError):  # a row names it, so the store has lost it
        raise blobs.lost_object(key) from None


class Span:
    """Bytes [start, end) of a file, with its descriptor at their start, for sendfile(2)."""

    def __init__(self, path: Path, start: int, end: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._file.seek(start)
        self._left = end - start

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()


def downloadable(by: Caller, pull_policy: str = "", *, unsearched: bool = False) -> QuerySet[RevisionFile]:
    """Return the files of every repository that this caller could download now; the pull policy is the site's.

    With `unsearched` also those that only writers may have until they are searched (unsearched_files.py); else of these
    the caller's own, which nobody keeps from their author.
    """
    files = _served(by, pull_policy)
    if unsearched:
        return files
    return files.filter(Q(is_unsearched=False) | Q(revision__author=by.user) if by.user else Q(is_unsearched=False))


def listable(by: Caller) -> QuerySet[RevisionFile]:
    """Return the files of every repository whose manifests this caller may read now.

    Neither a gate nor the pull policy hides digests.
    """
    return _standing(policy.visible_to(by))


def _standing(allowed: Q) -> QuerySet[RevisionFile]:
    is_allowed = Exists(Repository.objects.filter(allowed, pk=OuterRef("revision__repository")))
    return RevisionFile.objects.filter(is_allowed, revision__quarantined_at__isnull=True)


def _served(by: Caller, pull_policy: str) -> QuerySet[RevisionFile]:
    served = _standing(policy.visible_to(by) & policy.ungated_for(by))
    if (pull_policy or site_settings.get_setting("pull_policy")) == "open":
        return served
    doubtful = _doubtful().filter(revision=OuterRef("revision"))
    reach = granted(by) if by.is_fine_grained else policy.in_reach(by)
    own = Repository.objects.filter(reach, pk=OuterRef("revision__repository"))
    return served.filter(Exists(own) | Q(~Exists(doubtful), revision__is_part=False))


def _doubtful() -> QuerySet[Verdict]:
    """Return the verdicts that keep a revision from being served under the pull policy `verified`."""
    last = Verdict.objects.filter(revision=OuterRef("revision")).order_by(*LAST_SAID).values("pk")[:1]
    unproven = ~Q(state=Verdict.State.PASSED) | Q(result__depth="static")
    return Verdict.objects.filter(unproven, pk=Subquery(last))
