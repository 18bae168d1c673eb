"""The visitors and adapters of the website's tests, REST, and the Hub's routes."""

from tests.api.conftest import ask, ask_json
from tests.hf.conftest import wire
from tests.site.conftest import cast, reviews, secret, visit

__all__ = ["ask", "ask_json", "cast", "reviews", "secret", "visit", "wire"]
