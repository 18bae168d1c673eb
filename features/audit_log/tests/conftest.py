"""The visitors of the website's tests, and callers of REST with a repository."""

from tests.api.conftest import ask, repository
from tests.site.conftest import cast, visit

__all__ = ["ask", "cast", "repository", "visit"]
