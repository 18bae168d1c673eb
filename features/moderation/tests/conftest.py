"""The visitors of the website's tests, callers of REST, an adapter with a README, and the wire."""

from tests.api.conftest import ask, repository
from tests.hf.conftest import wire
from tests.registry.test_moderation import adapter
from tests.site.conftest import cast, reviews

__all__ = ["adapter", "ask", "cast", "repository", "reviews", "wire"]
