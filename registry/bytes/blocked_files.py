"""The blocklist as uploads and pushes ask it; registry/moderation/blocklist.py changes it."""

from collections.abc import Collection, Mapping

from registry.kernel.errors import FileBlocked
from registry.models import BlockedFile

TOGETHER = 500  # digests of one query


def blocked_among(digests: Collection[str]) -> dict[str, str]:
    """Return the blocked digests among these, each with the reason."""
    asked = sorted(digests)
    found: dict[str, str] = {}
    for at in range(0, len(asked), TOGETHER):
        rows = BlockedFile.objects.filter(sha256__in=asked[at : at + TOGETHER])
        found.update(rows.values_list("sha256", "reason"))
    return found


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
