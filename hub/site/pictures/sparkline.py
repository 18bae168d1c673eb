"""A row of bars for the downloads of the last days, and the sentence that says the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

HEIGHT = 24.0
DAYS = 30


@dataclass(frozen=True)
class Sparkline:
    """Downloads by day, the oldest first."""

    days: Sequence[tuple[date, int]]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.days)

    @property
    def busiest(self) -> tuple[date, int]:
        """The day with the most downloads, the newest of several, and how many they were."""
        return max(self.days, key=lambda of: (of[1], of[0]))

    @property
    def bars(self) -> list[tuple[int, float, float]]:
        """Place, top and height of a bar for each day with downloads; the tallest fills the height."""
        most = self.busiest[1]
        heights = [(place, max(1.0, HEIGHT * count / most)) for place, (_, count) in enumerate(self.days) if count]
        return [(place, round(HEIGHT - height, 1), round(height, 1)) for place, height in heights]
