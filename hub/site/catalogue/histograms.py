"""The histograms beside the catalogue: ranks and sizes of what matches, each range a link that narrows the list."""

from collections.abc import Callable

from django.http import QueryDict

from hub.site.pictures.histogram import Bin, Histogram
from registry.kernel.errors import SearchTooSlow
from registry.kernel.policy import Caller
from registry.repos.lists import spreads
from registry.repos.lists.catalog import Query
from registry.repos.lists.spreads import Range, Spread

COLUMNS = {"model": ("rank", "size"), "dataset": ("size",), "space": ("size",)}
Address = Callable[[dict[str, list[str]]], str]


def histograms(by: Caller, query: Query, params: QueryDict, address: Address) -> list[Histogram]:
    """Return the histograms of a list; none of a column without numbers, or if the database gave up."""
    try:
        drawn = [_histogram(one, params, address) for one in spreads.spread(by, query, COLUMNS[query.type])]
    except SearchTooSlow:  # the list itself may be there all the same
        return []
    return [histogram for histogram in drawn if histogram.total]


def _histogram(spread: Spread, params: QueryDict, address: Address) -> Histogram:
    low, high = f"{spread.column}_min", f"{spread.column}_max"
    asked = params.get(low, ""), params.get(high, "")
    bins = []
    for range in spread.ranges:
        ends = str(range.low or ""), str(range.high or "")
        url = address({low: [], high: []} if ends == asked else {low: [ends[0]], high: [ends[1]]})
        bins.append(Bin(_label(spread.column, range), range.count, url, ends == asked))
    return Histogram(spread.column, bins, spread.is_newest)


def _label(column: str, range: Range) -> str:
    """Return a range in words: `≤ 4`, `5–8`, `≥ 65`; sizes in megabytes, of which their ends are whole ones."""
    unit, name = (1_000_000, " MB") if column == "size" else (1, "")
    low, high = range.low // unit, (range.high or 0) // unit
    if range.high is None:
        return f"≥ {low}{name}"
    return f"{low}–{high}{name}" if range.low else f"≤ {high}{name}"
