"""How files are made of kept xorbs: noted at intake, and offered to readers by Xet while every xorb is here.

Only what shards proved is written down here (intake.py). A file is offered while every xorb of it is kept, and
being offered keeps them: clients that were told a Xet hash insist on it.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta

from django.utils import timezone

from registry.bytes import xorbs
from registry.bytes.xorbs import hashes
from registry.kernel.prepared import Prepared
from registry.models import XetFile, Xorb

KEEP_SECONDS = 24 * 3600  # how often a use is written down
MOST_TERMS = 4096  # of a file that is offered for reading: one in more pieces is faster whole
FINEST = 8 << 10  # bytes of a chunk, but for the last one of a file: no client cuts finer
MOST_WAYS = 8  # in which one file is known: whoever reads it may bring it again, in pieces of his own


def record_file(file: xorbs.File) -> None:
    """Write down how a proven file is made, unless that is a bad way, or it is known in enough ways that hold.

    Anyone with read access can upload a file again, chunked differently: that must not become how others read it.
    """
    terms = [[term.xorb, term.start, term.end, term.size] for term in file.terms]
    chunks = sum(term.end - term.start for term in file.terms)
    if len(terms) > MOST_TERMS or chunks > file.size // FINEST + 1:
        return
    ways = {row.pk: row for row in XetFile.objects.filter(sha256=file.sha256)}
    same = ways.pop(hashes.to_text(file.file_id), None)
    if same and len(same.terms) <= len(terms) and same.xorbs <= keep_alive(same.xorbs).keys():
        return
    if len(ways) >= MOST_WAYS:
        gone = set(ways) - {row.pk for row in _whole(ways.values())}
        if not gone:
            return
        XetFile.objects.filter(pk__in=gone).delete()
    XetFile.objects.update_or_create(
        pk=hashes.to_text(file.file_id), defaults={"sha256": file.sha256, "size": file.size, "terms": terms}
    )


def readable_file_ids(digests: Iterable[str]) -> dict[str, str]:
    """Return sha256 → file id of those files whose xorbs are all here, and stay for as long as clients may ask.

    Of several ways to read a file the one in fewest pieces, and of those the newest.
    """
    asked = set(digests)
    rows = list(_FILES_OF(next(iter(asked))) if len(asked) == 1 else XetFile.objects.filter(sha256__in=asked))
    if len(rows) > len({row.sha256 for row in rows}):
        rows = sorted(_whole(rows), key=lambda row: (-len(row.terms), row.created_at))
    found = {row.sha256: row for row in rows}
    kept = keep_alive({name for row in found.values() for name in row.xorbs})
    return {sha256: row.file_id for sha256, row in found.items() if row.xorbs <= kept.keys()}


def _whole(rows: Collection[XetFile]) -> list[XetFile]:
    """Return those of which every xorb is here; keeps none of them."""
    wanted = {name for row in rows for name in row.xorbs}
    there = set(Xorb.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    return [row for row in rows if row.xorbs <= there]


_FILES_OF = Prepared(lambda sha256: XetFile.objects.filter(sha256=sha256), str)
_XORBS = Prepared(lambda *names: Xorb.objects.filter(pk__in=names), str, str)


def keep_alive(names: set[str]) -> dict[str, int]:
    """Return name → size of the xorbs that are here, and prolong the life of those that nobody used for a day."""
    few = (sorted(names) * 2)[:2]  # the query has places for two, which hold 128 MiB
    rows = {row.pk: row for row in (_XORBS(*few) if 0 < len(names) <= 2 else Xorb.objects.filter(pk__in=names))}
    before = timezone.now() - timedelta(seconds=KEEP_SECONDS)
    if stale := [name for name, row in rows.items() if row.last_used_at < before]:
        Xorb.objects.filter(pk__in=stale).update(last_used_at=timezone.now())
        rows = {row.pk: row for row in Xorb.objects.filter(pk__in=names)}  # the sweep may have been faster
    return {name: row.size for name, row in rows.items()}
