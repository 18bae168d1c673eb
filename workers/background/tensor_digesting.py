"""Reads the tensors of files that were pushed: for their digests, by which the blocklist knows them under another
header, and for their weight passports.
"""

import logging
import time

from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import Header, HeaderError
from dovetail.adapters.shapes import passport
from registry.bytes import blocked_files, tensor_digests
from registry.bytes.blobs import BlobMissing, Keys, object_exists, store
from registry.kernel.errors import StoreUnavailable
from registry.models import Blob, DerivedArtifact, TensorDigest
from registry.proof.weights import passports
from registry.repos.contents.facts import open_blob

logger = logging.getLogger(__name__)
SECONDS = 10  # after that no file is begun: the others wait for the next tick
MAX_MEASURED = 1 << 30  # bytes of a file: larger ones are whole models, and get no passport
MAX_COST = 10**11  # nor do files of so many and so high ranks: 90 of rank 1,024, which take half a minute


def work() -> None:
    """Read the files that wait; one that cannot be read now is tried again when its lease has ended."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and (row := tensor_digests.claim()):
        try:
            sha256 = _read(row)
        except (BlobMissing, StoreUnavailable) as problem:
            logger.warning("Tensors were not read: %s", problem, extra={"sha256": row.file})
            if not _is_store_up():
                tensor_digests.postpone(row)
                return
            continue
        tensor_digests.finish(row, sha256)
        blocked_files.learn(row.file, sha256)


def _is_store_up() -> bool:
    """Return whether the store answers, so that a file which cannot be read is one that it has lost."""
    try:
        object_exists(Keys.blob("0" * 64))
    except StoreUnavailable:
        return False
    return True


def _read(row: TensorDigest) -> str:
    """Record the passport of a file, or of the safetensors that were derived of a pickle, and return the digest of its
    tensors; "" without any.
    """
    blob = _readable_blob(row.file)
    if blob is None:
        return ""
    file = open_blob(blob.sha256, blob.size)
    try:
        header = headers.read(file)
    except HeaderError:
        return ""
    if blob.size <= MAX_MEASURED and passport.cost(header) <= MAX_COST:
        try:
            passports.record(row.file, passport.measure(file, header))
        except (ArithmeticError, MemoryError, ValueError):  # of absurd values, also as numpy's LinAlgError
            logger.exception("The weights were not measured.", extra={"sha256": row.file})
    return _digest(blob, header)


def _digest(blob: Blob, header: Header) -> str:
    start = min((tensor.offset for tensor in header.tensors.values()), default=blob.size)
    with store().open(Keys.blob(blob.sha256), start, blob.size) as reader:
        return tensor_digests.compute(header, reader.read)


def _readable_blob(file: str) -> Blob | None:
    form = DerivedArtifact.Form.SAFETENSORS
    derived = DerivedArtifact.objects.filter(source=file, form=form).select_related("blob").first()
    return derived.blob if derived else Blob.objects.filter(pk=file, size__gt=0).first()
