"""Downloads: who may have which stored bytes, the tickets that open an LFS file each, and reading by Xet.

A digest gives no right to bytes; delivering them or being able to download them does. Files that look like pickles
and wait to be searched for code are for the writers of their repository alone: a push sets
`RevisionFile.is_unsearched`, and the end of the search (registry/proof/pickle_scans.py) takes it away. Tickets are
signed texts that a download batch hands out. Xet reads the pieces of xorbs that make a file: their bytes are those of
the whole file, with a header before each chunk, since xorbs are not stored for readers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core import signing
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from registry.bytes import xet_files, xorbs
from registry.bytes.blobs import Keys, Reader
from registry.bytes.xorbs import chunks
from registry.kernel import policy, site_settings
from registry.kernel.errors import BlobUnknown, DownloadExpired, FileNotFound, FileNotSearched, RepositoryNotFound
from registry.kernel.policy import NOBODY, Caller, Permission
from registry.models import Blob, Membership, Repository, Revision, RevisionFile, User, WorkerHeartbeat, XetFile
from registry.people.tokens import tokens
from registry.repos import histories, pull
from registry.repos.manifest import Entry
from registry.sql.prepared import Prepared

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
        f"{path[:200]} looks like a pickle and has not been searched for code yet.",
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


def usable_blobs(repository: Repository, digests: Iterable[str], by: Caller) -> dict[str, int]:
    """Return sha256 → size in bytes of the blobs that this caller may link into this repository; a few queries.

    Either the bytes were delivered to this repository, or the caller can download them from another one now. A caller
    who may not write here cannot propose files by their digests that a quarantine or a gate holds back here.
    """
    requested = set(digests)
    if not requested:
        return {}
    delivered = Blob.objects.filter(uploaded_to__repository=repository, sha256__in=requested)
    sizes = dict(delivered.values_list("sha256", "size"))
    if sizes and not policy.may_write(by, repository):
        held_back = _held_back(repository, sizes, by)
        sizes = {sha256: size for sha256, size in sizes.items() if sha256 not in held_back}
    # In any case, also for bytes that nobody has: an answer that came sooner would tell a stranger who has them.
    if elsewhere := requested - sizes.keys():
        sizes.update(_downloadable(elsewhere, by))
    return sizes


def _downloadable(digests: Iterable[str], by: Caller) -> Iterable[tuple[str, int]]:
    """Return (sha256, size in bytes) of the blobs that this caller can download from any repository.

    Every push of new bytes asks this: for persons without teams it is compiled once, and then three times as fast.
    """
    if by.user is None or by.is_fine_grained or any(by.roles_by_teams()):
        return _sizes(by, digests)
    pull_policy = str(site_settings.get_setting("pull_policy"))
    return _downloadable_by(pull_policy, len(by.roles))(by.user.pk, *by.roles, *digests)


@lru_cache(maxsize=8)  # each of a few texts of 70 KiB, by the number of digests
def _downloadable_by(pull_policy: str, roles: int) -> Prepared[tuple[str, int]]:
    def sizes(user: int, *values: Any) -> "QuerySet[RevisionFile, tuple[str, int]]":
        return _sizes(_placeholder(user, values[:roles]), values[roles:], pull_policy)

    return Prepared(sizes, *[int] * (1 + roles), str)


def _placeholder(user: int, namespaces: Iterable[int]) -> Caller:
    """Return a caller for compiling a query: this user id, a role in each of these namespaces, no teams.

    It decides no right: which role it is, nobody said.
    """
    caller = Caller(user=User(pk=user))
    caller.memberships, caller.roles = {}, dict.fromkeys(namespaces, Membership.Role.READ)
    return caller


def _sizes(by: Caller, digests: Iterable[str], pull_policy: str = "") -> "QuerySet[RevisionFile, tuple[str, int]]":
    files = pull.downloadable(by, pull_policy).filter(blob__in=list(digests))
    # Without order_by(), Django adds the column of the default order, the path, to SELECT DISTINCT.
    return files.order_by().values_list("blob_id", "blob__size").distinct()


def _held_back(repository: Repository, digests: Iterable[str], by: Caller) -> set[str]:
    """Return the digests in revisions of this repository that the caller may not have, except in their own revisions.

    A gate protects files, but pages show cards and configs: a proposal could name a gated file as one of those.
    """
    rows = RevisionFile.objects.filter(revision__repository=repository, blob__in=list(digests))
    committed = set(rows.values_list("blob_id", flat=True).distinct())
    if not committed:
        return committed
    downloadable = pull.downloadable(by).filter(revision__repository=repository, blob__in=committed)
    own = rows.filter(revision__author=by.user, revision__quarantined_at__isnull=True)
    return (
        committed
        - set(downloadable.values_list("blob_id", flat=True).distinct())
        - set(own.values_list("blob_id", flat=True).distinct())
    )


SECONDS = 3600
LOOK_BACK_FILES = 2_000
_SALT = "downloads.ticket"


def create_tickets(repository: Repository, digests: Iterable[str], *, by: Caller) -> dict[str, str]:
    """Return sha256 → ticket for those objects that some revision here names and this caller may download now.

    Raises what policy.require raises. One query, and one signature an object.
    """
    policy.require(by, Permission.DOWNLOAD, repository)
    token = by.token.pk if by.token else None
    allowed = downloadable_digests(repository, set(digests), by)
    return {sha256: signing.dumps([repository.pk, sha256, token], salt=_SALT) for sha256 in allowed}


def downloadable_digests(repository: Repository, digests: set[str], by: Caller) -> set[str]:
    """Return those of the digests that some revision here names and this caller may download now."""
    return set(_files(repository, by).filter(blob__in=digests).values_list("blob_id", flat=True).distinct())


def newest_digests(repository: Repository, by: Caller) -> set[str]:
    """Return digests of LFS files that the newest revisions here name and this caller may download now.

    It looks back over histories.LOOK_BACK revisions and LOOK_BACK_FILES files, however long the history is.
    """
    revisions = repository.revisions.order_by("-pk").values_list("pk", flat=True)[: histories.LOOK_BACK]
    files = _files(repository, by).filter(revision__in=list(revisions)).order_by("-revision")
    if not policy.may_write(by, repository):
        files = files.filter(is_unsearched=False)  # a caller who knows its chunks has it assembled as their own
    return set(files.values_list("blob_id", flat=True)[:LOOK_BACK_FILES])


def redeem_ticket(ticket: str) -> Entry:
    """Return the file that a ticket opens. Rights are checked now, not when it was created: tokens end, gates close.

    Raises DownloadExpired, BlobUnknown, FileNotSearched, TokenInvalid and what policy.require raises.
    """
    try:
        pk, sha256, token = signing.loads(ticket, salt=_SALT, max_age=SECONDS)
    except signing.BadSignature:
        raise DownloadExpired("This download URL is invalid or has expired.") from None
    caller = NOBODY if token is None else tokens.caller_of_id(token)
    repository = Repository.objects.select_related("namespace__person").filter(pk=pk).first()
    if repository is None:
        raise RepositoryNotFound("The repository of this download URL does not exist, or you may not see it.")
    policy.require_bound(caller, Permission.DOWNLOAD, repository, "download address")
    entry = find_by_digest(repository, sha256, caller)
    if entry is None:
        raise BlobUnknown(f"No file of this repository has the sha256 {sha256}.")
    return entry


def find_by_digest(repository: Repository, sha256: str, by: Caller) -> Entry | None:
    """Return a file with this digest that some revision here names and this caller may download, or None.

    Raises FileNotSearched.
    """
    row = _files(repository, by).filter(blob=sha256).order_by("is_unsearched").first()
    if row is None:
        return None
    entry = pull.entry_of(row)
    require_searched([entry], repository, by)
    return entry


def _files(repository: Repository, by: Caller) -> "QuerySet[RevisionFile]":
    return pull.downloadable(by, unsearched=True).filter(revision__repository=repository, is_lfs=True)


KNOWN_SECONDS = 7 * 24 * 3600  # how long a client may rely on an answer; xorbs live longer after a use
NEWEST = 16  # files of a repository in which a chunk is looked for
MOST_LOOKED, WORTH = 1 << 17, 1 << 10  # chunks examined for one request; the cost of opening a xorb, in chunks


@dataclass(frozen=True, slots=True)
class Piece:
    """Chunks [start, end) of a xorb: bytes [first, last) of it where no chunk is packed, `size` bytes of the file.

    These begin at byte `at` of the file with the digest `sha256`.
    """

    xorb: str
    start: int
    end: int
    size: int
    first: int
    last: int
    sha256: str
    at: int


def file_pieces(
    repository: Repository, file_id: str, start: int, end: int | None, *, by: Caller
) -> tuple[list[Piece], int]:
    """Return the pieces of bytes [start, end) of a file, cut at chunks, and the number of bytes to skip first.

    An empty list means that the file ends before `start`. Raises FileNotFound unless a revision of this repository that
    the caller may download has the file, and all of its xorbs are here. Raises FileNotSearched.
    """
    row = XetFile.objects.filter(pk=file_id).first()
    sizes = xet_files.keep_alive(row.xorbs) if row else {}
    if row is None or not row.xorbs <= sizes.keys() or find_by_digest(repository, row.sha256, by) is None:
        raise FileNotFound(f"Entry not found: there is no file {file_id[:64]!r} to read here.")
    pieces: list[Piece] = []
    at, skip = 0, 0
    stop = row.size if end is None else min(end, row.size)
    for xorb, first, last, size in row.terms:
        if at < stop and at + size > start:
            index = xorbs.xorb_index(xorb, sizes[xorb])
            before, inside = 0, size
            if at < start or at + size > stop:
                first, last, before, inside = _cut(index, first, last, start - at, stop - at)
            skip = skip if pieces else start - at - before
            pieces.append(Piece(xorb, first, last, inside, *index.plain_span(first, last), row.sha256, at + before))
        at += size
    return pieces, max(0, skip)


def open_piece(piece: Piece, start: int, end: int) -> Iterator[bytes]:
    """Open bytes [start, end) of the xorb of a piece, which lie in it. Raises XorbUnknown and StoreUnavailable."""
    sizes = xet_files.keep_alive({piece.xorb})
    index = xorbs.xorb_index(piece.xorb, sizes.get(piece.xorb, 0))
    source = pull.open_object(Keys.blob(piece.sha256), piece.at, piece.at + piece.size)
    raw_sizes = [size for _, size in index.chunks(piece.start, piece.end)]
    return _part(source, raw_sizes, start - piece.first, end - piece.first)


def _part(source: "pull.Span | Reader", sizes: list[int], start: int, end: int) -> Iterator[bytes]:
    at = 0
    try:
        for data in xorbs.plain_chunks(source, sizes):
            if at + len(data) > start and at < end:
                yield data[max(0, start - at) : end - at]
            at += len(data)
    finally:
        source.close()


def _cut(index: xorbs.Index, first: int, last: int, start: int, stop: int) -> tuple[int, int, int, int]:
    """Return which chunks of a term hold its bytes [start, stop), how many bytes lie before them, and their size."""
    chunks = list(_spans(index, first, last))
    inside = [(number, at, size) for number, at, size in chunks if at + size > start and at < stop]
    return inside[0][0], inside[-1][0] + 1, inside[0][1], sum(size for *_, size in inside)


def _spans(index: xorbs.Index, first: int, last: int) -> Iterator[tuple[int, int, int]]:
    at = 0
    for number, (_, size) in enumerate(index.chunks(first, last), first):
        yield number, at, size
        at += size


def shard_for_chunk(repository: Repository, chunk: str, *, by: Caller) -> bytes | None:
    """Return a shard of the xorbs that hold a file with this chunk, so that a client need not send them again.

    It looks at the newest files of this repository's revisions that the caller may download: a new version may come
    from another machine. The shard describes only chunks of these files: the same xorb may hold a private file, and
    with the hashes of its chunks anyone could have it assembled as their own. None if no file has the chunk.
    Raises XorbInvalid for text that is no hash.
    """
    digest, left = chunks.parse_hash(chunk), MOST_LOOKED
    for row in XetFile.objects.filter(sha256__in=newest_digests(repository, by)).order_by("-created_at")[:NEWEST]:
        if len(row.xorbs) * WORTH > left or not row.xorbs <= (sizes := xet_files.keep_alive(row.xorbs)).keys():
            continue
        indexes: dict[str, xorbs.Index] = {}
        for name, spans in sorted(_spans_of(row).items()):
            index = xorbs.xorb_index(name, sizes[name])
            left -= max(index.count, WORTH)
            if left >= 0:
                indexes[name] = index.only(spans)
        if any(digest in index for index in indexes.values()):
            xet_files.make_known(indexes, by)
            now = int(timezone.now().timestamp())
            return xorbs.write_shard(indexes, now, now + KNOWN_SECONDS)
    return None


def _spans_of(row: XetFile) -> dict[str, list[tuple[int, int]]]:
    """Return for each xorb of a file the chunks, as [start, end), that belong to the file."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for name, start, end, _ in row.terms:
        spans.setdefault(name, []).append((start, end))
    return spans
