"""The visitors of the tests of the website."""

from tests.site.conftest import cast, reviews, secret, visit

__all__ = ["cast", "reviews", "secret", "visit"]
