"""Reads the commits that lead to a revision: the newest ones, their number, and the last change of each file."""

from registry.models import Revision
from registry.repos import pull
from registry.repos.manifest import folders_of

LOOK_BACK, LOOK_BACK_FILES = 100, 50_000  # revisions, and files of all of them together


def newest(revision: Revision, limit: int) -> list[Revision]:
    """Return the revision and its ancestors, newest first, at most `limit` of them; one query."""
    line: list[Revision] = []
    at: int | None = revision.pk
    # A parent is always older than its child, so one pass meets the whole line, past the revisions of other branches.
    rows = revision.repository.revisions.filter(pk__lte=revision.pk).select_related("author").order_by("-pk")
    for row in rows.iterator(chunk_size=200):
        if row.pk == at:
            line.append(row)
            at = row.parent_id
            if at is None or len(line) == limit:
                break
    return line


def length(revision: Revision, most: int = 1000) -> int:
    """Return the number of revisions in its history, itself included, counted up to `most`; one query."""
    count, at = 0, revision.pk
    rows = revision.repository.revisions.filter(pk__lte=revision.pk).order_by("-pk").values_list("pk", "parent_id")
    for pk, parent in rows.iterator(chunk_size=500):
        if pk == at:
            count, at = count + 1, parent
            if at is None or count == most:
                break
    return count


def last_changes(revision: Revision) -> dict[str, Revision]:
    """Return for each file and folder the newest revision that changed it, within LOOK_BACK."""
    affordable = LOOK_BACK_FILES // max(1, revision.files.count())
    line = [row for row in newest(revision, max(2, min(LOOK_BACK, affordable))) if not row.is_expired]
    trees = pull.entries_of(line)
    changed: dict[str, Revision] = {}
    for at, before in zip(line, [*line[1:], None], strict=True):
        now, then = trees[at.pk], trees[before.pk] if before else {}
        for path in {path for path in now.keys() | then.keys() if now.get(path) != then.get(path)}:
            for name in (path, *folders_of(path)):
                changed.setdefault(name, at)
    return changed
