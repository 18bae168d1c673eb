"""The faults of a page for its readers: in light and dark, on wide and narrow screens."""

import os
import re
from pathlib import Path

from playwright.sync_api import Page

AXE = (Path(__file__).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Both schemes, and each width at which pages are laid out otherwise: in the other pairs axe would find the same.
LOOKS = (("light", 1280), ("light", 820), ("dark", 390))
HEIGHT = 844  # px
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")  # a folder for pictures of all pages
# Words of up to 14 characters in cells of tables that go on in the next line: a column is narrower than its words.
TORN = """() => {
    const torn = new Set(), range = document.createRange();
    for (const cell of document.querySelectorAll("th, td")) {
        if (getComputedStyle(cell.closest("thead") ?? cell).clipPath !== "none") continue;
        const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        for (let text = texts.nextNode(); text; text = texts.nextNode()) {
            if (text.parentElement.closest("code")) continue;  // commands and digests
            for (const word of text.data.matchAll(/[^\\s\\/-]+/g)) {
                if (word[0].length > 14) continue;
                range.setStart(text, word.index);
                range.setEnd(text, word.index + word[0].length);
                const tops = new Set([...range.getClientRects()].map((line) => Math.round(line.top)));
                if (tops.size > 1) torn.add(`${word[0]} in ${text.data.trim().slice(0, 60)}`);
            }
        }
    }
    return [...torn];
}"""

WIDEST = """() => [...document.querySelectorAll("main *")].filter((element) => element.checkVisibility())
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
    .map((element) => element.outerHTML.slice(0, 120)).slice(-3)"""


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
    """Return what axe finds in each of LOOKS, which words are torn, and by how much the screen is too narrow."""
    wrong = []
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": HEIGHT})
        wrong += [f"{scheme}, {width} px: {fault}" for fault in faults(page)]
        wrong += [f"{width} px: torn: {words}" for words in page.evaluate(TORN)]
        if (too_wide := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
            wrong.append(f"{too_wide} px wider than the screen of {width} px: {page.evaluate(WIDEST)}")
        if SCREENSHOTS:
            name = re.sub(r"\W+", "-", page.url.partition("//")[2].partition("/")[2]) or "home"
            page.screenshot(path=f"{SCREENSHOTS}/{name}-{scheme}-{width}.png", full_page=True)
    return wrong
