"""Spreads of numbers in a list of repositories: how many of them have a rank or a size in each of a few ranges.

The kept counts know no numbers, so the newest MOST matches are read, as the list itself is sorted: by an index.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from registry.kernel.capacity import bounded
from registry.kernel.policy import Caller
from registry.repos.lists.catalog import SORTS, Query, matching_repositories
from registry.repos.lists.tallies import MOST, Tally, cached, identity

# The upper ends of the ranges of each column, in bytes for a size; one more range has what is above.
ENDS = {
    "rank": (4, 8, 16, 32, 64),
    "size": (1_000_000, 5_000_000, 20_000_000, 100_000_000, 500_000_000),
}


@dataclass(frozen=True, slots=True)
class Range:
    """A range of numbers, both ends included; `high` is None for the last one."""

    low: int
    high: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The ranges of a column with the number of repositories in each; `is_newest`: of the newest MOST matches alone."""

    column: str
    ranges: tuple[Range, ...]
    is_newest: bool


def spread(by: Caller, query: Query, columns: Sequence[str]) -> list[Spread]:
    """Return the ranges of columns over what the caller sees, each as if no bound of that column was asked for.

    A large list may be a minute old. Raises SearchTooSlow.
    """
    if any(getattr(query, bound) is not None for column in columns for bound in _bounds(column)) and len(columns) > 1:
        return [one for column in columns for one in spread(by, query, (column,))]
    unbounded: dict[str, Any] = {bound: None for column in columns for bound in _bounds(column)}
    query = replace(query, sort=Query.sort, ascending=Query.ascending, **unbounded)
    scope = identity(by) if by.roles or by.is_staff else "public"
    counted = cached(f"spread {' '.join(columns)} {scope}", query, partial(_read, by, query, columns))
    return [Spread(column, _ranges(column, counted), counted.is_capped) for column in columns]


def _bounds(column: str) -> tuple[str, str]:
    return f"{column}_min", f"{column}_max"


def _ranges(column: str, counted: Tally) -> tuple[Range, ...]:
    ends, counts = ENDS[column], counted.facets[column]
    lows, highs = (0, *(end + 1 for end in ends)), (*ends, None)
    return tuple(Range(low, high, counts[str(at)]) for at, (low, high) in enumerate(zip(lows, highs, strict=True)))


def _read(by: Caller, query: Query, columns: Sequence[str]) -> Tally:
    """Count the values of columns by the place of their range; repositories without one count to none."""
    newest = matching_repositories(by, query).order_by(f"-{SORTS['updated']}", "-id")
    with bounded("count"):
        read = list(newest.values_list(*columns)[: MOST + 1])
    places = {
        column: Counter(str(bisect_left(ENDS[column], row[at])) for row in read[:MOST] if row[at])
        for at, column in enumerate(columns)
    }
    return Tally(len(read[:MOST]), places, is_capped=len(read) > MOST)
