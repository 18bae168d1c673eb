"""Chromium, and pages that fail their test when they complain, call another host or break their own policy."""

import contextlib
import json
import os
import re
import shutil
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from ops import services
from tests.adapters import WEIGHTS, Tensors, weights, with_nan, write
from tests.clients import ROOT, Client
from tests.live import PASSWORD, TOKENS, Hub, wait_until

expect.set_options(timeout=60_000)  # milliseconds; a busy machine is no defect of a page
REVIEWS = ROOT / "demo" / "reviews-lora"


def own_reviews(folder: Path, owner: str) -> Path:
    """Copy the adapter of the demo into a new folder, with weights that only this owner has, and that predict the same.

    Pages tell of equal weights elsewhere, so tests that share a hub would meet what others did with theirs.
    """
    generator = np.random.default_rng(zlib.crc32(owner.encode()))

    def change(tensors: Tensors) -> Tensors:
        for name, (dtype, shape, raw) in tensors.items():
            if name.endswith("lora_A.weight"):
                values = np.frombuffer(raw, "<f4")
                factors = generator.uniform(0.999, 1.001, values.size)
                tensors[name] = (dtype, shape, (values * factors).astype("<f4").tobytes())
        return tensors

    shutil.copytree(REVIEWS, folder)
    write(weights(change)({WEIGHTS: (folder / WEIGHTS).read_bytes()}), folder)
    return folder


@pytest.fixture
def reviews(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder `reviews-lora` with the adapter of the demo, whose weights no other test has."""
    return own_reviews(tmp_path / REVIEWS.name, request.node.nodeid)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a file of tests, each page in a context of its own.

    It ends with them: the event loop behind it makes Django refuse its database to whatever this process tests next.
    """
    if not services.browser() and not os.environ.get("CI"):
        pytest.skip("Chromium is not there: run `make services`")
    with sync_playwright() as playwright:
        # Root may not use Chromium's sandbox; /dev/shm is small in containers.
        flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=services.browser(), args=flags)
        yield browser
        browser.close()


class Visitor:
    """A person with a browser; `complaints` are the errors of all visited pages."""

    def __init__(self, browser: Browser, base: str, **options) -> None:
        self.base, self.complaints = base, []
        self.context = browser.new_context(reduced_motion="reduce", **options)
        self.context.route("**/*", self._refuse_other_hosts)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("console", self._hear)
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def go(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def go_until(self, path: str, locate: Callable[[Page], Locator], seconds: float = 180) -> Page:
        """Open a page again and again until it has something that the worker writes after the request."""
        ends = time.monotonic() + seconds
        while locate(self.go(path)).count() == 0 and time.monotonic() < ends:
            self.page.wait_for_timeout(500)
        expect(locate(self.page)).to_be_visible()
        return self.page

    def sign_in(self, name: str, password: str = PASSWORD) -> Page:
        self.go("/login")
        self.page.get_by_label("User name or e-mail address").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("link", name="Upload").first.wait_for()
        return self.page

    def _refuse_other_hosts(self, route) -> None:
        if route.request.url.startswith((self.base, "data:")):
            route.continue_()
        else:
            self.complaints.append(f"another host: {route.request.url}")
            route.abort()

    def _hear(self, message) -> None:
        # A page that is meant to be missing, or a form that is meant to be refused.
        expected = message.type == "error" and re.search(r"status of 40[049]", message.text)
        if message.type in {"error", "warning"} and not expected:
            self.complaints.append(f"{message.type}: {message.text}")


@pytest.fixture
def visitor(chromium):
    """Return a function that sends somebody to a hub; at the end nobody may have complained."""
    everybody = []

    def send(base: str, **options) -> Visitor:
        everybody.append(Visitor(chromium, base, **options))
        return everybody[-1]

    yield send
    for one in everybody:
        with contextlib.suppress(Exception):  # the browser is closed with the context that a failed test left
            one.context.close()
    assert [complaint for one in everybody for complaint in one.complaints] == []


@pytest.fixture(scope="session")
def furnished_hub(working_hub: Hub, tmp_path_factory) -> Hub:
    """The working hub with an adapter that passed, one that failed, one that waits, and one that is private.

    Another form of the first one is there too.
    """
    home = tmp_path_factory.mktemp("home")
    alice = Client("2.4.0", working_hub.url, TOKENS["alice"], home)
    reviews = own_reviews(home / REVIEWS.name, "furnished_hub")
    alice.hf("upload", "alice/reviews", reviews, "--commit-message", "Train on 2,400 reviews")
    alice.hf("upload", "alice/spoilt", _changed(reviews, home / "spoilt"))
    alice.hf("upload", "alice/waiting", _changed(reviews, home / "waiting", base="meta-llama/Llama-3.1-8B"))
    alice.hf("repos", "create", "acme/private", "--private")
    wait_until(
        lambda: state(working_hub, "reviews") == "passed" and state(working_hub, "spoilt") == "failed", working_hub
    )
    _ask(working_hub, "derive", {"to": "fp16"})
    wait_until(lambda: derived_revision(working_hub), working_hub)
    return working_hub


def derived_revision(hub: Hub) -> str:
    """Return the commit id of the form that was derived of alice/reviews; "" until it is there."""
    return _ask(hub, "lineage")["derived"][0]["revision"] or ""


def _ask(hub: Hub, route: str, body: dict | None = None) -> dict:
    headers = {"Authorization": f"Bearer {TOKENS['alice']}", "Content-Type": "application/json"}
    address = f"{hub.url}/api/v1/adapters/alice/reviews/revisions/main/{route}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(address, data, headers), timeout=60) as answer:
        return json.load(answer)


def _changed(source: Path, folder: Path, base: str = "") -> Path:
    """A copy of an adapter with NaN in its weights, or with another base."""
    files = {path.name: path.read_bytes() for path in source.iterdir()}
    if base:
        known = b"sentence-transformers/all-MiniLM-L6-v2"
        files = {name: data.replace(known, base.encode()) for name, data in files.items()}
    else:
        files = with_nan()(files)
    return write(files, folder)


def state(hub: Hub, name: str) -> str:
    """Return the state of the newest verdict of one of alice's adapters."""
    with urllib.request.urlopen(f"{hub.url}/api/v1/adapters/alice/{name}/revisions/main/verdict", timeout=60) as answer:
        return json.load(answer)["state"]
