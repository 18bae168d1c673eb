"""A hundred mixed reports cleared by one moderator at the keyboard, in a real browser on a hub that runs.

    make bench ARGS=moderation

An action is a key, a typed sentence or a click. Malware, backdoors and illegal content are opened and quarantined one
by one; the others are ticked and closed together. Seconds are those of the hub and the browser: nobody reads or thinks.
"""

import json
import re
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from bench.line import Line
from ops import services
from tests import live
from tests.live import PASSWORD, TOKENS, Hub

REPORTS = 100
REASONS = ("malware", "backdoor", "illegal", "personal-data", "license", "squatting", "spam", "broken", "other", "spam")
REPORTERS = ("bob", "carol", "dave", "erin")
WAITING = "from registry.models import Case; print(Case.objects.exclude(state='closed').count())"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


def lines() -> Iterator[Line]:
    """Report a hundred things, clear the queue, and tell what each took."""
    with tempfile.TemporaryDirectory() as temporary, live.hub(Path(temporary) / "data") as hub:
        for number in range(REPORTS):
            _report(hub, number)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=services.browser(), args=FLAGS)
            desk = Desk(browser.new_page(), hub)
            began = time.monotonic()
            grave = desk.quarantine_grave_ones()
            alone = time.monotonic() - began
            desk.close_the_others()
            seconds = time.monotonic() - began
            browser.close()
        left = hub.manage("shell", "-v", "0", "-c", WAITING).strip()
    yield Line("cases that still wait", int(left), "cases", most=0)
    yield Line("actions for each of 100 mixed reports", desk.actions / REPORTS, "actions", most=3)
    yield Line("seconds for each of 100 mixed reports", seconds / REPORTS, "s", note=f"{grave} were quarantined")
    yield Line("seconds for each that is looked at and quarantined alone", alone / grave, "s")


def _report(hub: Hub, number: int) -> None:
    """Report one thing: every other time a new adapter, else a version or a file of it."""
    name = f"reported-{number // 2}"
    if number % 2 == 0:
        _ask(hub, "alice", "/api/repos/create", {"name": name})
    kind = "adapter" if number % 2 == 0 else ("revision", "file")[number // 2 % 2]
    suffix = {"adapter": "", "revision": "@main", "file": "@main:.gitattributes"}[kind]
    target = {"type": kind, "id": f"alice/{name}{suffix}"}
    body = {"target": target, "reason": REASONS[number % len(REASONS)], "text": "Look at this."}
    _ask(hub, REPORTERS[number % len(REPORTERS)], "/api/v1/reports", body)


def _ask(hub: Hub, who: str, path: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {TOKENS[who]}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(hub.url + path, data, headers), timeout=60) as answer:
        return json.load(answer)


class Desk:
    """A moderator at the queue; `actions` counts keys, typed sentences and clicks."""

    def __init__(self, page: Page, hub: Hub) -> None:
        self.page, self.hub, self.actions = page, hub, 0
        page.goto(f"{hub.url}/login")
        page.get_by_label("User name").fill("mona")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="New adapter").first.wait_for()

    def key(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.actions += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.actions += 1

    def quarantine_grave_ones(self) -> int:
        """Open the first case and quarantine it; the hub opens the next one. Return how many there were."""
        page, number = self.page, 0
        page.goto(f"{self.hub.url}/moderation")
        self.key("j")
        self.key("e")
        panel = page.locator("#panel")
        panel.wait_for()
        page.wait_for_load_state()
        while "high" in panel.locator(".chips").first.inner_text():
            case = re.findall(r"\d+", panel.locator("header p").first.inner_text())[0]
            self.key("q")
            self.type("It attacks who loads it.")
            self.key("Enter")
            expect(page.get_by_text(f"Case {case} is closed")).to_be_visible(timeout=60_000)
            page.wait_for_load_state()
            number += 1
        return number

    def close_the_others(self) -> None:
        """Tick every case of a page and close them together, until nothing waits."""
        page = self.page
        while True:
            page.goto(f"{self.hub.url}/moderation")
            page.wait_for_load_state()
            rows = page.locator('input[name="case"]').count()
            if not rows:
                return
            for _ in range(rows):
                self.key("j")
                self.key("x")
            page.get_by_text("Close the ticked cases together").click()
            page.get_by_label("Reason for all").click()
            self.actions += 2
            self.type("Nothing is wrong with it.")
            self.key("Enter")
            expect(page.get_by_text("cases closed").or_(page.get_by_text("case closed"))).to_be_visible(timeout=60_000)
