"""The faults of a page for its readers: in light and dark, on a wide and a narrow screen."""

import os
import re
from pathlib import Path

from playwright.sync_api import Page

AXE = (Path(__file__).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Both schemes and both widths once: in the other two pairs axe would find the same.
LOOKS = (("light", 1280), ("dark", 390))
HEIGHT = 844  # px
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")  # a folder for pictures of all pages


def faults(page: Page) -> list[str]:
    """Return what axe finds on the page as it is shown now."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)["violations"]
    return [
        f"{fault['id']}: {node['html'][:160]} {node.get('failureSummary', '')}"
        for fault in found
        for node in fault["nodes"]
    ]


def look(page: Page) -> list[str]:
    """Return what axe finds in each of LOOKS, and by how much the page is wider than the screen."""
    wrong = []
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": HEIGHT})
        wrong += [f"{scheme}, {width} px: {fault}" for fault in faults(page)]
        if (too_wide := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
            wrong.append(f"{too_wide} px wider than the screen of {width} px")
        if SCREENSHOTS:
            name = re.sub(r"\W+", "-", page.url.partition("//")[2].partition("/")[2]) or "home"
            page.screenshot(path=f"{SCREENSHOTS}/{name}-{scheme}-{width}.png", full_page=True)
    return wrong
