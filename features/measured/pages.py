"""Compatibility on pages: what a serving engine did that was tried, and why one was not."""

from collections.abc import Mapping
from typing import Any

from features.measured import feature
from hub.site.panels import Pages, Panel


def _line(page: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the engine and its release that reached the modules; "" for one that was not tried, refused or stopped."""
    seen = page["line"].answer.measured
    return {"tried": feature.title(seen) if seen and not (seen.refusal or seen.stopped) else ""}


PAGES = Pages(
    panels=(
        Panel("serving-sources", "measured/sources.html"),
        Panel("serving-line", "measured/line.html", _line),
    )
)
