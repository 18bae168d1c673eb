"""Looks for access tokens of this hub in new text files that no push reads: those that came by Git LFS or Xet, and the
end of large ones.
"""

from collections.abc import Mapping
from typing import BinaryIO

from django.db import transaction

from registry.models import Revision
from registry.people.tokens import leaks
from registry.publish.push import MAX_SCANNED
from registry.repos.contents import facts
from registry.repos.manifest import Entry

MAX_FILE, MAX_IN_ALL = 64 << 20, 256 << 20  # bytes that are read of a file, and of a revision
PIECE = 4 << 20
LONGEST = 256  # bytes of a token, which may lie across two pieces
START = 8 << 10  # of a text, which holds no NUL there


def revoke(revision: Revision, entries: Mapping[str, Entry]) -> None:
    """Revoke the tokens in these files of a revision, once for all of them. Raises BlobMissing and StoreUnavailable."""
    left, candidates = MAX_IN_ALL, {}
    unread = {path: entry for path, entry in entries.items() if entry.is_lfs or entry.size > MAX_SCANNED}
    for path, opener in facts.file_openers(unread).items():
        if left <= 0:
            break
        with opener() as file:
            candidates[path] = _candidates(file, min(left, MAX_FILE))
            left -= file.tell()
    with transaction.atomic():
        leaks.revoke_in(candidates, revision.repository, revision)


def _candidates(file: BinaryIO, most: int) -> set[str]:
    """Return what looks like a token in a text; of other files only the start is read."""
    values: set[str] = set()
    piece = file.read(START)
    if b"\0" in piece:
        return values
    end = b""
    while piece:
        values |= leaks.candidates(end + piece)
        end, most = piece[-LONGEST:], most - len(piece)
        piece = file.read(min(PIECE, max(most, 0)))
    return values
