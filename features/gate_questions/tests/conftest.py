"""The visitors and adapters of the website's tests."""

from tests.site.conftest import cast, reviews, visit

__all__ = ["cast", "reviews", "visit"]
