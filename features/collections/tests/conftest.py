"""The visitors of the website's tests, and the wire."""

from tests.hf.conftest import wire
from tests.site.conftest import cast, reviews, secret, visit

__all__ = ["cast", "reviews", "secret", "visit", "wire"]
