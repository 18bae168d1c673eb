"""Computes the digests of tensors of files that were pushed, so that the blocklist knows them under another header."""

import io
import logging
import time

from dovetail.adapters import HeaderError
from dovetail.adapters import header as headers
from registry.bytes import tensor_digests
from registry.bytes.blobs import BlobMissing, Keys, store
from registry.kernel.errors import StoreUnavailable
from registry.models import Blob, DerivedArtifact, TensorDigest
from registry.moderation import blocklist
from registry.repos.facts import READ_AHEAD, BlobFile

logger = logging.getLogger(__name__)
SECONDS = 10  # after that no file is begun: the others wait for the next tick


def work() -> None:
    """Compute the digests that wait; a file that cannot be read now is tried again when its lease has ended."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and (row := tensor_digests.claim()):
        try:
            sha256 = _digest(row)
        except (BlobMissing, StoreUnavailable) as problem:
            logger.warning("Tensors were not hashed: %s", problem, extra={"sha256": row.file})
            continue
        tensor_digests.finish(row, sha256)
        blocklist.learn(row.file, sha256)


def _digest(row: TensorDigest) -> str:
    """Return the digest of a file's tensors, or of the safetensors that were derived of a pickle; "" without any."""
    blob = _readable_blob(row.file)
    if blob is None:
        return ""
    try:
        header = headers.read(io.BufferedReader(BlobFile(blob.sha256, blob.size), READ_AHEAD))
    except HeaderError:
        return ""
    start = min((tensor.offset for tensor in header.tensors.values()), default=blob.size)
    with store().open(Keys.blob(blob.sha256), start, blob.size) as reader:
        return tensor_digests.compute(header, reader.read)


def _readable_blob(file: str) -> Blob | None:
    form = DerivedArtifact.Form.SAFETENSORS
    derived = DerivedArtifact.objects.filter(source=file, form=form).select_related("blob").first()
    return derived.blob if derived else Blob.objects.filter(pk=file, size__gt=0).first()
