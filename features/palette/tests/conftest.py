"""The visitors of the website's tests, and a browser."""

from tests.browser.conftest import chromium, visitor
from tests.site.conftest import cast, reviews, secret, visit

__all__ = ["cast", "chromium", "reviews", "secret", "visit", "visitor"]
