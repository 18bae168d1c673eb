"""The callers of the tests of REST."""

from tests.api.conftest import ask, cast, repository, secret

__all__ = ["ask", "cast", "repository", "secret"]
