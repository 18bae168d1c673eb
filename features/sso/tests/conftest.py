"""The visitors of the website's tests, and a browser."""

from tests.browser.conftest import chromium
from tests.site.conftest import cast, visit

__all__ = ["cast", "chromium", "visit"]
