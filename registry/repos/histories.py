"""Reads the commits that lead to a revision: the newest, their number, the last change of each file, training runs.

A run is a row of versions that one training pushed one after the other; lists show it as one line.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Sum

from registry.models import Revision, RevisionFile
from registry.repos import pull
from registry.repos.manifest import BEGINNING, folders_of

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
    """Return the number of versions in its history, itself included, counted up to `most`; one query.

    The revision that the hub began the repository with is none.
    """
    count, at = 0, revision.pk
    rows = revision.repository.revisions.filter(pk__lte=revision.pk).order_by("-pk")
    for pk, parent, title in rows.values_list("pk", "parent_id", "title").iterator(chunk_size=500):
        if pk == at:
            count += parent is not None or title != BEGINNING
            if parent is None or count == most:
                break
            at = parent
    return count


def sizes(revisions: Iterable[Revision]) -> dict[int, int]:
    """Return the bytes of the files of these revisions by their row ids, without those that have none; one query."""
    files = RevisionFile.objects.filter(revision__in=[revision.pk for revision in revisions]).order_by()
    return dict(files.values_list("revision").annotate(Sum("size")))


def is_beginning(revision: Revision) -> bool:
    """Return whether the hub made it to begin the repository; a squashed history begins with a version."""
    return revision.parent_id is None and revision.title == BEGINNING


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


FEWEST = 4  # versions of a run; fewer are easier to read one by one
FEWEST_READ, MOST_READ = 30, 600  # versions for one page, those in runs too: a short page must not cut a run short
PAUSE = timedelta(hours=6)  # between two pushes of a run, at most
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list: a version, and behind it the older ones of its run, the newest first."""

    newest: Revision
    others: Sequence[Revision] = ()

    @property
    def oldest(self) -> Revision:
        return self.others[-1] if self.others else self.newest


def read_lines(start: Revision, named: Collection[str], limit: int) -> tuple[list[Line], str]:
    """Return one page of a history that begins with `start`, and the commit that the next page begins with, or "".

    A run fills one line: where there is one, more of the history is read, up to MOST_READ versions.
    """
    for most in (max(limit, FEWEST_READ), MOST_READ):
        history = newest(start, most + 1)
        lines = list(collapse(history[:most], named))
        if len(history) <= most or len(lines) > limit // 2:
            break
    shown = lines[:limit]
    count = sum(1 + len(line.others) for line in shown)
    return shown, history[count].oid if len(history) > count else ""


def collapse(history: Sequence[Revision], named: Collection[str]) -> Iterator[Line]:
    """Yield the lines of a history, newest first; versions with a name (commit ids in `named`) stand alone.

    A run is of one author, and its titles differ by numbers alone: `step 100`, `step 200`.
    """
    run: list[Revision] = []
    for revision in history:
        if run and not _goes_on(run[-1], revision, named):
            yield from _lines(run)
            run = []
        run.append(revision)
    yield from _lines(run)


def _goes_on(newer: Revision, older: Revision, named: Collection[str]) -> bool:
    return (
        newer.oid not in named
        and older.oid not in named
        and newer.author_id == older.author_id
        and newer.created_at - older.created_at <= PAUSE
        and bool(_NUMBER.search(newer.title))
        and _NUMBER.sub("#", newer.title) == _NUMBER.sub("#", older.title)
    )


def _lines(run: list[Revision]) -> Iterator[Line]:
    if len(run) < FEWEST:
        yield from map(Line, run)
    else:
        yield Line(run[0], run[1:])
