"""A histogram of a column of numbers: a bar for each range, and the links of its text alternative."""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 36.0


@dataclass(frozen=True, slots=True)
class Bin:
    """One range: its words, its number of repositories, and the address that asks for it alone, or no longer."""

    label: str
    count: int
    url: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """The ranges of one column in order; `is_newest` if they are those of the newest matches of many."""

    column: str
    bins: Sequence[Bin]
    is_newest: bool = False

    @property
    def total(self) -> int:
        return sum(bin.count for bin in self.bins)

    @property
    def is_narrowed(self) -> bool:
        return any(bin.chosen for bin in self.bins)

    @property
    def bars(self) -> list[tuple[int, float, float, bool]]:
        """The place, top and height of each bar, and whether its range is chosen; the tallest fills the height."""
        most = max((bin.count for bin in self.bins), default=0)
        heights = [max(1.0, HEIGHT * bin.count / most) if bin.count else 0.0 for bin in self.bins]
        return [
            (place, round(HEIGHT - height, 1), round(height, 1), bin.chosen)
            for place, (bin, height) in enumerate(zip(self.bins, heights, strict=True))
        ]
