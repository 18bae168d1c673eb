"""The callers of the tests of REST, and a hub below a path."""

from tests.api.conftest import ask, cast, repository
from tests.api.test_mounted import mounted

__all__ = ["ask", "cast", "mounted", "repository"]
