"""The bytes of a push: those that came with it are kept, and of those that came before it is proven that they did."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from django.conf import settings

from registry import blobs, intake, manifest, names, possession
from registry.blobs import Keys
from registry.errors import BlobUnknown, DigestMismatch, FileTooLarge, PushTooLarge
from registry.manifest import Entry
from registry.models import Adapter
from registry.policy import Caller
from registry.push.intent import Deletion, Edit, Inline, Operation, Stored

MAX_OPERATIONS = 20_000


def keep(adapter: Adapter, operations: Iterable[Operation]) -> list[Edit | Stored]:
    """Put inline bytes into the store, one file at a time, and check every path.

    Raises PathInvalid, FileTooLarge and PushTooLarge.
    """
    edits: list[Edit | Stored] = []
    total = 0
    for operation in operations:
        path = names.check_path(operation.path)
        if len(edits) >= MAX_OPERATIONS:
            raise PushTooLarge(f"This push holds more than {MAX_OPERATIONS:,} operations.")
        match operation:
            case Inline(content=content):
                total += _check_size(path, len(content), settings.MAX_INLINE_BYTES)
                _check_total(total)
                kept = intake.receive_inline(adapter, content)
                edits.append(Entry(path, kept.sha256, kept.size, False, manifest.git_blob_oid(content)))
            case Stored():
                edits.append(replace(operation, path=path))
            case Deletion():
                edits.append(Deletion(path))
    return edits


def believe(adapter: Adapter, edits: list[Edit | Stored], by: Caller) -> list[Edit]:
    """Turn claims into entries: a digest counts if this adapter was given its bytes, or the caller can read them.

    Raises BlobUnknown, DigestMismatch, FileTooLarge and PushTooLarge.
    """
    claimed = {edit.sha256 for edit in edits if isinstance(edit, Stored)}
    known = possession.usable(adapter, claimed, by)
    believed: list[Edit] = []
    total = 0
    for edit in edits:
        if not isinstance(edit, Stored):
            believed.append(edit)
            continue
        size = _proven_size(adapter, edit, known)
        total += _check_size(edit.path, size, settings.MAX_FILE_BYTES)
        _check_total(total)
        believed.append(manifest.lfs_entry(edit.path, edit.sha256, size))
    return believed


def _proven_size(adapter: Adapter, claim: Stored, known: Mapping[str, int]) -> int:
    # The look into the store is for a delivery that died between its row and its bytes.
    if claim.sha256 not in known or not blobs.exists(Keys.blob(claim.sha256)):
        raise BlobUnknown(
            f"The bytes of {claim.path!r} (sha256 {claim.sha256}) were never delivered to {adapter.full_name}."
        )
    size = known[claim.sha256]
    if claim.size not in (None, size):
        raise DigestMismatch(f"{claim.path!r} is said to have {claim.size:,} bytes, but {claim.sha256} has {size:,}.")
    return size


def _check_size(path: str, size: int, limit: int) -> int:
    if size > limit:
        raise FileTooLarge(f"{path!r} has {size:,} bytes; the limit is {limit:,}.", limit=limit)
    return size


def _check_total(total: int) -> None:
    if total > settings.MAX_PUSH_BYTES:
        raise PushTooLarge(f"This push holds {total:,} bytes or more; the limit is {settings.MAX_PUSH_BYTES:,}.")
