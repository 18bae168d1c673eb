"""Reconstructions: recorded at intake, and offered to Xet readers while the index of every xorb of the file is stored.

Only proven files are recorded (intake.py). Offering a file keeps its xorbs alive: clients that were given a Xet hash
fail without them. The bytes of a file that is read come from the whole file (repos/delivery/xet_reading.py).
"""

from collections.abc import Collection, Iterable
from datetime import timedelta
from itertools import accumulate

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from registry.bytes import xorbs
from registry.bytes.xorbs import hashes
from registry.kernel.policy import Caller
from registry.models import KnownXorb, User, XetFile, Xorb, XorbSpan
from registry.sql.prepared import Prepared

KEEP_SECONDS = 24 * 3600  # how often a use is recorded
MOST_TERMS = 4096  # of an offered file: one in more pieces downloads faster whole
FINEST = 8 << 10  # bytes of a chunk, except the last one of a file: no client cuts finer
MOST_WAYS = 8  # reconstructions of one file: every reader may upload it again, chunked differently


def record_file(file: xorbs.File) -> None:
    """Record the reconstruction of a proven file, unless it is inefficient or enough usable ones are known.

    Anyone with read access can upload a file again, chunked differently; keep their chunking out of other readers'
    reconstructions.
    """
    terms = [[term.xorb, term.start, term.end, term.size] for term in file.terms]
    chunks = sum(term.end - term.start for term in file.terms)
    if len(terms) > MOST_TERMS or chunks > file.size // FINEST + 1:
        return
    others = {row.pk: row for row in XetFile.objects.filter(sha256=file.sha256)}
    same = others.pop(hashes.to_text(file.file_id), None)
    if same and len(same.terms) <= len(terms) and same.xorbs <= keep_alive(same.xorbs).keys():
        return
    if len(others) >= MOST_WAYS:
        unusable = set(others) - {row.pk for row in _whole(others.values())}
        if not unusable:
            return
        XetFile.objects.filter(pk__in=unusable).delete()
    with transaction.atomic():
        row, _ = XetFile.objects.update_or_create(
            pk=hashes.to_text(file.file_id), defaults={"sha256": file.sha256, "size": file.size, "terms": terms}
        )
        row.spans.all().delete()
        ends = accumulate(term.size for term in file.terms)
        XorbSpan.objects.bulk_create(
            XorbSpan(file=row, xorb=term.xorb, start=term.start, end=term.end, at=end - term.size)
            for term, end in zip(file.terms, ends, strict=True)
        )


def make_known(names: Iterable[str], by: Caller) -> None:
    """Let a caller name these stored xorbs in shards: the answer to any other name is that no such xorb is here.

    Otherwise a shard of guessed bytes would tell whether a private repository holds them.
    """
    if by.user is not None:
        rows = [KnownXorb(person=by.user, xorb=name) for name in names]
        KnownXorb.objects.bulk_create(rows, ignore_conflicts=True)


def let_clients_forget(people: QuerySet[User]) -> None:
    """Have the clients of these people forget what they sent, because not all of it is here any more.

    They get another address for their next push (hub/xet/tickets.py), at which they remember nothing.
    """
    people.update(chunks_lost_at=timezone.now())


def known_sizes(names: Iterable[str], by: Caller) -> dict[str, int]:
    """Return name → size of those of these xorbs that are stored and known to the caller."""
    known = KnownXorb.objects.filter(person=by.user, xorb=OuterRef("pk"))
    return dict(Xorb.objects.filter(Exists(known), pk__in=list(names)).values_list("pk", "size"))


def readable_file_ids(digests: Iterable[str]) -> dict[str, str]:
    """Return sha256 → file id of the files whose xorbs are all known, and keep those alive.

    Of several reconstructions it chooses the one with the fewest pieces, and of those the newest.
    """
    rows = _FILES_OF(*set(digests))
    if len(rows) > len({row.sha256 for row in rows}):
        rows = sorted(_whole(rows), key=lambda row: (-len(row.terms), row.created_at))
    chosen = {row.sha256: row for row in rows}
    stored = keep_alive({name for row in chosen.values() for name in row.xorbs})
    return {sha256: row.file_id for sha256, row in chosen.items() if row.xorbs <= stored.keys()}


def _whole(rows: Collection[XetFile]) -> list[XetFile]:
    """Return the files of which every xorb is known, without keeping any alive."""
    names = {name for row in rows for name in row.xorbs}
    stored = set(Xorb.objects.filter(pk__in=names).values_list("pk", flat=True))
    return [row for row in rows if row.xorbs <= stored]


_FILES_OF = Prepared(lambda *digests: XetFile.objects.filter(sha256__in=digests), str)
_XORBS = Prepared(lambda *names: Xorb.objects.filter(pk__in=names), str)


def keep_alive(names: set[str]) -> dict[str, int]:
    """Return name → size of those of these xorbs that are here, cold ones too; prolong it for those idle for a day."""
    rows = {row.pk: row for row in _XORBS(*names)} if names else {}
    before = timezone.now() - timedelta(seconds=KEEP_SECONDS)
    if stale := [name for name, row in rows.items() if row.last_used_at < before]:
        Xorb.objects.filter(pk__in=stale).update(last_used_at=timezone.now())
        # The sweep may have been faster.
        rows = {row.pk: row for row in Xorb.objects.filter(pk__in=names)}
    return {name: row.size for name, row in rows.items()}
