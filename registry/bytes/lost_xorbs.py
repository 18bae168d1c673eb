"""Xorbs whose objects are not in the store: after a restore, since a backup holds whole files and no xorbs.

A row without its object would offer its files to Xet readers, who fail then, and have clients that remember the xorb
leave its chunks out of a push. Whole files are the truth: without the rows they are read whole, and cut again.
"""

from registry.bytes import blobs, chunking_jobs
from registry.bytes.batching import batched
from registry.bytes.blobs import BlobMissing, Keys
from registry.bytes.object_copies import in_parallel
from registry.models import Blob, KnownXorb, XetFile, Xorb

TOGETHER = 500  # rows that one statement compares


def forget() -> int:
    """Delete the rows of xorbs without an object, and have the files that they held cut again; return their number.

    Nobody may be uploading meanwhile: a xorb that has just arrived would be taken for a lost one.
    """
    rows = Xorb.objects.values_list("pk", "is_cold").iterator()
    lost = [name for name, is_lost in in_parallel(_looked_for, rows) if is_lost]
    for names in batched(lost, TOGETHER):
        files = XetFile.objects.filter(spans__xorb__in=names)
        digests = set(files.values_list("sha256", flat=True))
        XetFile.objects.filter(pk__in=list(files.values_list("pk", flat=True))).delete()
        KnownXorb.objects.filter(xorb__in=names).delete()
        Xorb.objects.filter(pk__in=names).delete()
        chunking_jobs.enqueue(Blob.objects.filter(pk__in=digests).values_list("pk", flat=True))
    return len(lost)


def _looked_for(row: tuple[str, bool]) -> tuple[str, bool]:
    """Return the name of a xorb, and whether its object is missing: its index, where the xorb is cold."""
    name, is_cold = row
    try:
        blobs.store().size(Keys.xorb_index(name) if is_cold else Keys.xorb(name))
    except BlobMissing:
        return name, True
    return name, False
