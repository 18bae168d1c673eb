"""The plot of downloads on the page of versions: a bar for each day, stacked by version."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from features.version_downloads.models import VersionDownloads
from hub.site.panels import Pages, Panel
from hub.site.pictures import Axis
from registry.models import Revision
from registry.repos import download_counts, refs

DAYS, LONGER = 30, 90  # the second is shown by ?days=90
BANDS = 4  # versions with a band of their own, those that were downloaded most; the others share one
LOWEST, HIGHEST = 186.0, 24.0  # the heights of 0 and of the busiest day
LEAST = 4  # downloads that the axis spans, so that its marks are whole numbers


@dataclass(frozen=True, slots=True)
class Downloads:
    """The downloads of all versions in the last days."""

    versions: Sequence[Revision]  # that have a band of their own, the first at the bottom
    days: Sequence[tuple[date, Sequence[int]]]  # the oldest first: of each of `versions`, and of all others together

    @property
    def axis(self) -> Axis:
        return Axis(0, max(LEAST, *(sum(counts) for _, counts in self.days)), LOWEST, HIGHEST)

    @property
    def ticks(self) -> list[tuple[int, float]]:
        """The marks of the axis, which are whole numbers, with their heights."""
        return [(round(value), height) for value, height in self.axis.ticks]

    @property
    def columns(self) -> list[tuple[date, float, int, list[tuple[int, float, float]]]]:
        """Each day with its place, its downloads, and its bars from below: number of the band, top, height."""
        axis, drawn = self.axis, []
        for number, (day, counts) in enumerate(self.days):
            tops = [axis.at(sum(counts[: band + 1])) for band in range(len(counts))]
            bars = [
                (band, top, round(below - top, 2))
                for band, (top, below) in enumerate(zip(tops, [LOWEST, *tops], strict=False))
                if below > top
            ]
            drawn.append((day, round(100 * number / len(self.days), 2), sum(counts), bars))
        return drawn

    @property
    def bands(self) -> list[tuple[int, Revision | None, int]]:
        """The number of each band, its version (None for all others), and its downloads; without an empty last one."""
        sums = [sum(counts[band] for _, counts in self.days) for band in range(len(self.versions) + 1)]
        bands = list(zip(range(len(sums)), [*self.versions, None], sums, strict=True))
        return bands if sums[-1] else bands[:-1]

    @property
    def sum(self) -> int:
        return sum(sum(counts) for _, counts in self.days)

    @property
    def step(self) -> int:
        """Every how many days one is labelled."""
        return len(self.days) // 6


def downloads(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the plot, None where nothing was downloaded in LONGER days."""
    header = page["header"]
    shown = LONGER if page["request"].GET.get("days") == str(LONGER) else DAYS
    totals = download_counts.by_day(header.repository, LONGER)
    if not any(count for _, count in totals):
        return None
    totals = totals[-shown:]
    by_version: defaultdict[str, Counter[date]] = defaultdict(Counter)
    rows = VersionDownloads.objects.filter(repository=header.repository, day__gte=totals[0][0])
    for oid, day, count in rows.values_list("oid", "day", "count"):
        by_version[oid][day] += count
    hidden = refs.hidden_oids(header.repository, by_version, header.by) if by_version else set()
    largest = sorted(by_version.keys() - hidden, key=lambda oid: (-by_version[oid].total(), oid))[:BANDS]
    versions = list(Revision.objects.filter(repository=header.repository, oid__in=largest).order_by("pk"))
    days = []
    for day, total in totals:
        counts = [by_version[version.oid][day] for version in versions]
        days.append((day, [*counts, max(0, total - sum(counts))]))
    return {"downloads": Downloads(versions, days), "other": DAYS if shown == LONGER else LONGER}


PAGES = Pages(panels=(Panel("versions-below", "version_downloads/plot.html", downloads),))
