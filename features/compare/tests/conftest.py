"""The callers and visitors of the tests of REST and of the website."""

from tests.api.conftest import ask, repository, secret
from tests.site.conftest import cast, reviews, visit

__all__ = ["ask", "cast", "repository", "reviews", "secret", "visit"]
