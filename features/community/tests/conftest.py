"""The visitors and adapters of the website's tests, REST, and the Hub's routes."""

from tests.api.conftest import ask
from tests.hf.conftest import wire
from tests.site.conftest import cast, reviews, secret, visit

__all__ = ["ask", "cast", "reviews", "secret", "visit", "wire"]
