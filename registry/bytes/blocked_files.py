"""The files that are blocked, as uploads and pushes ask for them, and as workers learn of their tensors."""

from collections.abc import Collection, Mapping

from django.db.models import OuterRef, QuerySet, Subquery

from registry.kernel.errors import FileBlocked
from registry.models import BlockedFile, TensorDigest
from registry.sql.prepared import Prepared

TOGETHER = 500  # digests of one query


def blocked_among(digests: Collection[str]) -> dict[str, str]:
    """Return the files (sha256) among these that are blocked, or hold the tensors of a blocked one, with the reason."""
    asked = sorted(digests)
    blocked: dict[str, str] = {}
    for at in range(0, len(asked), TOGETHER):
        blocked |= dict(_BLOCKED(*asked[at : at + TOGETHER]))
    return blocked


def _blocked(*digests: str) -> QuerySet[BlockedFile, tuple[str, str]]:
    same = BlockedFile.objects.filter(sha256__in=digests).values_list("sha256", "reason")
    reasons = BlockedFile.objects.exclude(tensors="").filter(tensors=OuterRef("sha256")).values("reason")[:1]
    alike = TensorDigest.objects.filter(file__in=digests).annotate(reason=Subquery(reasons))
    return same.union(alike.filter(reason__isnull=False).values_list("file", "reason"))


_BLOCKED = Prepared(_blocked, str)


def refusal(sha256: str, reason: str, path: str = "") -> FileBlocked:
    """Return the refusal of one file, by its path where it has one."""
    name = f"{path!r} (sha256 {sha256})" if path else f"The file with sha256 {sha256}"
    return FileBlocked(f"{name} is blocked on this hub: {reason}", sha256=sha256, reason=reason)


def require_unblocked(files: Mapping[str, str]) -> None:
    """Raise FileBlocked if one of these files (path → sha256) is blocked."""
    blocked = blocked_among(set(files.values()))
    for path, sha256 in files.items():
        if sha256 in blocked:
            raise refusal(sha256, blocked[sha256], path)


def learn(file: str, tensors: str) -> None:
    """Take in the digest of a file's tensors: the next sweep looks for them if the file or such tensors are blocked."""
    if tensors:
        BlockedFile.objects.filter(sha256=file).update(tensors=tensors)
        BlockedFile.objects.filter(tensors=tensors).update(swept_at=None)
