"""Weights that need no further training: renamed or joined as PEFT looks for them, for a pull request."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from dovetail.adapters.convert.mend import Mended, mended
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.patterns import PatternError
from dovetail.adapters.formats.description import WEIGHTS
from dovetail.adapters.shapes.base_fits import NotComputable
from registry.bytes import blobs, intake
from registry.kernel.errors import ValueInvalid
from registry.models import Discussion, Repository, User
from registry.proof import fit
from registry.publish.push import Stored
from registry.repos import bases
from registry.repos.contents import facts
from registry.repos.manifest import Entry

MAX_BYTES = 256 << 20  # written while somebody waits
TITLE = "Save the weights as PEFT looks for them"
OPEN = (Discussion.Status.OPEN, Discussion.Status.DRAFT)


def find(entries: Mapping[str, Entry]) -> Mended | None:
    """Return the repaired weights of a revision, if nothing but names and files keeps loaders from them.

    Reads headers. Where the base is known here, the repaired weights must fit it.
    """
    repaired = mended(facts.file_openers(entries))
    if repaired is None:
        return None
    config = facts.read_facts(entries).config
    base = bases.canonical_name(configs.text(config, "base_model_name_or_path") or "").casefold()
    try:
        survey = fit.survey(config, repaired.header)
    except (NotComputable, PatternError):
        return None
    answers = {answer.base.casefold(): answer.fits for answer in survey.answers}
    return repaired if answers.get(base, True) else None


def pending(repository: Repository, author: User | None, title: str = TITLE) -> Discussion | None:
    """Return the person's own open pull request with a repair of that title; others may give theirs the same one."""
    rows = repository.discussions.filter(is_pull_request=True, status__in=OPEN, title=title, author=author)
    return rows.order_by("number").first()


def store(repository: Repository, repaired: Mended) -> Stored:
    """Store the repaired weights for a push, and return its operation. Raises ValueInvalid for large ones."""
    if repaired.size > MAX_BYTES:
        raise ValueInvalid(
            f"The weights have {repaired.size:,} bytes; the hub rewrites at most {MAX_BYTES:,}.",
            fix="Make the change described in the verdict yourself and push the files.",
        )
    return stored(repository, WEIGHTS, repaired.write)


def stored(repository: Repository | None, path: str, write: Callable[[BinaryIO], None]) -> Stored:
    """Store the file that `write` writes, and return the operation of a push that puts it at a path."""
    with tempfile.TemporaryFile() as file:
        write(file)
        hasher = blobs.Hasher()
        for piece in _pieces(file):
            hasher.update(piece)
        digest = hasher.digest()
        intake.store_verified(digest.sha256, _pieces(file))
        intake.register_blobs(repository, digest)
        intake.store_verified(digest.sha256, _pieces(file))  # again: a sweep may have come before the row
    return Stored(path, digest.sha256, digest.size)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(blobs.PIECE):
        yield piece
