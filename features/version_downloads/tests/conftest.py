"""The visitors of the tests of the website."""

from tests.site.conftest import cast, reviews, visit

__all__ = ["cast", "reviews", "visit"]
