"""The visitors and adapters of the website's tests."""

from tests.site.conftest import cast, reviews, secret, visit

__all__ = ["cast", "reviews", "secret", "visit"]
