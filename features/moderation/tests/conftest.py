"""The visitors of the website's tests, an adapter with a README, and the wire."""

from tests.hf.conftest import wire
from tests.registry.test_moderation import adapter
from tests.site.conftest import cast, reviews

__all__ = ["adapter", "cast", "reviews", "wire"]
