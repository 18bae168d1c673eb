"""Runs in a history: versions that one training run pushed one after the other, which lists show as one line."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from registry.models import Revision
from registry.repos import histories

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
        history = histories.newest(start, most + 1)
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
