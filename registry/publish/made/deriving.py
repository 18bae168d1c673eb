"""Stores derived artifacts; registry/repos/derived.py tells which are possible and which exist."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import IntegrityError, transaction

from dovetail.adapters import HeaderError
from dovetail.adapters.files import header as headers
from dovetail.adapters.files import torchfile
from dovetail.adapters.files.pickle_interpreter import Refused
from registry.bytes import blobs, intake, tensor_digests
from registry.bytes.blobs import Digest, Hasher, Keys
from registry.kernel.errors import StoreUnavailable
from registry.models import Blob, DerivedArtifact
from registry.repos.derived import Derivation


def store_derived(artifact: Derivation, path: Path) -> DerivedArtifact | None:
    """Store a derived file; return None if it exceeds the size limit or is not a valid file of its form.

    The file comes out of a sandbox, so it is parsed and hashed here. Raises StoreUnavailable.
    """
    if path.stat().st_size > settings.MAX_FILE_BYTES or not _is_sound(path, artifact.form):
        return None
    digest = _digest(path)
    intake.store_verified(digest.sha256, _pieces(path))
    try:
        row = _note(artifact, digest)
    except IntegrityError:  # the sweep deleted the blob's row between the two inserts
        row = _note(artifact, digest)
    intake.store_verified(digest.sha256, _pieces(path))
    if not blobs.object_exists(Keys.blob(digest.sha256)):
        raise StoreUnavailable(f"The bytes of {digest.sha256} were swept while they were stored.")
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


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(blobs.PIECE):
            yield piece


def _digest(path: Path) -> Digest:
    hasher = Hasher()
    for piece in _pieces(path):
        hasher.update(piece)
    return hasher.digest()
