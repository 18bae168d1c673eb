"""The visitors of the tests of the website, and its broken database."""

from tests.site.conftest import cast, outage, reviews, visit

__all__ = ["cast", "outage", "reviews", "visit"]
