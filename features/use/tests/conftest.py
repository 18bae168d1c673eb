"""The visitors of the website's tests, and an adapter that passed."""

from tests.site.conftest import cast, reviews, secret, visit
from tests.site.test_compatibility import served

__all__ = ["cast", "reviews", "secret", "served", "visit"]
